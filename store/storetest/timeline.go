package storetest

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

// event is of our n-th call, which began n seconds after noon.
func event(n int, kind callsign.EventKind) callsign.Event {
	at := noon.Add(time.Duration(n) * time.Second)
	return callsign.Event{
		Call: callsign.Call{
			ID: callsign.NewCallID(at, callsign.BranchKey{byte(n)}), Caller: ben, Callee: anna, SIPCallID: "a@b", Once: "icid",
			Access: "3GPP-GERAN", AccessFrom: callsign.AccessRegistration, Exempt: "", At: at,
		},
		Tenant: ours.Tenant, At: at, Kind: kind,
	}
}

func timeline(t *testing.T, e Engine) {
	ctx := t.Context()
	invite := event(1, callsign.EventInvite)
	ringing := event(1, callsign.EventRinging)
	ringing.At = ringing.At.Add(80 * time.Millisecond)
	submitted := event(1, callsign.EventSubmitted)
	submitted.At, submitted.Link, submitted.Text, submitted.Wire = ringing.At, "a", "hello", []byte{0, 1}
	receipt := event(1, callsign.EventReceipt)
	receipt.At, receipt.MessageID, receipt.Reason = ringing.At.Add(time.Second), "4711", "DELIVRD"
	early := ringing
	early.Tenant = "" // the callee wasn't looked up yet

	timelineOf := func(ev callsign.Event) callsign.Timeline {
		t.Helper()
		got, err := e.Timeline(ctx, ours, ev.Call.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if err := e.AppendEvents(ctx, []callsign.Event{early}); err != nil {
		t.Fatal(err)
	}
	_, err := e.Timeline(ctx, ours, early.Call.ID)
	wantErr(t, "a call that is nobody's yet", err, callsign.ErrNotFound)
	for _, batch := range [][]callsign.Event{{receipt, submitted}, {invite}} {
		if err := e.AppendEvents(ctx, batch); err != nil {
			t.Fatal(err)
		}
	}
	got, want := timelineOf(invite), callsign.Timeline{
		Call:   invite.Call,
		Events: []callsign.Event{invite, ringing, submitted, receipt},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("timeline is\n%+v, want\n%+v", got, want)
	}
	_, err = e.Timeline(ctx, ours, callsign.CallID{1})
	wantErr(t, "an unknown call", err, callsign.ErrNotFound)

	var more []callsign.Event
	for n := 2; n <= 5; n++ {
		ev := event(n, callsign.EventInvite)
		if n == 3 {
			ev.Call.Caller, ev.Call.Callee = anna, chloe
		}
		more = append(more, ev)
	}
	if err := e.AppendEvents(ctx, more); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		filter callsign.CallFilter
		want   []int // the seconds after noon
	}{
		"all, newest first":       {callsign.CallFilter{}, []int{5, 4, 3, 2, 1}},
		"of a callee":             {callsign.CallFilter{Callee: chloe}, []int{3}},
		"of a caller":             {callsign.CallFilter{Caller: ben}, []int{5, 4, 2, 1}},
		"of both":                 {callsign.CallFilter{Caller: ben, Callee: chloe}, nil},
		"since, itself included":  {callsign.CallFilter{Since: more[2].At}, []int{5, 4}},
		"since a microsecond on":  {callsign.CallFilter{Since: more[2].At.Add(time.Microsecond)}, []int{5}},
		"until, itself excluded":  {callsign.CallFilter{Until: more[2].At}, []int{3, 2, 1}},
		"until a microsecond on":  {callsign.CallFilter{Until: more[2].At.Add(time.Microsecond)}, []int{4, 3, 2, 1}},
		"between two times":       {callsign.CallFilter{Since: more[0].At, Until: more[2].At}, []int{3, 2}},
		"a page":                  {callsign.CallFilter{Page: callsign.Page{Limit: 2}}, []int{5, 4}},
		"the next page":           {callsign.CallFilter{Page: callsign.Page{Limit: 2, After: more[2].Call.ID.String()}}, []int{3, 2}},
		"a page of a caller's":    {callsign.CallFilter{Caller: ben, Page: callsign.Page{Limit: 2, After: more[2].Call.ID.String()}}, []int{2, 1}},
		"no limit is a small one": {callsign.CallFilter{Page: callsign.Page{Limit: -1}}, []int{5, 4, 3, 2, 1}},
	} {
		calls, err := e.Calls(ctx, ours, c.filter)
		var got []int
		for _, call := range calls {
			got = append(got, int(call.At.Sub(noon)/time.Second))
		}
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: calls %v, %v, want %v", name, got, err, c.want)
		}
	}
	if _, err := e.Calls(ctx, ours, callsign.CallFilter{Page: callsign.Page{After: "nonsense"}}); err == nil {
		t.Error("a page after nonsense was given")
	}

	private := event(6, callsign.EventInvite)
	private.Call.Private = true
	private = private.Kept()
	if err := e.AppendEvents(ctx, []callsign.Event{private}); err != nil {
		t.Fatal(err)
	}
	if got := timelineOf(private); !got.Call.Private || got.Call.Caller != 0 {
		t.Errorf("a private call is %+v", got.Call)
	}
	if calls, err := e.Calls(ctx, ours, callsign.CallFilter{Caller: ben, Page: callsign.Page{Limit: 1}}); err != nil || len(calls) != 1 || calls[0].Private {
		t.Errorf("by its caller a private call is found: %+v, %v", calls, err)
	}
	if n, err := e.Forget(ctx, more[2].At); err != nil || n != 3 {
		t.Errorf("forgot %d, %v, want 3", n, err)
	}
	_, err = e.Timeline(ctx, ours, invite.Call.ID)
	wantErr(t, "a forgotten call", err, callsign.ErrNotFound)
	if got := timelineOf(more[2]); len(got.Events) != 1 {
		t.Errorf("a younger call has %+v", got.Events)
	}
	if n, err := e.Forget(ctx, more[2].At); err != nil || n != 0 {
		t.Errorf("forgot %d, %v, want nothing more", n, err)
	}
	if err := e.AppendEvents(ctx, []callsign.Event{receipt}); err != nil {
		t.Errorf("a receipt of a forgotten call: %v", err)
	}
	if got := timelineOf(receipt); len(got.Events) != 1 {
		t.Errorf("a receipt of a forgotten call finds %+v", got.Events)
	}
}
