package gsmbridge

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
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

// TestFaults: two links, of which the first has a fault for its first ten seconds, and a text every 50 ms. Whatever the fault,
// no text is shown twice or sent once its call is over, all go through once it ended, and (synctest sees to it) no goroutine is
// left.
func TestFaults(t *testing.T) {
	const ring = 3 * time.Second
	pdu := func(id uint32, body int) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(16+body))
		b = binary.BigEndian.AppendUint32(b, id)
		return append(b, make([]byte, 8+body)...)
	}
	for name, c := range map[string]struct {
		answer    func(n int) smpp.Answer
		mangle    func() func(pdu []byte) [][]byte
		cut       bool
		ambiguous bool // some texts may have been shown or not
	}{
		"silent after the bind": {mangle: func() func([]byte) [][]byte {
			return func([]byte) [][]byte { return nil }
		}, ambiguous: true},
		"silent after each submit_sm": {answer: func(int) smpp.Answer { return smpp.Answer{Silent: true} }, ambiguous: true},
		"silent in mid-PDU": {mangle: func() func([]byte) [][]byte {
			stalled := false
			return func(pdu []byte) [][]byte {
				if stalled {
					return nil
				}
				stalled = true
				return [][]byte{pdu[:len(pdu)/2]}
			}
		}, ambiguous: true},
		"closing again and again": {cut: true, ambiguous: true},
		"throttling":              {answer: func(int) smpp.Answer { return smpp.Answer{Status: smpp.StatusThrottled} }},
		"refusing":                {answer: func(int) smpp.Answer { return smpp.Answer{Status: smpp.StatusSystemError} }},
		"answering out of order": {mangle: func() func([]byte) [][]byte {
			var held []byte
			return func(pdu []byte) [][]byte {
				if held == nil {
					held = bytes.Clone(pdu)
					return nil
				}
				out := [][]byte{pdu, held}
				held = nil
				return out
			}
		}, ambiguous: true}, // the last one is never answered
		"answering twice": {mangle: func() func([]byte) [][]byte {
			return func(pdu []byte) [][]byte { return [][]byte{pdu, pdu} }
		}},
		"sending PDUs that nobody knows": {mangle: func() func([]byte) [][]byte {
			return func(p []byte) [][]byte { return [][]byte{pdu(0x00010203, 40), p, pdu(0x80010203, 0)} }
		}},
		"sending a PDU of 5 kB": {mangle: func() func([]byte) [][]byte {
			return func(p []byte) [][]byte { return [][]byte{pdu(uint32(0x0103), 5000), p} }
		}},
		"answering what was never asked": {mangle: func() func([]byte) [][]byte {
			return func(p []byte) [][]byte { return [][]byte{pdu(0x80000004, 2), p} }
		}},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(l *LinkConfig, _ *Options) { l.ResponseTimeout, l.EnquireLink = 2*time.Second, 2*time.Second }
			inGateways(t, 2, change, func(t *testing.T, l *lab, g []*gateway) {
				var (
					mu      sync.Mutex
					start   = time.Now()
					over    = map[string]time.Time{}
					shown   = map[string]int{}
					late    int
					states  = map[callsign.OutcomeState]int{}
					healthy = func() bool { return time.Since(start) > 10*time.Second }
				)
				show := func(answer func(int) smpp.Answer, cut bool) func(int, *smpp.Message) smpp.Answer {
					return func(n int, m *smpp.Message) smpp.Answer {
						a := smpp.Answer{MessageID: string(m.ShortMessage)}
						switch {
						case healthy():
						case answer != nil:
							a = answer(n)
						case cut && n%20 == 10:
							g[0].cut()
						}
						mu.Lock()
						defer mu.Unlock()
						text := string(m.ShortMessage)
						if a.Status == smpp.StatusOK {
							shown[text]++
						}
						if time.Now().After(over[text]) {
							late++
						}
						return a
					}
				}
				g[0].answer, g[1].answer = show(c.answer, c.cut), show(nil, false)
				if c.mangle != nil {
					mangle := c.mangle()
					g[0].mangles(func(pdu []byte) [][]byte {
						if healthy() {
							return [][]byte{pdu}
						}
						return mangle(pdu)
					})
				}
				var running sync.WaitGroup
				place := func(i int) {
					text := fmt.Sprintf("text %d", i)
					mu.Lock()
					over[text] = time.Now().Add(ring)
					mu.Unlock()
					running.Go(func() {
						ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(ring))
						defer cancel()
						o := l.Deliver(ctx, delivery(text))
						mu.Lock()
						defer mu.Unlock()
						states[o.State]++
					})
				}
				for i := range 200 {
					place(i)
					time.Sleep(50 * time.Millisecond)
				}
				running.Wait()
				during := maps.Clone(states)
				time.Sleep(time.Minute) // the longest wait to be bound again
				clear(states)
				for i := range 100 {
					place(1000 + i)
					time.Sleep(50 * time.Millisecond)
				}
				running.Wait()
				for text, times := range shown {
					if times > 1 {
						t.Errorf("%s was shown %d times", text, times)
					}
				}
				if late > 0 {
					t.Errorf("%d texts were sent after their calls", late)
				}
				if during[callsign.Accepted] < 150 || during[callsign.Accepted]+during[callsign.Ambiguous] != 200 || (during[callsign.Ambiguous] > 0) != c.ambiguous {
					t.Errorf("during the fault: %v", during)
				}
				if states[callsign.Accepted] != 100 {
					t.Errorf("after it: %v", states)
				}
			})
		})
	}
}
