package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/callsign-as/callsign/api"
	"github.com/callsign-as/callsign/gsmbridge"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
	"github.com/callsign-as/callsign/sipas/relay"
)

// operating is a node with an SMSC and a subscriber who has a text; ask runs a command on it.
func operating(t *testing.T) (d *daemon, ask func(args ...string) string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	center := smsc.New(smsc.Options{})
	running := start(context.Background(), func(ctx context.Context) error { return center.Run(ctx, ln) })
	t.Cleanup(func() {
		if err := running.stop(); err != nil {
			t.Error(err)
		}
	})
	d = daemonFor(t, func(c *Config, _ *daemon) {
		c.Show.CallerRanges = []string{"+86138"}
		c.SMPP.Links = []gsmbridge.LinkConfig{{Name: "a", Address: ln.Addr().String(), SystemID: "x"}}
	})
	waitFor(t, func() bool { return len(d.problems()) == 0 })
	_, key, _ := command(t, nil, "key", "create", "--role", "admin", "-c", write(t, "store: { url: \""+d.config.Store.URL+"\" }\n"))
	ask = func(args ...string) string {
		t.Helper()
		code, out, stderr := command(t, nil, append(args, "--server", "http://"+d.listener.Addr().String(), "--key", strings.TrimSpace(key))...)
		if code != exitOK {
			t.Fatal(stderr)
		}
		return out
	}
	ask("subscriber", "put", demoSubscriber.E164())
	ask("signature", "put", demoSubscriber.E164(), "Back at six")
	return d, ask
}

func TestATestCallGoesThroughTheNodeItself(t *testing.T) {
	d, _ := operating(t)
	answers, err := d.testCall(t.Context(), demoCaller, demoSubscriber)
	var got []string
	for _, a := range answers {
		got = append(got, fmt.Sprint(a.Status))
	}
	if strings.Join(got, " ") != "180 200" || err != nil {
		t.Errorf("answered with %v, %v, want 180 and 200", got, err)
	}
	var refused api.TestCallRefusal
	if _, err := d.testCall(t.Context(), 8613700000001, demoSubscriber); !errors.As(err, &refused) || !strings.Contains(err.Error(), "show.caller_ranges") {
		t.Errorf("from a caller out of range: %v, want a refusal", err)
	}
}

func TestWhereATestCallFindsItsOwnNode(t *testing.T) {
	for listen, want := range map[string]string{
		"udp://127.0.0.1:0": "127.0.0.1", "udp://0.0.0.0:0": "127.0.0.1", "udp://[::]:0": "127.0.0.1", "tcp://127.0.0.1:0": "none", "tcp://127.0.0.1:0 udp://127.0.0.2:0": "127.0.0.2",
	} {
		config := defaultConfig()
		config.SIP.Listen = strings.Fields(listen)
		r, err := relay.New(relay.Options{Config: relay.Config{Listen: config.SIP.Listen, Secret: strings.Repeat("x", 16), Trust: []netip.Prefix{}}, Shards: 1})
		if err != nil {
			t.Fatal(err)
		}
		at, ok := (&daemon{config: &config, relay: r}).ownSIP()
		r.Close()
		got := "none"
		if ok && at.Port() != 0 {
			got = at.Addr().String()
		}
		if got != want {
			t.Errorf("%s: got %v, want %s", listen, at, want)
		}
	}
}

func TestACallIsTraced(t *testing.T) {
	d, ask := operating(t)
	out := ask("call", demoCaller.E164(), demoSubscriber.E164(), "--sip", d.relay.Addrs()[0].String(), "--ring", "300ms", "--trace")
	_, ladder, _ := strings.Cut(out, "S-CSCF")
	at := 0
	for _, want := range []string{"AS", "SMSC", "handset", "─ INVITE ─", "decided: “Back at six”", "─ 180 ─", "─ submit_sm a ─", "◀─ accepted", "◀─ DELIVRD ─", "The text was set by api/", "sees:"} {
		i := strings.Index(ladder[at:], want)
		if i < 0 {
			t.Fatalf("%q is not there, or not after what is before it, in\n%s", want, out)
		}
		if want != "─ 180 ─" { // the text may be under way before the 180 is told
			at += i
		}
	}
}
