package relay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callsign-as/callsign"
)

func target(addr string, priority, weight uint32) Target {
	return Target{netip.MustParseAddrPort(addr), priority, weight}
}

func TestATargetIsStableAndInItsShare(t *testing.T) {
	targets := []Target{target("192.0.2.1:5060", 0, 1), target("192.0.2.2:5060", 0, 2), target("[2001:db8::1]:5060", 0, 3), target("192.0.2.9:5060", 1, 100)}
	count := map[netip.AddrPort]int{}
	const n = 6000
	for i := range n {
		key := callsign.BranchKey{byte(i), byte(i >> 8)}
		got, ok := choose(targets, key, nil)
		if !ok {
			t.Fatal("no target")
		}
		count[got]++
		if again, _ := choose([]Target{targets[3], targets[2], targets[0], targets[1]}, key, nil); again != got {
			t.Fatalf("in another order %v, want %v", again, got)
		}
		if less, _ := choose([]Target{targets[0], targets[1], targets[3]}, key, nil); got != targets[2].Addr && less != got {
			t.Fatalf("with one less %v, want %v: only the lost one's calls move", less, got)
		}
	}
	for _, c := range targets {
		want := 0.0
		if c.Priority == 0 {
			want = n * float64(c.Weight) / 6
		}
		if got := float64(count[c.Addr]); math.Abs(got-want) > 5*math.Sqrt(n)/2 { // five standard deviations at the most
			t.Errorf("%v got %v of %v, want about %v", c.Addr, got, n, want)
		}
	}
	if _, ok := choose(nil, callsign.BranchKey{}, nil); ok {
		t.Error("a target out of none")
	}
}

func TestHealthAndPriorityDecideWhereNewSetUpsGo(t *testing.T) {
	first, second, third := target("192.0.2.1:5060", 0, 1), target("192.0.2.2:5060", 1, 1), target("192.0.2.3:5060", 1, 1)
	for name, c := range map[string]struct {
		down []Target
		want []Target
	}{
		"all are up":                  {nil, []Target{first}},
		"the first is down":           {[]Target{first}, []Target{second, third}},
		"one of the others is, too":   {[]Target{first, second}, []Target{third}},
		"all are down: as if all up":  {[]Target{first, second, third}, []Target{first}},
		"one that is not needed is":   {[]Target{third}, []Target{first}},
		"the less preferred are down": {[]Target{second, third}, []Target{first}},
	} {
		t.Run(name, func(t *testing.T) {
			up := func(a netip.AddrPort) bool {
				for _, d := range c.down {
					if d.Addr == a {
						return false
					}
				}
				return true
			}
			got := map[netip.AddrPort]bool{}
			for i := range 64 {
				a, _ := choose([]Target{third, first, second}, callsign.BranchKey{byte(i)}, up)
				got[a] = true
			}
			if len(got) != len(c.want) {
				t.Errorf("calls went to %v, want %v", got, c.want)
			}
			for _, w := range c.want {
				if !got[w.Addr] {
					t.Errorf("no call went to %v", w.Addr)
				}
			}
		})
	}
}

func TestNextHopsAreRead(t *testing.T) {
	for s, want := range map[string]string{
		"192.0.2.7:5060":                               "192.0.2.7:5060 0 1",
		"udp://192.0.2.7:5060":                         "192.0.2.7:5060 0 1",
		"[2001:db8::7]:5070;priority=2;weight=30":      "[2001:db8::7]:5070 2 30",
		"Trunk.example.net":                            "trunk.example.net:0 0 1",
		"trunk.example.net:5080;weight=5":              "trunk.example.net:5080 0 5",
		"a.b.c.d.example.net;priority=65535;weight=1;": "a.b.c.d.example.net:0 65535 1",
	} {
		h, err := parseHop(s)
		place := h.Addr.String()
		if h.host != "" {
			place = fmt.Sprintf("%s:%d", h.host, h.port)
		}
		if got := fmt.Sprint(place, " ", h.Priority, " ", h.Weight); err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", s, got, err, want)
		}
	}
}

// trunked is an INVITE as a softswitch sends it, without a Route.
func trunked(branch string) string {
	return strings.NewReplacer("branch=z9hG4bK1", "branch="+branch, "Route: <sip:as@$AS;lr>\n", "", "Route: <sip:iscmark@$DOWN;lr;s=1;h=0;d=1;a=7369703a>\n", "").Replace(invite)
}

// hop answers what comes to it: OPTIONS with status (0: not at all), everything else goes to got.
type answeringHop struct {
	*net.UDPConn
	got chan string
}

func answerOptions(t *testing.T, status func() int) answeringHop {
	t.Helper()
	h := answeringHop{listen(t), make(chan string, 100)}
	go func() {
		buf := make([]byte, maxMessage)
		for {
			n, from, err := h.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			msg := string(buf[:n])
			if !strings.HasPrefix(msg, "OPTIONS ") {
				h.got <- msg
				continue
			}
			if s := status(); s != 0 {
				_, rest, _ := strings.Cut(msg, "\r\n")
				_, _ = h.WriteToUDPAddrPort(fmt.Appendf(nil, "SIP/2.0 %d Whatever\r\n%s", s, rest), from)
			}
		}
	}()
	return h
}

func (b *bench) eventually(what string, so func() bool) {
	b.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(15 * time.Second); !so(); <-tick.C {
		if time.Now().After(deadline) {
			b.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestHealthMovesNewSetUpsAndOnlyThose(t *testing.T) {
	for name, sick := range map[string]int{"it answers 503": 503, "it does not answer": 0} {
		t.Run(name, func(t *testing.T) {
			status := make(chan int, 1)
			status <- 200
			now := func() int { s := <-status; status <- s; return s }
			set := func(s int) { <-status; status <- s }
			first := answerOptions(t, now)
			second := answerOptions(t, func() int { return 404 }) // an answer is an answer
			b := newBench(t, func(o *Options) {
				o.Config.Probe = 20 * time.Millisecond // Validate would refuse it
				o.Config.NextHop = []string{addrOf(first.UDPConn).String(), addrOf(second.UDPConn).String() + ";priority=1"}
			})
			up := func(hop answeringHop) func() bool {
				return func() bool {
					return testutil.ToFloat64(b.relay.metrics.hops.WithLabelValues("udp", addrOf(hop.UDPConn).String())) == 1
				}
			}
			b.eventually("both hops to be up", func() bool { return up(first)() && up(second)() })
			b.send(b.up, b.fill(trunked("z9hG4bKold")))
			<-first.got
			set(sick)
			b.eventually("the first hop to be down", func() bool { return !up(first)() })
			b.send(b.up, b.fill(trunked("z9hG4bKnew")))
			if got := <-second.got; !strings.Contains(got, "z9hG4bKnew") {
				t.Errorf("the second hop got\n%s", got)
			}
			b.send(b.up, b.fill(strings.NewReplacer("INVITE sip", "CANCEL sip", "1 INVITE", "1 CANCEL").Replace(trunked("z9hG4bKold"))))
			if got := <-first.got; !strings.HasPrefix(got, "CANCEL ") {
				t.Errorf("the CANCEL of a set-up must follow it; the first hop got\n%s", got)
			}
			set(200)
			b.eventually("the first hop to be up again", up(first))
			b.send(b.up, b.fill(trunked("z9hG4bKnewer")))
			if got := <-first.got; !strings.Contains(got, "z9hG4bKnewer") {
				t.Errorf("the first hop got\n%s", got)
			}
			b.send(b.up, b.fill(trunked("z9hG4bKnew"))) // a retransmission
			if got := <-second.got; !strings.Contains(got, "z9hG4bKnew\r") {
				t.Errorf("a retransmission must follow its INVITE; the second hop got\n%s", got)
			}
		})
	}
}

func TestAProbesAnswerIsBelievedOnlyIfWeAsked(t *testing.T) {
	b := newBench(t, nil)
	b.send(b.up, b.fill("SIP/2.0 200 OK\nVia: SIP/2.0/UDP $AS;branch="+probeCookie+strings.Repeat("ab", 16)+"\nCSeq: 1 OPTIONS\n\n"))
	b.send(b.up, b.fill("SIP/2.0 200 OK\nVia: SIP/2.0/UDP $AS;branch="+probeCookie+"\nCSeq: 1 OPTIONS\n\n"))
	b.nothing(b.up)
}

func TestANextHopByNameIsKnownBeforeTheFirstCall(t *testing.T) {
	hop := listen(t)
	answer := make(chan []Target, 1)
	b := newBench(t, func(o *Options) {
		o.Config.NextHop, o.Config.Probe = []string{"trunk.test"}, 0
		o.Lookup = func(ctx context.Context, transport, host string, port uint16) ([]Target, error) {
			if transport != "udp" || host != "trunk.test" || port != 0 {
				return nil, errors.New("asked for " + transport + " " + host)
			}
			return <-answer, nil
		}
	})
	b.send(b.up, b.fill(trunked("z9hG4bKearly")))
	if got := b.receive(b.up); !strings.HasPrefix(got, "SIP/2.0 503") {
		t.Errorf("while it is not known: got\n%s\nwant 503 at once", got)
	}
	answer <- []Target{{Addr: addrOf(hop), Weight: 7}}
	b.eventually("the name to be known", func() bool { return len(b.relay.nextHops("udp")) == 1 })
	b.send(b.up, b.fill(trunked("z9hG4bKlate")))
	if got := b.receive(hop); !strings.Contains(got, "z9hG4bKlate") {
		t.Errorf("got\n%s", got)
	}
}

func TestTheRequestURIsHostChangesOnlyWhereItIsToldTo(t *testing.T) {
	for name, c := range map[string]struct {
		uriHost, uri, want string // $AS, $HOP
	}{
		"off":                            {"", "sip:+8613900000002@$AS;user=phone", "sip:+8613900000002@$AS;user=phone"},
		"the next hop's":                 {"next_hop", "sip:+8613900000002@$AS;user=phone", "sip:+8613900000002@$HOP;user=phone"},
		"another host":                   {"gw.test:5070", "sip:+8613900000002;npdi@$AS", "sip:+8613900000002;npdi@gw.test:5070"},
		"no user part":                   {"gw.test", "sip:$AS", "sip:gw.test"},
		"somebody else's stays":          {"next_hop", "sip:+8613900000002@192.0.2.77", "sip:+8613900000002@192.0.2.77"},
		"a name that we don't know, too": {"next_hop", "sip:+8613900000002@ims.test", "sip:+8613900000002@ims.test"},
		"a tel URI has none":             {"next_hop", "tel:+8613900000002", "tel:+8613900000002"},
	} {
		t.Run(name, func(t *testing.T) {
			hop := listen(t)
			b := newBench(t, func(o *Options) {
				o.Config.NextHop, o.Config.URIHost, o.Config.Probe = []string{addrOf(hop).String()}, c.uriHost, 0
			})
			b.send(b.up, strings.Replace(b.fill(trunked("z9hG4bK1")), "sip:+8613900000002@ims.test;user=phone SIP", b.fill(c.uri)+" SIP", 1))
			want := "INVITE " + strings.Replace(b.fill(c.want), "$HOP", addrOf(hop).String(), 1) + " SIP/2.0\r\n"
			if got := b.receive(hop); !strings.HasPrefix(got, want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func TestAReturnTrunkThatLeadsBackEnds(t *testing.T) {
	for name, c := range map[string]struct {
		back func(msg string) string // what the softswitch makes of it
		want string
		most int
	}{
		"a proxy that keeps our Vias":          {func(m string) string { return m }, "SIP/2.0 482", 3},
		"a back-to-back agent that drops them": {dropVias, "SIP/2.0 483", 70},
	} {
		t.Run(name, func(t *testing.T) {
			softswitch := listen(t)
			b := newBench(t, func(o *Options) {
				o.Config.NextHop, o.Config.Probe = []string{addrOf(softswitch).String()}, 0
			})
			b.send(b.up, b.fill(trunked("z9hG4bKround")))
			for passes := 0; ; passes++ {
				msg := b.receive(softswitch)
				if strings.HasPrefix(msg, "SIP/2.0 ") {
					if !strings.HasPrefix(msg, c.want) {
						t.Errorf("it ended with\n%s\nwant %s", msg, c.want)
					}
					break
				}
				if passes > c.most {
					t.Fatalf("it goes round and round")
				}
				start, rest, _ := strings.Cut(c.back(msg), "\r\n")
				b.send(softswitch, fmt.Sprintf("%s\r\nVia: SIP/2.0/UDP %s;branch=z9hG4bKback%d\r\n%s", start, addrOf(softswitch), passes, rest))
			}
		})
	}
}

func dropVias(msg string) string {
	var kept []string
	for line := range strings.SplitSeq(msg, "\r\n") {
		if !strings.HasPrefix(line, "Via:") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "\r\n")
}
