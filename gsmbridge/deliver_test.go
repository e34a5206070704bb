package gsmbridge

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

func refusing(s smpp.Status) *smsc.Options {
	return &smsc.Options{Behaviour: smsc.Behaviour{SubmitStatus: s}}
}

func TestDeliver(t *testing.T) {
	good, silent := &smsc.Options{}, &smsc.Options{Behaviour: smsc.Behaviour{Silent: true}}
	const timeout = "submit_sm: sent, but not answered within 10s: it may have been shown, and is not sent again"
	for name, c := range map[string]struct {
		smscs    []*smsc.Options
		text     string
		want     callsign.Outcome
		timeline string
		shown    []string
	}{
		"the first link takes it": {
			[]*smsc.Options{good, good},
			"hi",
			callsign.Outcome{State: callsign.Accepted, Channel: Flash, Link: "a", MessageID: "4097"},
			"submitted a hi | accepted a 4097 | receipt a 4097 DELIVRD",
			[]string{"hi"},
		},
		"what is shown is what the timeline has, cut": {
			[]*smsc.Options{good},
			strings.Repeat("我", 80),
			callsign.Outcome{State: callsign.Accepted, Channel: Flash, Link: "a", MessageID: "4097"},
			"submitted a " + strings.Repeat("我", 69) + "… | accepted a 4097 | receipt a 4097 DELIVRD",
			[]string{strings.Repeat("我", 69) + "…"},
		},
		"a link that is not bound leaves it to the next": {
			[]*smsc.Options{{Behaviour: smsc.Behaviour{BindStatus: smpp.StatusInvalidPassword}}, good},
			"hi",
			callsign.Outcome{State: callsign.Accepted, Channel: Flash, Link: "b", MessageID: "4097"},
			"submitted b hi | accepted b 4097 | receipt b 4097 DELIVRD",
			[]string{"hi"},
		},
		"throttling leaves it to the next": {
			[]*smsc.Options{refusing(smpp.StatusThrottled), good},
			"hi",
			callsign.Outcome{State: callsign.Accepted, Channel: Flash, Link: "b", MessageID: "4097"},
			"submitted a hi | failed a submit_sm refused: throttling error (0x58) | submitted b hi | accepted b 4097 | receipt b 4097 DELIVRD",
			[]string{"hi"},
		},
		"a system error is tried once elsewhere, not twice": {
			[]*smsc.Options{refusing(smpp.StatusSystemError), refusing(smpp.StatusSystemError), good},
			"hi",
			callsign.Outcome{State: callsign.Failed, Reason: "a: submit_sm refused: system error (0x08); b: submit_sm refused: system error (0x08)"},
			"submitted a hi | failed a submit_sm refused: system error (0x08) | submitted b hi | failed b submit_sm refused: system error (0x08)", nil,
		},
		"an invalid destination is invalid everywhere": {
			[]*smsc.Options{refusing(smpp.StatusInvalidDest), good},
			"hi",
			callsign.Outcome{State: callsign.Failed, Channel: Flash, Link: "a", Reason: "submit_sm refused: invalid destination address (0x0B)"},
			"submitted a hi | failed a submit_sm refused: invalid destination address (0x0B)", nil,
		},
		"without an answer it is ambiguous and goes nowhere else": {
			[]*smsc.Options{silent, good},
			"hi",
			callsign.Outcome{State: callsign.Ambiguous, Channel: Flash, Link: "a", Reason: timeout},
			"submitted a hi | failed a " + timeout,
			[]string{"hi"},
		},
		"with no link bound the reason says what to do": {
			[]*smsc.Options{{Behaviour: smsc.Behaviour{BindStatus: smpp.StatusInvalidSystemID}}},
			"hi",
			callsign.Outcome{State: callsign.Failed, Reason: `a: the SMSC refused the bind as system_id "callsign": invalid system id (0x0F): check smpp.links[a].system_id`},
			`failed a: the SMSC refused the bind as system_id "callsign": invalid system id (0x0F): check smpp.links[a].system_id`, nil,
		},
		"with no link configured the reason says what to do": {
			nil, "hi",
			callsign.Outcome{State: callsign.Failed, Reason: "no link is configured: name an SMSC in smpp.links"},
			"failed no link is configured: name an SMSC in smpp.links", nil,
		},
		"no text is no text": {
			[]*smsc.Options{good},
			"",
			callsign.Outcome{State: callsign.Failed, Channel: Flash, Link: "a", Reason: "there is no text to show"},
			"failed a there is no text to show", nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, c.smscs, nil, func(t *testing.T, l *lab) {
				if got := l.Deliver(t.Context(), delivery(c.text)); got != c.want {
					t.Errorf("got %+v, want %+v", got, c.want)
				}
				synctest.Wait()
				if got := l.timeline.String(); got != c.timeline {
					t.Errorf("timeline\ngot  %s\nwant %s", got, c.timeline)
				}
				if got := l.shown(); !slices.Equal(got, c.shown) {
					t.Errorf("shown %q, want %q", got, c.shown)
				}
			})
		})
	}
}

func TestNothingIsSentOnceTheCallIsOver(t *testing.T) {
	answered := errors.New("answered")
	t.Run("before", func(t *testing.T) {
		inLab(t, []*smsc.Options{{}}, nil, func(t *testing.T, l *lab) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(answered)
			if got, want := l.Deliver(ctx, delivery("hi")), (callsign.Outcome{State: callsign.Dropped, Reason: "answered"}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
			synctest.Wait()
			if got := l.timeline.String(); got != "failed answered" || l.shown() != nil {
				t.Errorf("timeline %q, shown %q", got, l.shown())
			}
		})
	})
	t.Run("while the window is full", func(t *testing.T) {
		inLab(t, []*smsc.Options{{Behaviour: smsc.Behaviour{Delay: smsc.Duration(5 * time.Second)}}}, func(c *LinkConfig, _ *Options) { c.Window = 1 }, func(t *testing.T, l *lab) {
			first := make(chan callsign.Outcome, 1)
			go func() { first <- l.Deliver(t.Context(), delivery("first")) }()
			synctest.Wait()
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, answered)
			defer cancel()
			got := l.Deliver(ctx, delivery("second"))
			if got.State != callsign.Dropped || got.Reason != "answered" {
				t.Errorf("got %+v, want it dropped: answered", got)
			}
			if got := <-first; got.State != callsign.Accepted {
				t.Errorf("got %+v, want accepted", got)
			}
			time.Sleep(time.Minute)
			if got := l.shown(); !slices.Equal(got, []string{"first"}) {
				t.Errorf("shown %q, want the first alone", got)
			}
		})
	})
	t.Run("after the write its answer still counts", func(t *testing.T) {
		inLab(t, []*smsc.Options{{Behaviour: smsc.Behaviour{Delay: smsc.Duration(2 * time.Second)}}}, nil, func(t *testing.T, l *lab) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, answered)
			defer cancel()
			if got := l.Deliver(ctx, delivery("hi")); got.State != callsign.Accepted {
				t.Errorf("got %+v, want accepted", got)
			}
		})
	})
}

func TestRate(t *testing.T) {
	change := func(c *LinkConfig, _ *Options) {
		if c.Name == "a" {
			c.Rate = 1
		}
	}
	t.Run("used up, it leaves a text to the next link", func(t *testing.T) {
		inLab(t, []*smsc.Options{{}, {}}, change, func(t *testing.T, l *lab) {
			for _, want := range []string{"a", "b", "b"} {
				if got := l.Deliver(t.Context(), delivery("hi")); got.Link != want || got.State != callsign.Accepted {
					t.Errorf("got %+v, want link %s", got, want)
				}
			}
		})
	})
	t.Run("without another link a text waits for it, as long as its call", func(t *testing.T) {
		inLab(t, []*smsc.Options{{}}, change, func(t *testing.T, l *lab) {
			ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
			defer cancel()
			for _, want := range []callsign.OutcomeState{callsign.Accepted, callsign.Accepted, callsign.Failed} {
				if got := l.Deliver(ctx, delivery("hi")); got.State != want {
					t.Errorf("got %+v, want it %s", got, want)
				}
			}
			if got := len(l.shown()); got != 2 {
				t.Errorf("got %d texts shown, want 2", got)
			}
		})
	})
}

func TestSubmittedEventHasThePDU(t *testing.T) {
	inLab(t, []*smsc.Options{{}}, func(c *LinkConfig, _ *Options) { c.Sender = "+8610086" }, func(t *testing.T, l *lab) {
		l.Deliver(t.Context(), delivery("[€]"))
		synctest.Wait()
		e := l.timeline.events[0]
		if e.Call != delivery("").Call || e.Tenant != "default" {
			t.Errorf("the event's call is %+v of tenant %s", e.Call, e.Tenant)
		}
		want := "00000047" + "00000004" + "00000000" + "00000002" + // submit_sm, second on its session
			"00" + "01013836313030383600" + "010138363133393030303030303031" + "00" + // service_type, source, destination
			"000000" + "00" + "30303030303030303030333030303052" + "00" + // esm_class to priority_flag, schedule, 30 s
			"0100f000" + "06" + "1b3c1b651b3e" // registered_delivery, replace, F0, -, sm_length, [€]
		want = strings.Replace(want, "00000047", fmt.Sprintf("%08x", len(want)/2), 1)
		if got := hex.EncodeToString(e.Wire); got != want {
			t.Errorf("\ngot  %s\nwant %s", got, want)
		}
	})
}

func TestRefusedSessionIsBoundAgain(t *testing.T) {
	inLab(t, []*smsc.Options{refusing(smpp.StatusInvalidBindState), {}}, nil, func(t *testing.T, l *lab) {
		if got := l.Deliver(t.Context(), delivery("hi")); got.Link != "b" {
			t.Errorf("got %+v, want link b", got)
		}
		synctest.Wait()
		want := "the session with smsc.example:2775 ended: submit_sm refused: incorrect bind status for given command (0x04): it is bound again by itself"
		if got := l.Links()[0]; got.Bound || got.LastError != want {
			t.Errorf("got %+v, want it not bound: %s", got, want)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := l.Links()[0]; !got.Bound || got.LastError != "" {
			t.Errorf("got %+v, want it bound", got)
		}
	})
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	inLab(t, []*smsc.Options{refusing(smpp.StatusThrottled), {Behaviour: smsc.Behaviour{ReceiptTwice: true, ReceiptStat: "WEIRD"}}},
		func(_ *LinkConfig, o *Options) { o.Metrics = registry }, func(t *testing.T, l *lab) {
			l.Deliver(t.Context(), delivery("hi"))
			synctest.Wait()
			want := `
# HELP callsign_smpp_bound 1 while the link is bound.
# TYPE callsign_smpp_bound gauge
callsign_smpp_bound{link="a"} 1
callsign_smpp_bound{link="b"} 1
# HELP callsign_smpp_receipts_total Delivery receipts by what they say, and whether they came in_time, before the call was over for us, or late.
# TYPE callsign_smpp_receipts_total counter
callsign_smpp_receipts_total{channel="flash",link="b",stat="other",when="in_time"} 1
# HELP callsign_smpp_submits_total Texts tried on the link: accepted, throttled, busy (the handset), refused, ambiguous, unsent.
# TYPE callsign_smpp_submits_total counter
callsign_smpp_submits_total{link="a",result="throttled"} 1
callsign_smpp_submits_total{link="b",result="accepted"} 1
`
			err := testutil.GatherAndCompare(registry, strings.NewReader(want), "callsign_smpp_bound", "callsign_smpp_receipts_total", "callsign_smpp_submits_total")
			if err != nil {
				t.Error(err)
			}
			if got := testutil.ToFloat64(l.metrics.lost.WithLabelValues("duplicate")); got != 1 {
				t.Errorf("got %v duplicates, want 1", got)
			}
		})
	if _, err := New(Options{Metrics: registry}); err == nil {
		t.Error("two bridges share one registry")
	}
}
