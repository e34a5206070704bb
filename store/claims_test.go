package store

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callsign-as/callsign"
)

func delivery(caller, callee callsign.MSISDN, once, text string) callsign.Delivery {
	return callsign.Delivery{Call: callsign.Call{Caller: caller, Callee: callee, Once: once}, Text: text}
}

func TestClaims(t *testing.T) {
	// A step waits, settles the delivery with the state or, without one, claims it.
	type step struct {
		wait   time.Duration
		d      callsign.Delivery
		settle callsign.OutcomeState
		want   string
	}
	claim := func(caller, callee callsign.MSISDN, once, text, want string) step {
		return step{d: delivery(caller, callee, once, text), want: want}
	}
	asked := func(repeat time.Duration, perDay int, s step) step { s.d.Repeat, s.d.PerDay = repeat, perDay; return s }
	callees := func(perCallee int, s step) step { s.d.PerCallee = perCallee; return s }
	after := func(d time.Duration, s step) step { s.wait = d; return s }
	settle := func(caller, callee callsign.MSISDN, once, text string, state callsign.OutcomeState) step {
		return step{d: delivery(caller, callee, once, text), settle: state}
	}
	for sentence, c := range map[string]struct {
		o     ClaimsOptions
		steps []step
	}{
		"a call's text is delivered once in three minutes": {ClaimsOptions{}, []step{
			claim(1, 2, "a", "x", ""), claim(1, 2, "a", "x", AlreadyDelivered), claim(1, 2, "b", "x", ""),
			claim(1, 3, "a", "x", ""), claim(3, 2, "a", "x", ""),
			after(179*time.Second, claim(1, 2, "a", "x", AlreadyDelivered)),
			after(time.Second, claim(1, 2, "a", "x", "")),
		}},
		"calls that nothing tells apart but their ID are told apart": {ClaimsOptions{}, []step{
			{d: callsign.Delivery{Call: callsign.Call{ID: callsign.CallID{1}}}},
			{d: callsign.Delivery{Call: callsign.Call{ID: callsign.CallID{2}}}},
			{d: callsign.Delivery{Call: callsign.Call{ID: callsign.CallID{1}}}, want: AlreadyDelivered},
		}},
		"once: until the text changes": {ClaimsOptions{Repeat: callsign.RepeatOnce}, []step{
			claim(1, 2, "a", "x", ""), claim(1, 2, "b", "x", Repeated), claim(1, 3, "c", "x", ""), claim(4, 2, "d", "x", ""),
			after(1000*time.Hour, claim(1, 2, "e", "x", Repeated)), claim(1, 2, "f", "y", ""), claim(1, 2, "g", "y", Repeated),
		}},
		"a period: whatever the text": {ClaimsOptions{Repeat: 24 * time.Hour}, []step{
			claim(1, 2, "a", "x", ""), claim(1, 2, "b", "y", Repeated), claim(1, 3, "c", "x", ""),
			after(24*time.Hour-time.Second, claim(1, 2, "d", "x", Repeated)),
			after(time.Second, claim(1, 2, "e", "x", "")), claim(1, 2, "f", "x", Repeated),
		}},
		"a caller gets so many in an hour, any hour": {ClaimsOptions{PerCaller: 2}, []step{
			claim(1, 2, "a", "x", ""), after(50*time.Minute, claim(1, 3, "b", "x", "")), claim(1, 4, "c", "x", CallerCap),
			claim(9, 4, "d", "x", ""),
			after(10*time.Minute, claim(1, 4, "e", "x", "")), claim(1, 4, "f", "x", CallerCap),
			after(50*time.Minute, claim(1, 4, "g", "x", "")), claim(1, 5, "h", "x", CallerCap),
		}},
		"all callers together get so many in a second, any second": {ClaimsOptions{PerSecond: 2}, []step{
			claim(1, 2, "a", "x", ""), after(900*time.Millisecond, claim(2, 2, "b", "x", "")),
			after(99*time.Millisecond, claim(3, 2, "c", "x", GlobalCap)),
			after(time.Millisecond, claim(3, 2, "c", "x", "")), claim(4, 2, "d", "x", GlobalCap),
		}},
		"a policy asks for once where the node doesn't": {ClaimsOptions{}, []step{
			asked(callsign.RepeatOnce, 0, claim(1, 2, "a", "x", "")), asked(callsign.RepeatOnce, 0, claim(1, 2, "b", "x", Repeated)),
			asked(callsign.RepeatOnce, 0, claim(1, 2, "c", "y", "")), claim(1, 2, "d", "x", ""),
			after(1000*time.Hour, asked(callsign.RepeatOnce, 0, claim(1, 2, "e", "x", Repeated))),
		}},
		"a policy asks for a longer period than another": {ClaimsOptions{Repeat: time.Hour}, []step{
			asked(3*time.Hour, 0, claim(1, 2, "a", "x", "")), claim(1, 3, "b", "x", ""),
			after(time.Hour, asked(3*time.Hour, 0, claim(1, 2, "c", "x", Repeated))), claim(1, 3, "d", "x", ""),
			after(2*time.Hour, asked(3*time.Hour, 0, claim(1, 2, "e", "x", ""))),
		}},
		"a caller gets so many in a day, any day, whosever": {ClaimsOptions{}, []step{
			asked(0, 2, claim(1, 2, "a", "x", "")), after(20*time.Hour, asked(0, 2, claim(1, 3, "b", "x", ""))),
			asked(0, 2, claim(1, 4, "c", "x", DayCap)), asked(0, 3, claim(1, 5, "d", "x", "")), asked(0, 2, claim(9, 4, "e", "x", "")),
			claim(1, 6, "f", "x", ""), after(4*time.Hour, asked(0, 3, claim(1, 4, "g", "x", ""))), asked(0, 2, claim(1, 4, "h", "x", DayCap)),
		}},
		"of one callee's texts a caller gets so many in a day, any day": {ClaimsOptions{}, []step{
			callees(2, claim(1, 2, "a", "x", "")), after(20*time.Hour, callees(2, claim(1, 2, "b", "x", ""))), callees(2, claim(1, 2, "c", "x", DayCap)),
			callees(2, claim(1, 3, "d", "x", "")), callees(2, claim(9, 2, "e", "x", "")), claim(1, 2, "f", "x", ""),
			after(4*time.Hour, callees(2, claim(1, 2, "g", "x", ""))), callees(2, claim(1, 2, "h", "x", DayCap)),
		}},
		"of the caps of one callee and of all the stricter holds": {ClaimsOptions{}, []step{
			asked(0, 3, callees(1, claim(1, 2, "a", "x", ""))), asked(0, 3, callees(1, claim(1, 2, "b", "x", DayCap))), asked(0, 3, claim(1, 3, "c", "x", "")),
			asked(0, 3, callees(5, claim(1, 4, "d", "x", ""))), asked(0, 3, callees(5, claim(1, 4, "e", "x", DayCap))),
		}},
		"what failed gives one callee's back, too": {ClaimsOptions{}, []step{
			asked(0, 2, callees(1, claim(1, 2, "a", "x", ""))), settle(1, 2, "a", "x", callsign.Failed), asked(0, 2, callees(1, claim(1, 2, "b", "x", ""))),
			callees(1, claim(1, 2, "c", "x", DayCap)), asked(0, 2, claim(1, 3, "d", "x", "")), asked(0, 2, claim(1, 3, "e", "x", DayCap)),
		}},
		"what failed gives a day's back": {ClaimsOptions{}, []step{
			asked(0, 1, claim(1, 2, "a", "x", "")), asked(0, 1, settle(1, 2, "a", "x", callsign.Failed)),
			asked(0, 1, claim(1, 2, "b", "x", "")), asked(0, 1, claim(1, 3, "c", "x", DayCap)),
		}},
		"a refusal uses nothing up": {ClaimsOptions{Repeat: callsign.RepeatOnce, PerCaller: 2, PerSecond: 1}, []step{
			claim(1, 2, "a", "x", ""), claim(1, 3, "b", "x", GlobalCap), claim(1, 3, "b", "x", GlobalCap),
			after(time.Second, claim(1, 3, "b", "x", "")), after(time.Second, claim(1, 4, "c", "x", CallerCap)), claim(5, 4, "d", "x", ""),
		}},
		"what failed or was dropped gives all back": {ClaimsOptions{Repeat: callsign.RepeatOnce, PerCaller: 1}, []step{
			claim(1, 2, "a", "x", ""), settle(1, 2, "a", "x", callsign.Failed),
			claim(1, 2, "a", "x", ""), settle(1, 2, "a", "x", callsign.Dropped),
			claim(1, 2, "b", "x", ""), claim(1, 3, "c", "x", CallerCap),
		}},
		"what was or may have been shown gives nothing back": {ClaimsOptions{Repeat: callsign.RepeatOnce, PerCaller: 2}, []step{
			claim(1, 2, "a", "x", ""), settle(1, 2, "a", "x", callsign.Accepted), claim(1, 2, "a", "x", AlreadyDelivered),
			claim(1, 2, "b", "x", Repeated), claim(1, 3, "c", "x", ""), settle(1, 3, "c", "x", callsign.Ambiguous),
			claim(1, 3, "c", "x", AlreadyDelivered), claim(1, 3, "d", "x", Repeated), claim(1, 4, "e", "x", CallerCap),
		}},
		"settling twice, or what was never claimed, gives nothing away": {ClaimsOptions{PerCaller: 2}, []step{
			claim(1, 2, "a", "x", ""), claim(1, 2, "b", "x", ""), settle(1, 2, "z", "x", callsign.Failed),
			settle(1, 2, "b", "x", callsign.Failed), settle(1, 2, "b", "x", callsign.Failed),
			claim(1, 2, "c", "x", ""), claim(1, 2, "d", "x", CallerCap),
		}},
		"a late failure takes no other call's mark": {ClaimsOptions{Repeat: time.Minute}, []step{
			claim(1, 2, "a", "x", ""), after(61*time.Second, claim(1, 2, "b", "x", "")),
			settle(1, 2, "a", "x", callsign.Failed), claim(1, 2, "c", "x", Repeated),
		}},
		"a claim Repeated while the window slides stays exact": {ClaimsOptions{PerCaller: 2, Per: time.Minute}, []step{
			claim(1, 2, "a", "x", ""), after(30*time.Second, claim(1, 2, "b", "x", "")),
			after(31*time.Second, claim(1, 2, "b", "x", AlreadyDelivered)), claim(1, 2, "b", "x", AlreadyDelivered),
			claim(1, 2, "c", "x", ""), claim(1, 2, "d", "x", CallerCap), after(30*time.Second, claim(1, 2, "d", "x", "")),
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				claims := NewClaims(c.o)
				for i, s := range c.steps {
					time.Sleep(s.wait)
					if s.settle != "" {
						if err := claims.Settle(t.Context(), s.d, callsign.Outcome{State: s.settle}); err != nil {
							t.Errorf("step %d: %v", i, err)
						}
						continue
					}
					if got, err := claims.Claim(t.Context(), s.d); got != s.want || err != nil {
						t.Errorf("step %d: refusal %q, %v, want %q", i, got, err, s.want)
					}
				}
			})
		})
	}
}

func TestClaimsAreAtomic(t *testing.T) {
	c := NewClaims(ClaimsOptions{PerCaller: 5})
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex
		granted int
	)
	for i := range 50 {
		wg.Go(func() {
			if refusal, _ := c.Claim(t.Context(), delivery(1, 2, fmt.Sprint(i/2), "x")); refusal == "" {
				mu.Lock()
				granted++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if granted != 5 {
		t.Errorf("%d of 50 claims at once were granted, want 5", granted)
	}
}

func TestClaimsAreBounded(t *testing.T) {
	c := NewClaims(ClaimsOptions{Repeat: callsign.RepeatOnce, PerCaller: 1, Remember: 10, Metrics: prometheus.NewRegistry()})
	for i := range callsign.MSISDN(25) {
		if refusal, _ := c.Claim(t.Context(), delivery(i, 2, "a", "x")); refusal != "" {
			t.Fatalf("caller %d: %s", i, refusal)
		}
	}
	for name, n := range map[string]int{"calls": len(c.calls.at), "seen": len(c.seen.at), "grants": len(c.grants.at)} {
		if n != 10 {
			t.Errorf("%d %s are remembered, want 10", n, name)
		}
	}
	if got := testutil.ToFloat64(c.evicted); got != 3*15 {
		t.Errorf("%v evictions are counted, want 45", got)
	}
	if refusal, _ := c.Claim(t.Context(), delivery(24, 2, "a", "x")); refusal != AlreadyDelivered {
		t.Errorf("the latest was forgotten: %q", refusal)
	}
	if refusal, _ := c.Claim(t.Context(), delivery(0, 2, "a", "x")); refusal != "" {
		t.Errorf("the oldest was not forgotten: %q", refusal)
	}
}

func TestClaimsForgetWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := NewClaims(ClaimsOptions{Repeat: time.Hour, PerCaller: 20})
		for i := range callsign.MSISDN(100) {
			_, _ = c.Claim(t.Context(), delivery(i, 2, "a", "x"))
		}
		capped := delivery(1001, 2, "a", "x")
		capped.PerDay, capped.PerCallee = 2, 1
		_, _ = c.Claim(t.Context(), capped)
		time.Sleep(Day)
		_, _ = c.Claim(t.Context(), delivery(1000, 2, "a", "x"))
		if got := [...]int{len(c.calls.at), len(c.seen.at), len(c.grants.at), len(c.days.at)}; got != [...]int{1, 1, 1, 0} {
			t.Errorf("remembered are %v, want the last one only", got)
		}
	})
}
