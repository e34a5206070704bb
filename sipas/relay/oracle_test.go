package relay

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/emiago/sipgo/sip"
)

// splitter is sipgo's parser, which here only splits a message into its fields and leaves their values alone.
var splitter = sip.NewParser(sip.WithHeadersParsers(sip.HeadersParser{}))

// fields is what sipgo reads of a request: of the headers that the relay edits their values in one list, of all others name
// and value in their order.
type fields struct {
	startLine           string
	vias, routes, other []string
	body                []byte
}

func readBySipgo(msg []byte) (f fields, ok bool) {
	m, err := splitter.ParseSIP(msg)
	req, isRequest := m.(*sip.Request)
	if err != nil || !isRequest {
		return f, false
	}
	f.startLine, f.body = req.StartLine(), req.Body()
	for _, h := range req.Headers() {
		switch strings.ToLower(h.Name()) {
		case "via", "v":
			f.vias = append(f.vias, h.Value())
		case "route":
			f.routes = append(f.routes, h.Value())
		case "max-forwards":
		default:
			f.other = append(f.other, h.Name()+": "+h.Value())
		}
	}
	return f, true
}

// without removes the first of a header's values. Each line is a list of its own: a quote left open ends with it.
func without(lines []string) string {
	for i, line := range lines {
		if all := []byte(strings.TrimLeft(line, ", \t\r\n")); len(all) > 0 { // empty values are none
			end := valueEnd(all, span{0, len(all)})
			return list(strings.Join(append([]string{string(all[min(end+1, len(all)):])}, lines[i+1:]...), ","))
		}
	}
	return ""
}

// list writes a list without white space and empty values, which mean nothing in one.
func list(s string) string {
	s = strings.NewReplacer(" ", "", "\t", "", "\r", "", "\n", "").Replace(s)
	for strings.Contains(s, ",,") {
		s = strings.ReplaceAll(s, ",,", ",")
	}
	return strings.Trim(s, ",")
}

// FuzzSpliceAgainstSipgo has sipgo's parser read what came and what was relayed of it: of all but Via, Route and Max-Forwards
// it must read the same, and of Via and Route what stands behind the first.
func FuzzSpliceAgainstSipgo(f *testing.F) {
	r := &Relay{config: Config{Secret: secret}, own: own{addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5060")}}, metrics: newMetrics(nil)}
	filled := strings.NewReplacer("\n", "\r\n", "$AS", "127.0.0.1:5060", "$UPPORT", "6060", "$UP", "127.0.0.2:6060", "$DOWN", "127.0.0.3:6060")
	f.Add([]byte(filled.Replace(invite)))
	f.Add([]byte(filled.Replace(strings.Replace(invite, "<sip:as@$AS;lr>\nRoute: ", "\"a;,\" <sip:as@$AS;lr>;x=\",\" ,\n ", 1))))
	files, _ := filepath.Glob(filepath.Join(sipgoFolder(f), "sip", "testdata", "torture", "*", "*.dat"))
	for _, file := range files {
		if b, err := os.ReadFile(file); err == nil {
			f.Add(b)
		}
	}
	s := r.testForwarder()
	peer := netip.MustParseAddrPort("127.0.0.9:6060")
	f.Fuzz(func(t *testing.T, msg []byte) {
		before, readable := readBySipgo(msg)
		m, _, _, out, ok := s.relayedFrom(msg, peer)
		if !readable || !ok {
			return
		}
		if crlf := bytes.ReplaceAll(msg[:m.end], []byte("\r\n"), nil); bytes.ContainsAny(crlf, "\r\n\v\f\u0085\u00a0") {
			return // where a line ends, and what white space is, is then read in more than one way
		}
		if _, ok := readRoute(msg, m.routes[0].value); m.nRoutes > 0 && !ok {
			return // refused
		}
		after, ok := readBySipgo(out)
		if !ok {
			t.Fatalf("sipgo can't read what was relayed:\n%q\nfrom\n%q", out, msg)
		}
		if before.startLine != after.startLine || !bytes.Equal(before.body, after.body) {
			t.Fatalf("start line or body changed:\n%q\nfrom\n%q", out, msg)
		}
		if a, b := strings.Join(before.other, "\n"), strings.Join(after.other, "\n"); a != b {
			t.Fatalf("other headers changed from\n%s\nto\n%s", a, b)
		}
		if got, want := list(strings.Join(after.routes, ",")), without(before.routes); got != want {
			t.Fatalf("Routes are\n%q\nwant\n%q\nfrom\n%q", got, want, before.routes)
		}
		after.vias = slices.DeleteFunc(after.vias, func(v string) bool { return strings.Trim(v, ", \t") == "" })
		if got := after.vias[0]; !strings.Contains(got, ourCookie) {
			t.Fatalf("the first Via is %q, not ours", got)
		}
		if got, want := without(after.vias[1:]), without(before.vias); got != want {
			t.Fatalf("the Vias below are\n%q\nwant\n%q", got, want)
		}
	})
}
