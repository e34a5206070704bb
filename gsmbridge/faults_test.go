package gsmbridge

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

func TestStatusClasses(t *testing.T) {
	b := newBridge(t, Config{Links: []LinkConfig{
		{Name: "flash", Errors: map[string]string{"0x45": "throttled", "1032": "permanent"}},
		{Name: "ussd", Channel: USSD},
	}})
	for status, want := range map[smpp.Status][2]class{
		0x01: {permanent, permanent}, 0x0A: {permanent, permanent}, 0x0B: {permanent, permanent}, 0x15: {permanent, permanent},
		0x43: {permanent, permanent}, 0x48: {permanent, permanent}, 0x51: {permanent, permanent}, 0x61: {permanent, permanent},
		0x62: {permanent, permanent}, 0xC0: {permanent, permanent}, 0xC4: {permanent, permanent},
		0x14: {throttled, throttled}, 0x58: {throttled, throttled},
		0x04: {rebind, rebind}, 0x05: {rebind, rebind}, 0x0D: {rebind, rebind}, 0x0E: {rebind, rebind}, 0x0F: {rebind, rebind},
		0x08: {elsewhere, busy}, 0x64: {elsewhere, busy}, 0xFE: {elsewhere, busy}, 0x400: {elsewhere, busy},
		0x45: {throttled, busy}, 0x408: {permanent, busy}, // configured
	} {
		if got := [2]class{b.links[0].classify(status), b.links[1].classify(status)}; got != want {
			t.Errorf("%v: got %v, want %v", status, got, want)
		}
	}
}

func TestALinkThatFailsIsLeftAlone(t *testing.T) {
	inGateways(t, 1, nil, func(t *testing.T, l *lab, g []*gateway) {
		broken := true
		g[0].answer = func(int, *smpp.Message) smpp.Answer {
			if broken {
				return smpp.Answer{Status: smpp.StatusSystemError}
			}
			return smpp.Answer{MessageID: "1"}
		}
		for range 3 * breakerFailures {
			l.Deliver(t.Context(), delivery("hi"))
		}
		if got := len(g[0].taken()); got != breakerFailures {
			t.Errorf("it was tried %d times, want %d", got, breakerFailures)
		}
		time.Sleep(breakerPause + time.Second)
		l.Deliver(t.Context(), delivery("hi"))
		l.Deliver(t.Context(), delivery("hi"))
		if got := len(g[0].taken()); got != breakerFailures+1 {
			t.Errorf("after a pause it was tried %d times, want once", got-breakerFailures)
		}
		time.Sleep(breakerPause + time.Second)
		broken = false
		for range 3 {
			if o := l.Deliver(t.Context(), delivery("hi")); o.State != callsign.Accepted {
				t.Errorf("got %+v once it was mended", o)
			}
		}
	})
}

func TestTextsOfOthersFaultsDoNotBreakALink(t *testing.T) {
	inGateways(t, 1, nil, func(t *testing.T, l *lab, g []*gateway) {
		g[0].answer = func(n int, _ *smpp.Message) smpp.Answer {
			return smpp.Answer{Status: []smpp.Status{smpp.StatusInvalidDest, smpp.StatusThrottled}[n%2]}
		}
		for range 4 * breakerFailures {
			l.Deliver(t.Context(), delivery("hi"))
			time.Sleep(2 * time.Second)
		}
		if got := len(g[0].taken()); got != 4*breakerFailures {
			t.Errorf("it was tried %d times, want always", got)
		}
	})
}

func TestAFullWindowLeavesATextToTheNextLink(t *testing.T) {
	inGateways(t, 2, func(l *LinkConfig, _ *Options) { l.Window = 1 }, func(t *testing.T, l *lab, g []*gateway) {
		held := make(chan struct{})
		g[0].answer = func(int, *smpp.Message) smpp.Answer {
			<-held
			return smpp.Answer{MessageID: "1"}
		}
		first := make(chan callsign.Outcome, 1)
		go func() { first <- l.Deliver(t.Context(), delivery("first")) }()
		synctest.Wait()
		if o := l.Deliver(t.Context(), delivery("second")); o.Link != "b" {
			t.Errorf("got %+v, want link b", o)
		}
		close(held)
		if o := <-first; o.Link != "a" || o.State != callsign.Accepted {
			t.Errorf("got %+v, want link a", o)
		}
	})
}

func TestReceiptsTellWhetherTheyCameInTime(t *testing.T) {
	inGateways(t, 1, nil, func(t *testing.T, l *lab, g []*gateway) {
		for i, late := range []bool{false, true} {
			ctx, over := context.WithCancel(t.Context())
			l.Deliver(ctx, delivery("hi"))
			if late {
				over()
			}
			time.Sleep(3 * time.Second)
			g[0].says(t, &smpp.Message{ESMClass: 0x04, ShortMessage: []byte("id:" + string(rune('1'+i)) + " stat:DELIVRD err:000 text:")})
			over()
		}
		l.Deliver(t.Context(), delivery("hi"))
		g[0].says(t, &smpp.Message{ESMClass: 0x04, ShortMessage: []byte("id:3 stat:UNDELIV err:027 text:")})
		for labels, want := range map[[2]string]float64{{"DELIVRD", "in_time"}: 1, {"DELIVRD", "late"}: 1, {"UNDELIV", "in_time"}: 1} {
			if got := testutil.ToFloat64(l.metrics.receipts.WithLabelValues("a", Flash, labels[0], labels[1])); got != want {
				t.Errorf("%v: got %v, want %v", labels, got, want)
			}
		}
		if e := l.timeline.events[len(l.timeline.events)-1]; e.Reason != "UNDELIV (err:027)" {
			t.Errorf("got %q", e.Reason)
		}
	})
}

// TestTwoLinksOneDying: half a thousand texts a second, while one of two links is cut, hangs, loses answers and throttles.
func TestTwoLinksOneDying(t *testing.T) {
	const (
		texts   = 5000
		ring    = 900 * time.Millisecond
		between = 2 * time.Millisecond
	)
	inGateways(t, 2, func(l *LinkConfig, _ *Options) { l.Window, l.ResponseTimeout = 100, 2*time.Second }, func(t *testing.T, l *lab, g []*gateway) {
		start := time.Now()
		var mu sync.Mutex
		shown := map[string][]time.Time{}
		answer := func(dying bool) func(int, *smpp.Message) smpp.Answer {
			return func(n int, m *smpp.Message) smpp.Answer {
				text := string(m.ShortMessage)
				second := int(time.Since(start)/time.Second) % 4
				if dying && second == 2 {
					return smpp.Answer{Status: smpp.StatusThrottled}
				}
				mu.Lock()
				shown[text] = append(shown[text], time.Now())
				mu.Unlock()
				if dying && second == 3 && n%50 == 0 {
					g[0].cut()
				}
				return smpp.Answer{MessageID: text, Silent: dying && second == 1}
			}
		}
		g[0].answer, g[1].answer = answer(true), answer(false)
		ends := make(map[string]time.Time, texts)
		states := map[callsign.OutcomeState]int{}
		var running sync.WaitGroup
		for i := range texts {
			text := fmt.Sprintf("text %d", i)
			ends[text] = time.Now().Add(ring)
			running.Go(func() {
				ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(ring))
				defer cancel()
				o := l.Deliver(ctx, delivery(text))
				mu.Lock()
				states[o.State]++
				mu.Unlock()
			})
			time.Sleep(between)
		}
		running.Wait()
		twice, late := 0, 0
		for text, times := range shown {
			for _, at := range times {
				if at.After(ends[text]) {
					late++
				}
			}
			if len(times) > 1 {
				twice++
			}
		}
		if late > 0 {
			t.Errorf("%d texts were sent after their call", late)
		}
		if twice > 0 {
			t.Errorf("%d texts were shown twice", twice)
		}
		if n := states[callsign.Accepted]; n < texts*8/10 {
			t.Errorf("got %d of %d texts accepted", n, texts)
		}
		if states[callsign.Ambiguous] == 0 {
			t.Error("nothing was ambiguous: no answer was lost, so nothing was shown")
		}
	})
}
