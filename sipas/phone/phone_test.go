package phone_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign/sipas/phone"
	"github.com/callsign-as/callsign/sipas/relay"
)

func listen(t *testing.T, ring time.Duration) *phone.Phone {
	t.Helper()
	p, err := phone.Listen(netip.MustParseAddrPort("127.0.0.1:0"), ring)
	if err != nil {
		t.Fatal(err)
	}
	run(t, p.Run)
	return p
}

func run(t *testing.T, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- f(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func through(t *testing.T) netip.AddrPort {
	t.Helper()
	c := relay.DefaultConfig()
	c.Listen, c.Secret = []string{"udp://127.0.0.1:0"}, "a secret of the tests"
	r, err := relay.New(relay.Options{Config: c})
	if err != nil {
		t.Fatal(err)
	}
	run(t, r.Run)
	return r.Addrs()[0]
}

func TestACallThroughTheRelayRingsIsAnsweredAndEnds(t *testing.T) {
	as := through(t)
	caller, callee := listen(t, 0), listen(t, 200*time.Millisecond)
	var got []int
	err := caller.Place(t.Context(), phone.Call{
		From: 8613800000001, To: 8613900000002, Route: []netip.AddrPort{as, callee.Addr()},
		Status: func(status int, _ string) { got = append(got, status) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(got, 180) || got[len(got)-1] != 200 {
		t.Errorf("got the answers %v, want a 180 and then 200", got)
	}
}

func TestACallThatFailsOrIsHungUpSaysSo(t *testing.T) {
	as := through(t)
	caller, callee := listen(t, 0), listen(t, time.Hour)
	err := caller.Place(t.Context(), phone.Call{From: 1, To: 2, Route: []netip.AddrPort{as}})
	if err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("with nobody behind the relay: got %v, want its 503", err)
	}
	ctx, hangUp := context.WithCancel(t.Context())
	err = caller.Place(ctx, phone.Call{From: 1, To: 2, Route: []netip.AddrPort{as, callee.Addr()}, Status: func(status int, _ string) {
		if status == 180 {
			hangUp()
		}
	}})
	if err == nil {
		t.Error("hung up while it rang: got no error")
	}
}
