package sigsync_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/store/sqlite"
)

const (
	anna callsign.MSISDN = 8613800000001
	ben  callsign.MSISDN = 8613800000002
)

var ours = callsign.Scope{Tenant: "ours", KeyID: "key"}

// house is links with an engine and an intake around them.
type house struct {
	*sigsync.Links
	t        *testing.T
	engine   *sqlite.Engine
	intake   *sigsync.Intake
	verified map[string]callsign.MSISDN
	linked   []string
	stamp    int64
}

func newHouse(t *testing.T) *house {
	t.Helper()
	engine, err := sqlite.Open(t.Context(), sqlite.Options{Path: filepath.Join(t.TempDir(), "x.db")})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, engine: engine, verified: map[string]callsign.MSISDN{}}
	h.Links = sigsync.NewLinks(sigsync.LinksOptions{
		Keeper: engine,
		Number: func(_ context.Context, network, account string) (callsign.MSISDN, error) {
			if network != "im" {
				return 0, errors.ErrUnsupported
			}
			return h.verified[account], nil
		},
		Linked: func(tenant, network, account string) { h.linked = append(h.linked, tenant+"/"+network+"/"+account) },
	})
	h.intake = sigsync.NewIntake(sigsync.Options{Keeper: engine, Codes: h.Links})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = h.intake.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		_ = engine.Close()
	})
	for _, m := range []callsign.MSISDN{anna, ben} {
		if _, err := engine.PutSubscriber(t.Context(), ours, callsign.Subscriber{MSISDN: m}); err != nil {
			t.Fatal(err)
		}
	}
	return h
}

// says is what accounts' sources push, in one batch: account, text, account, text…
func (h *house) says(what ...string) (statuses []callsign.Status) {
	h.t.Helper()
	var changes []callsign.Change
	for i := 0; i < len(what); i += 2 {
		h.stamp++
		changes = append(changes, callsign.Change{Tenant: "ours", Source: "im", ID: "e", Network: "im", Account: what[i], Text: what[i+1], Stamp: callsign.Stamp{Version: h.stamp}})
	}
	statuses, err := h.intake.Put(h.t.Context(), changes)
	if err != nil {
		h.t.Fatal(err)
	}
	return statuses
}

func (h *house) shows(what string, m callsign.MSISDN, want string) {
	h.t.Helper()
	p, err := h.engine.Profile(h.t.Context(), m)
	if err != nil || p.Signature.Shown != want {
		h.t.Errorf("%s: callers are shown %q, %v, want %q", what, p.Signature.Shown, err, want)
	}
}

func (h *house) ask(m callsign.MSISDN, account string, proof callsign.Proof) (code string) {
	h.t.Helper()
	l, code, err := h.Ask(h.t.Context(), ours, callsign.Link{MSISDN: m, Network: "im", Account: account, Proof: proof})
	if err != nil {
		h.t.Fatal(err)
	}
	if got := l.Expires.Sub(l.Asked); got != callsign.CodeValidFor && proof != callsign.ByNetwork {
		h.t.Errorf("a code is good for %v", got)
	}
	return code
}

func TestAnAccountThatSaysTheCodeIsLinkedAndTheCodeIsNeverShown(t *testing.T) {
	h := newHouse(t)
	if got := h.says("a", "before anybody asked")[0]; got != callsign.Unlinked {
		t.Errorf("before: %s", got)
	}
	code := h.ask(anna, "a", callsign.BySignature)
	if got := h.says("b", code)[0]; got != callsign.Unlinked {
		t.Errorf("another account that says the code: %s", got)
	}
	if got := h.says("a", "my account, honestly")[0]; got != callsign.Unlinked {
		t.Errorf("a text without the code: %s", got)
	}
	// One batch: what an account said before its code is kept as well, and the last wins.
	got := h.says("c", "nobody's", "a", "sure: "+code+" ok?", "a", "On the road")
	if want := []callsign.Status{callsign.Unlinked, callsign.Stored, callsign.Stored}; got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("got %v, want %v", got, want)
	}
	h.shows("after it is linked", anna, "On the road")
	h.says("a", "once more "+code)
	h.shows("the code said again", anna, "once more")
	h.says("a", code)
	h.shows("the code alone", anna, "")
	if len(h.linked) != 0 {
		t.Errorf("texts are asked for that are there: %v", h.linked)
	}
}

func TestTheLastOfABatchIsShownThoughItHasNoTimeOfItsOwn(t *testing.T) {
	h := newHouse(t)
	code := h.ask(anna, "a", callsign.BySignature)
	var changes []callsign.Change
	now := time.Now()
	for i, text := range []string{code, "On the road", "Back at six"} {
		at := now.Add(time.Duration(i) * time.Microsecond)
		changes = append(changes, callsign.Change{Tenant: "ours", Source: "im", ID: text, Seq: int64(i + 1), Network: "im", Account: "a", Text: text, Stamp: callsign.TimedStamp(at), At: at, Received: true})
	}
	if _, err := h.intake.Put(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	h.shows("after the batch", anna, "Back at six")
}

func TestANumberThatSendsTheCodeGetsTheAccountItWasGivenFor(t *testing.T) {
	h := newHouse(t)
	code := h.ask(anna, "a", callsign.BySMS)
	for _, c := range []struct {
		sentence string
		from     callsign.MSISDN
		text     string
		want     callsign.Proving
	}{
		{"no code", anna, "hello", callsign.Unawaited},
		{"another number", ben, code, callsign.Unawaited},
		{"a wrong one", anna, "CS-0000-0000", callsign.Wrong},
		{"the right one", anna, "here it is: " + code + ".", callsign.Proved},
		{"once more, as the SMSC sends it again", anna, code, callsign.Unawaited},
	} {
		if got, err := h.Sent(t.Context(), c.from, c.text); got != c.want || err != nil {
			t.Errorf("%s: %s, %v, want %s", c.sentence, got, err, c.want)
		}
	}
	if len(h.linked) != 1 || h.linked[0] != "ours/im/a" {
		t.Errorf("texts asked for: %v", h.linked)
	}
	h.says("a", "hello")
	h.shows("after it is linked", anna, "hello")
}

func TestANetworksWordLinksTheNumberThatItVerified(t *testing.T) {
	h := newHouse(t)
	h.verified["a"] = anna
	for _, c := range []struct {
		sentence         string
		m                callsign.MSISDN
		network, account string
		want             error
	}{
		{"another number", ben, "im", "a", callsign.ErrNotProved},
		{"none", anna, "im", "b", callsign.ErrNotProved},
		{"a network that isn't asked", anna, "qq", "a", errors.ErrUnsupported},
		{"its number", anna, "im", "a", nil},
		{"once more", anna, "im", "a", callsign.ErrLinked},
	} {
		_, code, err := h.Ask(t.Context(), ours, callsign.Link{MSISDN: c.m, Network: c.network, Account: c.account, Proof: callsign.ByNetwork})
		if !errors.Is(err, c.want) || code != "" {
			t.Errorf("%s: %v, code %q, want %v", c.sentence, err, code, c.want)
		}
	}
	h.verified["a"] = ben
	if _, _, err := h.Ask(t.Context(), ours, callsign.Link{MSISDN: ben, Network: "im", Account: "a", Proof: callsign.ByNetwork}); !errors.Is(err, callsign.ErrAccountTaken) {
		t.Errorf("an account that another number has: %v", err)
	}
}

// flaky is an engine that loses the first of some acts, and counts those of codes.
type flaky struct {
	*sqlite.Engine
	expected, shown, kept int // how many of each fail
	asks, looks           int // how many of the first two there were
}

func (f *flaky) Expected(ctx context.Context, shown []callsign.Showing) ([]bool, error) {
	f.asks++
	if f.expected--; f.expected >= 0 {
		return nil, callsign.ErrUnavailable
	}
	return f.Engine.Expected(ctx, shown)
}

func (f *flaky) ShowCode(ctx context.Context, s callsign.Showing) (callsign.Proving, callsign.Link, error) {
	f.looks++
	if f.shown--; f.shown >= 0 {
		return "", callsign.Link{}, callsign.ErrUnavailable
	}
	return f.Engine.ShowCode(ctx, s)
}

func (f *flaky) Keep(ctx context.Context, entries []callsign.Entry) ([]callsign.Status, error) {
	if f.kept--; f.kept >= 0 {
		return nil, callsign.ErrUnavailable
	}
	return f.Engine.Keep(ctx, entries)
}

// through is an intake of h whose store is f.
func (h *house) through(f *flaky) *sigsync.Intake {
	f.Engine = h.engine
	intake := sigsync.NewIntake(sigsync.Options{Keeper: f, Codes: sigsync.NewLinks(sigsync.LinksOptions{Keeper: f})})
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = intake.Run(ctx) })
	h.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return intake
}

// A node that ends in between is a store that fails in between: the source must not be told, now or when it resumes, that its event is durable.
func TestACodeThatTheStoreCouldNotLookAtComesAgain(t *testing.T) {
	for sentence, f := range map[string]flaky{
		"nobody can say who waits":           {expected: 1},
		"the code can't be looked at":        {shown: 1},
		"it is linked, the text is not kept": {kept: 1},
	} {
		h := newHouse(t)
		code := h.ask(anna, "a", callsign.BySignature)
		intake := h.through(&f)
		now := time.Now()
		put := func() ([]callsign.Status, error) {
			return intake.Put(t.Context(), []callsign.Change{{
				Tenant: "ours", Source: "im", ID: "e", Seq: 1, Network: "im", Account: "a", Text: "hi " + code, Stamp: callsign.TimedStamp(now), At: now, Received: true,
			}})
		}
		if _, err := put(); !errors.Is(err, callsign.ErrUnavailable) {
			t.Errorf("%s: acknowledged: %v", sentence, err)
		}
		if seq, err := h.engine.Cursor(t.Context(), "ours", "im"); seq != 0 || err != nil {
			t.Errorf("%s: the source would resume after %d, %v", sentence, seq, err)
		}
		if got, err := put(); err != nil || got[0] != callsign.Stored {
			t.Errorf("%s: sent again: %v, %v", sentence, got, err)
		}
		h.shows(sentence, anna, "hi")
	}
}

func TestACodeThatNobodyWaitsForHoldsUpNoCommit(t *testing.T) {
	for sentence, c := range map[string]struct {
		accounts    int
		asks, looks int
	}{
		"one question for a thousand accounts":                         {accounts: 1000, asks: 1, looks: 1},
		"an account that guesses is heard until its tries are used up": {accounts: 1, asks: 1, looks: callsign.MaxTries + 1},
	} {
		h := newHouse(t)
		h.ask(anna, "0", callsign.BySignature)
		f := &flaky{}
		intake := h.through(f)
		var changes []callsign.Change
		for i := range 1000 {
			changes = append(changes, callsign.Change{
				Tenant: "ours", Source: "im", ID: "e", Network: "im", Account: strconv.Itoa(i % c.accounts), Text: fmt.Sprintf("CS-WRNG-%04d", i),
				Stamp: callsign.Stamp{Version: int64(i)},
			})
		}
		got, err := intake.Put(t.Context(), changes)
		if err != nil || slices.ContainsFunc(got, func(s callsign.Status) bool { return s != callsign.Unlinked }) {
			t.Errorf("%s: %v, %v", sentence, got, err)
		}
		if f.asks != c.asks || f.looks != c.looks {
			t.Errorf("%s: %d questions and %d looks, want %d and %d", sentence, f.asks, f.looks, c.asks, c.looks)
		}
		if _, err := intake.Put(t.Context(), []callsign.Change{{Tenant: "ours", Source: "im", ID: "e", Network: "im", Account: "a", Text: "no code", Stamp: callsign.Stamp{Version: 1}}}); err != nil {
			t.Fatal(err)
		}
		if f.asks != c.asks {
			t.Errorf("%s: a text without a code is asked about", sentence)
		}
	}
}

func TestCodesDiffer(t *testing.T) {
	h := newHouse(t)
	seen := map[string]bool{}
	start := time.Now()
	for range 200 {
		seen[h.ask(anna, "a", callsign.BySignature)] = true
	}
	if len(seen) != 200 {
		t.Errorf("%d codes of 200 differ, in %v", len(seen), time.Since(start))
	}
}
