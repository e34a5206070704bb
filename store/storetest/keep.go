package storetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callsign-as/callsign"
)

func numbered(en callsign.Entry, seq int64) callsign.Entry {
	en.Seq = seq
	return en
}

// say is one entry of a sequence on one account, with what must become of it.
type say struct {
	text           string
	epoch, version int64
	want           callsign.Status
}

func keepTable(t *testing.T, e Engine) {
	const timed, stored, stale, duplicate = callsign.TimedEpoch, callsign.Stored, callsign.Stale, callsign.Duplicate
	at := noon.UnixMicro()
	n := 0
	for name, sequence := range map[string][]say{
		"the first word wins, whatever its stamp":    {{"a", timed, 0, stored}},
		"version zero is a first word too":           {{"a", 0, 0, stored}, {"b", 0, 0, duplicate}},
		"a later time wins":                          {{"a", timed, at, stored}, {"b", timed, at + 1, stored}},
		"an earlier time is stale":                   {{"a", timed, at, stored}, {"b", timed, at - 1, stale}},
		"one microsecond, one text: duplicate":       {{"a", timed, at, stored}, {"a", timed, at, duplicate}},
		"one microsecond, two texts: order decides":  {{"a", timed, at, stored}, {"b", timed, at, stored}, {"a", timed, at, stored}},
		"a version that comes again is a duplicate":  {{"a", 0, 7, stored}, {"a", 0, 7, duplicate}, {"b", 0, 7, duplicate}},
		"a greater version wins, a lesser is stale":  {{"a", 0, 7, stored}, {"b", 0, 8, stored}, {"c", 0, 6, stale}},
		"a greater epoch wins over any version":      {{"a", 1, 900, stored}, {"b", 2, 1, stored}, {"c", 1, 901, stale}},
		"a versioned account takes no time any more": {{"a", timed, at, stored}, {"b", 0, 0, stored}, {"c", timed, at + 9, stale}},
		"clearing is a word as any":                  {{"a", 0, 1, stored}, {"", 0, 2, stored}, {"", 0, 2, duplicate}},
		"clearing twice in a microsecond":            {{"", timed, at, stored}, {"", timed, at, duplicate}},
		"a zero byte is kept":                        {{"a\x00b", timed, at, stored}, {"a\x00c", timed, at, stored}, {"a\x00c", timed, at, duplicate}},
	} {
		n++
		m := anna + callsign.MSISDN(n)
		put(t, e, ours, m, [2]string{"qq", name})
		var (
			entries    []callsign.Entry
			want, each []callsign.Status
			last       string
		)
		for _, s := range sequence {
			entries = append(entries, said("qq", name, s.text, callsign.Stamp{Epoch: s.epoch, Version: s.version}))
			want = append(want, s.want)
			if s.want == stored {
				last = s.text
			}
		}
		if got := keep(t, e, entries...); !slices.Equal(got, want) {
			t.Errorf("%s: in one batch %v, want %v", name, got, want)
		}
		put(t, e, ours, m+1000, [2]string{"qq", name + ", one by one"})
		for _, en := range entries {
			en.Account += ", one by one"
			each = append(each, keep(t, e, en)...)
		}
		if !slices.Equal(each, want) {
			t.Errorf("%s: one by one %v, want %v", name, each, want)
		}
		for _, m := range []callsign.MSISDN{m, m + 1000} {
			if p, err := e.Profile(t.Context(), m); err != nil || p.Signature.Text != last {
				t.Errorf("%s: ends with %q, %v, want %q", name, p.Signature.Text, err, last)
			}
		}
	}
	refused := said("qq", "a later time wins", "x", callsign.Stamp{Epoch: 99})
	refused.Refused = true
	unlinked := said("qq", "nobody's", "x", callsign.Stamp{Epoch: 99})
	got := keep(t, e, refused, unlinked)
	if want := []callsign.Status{callsign.Rejected, callsign.Unlinked}; !slices.Equal(got, want) {
		t.Errorf("refused and unlinked are %v, want %v", got, want)
	}
	if got := keep(t, e); len(got) != 0 {
		t.Errorf("nothing kept is %v", got)
	}
}

// model is what an engine must do, in the words of the rule itself.
type model struct {
	stamp callsign.Stamp
	text  string
	said  bool
}

func (m *model) keep(en callsign.Entry) callsign.Status {
	switch {
	case en.Refused:
		return callsign.Rejected
	case m.said && en.Stamp == m.stamp && (!en.Stamp.Timed() || en.Text == m.text):
		return callsign.Duplicate
	case m.said && !en.Stamp.Newer(m.stamp):
		return callsign.Stale
	}
	*m = model{en.Stamp, en.Text, true}
	return callsign.Stored
}

func keepProperty(t *testing.T, e Engine) {
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		models := map[string]*model{}
		for _, name := range []string{"a", "b"} {
			account := fmt.Sprintf("%s-%d", name, round)
			put(t, e, ours, anna+callsign.MSISDN(10*round+len(models)), [2]string{"qq", account})
			models[account] = &model{}
		}
		accounts := slices.Sorted(func(yield func(string) bool) {
			for a := range models {
				if !yield(a) {
					return
				}
			}
		})
		entry := rapid.Custom(func(rt *rapid.T) callsign.Entry {
			en := said("qq", rapid.SampledFrom(accounts).Draw(rt, "account"), rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "text"),
				callsign.Stamp{Epoch: rapid.Int64Range(-1, 2).Draw(rt, "epoch"), Version: rapid.Int64Range(0, 3).Draw(rt, "version")})
			en.Refused = rapid.IntRange(0, 9).Draw(rt, "refused") == 0
			return en
		})
		for _, batch := range rapid.SliceOfN(rapid.SliceOfN(entry, 1, 6), 1, 4).Draw(rt, "batches") {
			var want []callsign.Status
			for _, en := range batch {
				want = append(want, models[en.Account].keep(en))
			}
			if got := keep(t, e, batch...); !slices.Equal(got, want) {
				rt.Fatalf("batch %+v became %v, want %v", batch, got, want)
			}
		}
		for i, account := range accounts {
			s, err := e.Subscriber(t.Context(), ours, anna+callsign.MSISDN(10*round+i))
			if err != nil {
				rt.Fatal(err)
			}
			at := slices.IndexFunc(s.Accounts, func(s callsign.Signature) bool { return s.Account == account })
			if got := s.Accounts[at]; got.Text != models[account].text || got.Stamp != models[account].stamp {
				rt.Fatalf("account %s ends as %+v, want %+v", account, got, *models[account])
			}
		}
	})
}

// keepRace writes the same versions from several goroutines in different orders: each is stored at most once and the
// greatest stays.
func keepRace(t *testing.T, e Engine) {
	const writers, versions = 4, 10
	put(t, e, ours, anna, [2]string{"qq", "1"})
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		stored = map[int64]int{}
	)
	for w := range writers {
		wg.Go(func() {
			for i := range versions {
				v := int64((i*7+w*3)%versions + 1)
				got, err := e.Keep(t.Context(), []callsign.Entry{said("qq", "1", fmt.Sprint(v), callsign.Stamp{Version: v})})
				mu.Lock()
				switch {
				case err != nil:
					t.Error(err)
				case got[0] == callsign.Stored:
					stored[v]++
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for v, n := range stored {
		if n > 1 {
			t.Errorf("version %d was stored %d times", v, n)
		}
	}
	p, err := e.Profile(t.Context(), anna)
	if err != nil || p.Signature.Stamp.Version != versions || p.Signature.Text != fmt.Sprint(versions) {
		t.Errorf("the race ended with %+v, %v, want version %d", p.Signature, err, versions)
	}
}

func keepAllOrNothing(t *testing.T, e Engine) {
	put(t, e, ours, anna, [2]string{"qq", "1"})
	good := numbered(said("qq", "1", "good", callsign.TimedStamp(noon)), 1)
	bad := numbered(good, 2)
	bad.Tenant = "" // no engine keeps a row without a tenant, not even a source's
	if got, err := e.Keep(t.Context(), []callsign.Entry{good, bad}); err == nil {
		t.Fatalf("a numbered entry without a tenant became %v", got)
	}
	if p, err := e.Profile(t.Context(), anna); err != nil || p.Signature.Text != "" {
		t.Errorf("half a batch was kept: %+v, %v", p.Signature, err)
	}
	if seq, err := e.Cursor(t.Context(), ours.Tenant, "src"); err != nil || seq != 0 {
		t.Errorf("half a batch raised Seq to %d, %v", seq, err)
	}
}

func cursor(t *testing.T, e Engine) {
	put(t, e, ours, anna, [2]string{"qq", "1"})
	want := func(source string, want int64) {
		t.Helper()
		if got, err := e.Cursor(t.Context(), ours.Tenant, source); err != nil || got != want {
			t.Errorf("cursor of %s is %d, %v, want %d", source, got, err, want)
		}
	}
	version := func(seq, version int64) callsign.Entry {
		return numbered(said("qq", "1", "x", callsign.Stamp{Version: version}), seq)
	}
	want("src", 0)
	keep(t, e, version(0, 1))
	want("src", 0)
	keep(t, e, version(5, 9), version(3, 10))
	want("src", 5)
	keep(t, e, version(6, 2)) // stale
	want("src", 6)
	keep(t, e, version(7, 10)) // duplicate
	want("src", 7)
	refused, unlinked := version(9, 11), version(8, 12)
	refused.Refused, unlinked.Account = true, "nobody's"
	keep(t, e, unlinked)
	want("src", 8)
	keep(t, e, refused)
	want("src", 9)
	keep(t, e, version(2, 20))
	want("src", 9)
	want("another", 0)
}

func profile(t *testing.T, e Engine) {
	// The latest moment first; each row says one thing more and tells what is shown from then on.
	put(t, e, ours, anna, [2]string{"qq", "1"}, [2]string{"qq", "2"}, [2]string{"xmpp", "1"})
	now := time.Now().Truncate(time.Second).UTC()
	n := int64(0)
	for _, step := range []struct {
		fact, network, account, shown string
		at, expires                   time.Time
		want                          string
	}{
		{"one says something", "qq", "1", "first", noon, time.Time{}, "first"},
		{"another was earlier", "qq", "2", "earlier", noon.Add(-time.Hour), time.Time{}, "first"},
		{"another is later", "xmpp", "1", "later", noon.Add(time.Hour), time.Time{}, "later"},
		{"the later one is not to be shown", "xmpp", "1", "", noon.Add(2 * time.Hour), time.Time{}, "first"},
		{"the later one has expired", "xmpp", "1", "over", noon.Add(2 * time.Hour), now.Add(-time.Second), "first"},
		{"the later one will expire", "xmpp", "1", "for now", noon.Add(2 * time.Hour), now.Add(time.Hour), "for now"},
		{"a tie goes by network", "qq", "2", "tied", noon.Add(2 * time.Hour), time.Time{}, "tied"},
		{"and then by account", "qq", "1", "tied too", noon.Add(2 * time.Hour), time.Time{}, "tied too"},
		{"the hand-set one is one of them", callsign.ManualNetwork, "8613800000001", "by hand", noon.Add(3 * time.Hour), time.Time{}, "by hand"},
	} {
		n++
		en := said(step.network, step.account, "raw "+step.shown, callsign.Stamp{Version: n})
		en.Shown, en.At, en.Expires, en.Lang = step.shown, step.at, step.expires, "en"
		keep(t, e, en)
		p, err := e.Profile(t.Context(), anna)
		if err != nil || p.Signature.Shown != step.want {
			t.Errorf("%s: shown is %q, %v, want %q", step.fact, p.Signature.Shown, err, step.want)
		}
		if step.shown == step.want {
			want := callsign.Signature{
				Network: step.network, Account: step.account, Text: "raw " + step.shown, Shown: step.shown, Lang: "en",
				Stamp: en.Stamp, At: step.at, Expires: step.expires, Origin: en.Origin(),
			}
			if p.Signature != want {
				t.Errorf("%s: signature is %+v, want %+v", step.fact, p.Signature, want)
			}
		}
	}
	if _, err := e.PutSubscriber(t.Context(), ours, callsign.Subscriber{MSISDN: ben, Name: "Ben"}); err != nil {
		t.Fatal(err)
	}
	p, err := e.Profile(t.Context(), ben)
	if want := (callsign.Profile{MSISDN: ben, Tenant: ours.Tenant, Name: "Ben", Rev: p.Rev}); err != nil || p != want {
		t.Errorf("a silent subscriber is %+v, %v, want %+v", p, err, want)
	}
	_, err = e.Profile(t.Context(), chloe)
	wantErr(t, "nobody's profile", err, callsign.ErrNotFound)
}

// next is what comes out of c; a minute without it is a failure rather than a hang.
func next[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(time.Minute):
		t.Fatalf("%s was never told", what)
	}
	return v
}

type told struct {
	msisdn callsign.MSISDN
	rev    uint64
}

func changes(t *testing.T, e Engine) {
	put(t, e, ours, anna, [2]string{"qq", "1"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var (
		heard = make(chan told, 100)
		lost  = make(chan struct{}, 100)
		ended = make(chan error, 1)
		hang  sync.Mutex // whoever holds it makes the listener hang
	)
	go func() {
		ended <- e.Changes(ctx, func(m callsign.MSISDN, rev uint64) {
			hang.Lock()
			hang.Unlock() //lint:ignore SA2001 to wait is its purpose
			if p, err := e.Profile(t.Context(), m); m != chloe && (err != nil || p.Rev < rev) {
				t.Errorf("told of revision %d, read %d, %v: it wasn't committed", rev, p.Rev, err)
			}
			select {
			case heard <- told{m, rev}:
			default: // only the flood at the end doesn't fit
			}
		}, func() { lost <- struct{}{} })
	}()
	next(t, "the feed to stand", lost)

	rev := func(m callsign.MSISDN) uint64 {
		p, err := e.Profile(t.Context(), m)
		if err != nil {
			t.Fatal(err)
		}
		return p.Rev
	}
	hear := func(what string, want ...told) {
		t.Helper()
		var got []told
		for range want {
			got = append(got, next(t, what, heard))
		}
		slices.SortFunc(got, func(a, b told) int { return cmp.Compare(a.msisdn, b.msisdn) })
		if !slices.Equal(got, want) {
			t.Errorf("%s: heard %v, want %v", what, got, want)
		}
	}
	put(t, e, ours, ben, [2]string{"qq", "2"})
	first := next(t, "creation", heard)
	hear("create and link", told{ben, rev(ben)})
	if first.msisdn != ben || first.rev >= rev(ben) {
		t.Errorf("creation was told as %v", first)
	}
	keep(t, e, said("qq", "1", "x", callsign.Stamp{Version: 1}), said("qq", "2", "z", callsign.Stamp{Version: 1}),
		said("qq", "nobody's", "z", callsign.Stamp{Version: 1}))
	hear("a batch tells each once", told{anna, rev(anna)}, told{ben, rev(ben)})
	keep(t, e, said("qq", "1", "y", callsign.Stamp{Version: 2}), said("qq", "1", "z", callsign.Stamp{Version: 3}))
	for heardOf := (told{}); heardOf.rev != rev(anna); {
		if heardOf = next(t, "the last of two changes of one account", heard); heardOf.msisdn != anna {
			t.Errorf("heard %v, want of Anna only", heardOf)
		}
	}
	keep(t, e, said("qq", "1", "x", callsign.Stamp{Version: 1})) // stale: nothing to tell
	put(t, e, ours, chloe)
	created := next(t, "creation", heard)
	if err := e.DeleteSubscriber(t.Context(), ours, chloe, 0); err != nil {
		t.Fatal(err)
	}
	deleted := next(t, "deletion", heard)
	put(t, e, ours, chloe)
	again := next(t, "creation again", heard)
	for _, h := range []told{created, deleted, again} {
		if h.msisdn != chloe {
			t.Errorf("heard %v, want of Chloe only", h)
		}
	}
	if created.rev >= deleted.rev || deleted.rev >= again.rev {
		t.Errorf("over a deletion revisions went %d, %d, %d", created.rev, deleted.rev, again.rev)
	}

	// A listener that hangs doesn't hold writers up, and hears of its loss.
	hang.Lock()
	flood(t, e)
	hang.Unlock()
	next(t, "the loss", lost)
	cancel()
	if err := next(t, "the end", ended); err != nil {
		t.Errorf("at the end: %v, want nil", err)
	}
}

// flood makes more changes than any listener's queue holds, in few commits: each costs a sync of the disk.
func flood(t *testing.T, e Engine) {
	t.Helper()
	const subscribers, rounds = 60, 50
	for m := range callsign.MSISDN(subscribers) {
		put(t, e, ours, 100+m, [2]string{"flood", m.E164()})
	}
	for round := range int64(rounds) {
		var entries []callsign.Entry
		for m := range callsign.MSISDN(subscribers) {
			entries = append(entries, said("flood", m.E164(), "x", callsign.Stamp{Version: round}))
		}
		keep(t, e, entries...)
	}
}

func sentAgain(t *testing.T, e Engine) {
	put(t, e, ours, anna, [2]string{"qq", "1"})
	now := time.Now()
	received := func(seq int64, text string, after time.Duration) callsign.Entry {
		en := numbered(said("qq", "1", text, callsign.TimedStamp(now.Add(after))), seq)
		en.Received = true
		return en
	}
	for _, step := range []struct {
		name string
		en   callsign.Entry
		want callsign.Status
	}{
		{"the first", received(1, "A", 0), callsign.Stored},
		{"the second", received(2, "B", time.Second), callsign.Stored},
		{"the first again, received later", received(1, "A", 2*time.Second), callsign.Duplicate},
		{"a new one", received(3, "C", 3*time.Second), callsign.Stored},
		{"one with a time of its own is judged by it", numbered(said("qq", "1", "D", callsign.TimedStamp(now.Add(4*time.Second))), 2), callsign.Stored},
	} {
		if got := keep(t, e, step.en); got[0] != step.want {
			t.Errorf("%s: got %s, want %s", step.name, got[0], step.want)
		}
	}
	// The same within one commit, into which many batches may go.
	got := keep(t, e, received(10, "G", 10*time.Second), received(11, "H", 11*time.Second), received(10, "G", 12*time.Second))
	if want := []callsign.Status{callsign.Stored, callsign.Stored, callsign.Duplicate}; !slices.Equal(got, want) {
		t.Errorf("sent again in one commit: got %v, want %v", got, want)
	}
	// What met no subscriber then has nothing to lose to once the account is linked.
	unlinked := received(4, "E", 5*time.Second)
	unlinked.Account = "2"
	if got := keep(t, e, unlinked); got[0] != callsign.Unlinked {
		t.Errorf("before it is linked: got %s", got[0])
	}
	if _, err := e.LinkAccount(t.Context(), ours, anna, "qq", "2"); err != nil {
		t.Fatal(err)
	}
	if got := keep(t, e, unlinked); got[0] != callsign.Stored {
		t.Errorf("once it is linked: got %s, want stored", got[0])
	}
}

func removedKeys(t *testing.T, e Engine) {
	put(t, e, ours, anna)
	key := callsign.Key{ID: "k1", Name: "anna", Hash: [32]byte{1}, Created: time.Now(), Scope: ours}
	key.Scope.KeyID, key.Scope.Role, key.Scope.MSISDN = "k1", callsign.RoleSubscriber, anna
	admin := callsign.Key{ID: "k2", Name: "admin", Hash: [32]byte{2}, Created: time.Now(), Scope: ours}
	admin.Scope.KeyID, admin.Scope.Role = "k2", callsign.RoleAdmin
	for _, k := range []callsign.Key{key, admin} {
		if err := e.PutKey(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.DeleteSubscriber(t.Context(), ours, anna, 0); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key  callsign.Key
		want bool
	}{{key, true}, {admin, false}} {
		if got, err := e.KeyByHash(t.Context(), c.key.Hash); err != nil || got.Revoked != c.want {
			t.Errorf("%s: revoked %v, %v; want %v", c.key.Name, got.Revoked, err, c.want)
		}
	}
}
