package gsmbridge

import (
	"testing"
	"testing/synctest"
	"time"
)

// given is how many messages p lets through within d, tried each millisecond.
func given(t *testing.T, p *pace, d time.Duration) (n int) {
	for start := time.Now(); time.Since(start) < d; time.Sleep(time.Millisecond) {
		if p.take(t.Context(), 1, false) == nil {
			n++
		}
	}
	return n
}

func TestPace(t *testing.T) {
	for name, configured := range map[string]float64{"of a limited link": 200, "of one without limit": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPace(configured, 1)
				before := given(t, p, 500*time.Millisecond)
				for range 100 { // all that was under way
					p.throttled(time.Now())
				}
				slow := given(t, p, time.Second)
				if want := before; slow < want-before/5 || slow > want+before/5 { // half of the rate, in twice the time
					t.Errorf("got %d in a second after %d in half of one, want as many", slow, before)
				}
				for range 5 {
					p.throttled(time.Now())
					time.Sleep(paceStep)
				}
				if got := p.slowedTo(); got < float64(slowest) || got > float64(slow)/8 {
					t.Errorf("throttled again and again it goes at %v, want at most an eighth of %d", got, slow)
				}
				recovered := 0
				for ; p.slowedTo() > 0 && recovered < 200; recovered++ {
					time.Sleep(paceStep)
					p.accepted(time.Now())
				}
				if recovered > 25 {
					t.Errorf("it took %d s to recover", recovered)
				}
				if after := given(t, p, 500*time.Millisecond); after < before*9/10 {
					t.Errorf("recovered it gives %d, want %d as before", after, before)
				}
			})
		})
	}
}

func TestAPatientTextWaitsOnlyAsLongAsItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPace(1, 1)
		if err := p.take(t.Context(), 1, false); err != nil {
			t.Error(err)
		}
		if err := p.take(t.Context(), 1, false); err == nil {
			t.Error("a second text in the same second went through")
		}
		if err := p.take(t.Context(), 1, true); err != nil {
			t.Error(err)
		}
	})
}
