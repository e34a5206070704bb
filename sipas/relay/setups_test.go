package relay

import (
	"context"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

func TestSetUpsArePinnedForFourMinutesAndBounded(t *testing.T) {
	var s setups
	start, to := time.Unix(1e9, 0), netip.MustParseAddrPort("[2001:db8::1]:5060")
	key := func(n int) (k callsign.BranchKey) {
		binary.BigEndian.PutUint64(k[:], uint64(n))
		return k
	}
	knows := func(n int) bool { _, ok := s.target(key(n)); return ok }
	s.began(key(1), to, true, true, start)
	if got, ok := s.target(key(1)); !ok || got != to {
		t.Errorf("got %v, %v, want %v", got, ok, to)
	}
	s.began(key(1), netip.MustParseAddrPort("192.0.2.1:1"), true, true, start) // a retransmission
	if got, _ := s.target(key(1)); got != to || s.open() != 1 {
		t.Errorf("a retransmission moved it to %v, %d open", got, s.open())
	}
	s.began(key(2), to, true, true, start.Add(pinnedFor))
	s.ended(key(1)) // in the older generation
	if !knows(1) || !knows(2) || s.open() != 1 {
		t.Errorf("after four minutes: knows the first %v, the second %v, %d open", knows(1), knows(2), s.open())
	}
	s.began(key(3), to, false, true, start.Add(2*pinnedFor))
	s.ended(key(3))
	s.ended(key(4))
	if knows(1) || !knows(2) || s.open() != 1 {
		t.Errorf("after eight minutes: knows the first %v, the second %v, %d open", knows(1), knows(2), s.open())
	}
	for n := range 5 * maxPinned {
		s.began(key(10+n), to, true, true, start.Add(2*pinnedFor))
	}
	if n := len(s.now.byBranch) + len(s.old.byBranch); n > 2*maxPinned || s.open() != n {
		t.Errorf("%d are kept, %d of them open, want at most %d, all open", n, s.open(), 2*maxPinned)
	}
	if !knows(10 + 5*maxPinned - maxPinned) {
		t.Error("one of the newest is forgotten")
	}
}

func TestASetUpWhoseRouteSaysWhereItGoesIsForgottenWithItsAnswer(t *testing.T) {
	var s setups
	key, to := callsign.BranchKey{1}, netip.MustParseAddrPort("192.0.2.1:5060")
	s.began(key, to, true, false, time.Unix(1e9, 0))
	if _, known := s.target(key); !known || s.open() != 1 {
		t.Errorf("while it rings: known %v, %d open", known, s.open())
	}
	s.ended(key)
	if _, known := s.target(key); known || s.open() != 0 {
		t.Errorf("answered: known %v, %d open", known, s.open())
	}
}

func TestADrainingNodeLetsSetUpsThroughAndNewOnesGoOnWithoutIt(t *testing.T) {
	trunk := listen(t)
	b := newBench(t, func(o *Options) { o.Config.NextHop, o.Config.Probe = []string{addrOf(trunk).String()}, 0 })
	b.send(b.up, b.fill(invite))
	ringing := b.receive(b.down)
	drained := make(chan struct{})
	go func() {
		b.relay.Drain(t.Context())
		close(drained)
	}()
	b.eventually("it to drain", b.relay.draining.Load)

	for _, c := range []struct {
		name, msg string
		want      string // what b.up gets; "": it is relayed
	}{
		{"a poll", "OPTIONS sip:$AS SIP/2.0\nVia: SIP/2.0/UDP $UP;branch=z9hG4bKo\nMax-Forwards: 70\nFrom: <sip:a@b>;tag=1\nTo: <sip:$AS>\nCall-ID: o\nCSeq: 1 OPTIONS\n\n", "SIP/2.0 503 "},
		{"a third-party REGISTER", "REGISTER sip:$AS SIP/2.0\nVia: SIP/2.0/UDP $UP;branch=z9hG4bKr\nMax-Forwards: 70\nFrom: <sip:a@b>;tag=1\nTo: <sip:a@b>\nCall-ID: r\nCSeq: 1 REGISTER\n\n", "SIP/2.0 200 "},
		{"a new set-up from an S-CSCF", strings.Replace(invite, "z9hG4bK1", "z9hG4bKnew", 1), "SIP/2.0 503 "},
		{"a retransmission of one under way", invite, ""},
		{"the CANCEL of one under way", strings.NewReplacer("INVITE sip", "CANCEL sip", "1 INVITE", "1 CANCEL").Replace(invite), ""},
		{"another request", strings.NewReplacer("INVITE sip", "MESSAGE sip", "1 INVITE", "1 MESSAGE", "z9hG4bK1", "z9hG4bKm").Replace(invite), ""},
	} {
		b.send(b.up, b.fill(c.msg))
		if c.want == "" {
			if got := b.receive(b.down); strings.Fields(got)[0] != strings.Fields(c.msg)[0] {
				t.Errorf("%s: relayed\n%s", c.name, got)
			}
		} else if got := b.receive(b.up); !strings.HasPrefix(got, c.want) || strings.Contains(got, "Retry-After") {
			t.Errorf("%s: got\n%s\nwant %s", c.name, got, c.want)
		}
	}
	b.send(b.up, b.fill(trunked("z9hG4bKtrunk")))
	if got := b.receive(trunk); !strings.Contains(got, "z9hG4bKtrunk") {
		t.Errorf("a trunk's call must go on: there is nobody to go on without us; got\n%s", got)
	}
	select {
	case <-drained:
		t.Fatal("drained while set-ups ring")
	default:
	}
	answer := func(relayed string) string {
		_, rest, _ := strings.Cut(relayed, "\r\n")
		return "SIP/2.0 200 OK\r\n" + rest
	}
	b.send(b.down, answer(ringing))
	b.receive(b.up)
	cause, cancel := context.WithTimeout(t.Context(), 0)
	b.relay.Drain(cause) // the trunk's still rings, the time is over
	cancel()
	b.send(b.up, b.fill(trunked("z9hG4bKtrunk")))
	b.send(trunk, answer(b.receive(trunk)))
	b.receive(b.up)
	select {
	case <-drained:
	case <-time.After(10 * time.Second):
		t.Error("not drained though all set-ups are through")
	}
}
