package relay

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestANextRouteByNameIsResolvedBeside(t *testing.T) {
	release := make(chan struct{})
	var b *bench
	b = newBench(t, func(o *Options) {
		o.Lookup = func(ctx context.Context, transport, host string, port uint16) ([]Target, error) {
			<-release
			if transport != "udp" || host != "scscf.ims.test" || port != 6060 {
				return nil, errors.New("asked for " + transport + " " + host)
			}
			return []Target{{Addr: addrOf(b.down)}}, nil
		}
	})
	byName := b.fill(strings.Replace(invite, "iscmark@$DOWN", "iscmark@SCSCF.ims.test:6060", 1))
	b.send(b.up, byName)
	if got := b.receive(b.up); !strings.HasPrefix(got, "SIP/2.0 503") {
		t.Fatalf("while it is not known: got\n%s\nwant 503 at once", got)
	}
	b.nothing(b.up) // and other calls pass meanwhile
	close(release)
	for {
		b.send(b.up, byName)
		_ = b.up.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
		buf := make([]byte, maxMessage)
		if _, err := b.up.Read(buf); err != nil {
			break // no 503 any more
		}
	}
	if got := b.receive(b.down); !strings.Contains(got, "Route: <sip:iscmark@SCSCF.ims.test:6060;lr;") {
		t.Errorf("relayed\n%s\nwant the Route as it came", got)
	}
}

func TestWhatWasKnownOnceIsUsedUntilSomethingNewerIs(t *testing.T) {
	one, two := Target{Addr: netip.MustParseAddrPort("192.0.2.1:5060")}, Target{Addr: netip.MustParseAddrPort("192.0.2.2:5060")}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var answer []Target
		asked := 0
		n := newNames(func(context.Context, string, string, uint16) ([]Target, error) {
			mu.Lock()
			defer mu.Unlock()
			asked++
			if answer == nil {
				return nil, errors.New("no such host")
			}
			return answer, nil
		}, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- n.run(ctx) }()
		q := question{"udp", "a.test", 0}
		is := func(when string, want []Target, wantAsked int) {
			t.Helper()
			_ = n.hops(q)
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			got := n.hops(q)
			if len(got) != len(want) || len(got) > 0 && got[0] != want[0] || asked != wantAsked {
				t.Errorf("%s: got %v after %d questions, want %v after %d", when, got, asked, want, wantAsked)
			}
		}
		say := func(hops ...Target) {
			mu.Lock()
			answer = hops
			mu.Unlock()
		}
		is("unknown", nil, 1)
		is("unknown, a moment later", nil, 1)
		time.Sleep(againIn)
		say(one)
		is("known", []Target{one}, 2)
		time.Sleep(freshFor - time.Nanosecond)
		say(two)
		is("still fresh", []Target{one}, 2)
		time.Sleep(time.Nanosecond)
		is("asked again", []Target{two}, 3)
		time.Sleep(freshFor)
		say()
		is("DNS is away", []Target{two}, 4)
		for i := range 2 * maxNames {
			n.hops(question{"udp", "b.test", uint16(i + 1)})
		}
		if len(n.known) > maxNames {
			t.Errorf("%d names are kept, want at most %d", len(n.known), maxNames)
		}
		time.Sleep(unusedFor + freshFor)
		late := question{"udp", "late.test", 0}
		n.hops(late)
		synctest.Wait()
		n.hops(late) // asked by then
		synctest.Wait()
		if len(n.hops(late)) != 0 || n.known[late] == nil || len(n.known) > maxNames {
			t.Errorf("a new name finds no room though others are unused: %d names", len(n.known))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestTheSystemsResolverFindsLocalhost(t *testing.T) {
	hops, err := lookupDNS(t.Context(), "udp", "localhost", 5070)
	if err != nil {
		t.Skip("no localhost in this machine's resolver:", err)
	}
	if hops[0].Addr.Port() != 5070 || !hops[0].Addr.Addr().IsLoopback() {
		t.Errorf("got %v", hops)
	}
}
