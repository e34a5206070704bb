package relay

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callsign-as/callsign"
)

const secret = "a secret of the tests"

// bench is a relay on loopback with the S-CSCF that calls it and the one behind.
type bench struct {
	t        *testing.T
	relay    *Relay
	stop     func() // and waits for its end, once
	up, down *net.UDPConn
}

func newBench(t *testing.T, change func(*Options), before ...func(*Relay)) *bench {
	t.Helper()
	o := Options{Config: DefaultConfig(), Metrics: prometheus.NewRegistry()}
	o.Config.Listen = []string{"udp://127.0.0.1:0"}
	o.Config.Secret = secret
	if change != nil {
		change(&o)
	}
	r, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range before {
		f(r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Run does not end")
		}
	})
	t.Cleanup(stop)
	return &bench{t: t, relay: r, stop: stop, up: listen(t), down: listen(t)}
}

// testForwarder is one that a test calls itself, without a socket.
func (r *Relay) testForwarder() *forwarder {
	return r.newForwarder(r.newProber("udp", r.own.addrs[0], nil, nil))
}

func listen(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// fill writes the bench's addresses into a message: $AS, $UP, $DOWN, $UPPORT; lines end in CRLF.
func (b *bench) fill(s string) string {
	return strings.NewReplacer("\n", "\r\n", "$AS", b.relay.Addrs()[0].String(), "$UPPORT", fmt.Sprint(port(b.up)),
		"$UP", b.up.LocalAddr().String(), "$DOWN", b.down.LocalAddr().String()).Replace(s)
}

func addrOf(c *net.UDPConn) netip.AddrPort { return unmapped(c.LocalAddr().(*net.UDPAddr).AddrPort()) }

func port(c *net.UDPConn) int { return c.LocalAddr().(*net.UDPAddr).Port }

func (b *bench) send(from *net.UDPConn, s string) {
	b.t.Helper()
	if _, err := from.WriteToUDPAddrPort([]byte(s), b.relay.Addrs()[0]); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) receive(at *net.UDPConn) string {
	b.t.Helper()
	buf := make([]byte, maxMessage)
	_ = at.SetReadDeadline(time.Now().Add(10 * time.Second))
	n, err := at.Read(buf)
	if err != nil {
		b.t.Fatalf("nothing came: %v", err)
	}
	return string(buf[:n])
}

// nothing proves that what was sent before came to nobody: a message that is relayed overtakes nothing on the way.
func (b *bench) nothing(at *net.UDPConn) {
	b.t.Helper()
	probe := b.fill(strings.Replace(invite, "branch=z9hG4bK1", "branch=z9hG4bKprobe", 1))
	b.send(b.up, probe)
	if got := b.receive(b.down); !strings.Contains(got, "z9hG4bKprobe") {
		b.t.Errorf("relayed although it must not be:\n%s", got)
	}
	_ = at.SetReadDeadline(time.Now())
	buf := make([]byte, maxMessage)
	if n, err := at.Read(buf); err == nil {
		b.t.Errorf("sent although it must not be:\n%s", buf[:n])
	}
}

func (b *bench) branchOf(relayed string) string {
	b.t.Helper()
	_, rest, ok := strings.Cut(relayed, "branch="+ourCookie)
	if !ok || len(rest) < 32 {
		b.t.Fatalf("no branch of ours in\n%s", relayed)
	}
	return ourCookie + rest[:32]
}

func (b *bench) event() Event {
	b.t.Helper()
	select {
	case e := <-b.relay.Events(0):
		return e
	case <-time.After(10 * time.Second):
		b.t.Fatal("no event")
		return Event{}
	}
}

const invite = `INVITE sip:+8613900000002@ims.test;user=phone SIP/2.0
Via: SIP/2.0/UDP $UP;branch=z9hG4bK1
Route: <sip:as@$AS;lr>
Route: <sip:iscmark@$DOWN;lr;s=1;h=0;d=1;a=7369703a>
Max-Forwards: 68
From: "A, \"B\"" <sip:+8613800000001@ims.test>;tag=f1
To:   <sip:+8613900000002@ims.test>
Call-ID: c1@ims.test
CSeq: 1 INVITE
P-Charging-Vector: icid-value="a;b,c";icid-generated-at=192.0.2.1
X-Odd:   spaces stay   
Content-Type: application/sdp
Content-Length: 5

v=0
` + "\x00"

func TestWhatIsHushedIsRelayedAndNotTold(t *testing.T) {
	b := newBench(t, nil)
	other := strings.Replace(invite, "branch=z9hG4bK1", "branch=z9hG4bK2", 1)
	b.send(b.up, b.fill(invite))
	first := b.receive(b.down)
	b.relay.Hush(b.event().Branch)
	b.send(b.down, answered(first, "180 Ringing"))
	b.receive(b.up)
	b.send(b.up, b.fill(invite))
	b.receive(b.down)
	b.send(b.up, b.fill(other))
	second := b.receive(b.down)
	if e := b.event(); !strings.Contains(string(e.Invite), "z9hG4bK2") {
		t.Errorf("told of what is hushed: %+v", e)
	}
	b.send(b.down, answered(second, "180 Ringing"))
	if e := b.event(); e.Status != 180 {
		t.Errorf("told %+v of another, want its 180", e)
	}
}

func TestARequestIsChangedInViaRouteAndMaxForwardsOnly(t *testing.T) {
	const ourVia = "Via: SIP/2.0/UDP $AS;branch=$BRANCH\n"
	edit := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(invite) }
	asRoute, odi := "Route: <sip:as@$AS;lr>\n", "Route: <sip:iscmark@$DOWN;lr;s=1;h=0;d=1;a=7369703a>\n"
	via := "Via: SIP/2.0/UDP $UP;branch=z9hG4bK1\n"
	for _, c := range []struct{ name, in, want string }{
		{
			"two Route headers", invite,
			edit(via, ourVia+via, asRoute, "", "s: 68", "s: 67"),
		},
		{
			"one comma-joined Route header",
			edit(asRoute+odi, "Route: <sip:as@$AS;lr>, <sip:odi_1@$DOWN;lr> , <sip:third@192.0.2.9;lr>\n"),
			edit(via, ourVia+via, asRoute+odi, "Route: <sip:odi_1@$DOWN;lr> , <sip:third@192.0.2.9;lr>\n", "s: 68", "s: 67"),
		},
		{
			"a comma and a bracket in quotes do not end a Route",
			edit(asRoute+odi, "Route: \"as, <x>\" <sip:as@$AS;lr>;p=\"a,b\",\"odi, <y>\" <sip:o;x@$DOWN;lr;q=\";\">\n"),
			edit(via, ourVia+via, asRoute+odi, "Route: \"odi, <y>\" <sip:o;x@$DOWN;lr;q=\";\">\n", "s: 68", "s: 67"),
		},
		{
			"compact and folded headers, in another order",
			"INVITE sip:+8613900000002@ims.test SIP/2.0\nt: <sip:x@y>\nCSEQ:\n 1\n\tINVITE\ni: c2\nROUTE :\n <sip:as@$AS;lr>,\n <sip:o@$DOWN;lr>\nf: <sip:a@b>;tag=1\nv:\n SIP / 2.0 / UDP\n $UP ;\n branch=z9hG4bK1\n\n",
			"INVITE sip:+8613900000002@ims.test SIP/2.0\nt: <sip:x@y>\nCSEQ:\n 1\n\tINVITE\ni: c2\nROUTE :\n <sip:o@$DOWN;lr>\nf: <sip:a@b>;tag=1\n" + ourVia + "Max-Forwards: 70\nv:\n SIP / 2.0 / UDP\n $UP ;\n branch=z9hG4bK1\n\n",
		},
		{
			"rport and received tell where it came from",
			edit(via, "Via: SIP/2.0/UDP scscf.ims.test:6060;rport;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK0\n"),
			edit(via, ourVia+"Via: SIP/2.0/UDP scscf.ims.test:6060;received=127.0.0.1;rport=$UPPORT;branch=z9hG4bK1, SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK0\n", asRoute, "", "s: 68", "s: 67"),
		},
		{
			"a received that the sender wrote itself is replaced",
			edit(via, "Via: SIP/2.0/UDP 192.0.2.99:$UPPORT;received=192.0.2.66;rport=9;branch=z9hG4bK1\n"),
			edit(via, ourVia+"Via: SIP/2.0/UDP 192.0.2.99:$UPPORT;received=127.0.0.1;rport=$UPPORT;branch=z9hG4bK1\n", asRoute, "", "s: 68", "s: 67"),
		},
		{
			"our own name in the Route, which we never heard of",
			edit(asRoute, "Route: <sip:as.ims.test;lr>\n"),
			edit(via, ourVia+via, asRoute, "", "s: 68", "s: 67"),
		},
		{
			"lines that are no header fields, an odd method and a strange Request-URI",
			"STRANGE tel:+1;x=\"y z\" SIP/2.0\n" + via + asRoute + odi + "no colon here\n: no name\nMax-Forwards: 300\nCSeq: 9999999999 STRANGE\n\nbody",
			"STRANGE tel:+1;x=\"y z\" SIP/2.0\n" + ourVia + via + odi + "no colon here\n: no name\nMax-Forwards: 299\nCSeq: 9999999999 STRANGE\n\nbody",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, nil)
			b.send(b.up, b.fill(c.in))
			got := b.receive(b.down)
			want := strings.ReplaceAll(b.fill(c.want), "$BRANCH", b.branchOf(got))
			if got != want {
				t.Errorf("got\n%q\nwant\n%q", got, want)
			}
		})
	}
}

func TestCancelAndAckAndRetransmissionsGetTheInvitesBranch(t *testing.T) {
	for name, via := range map[string]string{
		"branch of RFC 3261": "SIP/2.0/UDP $UP;branch=z9hG4bK1",
		"branch of RFC 2543": "SIP/2.0/UDP $UP;branch=1",
		"no branch":          "SIP/2.0/UDP $UP",
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			in := strings.Replace(invite, "SIP/2.0/UDP $UP;branch=z9hG4bK1", via, 1)
			branch := func(s string) string {
				b.send(b.up, b.fill(s))
				return b.branchOf(b.receive(b.down))
			}
			want := branch(in)
			for what, s := range map[string]string{
				"retransmission": in,
				"CANCEL":         strings.NewReplacer("INVITE ", "CANCEL ", "1 INVITE", "1 CANCEL").Replace(in),
				"ACK":            strings.NewReplacer("INVITE ", "ACK ", "1 INVITE", "1 ACK", "To:   <sip:+8613900000002@ims.test>", "To: <sip:x@y>;tag=t").Replace(in),
			} {
				if got := branch(s); got != want {
					t.Errorf("%s: got branch %s, want %s", what, got, want)
				}
			}
			if got := branch(strings.NewReplacer("z9hG4bK1", "z9hG4bK2", "c1@", "c2@").Replace(in)); got == want {
				t.Error("another call got the same branch")
			}
		})
	}
}

// answered makes the answer that the next hop gives to what was relayed to it.
func answered(relayed, status string) string {
	head, _, _ := strings.Cut(relayed, "\r\n\r\n")
	var out []string
	for i, line := range strings.Split(head, "\r\n") {
		name, _, _ := strings.Cut(line, ":")
		switch {
		case i == 0:
			out = append(out, "SIP/2.0 "+status)
		case strings.Contains("Via From To Call-ID CSeq", name):
			out = append(out, line)
		}
	}
	return strings.Join(out, "\r\n") + "\r\nContent-Length: 0\r\n\r\n"
}

func TestAnAnswerGoesBackWithOurViaPopped(t *testing.T) {
	for name, via := range map[string]string{
		"by its sent-by":        "SIP/2.0/UDP $UP;branch=z9hG4bK1",
		"by received and rport": "SIP/2.0/UDP scscf.test;rport;branch=z9hG4bK1",
		"by received":           "SIP/2.0/UDP scscf.test:$UPPORT;branch=z9hG4bK1",
		"without a cookie":      "SIP/2.0/UDP $UP;branch=old",
		"with received empty":   "SIP/2.0/UDP $UP;branch=z9hG4bK1;received",
	} {
		for layout, joined := range map[string]bool{"separate": false, "comma-joined": true} {
			t.Run(name+", Vias "+layout, func(t *testing.T) {
				b := newBench(t, nil)
				b.send(b.up, b.fill(strings.Replace(invite, "SIP/2.0/UDP $UP;branch=z9hG4bK1", via, 1)))
				relayed := b.receive(b.down)
				invited := b.event()
				ringing := answered(relayed, "180 Ringing")
				ours, _, _ := strings.Cut(ringing[strings.Index(ringing, "Via: "):], "\r\n")
				want := strings.Replace(ringing, ours+"\r\n", "", 1)
				if joined {
					ringing = strings.Replace(ringing, ours+"\r\nVia: ", ours+" , ", 1)
				}
				b.send(b.down, ringing)
				if got := b.receive(b.up); got != want {
					t.Errorf("got\n%q\nwant\n%q", got, want)
				}
				e := b.event()
				if e.Status != 180 || e.Branch != invited.Branch {
					t.Errorf("got event %d of %x, want 180 of %x", e.Status, e.Branch, invited.Branch)
				}
			})
		}
	}
}

func TestAnAnswerThatIsNotOursIsDropped(t *testing.T) {
	b := newBench(t, nil)
	b.send(b.up, b.fill(invite))
	relayed := b.receive(b.down)
	good := answered(relayed, "200 OK")
	branch := b.branchOf(relayed)
	for name, c := range map[string]struct{ answer, reason string }{
		"a branch that we did not make":     {strings.Replace(good, branch, ourCookie+strings.Repeat("0", 32), 1), dropForged},
		"no branch of our form":             {strings.Replace(good, branch, "z9hG4bKx", 1), dropForged},
		"the Via below changed":             {strings.Replace(good, "branch=z9hG4bK1", "branch=z9hG4bK2", 1), dropForged},
		"sent elsewhere by received":        {strings.Replace(good, "branch=z9hG4bK1", "branch=z9hG4bK1;received=127.0.0.77", 1), dropForged},
		"sent elsewhere by rport":           {strings.Replace(good, "branch=z9hG4bK1", fmt.Sprintf("branch=z9hG4bK1;rport=%d", port(b.down)), 1), dropForged},
		"another Via slipped under ours":    {strings.Replace(good, "Via: SIP/2.0/UDP "+b.up.LocalAddr().String(), "Via: SIP/2.0/UDP "+b.down.LocalAddr().String(), 1), dropForged},
		"only our Via":                      {strings.Replace(good, b.fill("Via: SIP/2.0/UDP $UP;branch=z9hG4bK1\n"), "", 1), dropNoVia},
		"no Via at all":                     {b.fill("SIP/2.0 200 OK\nCSeq: 1 INVITE\n\n"), dropNoVia},
		"no CSeq":                           {strings.Replace(good, "CSeq", "X-CSeq", 1), dropMalformed},
		"a status line that isn't one":      {strings.Replace(good, "SIP/2.0 200", "SIP/2.0 20", 1), dropMalformed},
		"cut off in the header":             {good[:len(good)-20], dropMalformed},
		"a Via below without an IP address": {strings.Replace(good, b.up.LocalAddr().String(), "a.name", 1), dropForged},
	} {
		t.Run(name, func(t *testing.T) {
			before := testutil.ToFloat64(b.relay.metrics.dropped.WithLabelValues(c.reason))
			b.send(b.down, c.answer)
			b.nothing(b.up)
			if got := testutil.ToFloat64(b.relay.metrics.dropped.WithLabelValues(c.reason)) - before; got != 1 {
				t.Errorf("%s was counted %v times, want once", c.reason, got)
			}
		})
	}
	b.send(b.down, good)
	if got := b.receive(b.up); !strings.HasPrefix(got, "SIP/2.0 200") {
		t.Errorf("after all of it the good answer did not come back but\n%s", got)
	}
}

func TestAnswersToTheSecretBeforeAreTaken(t *testing.T) {
	old := newBench(t, nil)
	old.send(old.up, old.fill(invite))
	answer := answered(old.receive(old.down), "180 Ringing")
	for name, c := range map[string]struct {
		previous string
		taken    bool
	}{"known": {secret, true}, "unknown": {"", false}} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(o *Options) {
				o.Config.Secret, o.Config.SecretPrevious = "another secret of the tests", c.previous
			})
			b.send(b.down, answer)
			if !c.taken {
				b.nothing(old.up)
			} else if got := old.receive(old.up); !strings.HasPrefix(got, "SIP/2.0 180") {
				t.Errorf("got\n%s", got)
			}
		})
	}
}

func TestASetUpKeepsItsBranchOverAChangeOfTheSecret(t *testing.T) {
	old := newBench(t, nil)
	old.send(old.up, old.fill(invite))
	before := old.branchOf(old.receive(old.down))
	var key callsign.BranchKey
	if _, err := hex.Decode(key[:], []byte(before[len(ourCookie):])); err != nil {
		t.Fatal(err)
	}
	known := func(r *Relay) { r.setups.began(key, addrOf(old.down), true, true, time.Now()) }
	later := func(r *Relay) { r.began = r.began.Add(-pinnedFor) }
	for name, c := range map[string]struct {
		before []func(*Relay)
		method string
		kept   bool
	}{
		"a CANCEL just after the restart":                           {nil, "CANCEL", true},
		"an ACK just after it":                                      {nil, "ACK", true},
		"a new set-up just after it, as on a node before it":        {nil, "INVITE", true},
		"a CANCEL later, of a set-up that began just after it":      {[]func(*Relay){later, known}, "CANCEL", true},
		"an INVITE that comes again later":                          {[]func(*Relay){later, known}, "INVITE", true},
		"a new set-up later, when none rings of those before":       {[]func(*Relay){later}, "INVITE", false},
		"a CANCEL of what is unknown later, which nobody waits for": {[]func(*Relay){later}, "CANCEL", false},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, func(o *Options) { o.Config.Secret, o.Config.SecretPrevious = "another secret of the tests", secret }, c.before...)
			b.up, b.down = old.up, old.down
			b.send(b.up, b.fill(strings.NewReplacer("INVITE sip", c.method+" sip", "1 INVITE", "1 "+c.method).Replace(invite)))
			if got := b.branchOf(b.receive(b.down)); (got == before) != c.kept {
				t.Errorf("the branch is %s, and was %s", got, before)
			}
		})
	}
}

func TestWhatWasRelayedIsNotRefusedAfterwards(t *testing.T) {
	as := func(method string) string {
		return strings.NewReplacer("INVITE sip", method+" sip", "1 INVITE", "1 "+method).Replace(invite)
	}
	for name, c := range map[string]struct {
		messages []string // of which the last can't be sent on
		answered string
	}{
		"an INVITE that can't be sent":                {[]string{invite}, "SIP/2.0 503"},
		"an INVITE that comes again, and can't":       {[]string{invite, invite}, ""},
		"a CANCEL that can't":                         {[]string{invite, as("CANCEL")}, ""},
		"an INVITE that comes again after its CANCEL": {[]string{invite, as("CANCEL"), invite}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, nil)
			f := b.relay.testForwarder()
			answers := ""
			for i, message := range c.messages {
				f.write = func(to, _ netip.AddrPort, msg []byte, _ func() ownAnswer) error {
					if to == addrOf(b.up) {
						answers, _, _ = strings.Cut(string(msg), " Service")
						return nil
					}
					if i == len(c.messages)-1 {
						return errors.New("the network is unreachable")
					}
					return nil
				}
				f.message([]byte(b.fill(message)), addrOf(b.up))
			}
			if answers != c.answered {
				t.Errorf("it is answered %q, want %q", answers, c.answered)
			}
		})
	}
}

func TestWhatIsNotRelayedIsAnsweredOrDropped(t *testing.T) {
	asRoute, odi := "Route: <sip:as@$AS;lr>\n", "Route: <sip:iscmark@$DOWN;lr;s=1;h=0;d=1;a=7369703a>\n"
	edit := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(invite) }
	for _, c := range []struct {
		name, in string
		status   string
		reason   string
	}{
		{"no hop left", edit("s: 68", "s: 0"), "483 Too Many Hops", ""},
		{"no Route and no next hop: no open relay", edit(asRoute+odi, ""), "403 Forbidden", ""},
		{"our Route only and no next hop", edit(odi, ""), "503 Service Unavailable", ""},
		{"a Route that names another address", edit("as@$AS", "as@192.0.2.1:5060"), "403 Forbidden", ""},
		{"a Route that names another port of ours", edit("as@$AS", "as@127.0.0.1:9"), "403 Forbidden", ""},
		{"a Route that is no SIP URI", edit("<sip:as@$AS;lr>", "<tel:+1>"), "403 Forbidden", ""},
		{"a next Route by a name that isn't known", edit("iscmark@$DOWN", "iscmark@scscf.invalid:6060"), "503 Service Unavailable", ""},
		{"a next Route to everybody", edit("iscmark@$DOWN", "iscmark@224.0.0.1:6060"), "503 Service Unavailable", ""},
		{"OPTIONS to us", edit("INVITE sip:+8613900000002@ims.test;user=phone", "OPTIONS sip:$AS", "1 INVITE", "1 OPTIONS", odi, ""), "200 OK", ""},
		{"OPTIONS to our name", edit("INVITE sip:+8613900000002@ims.test;user=phone", "OPTIONS sip:ping@as.ims.test", "1 INVITE", "1 OPTIONS", asRoute+odi, ""), "200 OK", ""},
		{"a third-party REGISTER", edit("INVITE sip:+8613900000002@ims.test;user=phone", "REGISTER sip:as@$AS", "1 INVITE", "1 REGISTER", odi, "", "X-Odd", "Expires: 600\nX-Odd"), "200 OK", ""},
		{"an ACK without a way", edit(asRoute+odi, "", "INVITE sip", "ACK sip", "1 INVITE", "1 ACK"), "", dropLooped},
		{"no Via", edit("Via", "X-Via"), "", dropMalformed},
		{"a Via without a host", edit("UDP $UP;", "UDP ;"), "", dropMalformed},
		{"a Via with port 0", edit("UDP $UP;", "UDP 127.0.0.1:0;"), "", dropMalformed},
		{"no CSeq", edit("CSeq", "X-CSeq"), "", dropMalformed},
		{"a CSeq without a number", edit("CSeq: 1 ", "CSeq: one "), "", dropMalformed},
		{"Max-Forwards is no number", edit("s: 68", "s: many"), "", dropMalformed},
		{"not SIP", "GET / HTTP/1.1\nHost: x\n\n", "", dropMalformed},
		{"binary", "\x80\xff\x00\x01", "", dropMalformed},
		{"keepalive", "\n\n", "", dropKeepalive},
		{"no end of the header", edit("\n\n", "\n"), "", dropMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t, nil)
			b.send(b.up, b.fill(c.in))
			if c.reason != "" {
				b.nothing(b.up)
				if got := testutil.ToFloat64(b.relay.metrics.dropped.WithLabelValues(c.reason)); got != 1 {
					t.Errorf("%s was counted %v times, want once", c.reason, got)
				}
				return
			}
			got := b.receive(b.up)
			tag := b.fill("To:   <sip:+8613900000002@ims.test>;tag=cs-")
			for _, want := range []string{"SIP/2.0 " + c.status + "\r\n", b.fill("Via: SIP/2.0/UDP $UP;branch=z9hG4bK1\n"), tag, "Call-ID: c1@ims.test\r\n"} {
				if !strings.Contains(got, want) {
					t.Errorf("got\n%s\nwant %q in it", got, want)
				}
			}
			if strings.Contains(c.in, "REGISTER") && !strings.Contains(got, "\r\nExpires: 600\r\n") {
				t.Errorf("got\n%s\nwant the expiry that was asked for", got)
			}
			if strings.Contains(got, "Retry-After") {
				t.Error("it has a Retry-After, which makes an S-CSCF avoid us")
			}
			// Its ACK ends here.
			_, rest, _ := strings.Cut(got, ";tag=cs-")
			c.in = strings.Replace(c.in, "s: 0", "s: 70", 1) // an ACK has its own
			ack := strings.NewReplacer("INVITE sip", "ACK sip", "OPTIONS sip", "ACK sip", "REGISTER sip", "ACK sip", "1 INVITE", "1 ACK", "1 OPTIONS", "1 ACK", "1 REGISTER", "1 ACK",
				"To:   <sip:+8613900000002@ims.test>", "To: <sip:+8613900000002@ims.test>;tag=cs-"+rest[:16]).Replace(c.in)
			b.send(b.up, b.fill(ack))
			b.nothing(b.up)
			if got := testutil.ToFloat64(b.relay.metrics.acks); got != 1 {
				t.Errorf("swallowed %v ACKs, want 1", got)
			}
		})
	}
}

func TestAnUntrustedSourceGetsNothing(t *testing.T) {
	b := newBench(t, func(o *Options) { o.Config.Trust = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} })
	stranger, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 66)})
	if err != nil {
		t.Skip("no second loopback address here:", err)
	}
	defer stranger.Close()
	b.send(stranger, b.fill(invite))
	b.send(stranger, b.fill(strings.Replace(invite, "s: 68", "s: 0", 1)))
	b.nothing(stranger)
	if got := testutil.ToFloat64(b.relay.metrics.dropped.WithLabelValues(dropUntrusted)); got != 2 {
		t.Errorf("counted %v, want 2", got)
	}
}

func TestEveryTruncationAndRandomDamageIsSurvived(t *testing.T) {
	b := newBench(t, nil)
	whole := b.fill(invite)
	header := strings.Index(whole, "\r\n\r\n") + 4
	for n := range header {
		b.send(b.up, whole[:n])
		if n%50 == 0 {
			b.nothing(b.up) // and keeps the socket's buffer from filling
		}
	}
	b.nothing(b.up)
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		damaged := []byte(whole)
		for range 1 + random.IntN(8) {
			damaged[random.IntN(len(damaged))] = byte(random.IntN(256))
		}
		var m message
		if scan(damaged, &m) && m.status == 0 && m.nVias > 0 {
			if v, ok := readVia(damaged, m.vias[0].value); ok {
				s := b.relay.testForwarder()
				s.relayed(damaged, &m, v, netip.MustParseAddrPort("127.0.0.1:9"), callsign.BranchKey{}, 1, way{})
			}
		}
	}
}

func TestEventsTellWhatWasForwarded(t *testing.T) {
	b := newBench(t, nil)
	sent := b.fill(invite)
	b.send(b.up, sent)
	relayed := b.receive(b.down)
	e := b.event()
	if string(e.Invite) != sent || e.Peer.Port() != uint16(port(b.up)) || e.Status != 0 {
		t.Errorf("got event %+v", e)
	}
	cancel := b.fill(strings.NewReplacer("INVITE sip", "CANCEL sip", "1 INVITE", "1 CANCEL").Replace(invite))
	b.send(b.up, cancel)
	cancelled := b.receive(b.down)
	if got := b.event(); !got.Cancel || got.Branch != e.Branch {
		t.Errorf("got event %+v, want the CANCEL of %x", got, e.Branch)
	}
	b.send(b.down, answered(cancelled, "200 OK")) // of the CANCEL, which has the INVITE's branch
	b.receive(b.up)
	b.send(b.up, strings.Replace(sent, "@ims.test>\r\nCall-ID", "@ims.test>;tag=t\r\nCall-ID", 1)) // in dialog
	b.receive(b.down)
	b.send(b.down, answered(relayed, "487 Request Terminated"))
	b.receive(b.up)
	if got := b.event(); got.Status != 487 {
		t.Errorf("got event %+v, want the 487: neither the CANCEL's 200 nor a re-INVITE is told", got)
	}
}

func TestAThirdPartyREGISTERIsToldOnceItIsAnswered(t *testing.T) {
	b := newBench(t, nil)
	sent := b.fill("REGISTER sip:$AS SIP/2.0\nVia: SIP/2.0/UDP $UP;branch=z9hG4bKr\nFrom: <sip:scscf>;tag=1\nTo: <sip:+8613900000002@ims.test>\nCall-ID: r\nCSeq: 1 REGISTER\nExpires: 600\n\n")
	elsewhere := strings.Replace(sent, "REGISTER sip:"+b.fill("$AS"), "REGISTER sip:192.0.2.1", 1)
	b.send(b.up, elsewhere) // for somebody else: 403
	if got := b.receive(b.up); !strings.HasPrefix(got, "SIP/2.0 403") {
		t.Errorf("got %q", got)
	}
	b.send(b.up, strings.ReplaceAll(sent, "REGISTER", "OPTIONS"))
	b.receive(b.up)
	b.send(b.up, sent)
	if got := b.receive(b.up); !strings.HasPrefix(got, "SIP/2.0 200") {
		t.Errorf("got %q", got)
	}
	if e := b.event(); string(e.Register) != sent || e.Peer.Port() != uint16(port(b.up)) || e.Invite != nil {
		t.Errorf("got event %+v, want the REGISTER alone", e)
	}
}

func TestAFullQueueOrAPanicNeverHoldsAPacket(t *testing.T) {
	t.Run("queue full", func(t *testing.T) {
		b := newBench(t, func(o *Options) { o.Queue = 1 })
		for range 5 {
			b.send(b.up, b.fill(invite))
			b.receive(b.down)
		}
		b.nothing(b.up)
		until(t, "five dropped events to be counted", func() bool { return testutil.ToFloat64(b.relay.metrics.eventsDropped) == 5 })
	})
	t.Run("panic after forwarding", func(t *testing.T) {
		var log bytes.Buffer
		b := newBench(t, func(o *Options) { o.Log = slog.New(slog.NewTextHandler(&log, nil)) },
			func(r *Relay) { r.shards = nil }) // telling divides by their number
		for range 5 {
			b.send(b.up, b.fill(invite))
			b.receive(b.down)
		}
		b.nothing(b.up)
		if got := testutil.ToFloat64(b.relay.metrics.panics); got < 5 {
			t.Errorf("counted %v panics, want 5 or more", got)
		}
	})
}

func TestWhoWeAre(t *testing.T) {
	wildcard := own{addrs: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:5060"), netip.MustParseAddrPort("127.0.0.1:5061")}, host: "as.test"}
	wildcard.machine = &machine{known: []netip.Addr{netip.MustParseAddr("192.0.2.7")}, read: time.Now()}
	for uri, want := range map[string]struct{ is, literally bool }{
		"sip:192.0.2.7":                 {true, true},
		"sip:192.0.2.7:5060;lr":         {true, true},
		"sip:192.0.2.7:5070":            {false, false},
		"sip:192.0.2.8":                 {false, false}, // somebody else's, on a port of ours
		"sips:127.0.0.1":                {true, true},
		"sip:127.0.0.1;transport=tls":   {true, true},
		"sip:127.0.0.1;transport=tcp":   {false, false},
		"sip:AS.test:5099":              {true, true},
		"sip:other.test":                {true, false}, // whoever sent it here resolved it to us
		"sip:u;x@127.0.0.1:5061;lr;a=b": {true, true},
	} {
		r, ok := readURI([]byte(uri))
		if got := wildcard.is(r); !ok || got != want.is {
			t.Errorf("%s: is ours %v, want %v", uri, got, want.is)
		}
		if got := wildcard.literally(r); got != want.literally {
			t.Errorf("%s: is literally ours %v, want %v", uri, got, want.literally)
		}
	}
}

func TestAnAddressThatMovesHereIsOurs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var has []net.Addr
		var err error
		reads := 0
		m := &machine{addresses: func() ([]net.Addr, error) { reads++; return has, err }}
		here, moved := netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("192.0.2.8")
		has = []net.Addr{&net.IPNet{IP: here.AsSlice()}}
		if !m.has(here) || m.has(moved) || m.has(moved) || reads != 1 {
			t.Errorf("after %d reads it has %v", reads, m.known)
		}
		has = append(has, &net.IPNet{IP: moved.AsSlice()})
		time.Sleep(time.Second)
		if !m.has(moved) || !m.has(here) || reads != 2 {
			t.Errorf("after %d reads it has %v", reads, m.known)
		}
		err = errors.New("no netlink")
		time.Sleep(time.Second)
		if m.has(netip.MustParseAddr("192.0.2.9")) || !m.has(here) || reads != 3 {
			t.Errorf("after %d reads of which the last failed it has %v", reads, m.known)
		}
	})
}

func TestAnAdvertisedHostGetsTheSocketsPort(t *testing.T) {
	for advertise, want := range map[string]string{"as.test": "as.test:5070", "as.test:5080": "as.test:5080", "[2001:db8::1]": "[2001:db8::1]:5070", "": "127.0.0.1:5070"} {
		r := &Relay{config: Config{Secret: secret, Advertise: advertise}}
		if got := r.newForwarder(r.newProber("udp", netip.MustParseAddrPort("127.0.0.1:5070"), nil, nil)).via; !strings.HasPrefix(got, "Via: SIP/2.0/UDP "+want+";") {
			t.Errorf("%s: got %q, want %s", advertise, got, want)
		}
	}
}

func TestNextHopTakesWhatHasNoRoute(t *testing.T) {
	down := listen(t)
	b := newBench(t, func(o *Options) { o.Config.NextHop, o.Config.Probe = []string{addrOf(down).String()}, 0 })
	b.send(b.up, b.fill(strings.NewReplacer("Route: <sip:as@$AS;lr>\n", "", "Route: <sip:iscmark@$DOWN;lr;s=1;h=0;d=1;a=7369703a>\n", "").Replace(invite)))
	got := b.receive(down)
	if !strings.HasPrefix(got, "INVITE sip:+8613900000002@ims.test;user=phone SIP/2.0\r\nVia: SIP/2.0/UDP "+b.relay.Addrs()[0].String()) {
		t.Errorf("got\n%s", got)
	}
}

func TestBindSaysWhatIsWrong(t *testing.T) {
	taken := listen(t)
	c := DefaultConfig()
	c.Secret, c.Listen = secret, []string{"udp://" + taken.LocalAddr().String()}
	if _, err := New(Options{Config: c}); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("got %v, want address already in use", err)
	}
}

func TestConfigErrorsSayWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no scheme":                  {func(c *Config) { c.Listen = []string{"127.0.0.1:5060"} }, "write it as udp://"},
		"another transport":          {func(c *Config) { c.Listen = []string{"sctp://127.0.0.1:5060"} }, "use udp, tcp or tls"},
		"a name to listen on":        {func(c *Config) { c.Listen = []string{"udp://localhost:5060"} }, "not an IP address and port"},
		"everywhere, not advertised": {func(c *Config) { c.Listen = []string{"udp://0.0.0.0:5060"} }, "set sip.advertise"},
		"a header in advertise":      {func(c *Config) { c.Advertise = "a\r\nX: y" }, "sip.advertise"},
		"a short secret":             {func(c *Config) { c.Secret = "short" }, "at least 16"},
		"an address without a port":  {func(c *Config) { c.NextHop = []string{"192.0.2.7"} }, "write ADDRESS:PORT or a name"},
		"half an address":            {func(c *Config) { c.NextHop = []string{"192.0.2:5060"} }, "write ADDRESS:PORT or a name"},
		"everywhere as next hop":     {func(c *Config) { c.NextHop = []string{"0.0.0.0:5060"} }, "write ADDRESS:PORT or a name"},
		"a weight of nothing":        {func(c *Config) { c.NextHop = []string{"192.0.2.7:5060;weight=0"} }, `"weight=0" can't be used`},
		"a priority that is none":    {func(c *Config) { c.NextHop = []string{"192.0.2.7:5060;priority=high"} }, `"priority=high" can't be used`},
		"a parameter nobody knows":   {func(c *Config) { c.NextHop = []string{"192.0.2.7:5060;lr"} }, `"lr" can't be used`},
		"probing all the time":       {func(c *Config) { c.Probe = time.Millisecond }, "sip.probe is 1ms: use 1s to 10m"},
		"a header in uri_host":       {func(c *Config) { c.URIHost = "a;b" }, "write a host, host:port, or next_hop"},
		"too many sockets":           {func(c *Config) { c.Sockets = 65 }, "use 1 to 64"},
		"draining for ever":          {func(c *Config) { c.Drain = time.Hour }, "use 0 to 10m"},
		"ourselves as next hop":      {func(c *Config) { c.NextHop = []string{"127.0.0.1:5060"} }, "would loop"},
		"TLS without a certificate":  {func(c *Config) { c.Listen = []string{"tls://127.0.0.1:5061"} }, "set sip.tls.cert"},
	} {
		t.Run(name, func(t *testing.T) {
			config := DefaultConfig()
			c.change(&config)
			if err := config.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
		})
	}
	config := DefaultConfig()
	if err := config.Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
}

// relayedFrom is what becomes of a request that has what the relay needs; ok is false for any other message.
func (s *forwarder) relayedFrom(msg []byte, peer netip.AddrPort) (m message, v via, key callsign.BranchKey, out []byte, ok bool) {
	if !scan(msg, &m) || m.status != 0 || m.nVias == 0 {
		return m, v, key, nil, false
	}
	v, ok = readVia(msg, m.vias[0].value)
	hops, okHops := maxForwards(msg, &m)
	if !ok || !okHops || hops < 0 || m.cseqMethod.empty() {
		return m, v, key, nil, false
	}
	key = s.signer.branch(s.signer.now, msg, &m, v, v.answerTo(peer))
	return m, v, key, bytes.Clone(s.relayed(msg, &m, v, peer, key, hops, way{})), true
}

// FuzzRelayed holds splice against scan: what was relayed reads as our Via on top of the one that came, one Route less,
// and an answer with its Vias is ours.
func FuzzRelayed(f *testing.F) {
	b := strings.NewReplacer("\n", "\r\n", "$AS", "127.0.0.1:5060", "$UPPORT", "6060", "$UP", "127.0.0.2:6060", "$DOWN", "127.0.0.3:6060")
	f.Add([]byte(b.Replace(invite)))
	f.Add([]byte("OPTIONS sip:x SIP/2.0\nv:SIP/2.0/UDP a;rport,SIP/2.0/UDP b\nroute:<sip:a>,<sip:b>\nmax-forwards:1\ncseq:1 OPTIONS\n\n"))
	f.Add([]byte("SIP/2.0 180 Ringing\r\nVia: SIP/2.0/UDP [::1]:5060;branch=z9hG4bK-cs-00\r\n\r\n"))
	r := &Relay{config: Config{Secret: secret}, own: own{addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5060")}}, metrics: newMetrics(nil)}
	s := r.testForwarder()
	peer := netip.MustParseAddrPort("127.0.0.9:6060")
	f.Fuzz(func(t *testing.T, msg []byte) {
		m, v, key, out, ok := s.relayedFrom(msg, peer)
		if !ok {
			return
		}
		var o message
		if !scan(out, &o) || o.nVias != 2 {
			t.Fatalf("what was relayed can't be read:\n%q\nfrom\n%q", out, msg)
		}
		if m.nRoutes < 2 && o.nRoutes != 0 || m.nRoutes == 2 && o.nRoutes == 0 {
			t.Fatalf("%d Routes became %d:\n%q\nfrom\n%q", m.nRoutes, o.nRoutes, out, msg)
		}
		top, okTop := readVia(out, o.vias[0].value)
		below, okBelow := readVia(out, o.vias[1].value)
		if !okTop || !okBelow {
			t.Fatalf("no Vias in\n%q", out)
		}
		to, ok := below.written(out)
		if !ok || to != v.answerTo(peer) {
			t.Fatalf("answers would go to %v, want %v:\n%q", to, v.answerTo(peer), out)
		}
		if got, ok := s.signer.ours(out, &o, top, below, to); !ok || got != key {
			t.Fatalf("our own branch is not taken back:\n%q", out)
		}
		if !bytes.Equal(out[o.end:], msg[m.end:]) || o.uri.text(out) != m.uri.text(msg) {
			t.Fatalf("body or Request-URI changed:\n%q\nfrom\n%q", out, msg)
		}
		answer(nil, msg, 483, &m, v, peer, false, "tag")
	})
}

// BenchmarkForward is what a call costs here without the kernel: its INVITE, 100, 180 and 200.
func BenchmarkForward(b *testing.B) {
	filled := strings.NewReplacer("\n", "\r\n", "$AS", "127.0.0.1:5060", "$UPPORT", "6060", "$UP", "127.0.0.2:6060", "$DOWN", "127.0.0.3:6060")
	r := &Relay{config: DefaultConfig(), own: own{addrs: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:5060")}}, metrics: newMetrics(nil), shards: []chan Event{make(chan Event, 1024)}, log: slog.New(slog.DiscardHandler)}
	r.config.Secret = secret
	s := r.testForwarder()
	var sent []byte
	s.write = func(_, _ netip.AddrPort, msg []byte, _ func() ownAnswer) error {
		sent = append(sent[:0], msg...)
		return nil
	}
	up, down := netip.MustParseAddrPort("127.0.0.2:6060"), netip.MustParseAddrPort("127.0.0.3:6060")
	msg := []byte(filled.Replace(invite))
	at := bytes.Index(msg, []byte("z9hG4bK1"))
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		copy(msg[at:], fmt.Appendf(nil, "z9hG4bK%d", i%10))
		s.message(msg, up)
		_, rest, _ := bytes.Cut(sent, []byte("\r\n"))
		for _, status := range []string{"100 Trying", "180 Ringing", "200 OK"} {
			s.message(append([]byte("SIP/2.0 "+status+"\r\n"), rest...), down)
		}
		for len(r.shards[0]) > 0 {
			<-r.shards[0]
		}
	}
}
