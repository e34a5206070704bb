package storetest

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callsign-as/callsign"
)

// judged is an entry that the intake passes on with a review of its own.
func judged(en callsign.Entry, review callsign.Review) callsign.Entry {
	if en.Review = review; review != callsign.Unasked {
		en.Reason = "why " + en.Text
	}
	if review == callsign.Held || review == callsign.Barred {
		en.Shown = ""
	}
	return en
}

// cleanly stands for what makes of a text what is shown.
func cleanly(text string) string { return "clean " + text }

func verdict(en callsign.Entry, m callsign.MSISDN, review callsign.Review) callsign.Verdict {
	return callsign.Verdict{
		MSISDN: m, Network: en.Network, Account: en.Account, Stamp: en.Stamp, Review: review, Reason: "a person's", At: noon.Add(time.Hour),
	}
}

func reviews(t *testing.T, e Engine) {
	ctx := t.Context()
	put(t, e, ours, anna, [2]string{"qq", "1"}, [2]string{"xmpp", "a/b"})
	shows := func(what, want string) {
		t.Helper()
		if p, err := e.Profile(ctx, anna); err != nil || p.Signature.Shown != want || p.Signature.Review != "" || p.Signature.Reason != "" {
			t.Errorf("%s: a call gets %+v, %v, want %q", what, p.Signature, err, want)
		}
	}
	listed := func(state callsign.Review) (texts []string) {
		t.Helper()
		rs, err := e.Reviews(ctx, ours, state, callsign.Page{})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range rs {
			s, err := e.Subscriber(ctx, ours, r.MSISDN)
			if err != nil || !slices.Contains(s.Accounts, r.Signature) {
				t.Errorf("%+v is listed, the subscriber is %+v, %v", r, s, err)
			}
			texts = append(texts, r.Text)
		}
		return texts
	}
	first := said("qq", "1", "first", callsign.Stamp{Version: 1})
	held := judged(said("qq", "1", "held", callsign.Stamp{Version: 2}), callsign.Held)
	barred := judged(said("xmpp", "a/b", "barred", callsign.TimedStamp(noon)), callsign.Barred)
	if got, want := keep(t, e, first, held, barred), []callsign.Status{callsign.Stored, callsign.Pending, callsign.Rejected}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := keep(t, e, held); got[0] != callsign.Duplicate {
		t.Errorf("a held text that comes again is %s", got[0])
	}
	shows("held, after one that was shown", "")
	if got := listed(callsign.Held); !slices.Equal(got, []string{"held"}) {
		t.Errorf("pending are %q", got)
	}
	if got := listed(callsign.Barred); !slices.Equal(got, []string{"barred"}) {
		t.Errorf("rejected are %q", got)
	}
	review := func(what string, v callsign.Verdict, want error) {
		t.Helper()
		before, err := e.Subscriber(ctx, ours, anna)
		if err != nil {
			t.Fatal(err)
		}
		wantErr(t, what, e.Review(ctx, ours, v, cleanly), want)
		after, err := e.Subscriber(ctx, ours, anna)
		if err != nil || (after.Rev > before.Rev) != (want == nil) {
			t.Errorf("%s: the revision was %d and is %d, %v", what, before.Rev, after.Rev, err)
		}
	}
	review("of what it said before", verdict(first, anna, callsign.Approved), callsign.ErrChanged)
	review("of another number", verdict(held, ben, callsign.Approved), callsign.ErrNotFound)
	review("of another account", verdict(said("qq", "2", "x", held.Stamp), anna, callsign.Approved), callsign.ErrNotFound)
	review("of an account that is silent", verdict(said(callsign.ManualNetwork, anna.E164()[1:], "", callsign.Stamp{}), anna, callsign.Approved), callsign.ErrChanged)
	shows("still held", "")
	review("of what it says", verdict(held, anna, callsign.Approved), nil)
	shows("approved", "clean held")
	if got := listed(callsign.Approved); !slices.Equal(got, []string{"held"}) || listed(callsign.Held) != nil {
		t.Errorf("approved are %q, pending %q", got, listed(callsign.Held))
	}
	again := held
	again.Stamp.Version, again.ID = 3, "another"
	if got := keep(t, e, again); got[0] != callsign.Stored {
		t.Errorf("an approved text that is said again is %s", got[0])
	}
	shows("said again", "clean held")
	review("of the first time that it was said", verdict(held, anna, callsign.Barred), callsign.ErrChanged)
	review("taking it back", verdict(again, anna, callsign.Barred), nil)
	shows("taken back", "")
	again.Stamp.Version = 4
	if got := keep(t, e, judged(again, callsign.Unasked)); got[0] != callsign.Rejected {
		t.Errorf("a rejected text that is said again is %s", got[0])
	}
	another := judged(said("qq", "1", "another", callsign.Stamp{Version: 5}), callsign.Held)
	if got := keep(t, e, another); got[0] != callsign.Pending {
		t.Errorf("a new text is %s", got[0])
	}
	if s, err := e.Subscriber(ctx, ours, anna); err != nil || s.Accounts[1].Review != callsign.Held || s.Accounts[1].Reason != "why another" || !s.Accounts[1].Reviewed.IsZero() {
		t.Errorf("the new text is kept as %+v, %v", s.Accounts[1], err)
	}
	review("overruling the words", verdict(barred, anna, callsign.Approved), nil)
	shows("overruled", "clean barred")
	if _, err := e.Erase(ctx, ours, anna); err != nil {
		t.Fatal(err)
	}
	if listed(callsign.Held) != nil || listed(callsign.Approved) != nil {
		t.Error("an erased number's texts are listed")
	}
}

// reviewPages walks a list while what was read of it is decided, as people do.
func reviewPages(t *testing.T, e Engine) {
	ctx := t.Context()
	var entries []callsign.Entry
	var want []string
	for i := range 5 {
		m, name := anna+callsign.MSISDN(i), strings.Repeat("x/", i)
		put(t, e, ours, m, [2]string{"qq", name + "a"}, [2]string{"xmpp", name + "b"})
		for j, account := range []string{name + "a", name + "b"} {
			en := judged(said([]string{"qq", "xmpp"}[j], account, fmt.Sprint(i/2, j, i), callsign.Stamp{Version: 1}), callsign.Held)
			en.At = noon.Add(time.Duration(i/2) * time.Second)
			entries, want = append(entries, en), append(want, en.Text)
		}
	}
	keep(t, e, entries...)
	put(t, e, ours, anna+5, [2]string{"qq", "old"})
	old := judged(said("qq", "old", " said before 1970", callsign.Stamp{Version: 1}), callsign.Held)
	old.At = time.Unix(-86400, 0)
	keep(t, e, old)
	want = append(want, old.Text)
	slices.Sort(want) // by time, network and account
	var got []string
	for page := (callsign.Page{Limit: 3}); ; {
		rs, err := e.Reviews(ctx, ours, callsign.Held, page)
		if err != nil {
			t.Fatal(err)
		}
		if len(rs) == 0 {
			break
		}
		for i, r := range rs {
			got = append(got, r.Text)
			en := said(r.Network, r.Account, r.Text, r.Stamp)
			if i > 0 { // the first of each page stays
				wantErr(t, "deciding on "+r.Text, e.Review(ctx, ours, verdict(en, r.MSISDN, callsign.Approved), cleanly), nil)
			}
		}
		page.After = rs[len(rs)-1].Place()
	}
	if !slices.Equal(got, want) {
		t.Errorf("the pages have %q, want %q", got, want)
	}
	if left, err := e.Reviews(ctx, ours, callsign.Held, callsign.Page{Limit: 100}); err != nil || len(left) != 4 {
		t.Errorf("%d are left, %v, want the 4 on which nobody decided", len(left), err)
	}
	if _, err := e.Reviews(ctx, ours, callsign.Held, callsign.Page{After: "nonsense"}); err == nil {
		t.Error("a page after nonsense was given")
	}
}

// reviewProperty holds what an engine makes of entries, imports and verdicts against Signature.Stands.
func reviewProperty(t *testing.T, e Engine) {
	n := callsign.MSISDN(0)
	states := []callsign.Review{callsign.Unasked, callsign.Held, callsign.Barred}
	rapid.Check(t, func(rt *rapid.T) {
		n++
		m, account := anna+n, fmt.Sprint(n)
		put(t, e, ours, m, [2]string{"qq", account})
		want := callsign.Signature{Network: "qq", Account: account}
		for v := range int64(rapid.IntRange(1, 8).Draw(rt, "steps")) {
			if v > 0 && rapid.IntRange(0, 2).Draw(rt, "who") == 0 {
				state := rapid.SampledFrom([]callsign.Review{callsign.Approved, callsign.Barred}).Draw(rt, "verdict")
				en := said("qq", account, want.Text, want.Stamp)
				if err := e.Review(rt.Context(), ours, verdict(en, m, state), cleanly); err != nil {
					rt.Fatal(err)
				}
				want.Review, want.Reason, want.Reviewed, want.Shown = state, "a person's", noon.Add(time.Hour), ""
				if state == callsign.Approved {
					want.Shown = cleanly(want.Text)
				}
				continue
			}
			en := judged(said("qq", account, rapid.SampledFrom([]string{"x", "y"}).Draw(rt, "text"), callsign.Stamp{Version: v + 1}),
				rapid.SampledFrom(states).Draw(rt, "review"))
			if !want.Stands(en) {
				want.Review, want.Reason, want.Reviewed, want.Shown = en.Review, en.Reason, time.Time{}, en.Shown
			}
			want.Text, want.Stamp, want.At, want.Origin = en.Text, en.Stamp, en.At, en.Origin()
			if rapid.Bool().Draw(rt, "imported") {
				row := callsign.ImportRow{MSISDN: m, Signature: callsign.Signature{
					Network: "qq", Account: account, Text: en.Text, Shown: en.Shown, Stamp: en.Stamp, At: en.At, Origin: en.Origin(),
					Review: en.Review, Reason: en.Reason,
				}}
				if refused, err := e.Import(rt.Context(), ours, []callsign.ImportRow{row}); err != nil || refused[0] != nil {
					rt.Fatal(refused, err)
				}
			} else if got, err := e.Keep(rt.Context(), []callsign.Entry{en}); err != nil || got[0] != want.Review.Status() {
				rt.Fatalf("%+v is %v, %v, want %s", en, got, err, want.Review.Status())
			}
		}
		s, err := e.Subscriber(rt.Context(), ours, m)
		if err != nil {
			rt.Fatal(err)
		}
		if got := s.Accounts[1]; !reflect.DeepEqual(got, want) {
			rt.Fatalf("got  %+v\nwant %+v", got, want)
		}
		p, err := e.Profile(rt.Context(), m)
		if err != nil || p.Signature.Shown != want.Shown || (want.Review == callsign.Held || want.Review == callsign.Barred) != (p.Signature.Shown == "") {
			rt.Fatalf("a call gets %+v, %v of %+v", p.Signature, err, want)
		}
	})
}

// reviewTold: the next call on every node sees what was decided.
func reviewTold(t *testing.T, e Engine) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	put(t, e, ours, anna, [2]string{"qq", "1"})
	held := judged(said("qq", "1", "held", callsign.Stamp{Version: 1}), callsign.Held)
	stands, heard, ended := make(chan struct{}, 1), make(chan told, 10), make(chan error, 1)
	go func() {
		ended <- e.Changes(ctx, func(m callsign.MSISDN, rev uint64) { heard <- told{m, rev} }, func() { stands <- struct{}{} })
	}()
	next(t, "the feed to stand", stands)
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"a held text", func() error {
			_, err := e.Keep(ctx, []callsign.Entry{held})
			return err
		}},
		{"its approval", func() error { return e.Review(ctx, ours, verdict(held, anna, callsign.Approved), cleanly) }},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		h := next(t, step.what, heard)
		if p, err := e.Profile(ctx, anna); err != nil || h.msisdn != anna || p.Rev != h.rev {
			t.Errorf("%s: told of %v, the profile is %+v, %v", step.what, h, p, err)
		}
	}
	cancel()
	if err := next(t, "the end", ended); err != nil {
		t.Errorf("at the end: %v, want nil", err)
	}
}
