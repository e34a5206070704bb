package storetest

import (
	"testing"

	"github.com/callsign-as/callsign"
)

// erase erases Anna, who was called by Ben, called Chloe, and called herself; Ben's call to Chloe is not hers.
func erase(t *testing.T, e Engine) {
	ctx := t.Context()
	put(t, e, ours, anna, [2]string{"qq", "anna's account"})
	put(t, e, ours, chloe)
	keep(t, e, said("qq", "anna's account", "Anna's text", callsign.TimedStamp(noon)))
	for id, m := range map[string]callsign.MSISDN{"a": anna, "c": chloe} {
		if err := e.PutKey(ctx, callsign.Key{
			ID: id, Hash: [32]byte{id[0]}, Scope: callsign.Scope{Tenant: ours.Tenant, Role: callsign.RoleSubscriber, MSISDN: m},
		}); err != nil {
			t.Fatal(err)
		}
	}
	numbers := [][2]callsign.MSISDN{{ben, anna}, {anna, chloe}, {anna, anna}, {ben, chloe}, {ben, anna}}
	ids := make([]callsign.CallID, len(numbers))
	var events []callsign.Event
	for n, of := range numbers {
		ev := event(n, callsign.EventSubmitted)
		ev.Call.Caller, ev.Call.Callee, ev.Call.SIPCallID, ev.Call.Once = of[0], of[1], "anna@192.0.2.1", "icid of anna"
		ev.Reason, ev.Link, ev.MessageID, ev.Text, ev.Wire = "because", "a", "anna's message", "Anna's text", []byte("tel:anna")
		ids[n] = ev.Call.ID
		events = append(events, ev)
	}
	events[4].Tenant = "" // nobody's to read until it is named
	if err := e.AppendEvents(ctx, events); err != nil {
		t.Fatal(err)
	}
	if calls, err := e.Erase(ctx, ours, anna); err != nil || calls != 4 {
		t.Errorf("erased from %d calls, %v, want 4", calls, err)
	}
	late := event(4, callsign.EventEnded)
	if err := e.AppendEvents(ctx, []callsign.Event{late}); err != nil {
		t.Fatal(err)
	}
	for n, want := range [][2]callsign.MSISDN{{ben, 0}, {0, chloe}, {0, 0}, {ben, chloe}, {ben, 0}} {
		got, err := e.Timeline(ctx, ours, ids[n])
		if err != nil {
			t.Fatal(err)
		}
		if of := [2]callsign.MSISDN{got.Call.Caller, got.Call.Callee}; of != want {
			t.Errorf("call %d is now of %d, want %d", n, of, want)
		}
		if !got.Call.At.Equal(events[n].At) || got.Events[0].Reason != "because" || got.Events[0].Link != "a" {
			t.Errorf("call %d lost what leads to nobody: %+v", n, got)
		}
		for what, kept := range map[string]string{
			"Call-ID": got.Call.SIPCallID, "once": got.Call.Once, "text": got.Events[0].Text, "message id": got.Events[0].MessageID,
			"message": string(got.Events[0].Wire),
		} {
			if hers := n != 3; (kept == "") != hers {
				t.Errorf("call %d, of hers %v: its %s is %q", n, hers, what, kept)
			}
		}
	}
	_, err := e.Subscriber(ctx, ours, anna)
	wantErr(t, "her entry", err, callsign.ErrNotFound)
	_, err = e.Profile(ctx, anna)
	wantErr(t, "her profile", err, callsign.ErrNotFound)
	if keys, err := e.Keys(ctx, ours, callsign.Page{}); err != nil || len(keys) != 1 || keys[0].ID != "c" {
		t.Errorf("left are the keys %+v, %v", keys, err)
	}
	if calls, err := e.Calls(ctx, ours, callsign.CallFilter{Caller: anna}); err != nil || len(calls) > 0 {
		t.Errorf("by her number calls are found: %+v, %v", calls, err)
	}
	_, err = e.Erase(ctx, ours, anna)
	wantErr(t, "erasing her again", err, callsign.ErrNotFound)
	_, err = e.Erase(ctx, ours, 0)
	wantErr(t, "erasing who has no number", err, callsign.ErrNotFound)

	// One who only called is erased too, from more calls than one step takes.
	events = nil
	for n := range 600 {
		ev := event(n, callsign.EventInvite)
		ev.Call.Caller = 8613800000009
		ev.Call.ID[15]++
		events = append(events, ev)
	}
	if err := e.AppendEvents(ctx, events); err != nil {
		t.Fatal(err)
	}
	if calls, err := e.Erase(ctx, ours, 8613800000009); err != nil || calls != 600 {
		t.Errorf("a caller was erased from %d calls, %v, want 600", calls, err)
	}
}
