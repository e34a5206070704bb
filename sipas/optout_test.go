package sipas

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

type optOuts struct {
	wants callsign.Wants
	known bool
}

func (o optOuts) Wants(caller, _ callsign.MSISDN) (callsign.Wants, bool) {
	if caller != alice {
		return callsign.Wants{}, o.known
	}
	return o.wants, o.known
}

func TestWhoOptedOutIsSentNothing(t *testing.T) {
	for sentence, c := range map[string]struct {
		optOuts optOuts
		sent    int
		last    string
	}{
		"who didn't is":                   {optOuts{known: true}, 1, ""},
		"who did isn't":                   {optOuts{callsign.Wants{None: true}, true}, 0, "skipped: opted_out"},
		"whatever the rest says":          {optOuts{callsign.Wants{None: true, PerDay: 9}, true}, 0, "skipped: opted_out"},
		"who wants only some is":          {optOuts{callsign.Wants{PerDay: 9}, true}, 1, ""},
		"nobody is, while it isn't known": {optOuts{}, 0, "skipped: unavailable"},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := subscriber()
				ws, err := New(Options{Config: config(nil), Profiles: r, Claims: r, OptOuts: c.optOuts, Bridge: r, Recorder: r})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				d := callsign.Delivery{Call: callsign.Call{Caller: alice, Callee: bob}, Profile: r.profile, Text: "x"}
				ws.newWorker(nil).deliver(ctx, d, time.Now())
				if len(r.deliveries) != c.sent || c.last != "" && !slices.Contains(r.lines, c.last) {
					t.Errorf("%d sent, lines %q, want %d and %q", len(r.deliveries), r.lines, c.sent, c.last)
				}
			})
		})
	}
}

func TestOfTheCallersCapsAndTheOperatorsTheSmallerHolds(t *testing.T) {
	type wants = callsign.Wants
	for sentence, c := range map[string]struct {
		operators int
		callers   wants
		want      wants
	}{
		"nobody says one":                {0, wants{}, wants{}},
		"the operator alone":             {3, wants{}, wants{PerDay: 3}},
		"the caller alone":               {0, wants{PerDay: 2}, wants{PerDay: 2}},
		"the operator's is smaller":      {3, wants{PerDay: 5}, wants{PerDay: 3}},
		"the caller's is":                {3, wants{PerDay: 2}, wants{PerDay: 2}},
		"the caller's of one callee":     {3, wants{PerCallee: 1}, wants{PerDay: 3, PerCallee: 1}},
		"of one and all beside it":       {3, wants{PerDay: 2, PerCallee: 1}, wants{PerDay: 2, PerCallee: 1}},
		"of one callee more than of all": {0, wants{PerDay: 2, PerCallee: 9}, wants{PerDay: 2, PerCallee: 9}},
	} {
		t.Run(sentence, func(t *testing.T) {
			tenant, err := callsign.TenantPolicy{PerDay: c.operators}.Compile(1)
			if err != nil {
				t.Fatal(err)
			}
			r := subscriber()
			ws, err := New(Options{
				Config: config(nil), Profiles: r, Claims: r, Bridge: r, Recorder: r,
				OptOuts: optOuts{c.callers, true}, Tenants: tenants{tenant},
			})
			if err != nil {
				t.Fatal(err)
			}
			call := callsign.Call{Caller: alice, Callee: bob}
			is := func(when string, perDay, perCallee int) {
				t.Helper()
				if got := (wants{PerDay: perDay, PerCallee: perCallee}); got != c.want {
					t.Errorf("%s: %+v, want %+v", when, got, c.want)
				}
			}
			would := ws.Decide(call, r.profile, time.Now())
			is("what-if", would.PerDay, would.PerCallee)
			before := Decide(call, r.profile, ws.operator.With(tenant), time.Now()).Delivery(call, r.profile) // the caller says it only now
			ws.newWorker(nil).deliver(t.Context(), before, time.Now())
			if len(r.claims) != 1 {
				t.Fatalf("%d claims", len(r.claims))
			}
			is("at release", r.claims[0].PerDay, r.claims[0].PerCallee)
		})
	}
}
