package sipas

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

type optOuts struct{ refused, known bool }

func (o optOuts) Refuses(caller, _ callsign.MSISDN) (bool, bool) {
	return o.refused && caller == alice, o.known
}

func TestWhoOptedOutIsSentNothing(t *testing.T) {
	for sentence, c := range map[string]struct {
		optOuts optOuts
		sent    int
		last    string
	}{
		"who didn't is":                   {optOuts{false, true}, 1, ""},
		"who did isn't":                   {optOuts{true, true}, 0, "skipped: opted_out"},
		"nobody is, while it isn't known": {optOuts{false, false}, 0, "skipped: unavailable"},
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
