package relay

import (
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// TestRFC4475 sends the torture messages (in the files that sipgo ships) through a relay with a next hop. The rule: what has a
// usable top Via, Route, Max-Forwards and CSeq is relayed, for its receiver to judge; everything not in this table is relayed.
func TestRFC4475(t *testing.T) {
	not := map[string]struct{ want, why string }{
		"invalid/zeromf.dat":   {"answered 483", "Max-Forwards is 0"},
		"valid/mpart01.dat":    {"answered 403", "its Route names an address that isn't ours"},
		"invalid/badvers.dat":  {"dropped", "it isn't SIP/2.0, nor is its Via"},
		"invalid/baddn.dat":    {"dropped", "the file ends within the header"},
		"invalid/test.dat":     {"dropped", "the file ends within the header"},
		"invalid/bcast.dat":    {"dropped", "an answer to nothing of ours; below its top Via is a broadcast address"},
		"invalid/bigcode.dat":  {"dropped", "an answer, with a status of ten digits"},
		"invalid/scalarlg.dat": {"dropped", "an answer to nothing of ours"},
		"valid/noreason.dat":   {"dropped", "an answer to nothing of ours"},
		"valid/unreason.dat":   {"dropped", "an answer to nothing of ours"},
	}
	root := filepath.Join(sipgoFolder(t), "sip/testdata/torture")
	files, err := filepath.Glob(root + "/*/*.dat")
	if err != nil || len(files) < 49 {
		t.Fatalf("found %d files, %v; want the 49 that sipgo has", len(files), err)
	}
	r := &Relay{
		config: DefaultConfig(), own: own{addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5060")}},
		hops: []hop{{Target: Target{Addr: netip.MustParseAddrPort("127.0.0.1:9")}}}, shards: []chan Event{make(chan Event, 100)},
		metrics: newMetrics(nil), log: slog.New(slog.DiscardHandler),
	}
	r.config.Secret = secret
	for _, file := range files {
		name, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(name, func(t *testing.T) {
			in, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, sent := "dropped", ""
			f := r.testForwarder()
			f.write = func(_, _ netip.AddrPort, msg []byte, _ func() ownAnswer) error {
				got, sent = "relayed", string(msg)
				if strings.HasPrefix(sent, "SIP/2.0 ") {
					got = "answered " + sent[8:11]
				}
				return nil
			}
			f.message(in, netip.MustParseAddrPort("127.0.0.1:6060"))
			want, why := "relayed", "it is usable"
			if c, listed := not[name]; listed {
				want, why = c.want, c.why
			}
			if got != want {
				t.Errorf("got %s, want %s: %s", got, want, why)
			}
			if got == "relayed" {
				onlyViaRouteAndMaxForwardsDiffer(t, in, sent)
			}
		})
	}
	if got := testutil.ToFloat64(r.metrics.panics); got != 0 {
		t.Errorf("%v of them made the relay panic", got)
	}
}

// onlyViaRouteAndMaxForwardsDiffer holds that all lines but the top Via's, the top Route's and Max-Forwards' left as they came, in their order.
func onlyViaRouteAndMaxForwardsDiffer(t *testing.T, in []byte, sent string) {
	t.Helper()
	var m message
	if !scan(in, &m) {
		t.Fatal("it can't be read")
	}
	rest := sent
	for at := 0; at < len(in); {
		line, next := cutLine(in, at)
		changed := func(h header) bool { return h.line.from <= at && at < h.line.to }
		if !changed(m.vias[0]) && !changed(m.routes[0]) && !changed(m.maxForwards) {
			_, after, found := strings.Cut(rest, string(in[at:next]))
			if !found {
				t.Fatalf("%q is missing or out of order in\n%q", line.of(in), sent)
			}
			rest = after
		}
		at = next
	}
	if rest != "" {
		t.Errorf("%q was appended", rest)
	}
}

// sipgoFolder is where sipgo's module stands, with RFC 4475's messages in it.
func sipgoFolder(t testing.TB) string {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(dir))
}
