package storetest

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

func subscribers(t *testing.T, e Engine) {
	ctx := t.Context()
	for _, step := range []struct {
		name    string
		created bool
	}{{"Anna", true}, {"Anna Lee", false}} {
		created, err := e.PutSubscriber(ctx, ours, callsign.Subscriber{MSISDN: anna, Name: step.name, Tenant: "ignored"})
		if err != nil || created != step.created {
			t.Fatalf("put %s: created %v, %v, want %v", step.name, created, err, step.created)
		}
		got, err := e.Subscriber(ctx, ours, anna)
		want := callsign.Subscriber{
			MSISDN: anna, Tenant: ours.Tenant, Name: step.name, Rev: got.Rev,
			Accounts: []callsign.Signature{{Network: callsign.ManualNetwork, Account: "8613800000001"}},
		}
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("subscriber is %+v, %v, want %+v", got, err, want)
		}
	}
	if _, err := e.PutSubscriber(ctx, ours, callsign.Subscriber{}); err == nil {
		t.Error("a subscriber without a number was kept")
	}
	put(t, e, ours, chloe, [2]string{"qq", "3"})
	put(t, e, ours, ben)
	var walked []callsign.MSISDN
	for page := (callsign.Page{Limit: 2}); ; {
		ss, err := e.Subscribers(ctx, ours, page)
		if err != nil {
			t.Fatal(err)
		}
		if len(ss) == 0 {
			break
		}
		for _, s := range ss {
			walked = append(walked, s.MSISDN)
			if one, err := e.Subscriber(ctx, ours, s.MSISDN); err != nil || !reflect.DeepEqual(s, one) {
				t.Errorf("the page has %+v, the subscriber alone is %+v, %v", s, one, err)
			}
		}
		page.After = ss[len(ss)-1].MSISDN.E164()
	}
	if want := []callsign.MSISDN{anna, ben, chloe}; !slices.Equal(walked, want) {
		t.Errorf("pages walked %v, want %v", walked, want)
	}
	if _, err := e.Subscribers(ctx, ours, callsign.Page{After: "nonsense"}); err == nil {
		t.Error("a page after nonsense was given")
	}
	if err := e.DeleteSubscriber(ctx, ours, chloe, 0); err != nil {
		t.Fatal(err)
	}
	_, err := e.Subscriber(ctx, ours, chloe)
	wantErr(t, "a deleted subscriber", err, callsign.ErrNotFound)
	_, err = e.Profile(ctx, chloe)
	wantErr(t, "its profile", err, callsign.ErrNotFound)
	wantErr(t, "deleting it again", e.DeleteSubscriber(ctx, ours, chloe, 0), callsign.ErrNotFound)
	if got := keep(t, e, said("qq", "3", "still there?", callsign.TimedStamp(noon))); got[0] != callsign.Unlinked {
		t.Errorf("an account of a deleted subscriber takes a text: %s", got[0])
	}
}

func accounts(t *testing.T, e Engine) {
	ctx := t.Context()
	put(t, e, ours, anna)
	put(t, e, ours, ben)
	link := func(m callsign.MSISDN, network, account string, created bool, want error) {
		t.Helper()
		got, err := e.LinkAccount(ctx, ours, m, network, account)
		if got != created || !errors.Is(err, want) {
			t.Errorf("link %s/%s: created %v, %v, want %v, %v", network, account, got, err, created, want)
		}
	}
	link(anna, "qq", "1", true, nil)
	link(anna, "qq", "1", false, nil)
	link(ben, "qq", "1", false, callsign.ErrConflict)
	link(ben, "xmpp", "1", true, nil)
	link(chloe, "qq", "2", false, callsign.ErrNotFound)
	link(anna, callsign.ManualNetwork, "8613800000001", false, nil)
	link(anna, callsign.ManualNetwork, "8613800000002", false, callsign.ErrConflict)
	link(anna, callsign.ManualNetwork, "8613800000003", false, callsign.ErrConflict) // it would be in the way of a new number
	for _, empty := range [][2]string{{"", "1"}, {"qq", ""}} {
		if _, err := e.LinkAccount(ctx, ours, anna, empty[0], empty[1]); err == nil {
			t.Errorf("account %q was linked", empty)
		}
	}
	unlink := func(m callsign.MSISDN, network, account string, want error) {
		t.Helper()
		if err := e.UnlinkAccount(ctx, ours, m, network, account); !errors.Is(err, want) {
			t.Errorf("unlink %s/%s: %v, want %v", network, account, err, want)
		}
	}
	unlink(anna, callsign.ManualNetwork, "8613800000001", callsign.ErrConflict)
	unlink(anna, "xmpp", "1", callsign.ErrNotFound)
	unlink(chloe, "qq", "1", callsign.ErrNotFound)
	keep(t, e, said("qq", "1", "of Anna", callsign.TimedStamp(noon)))
	unlink(anna, "qq", "1", nil)
	unlink(anna, "qq", "1", callsign.ErrNotFound)
	link(ben, "qq", "1", true, nil)
	if p, err := e.Profile(ctx, ben); err != nil || p.Signature.Text != "" {
		t.Errorf("an unlinked account took its text along: %+v, %v", p.Signature, err)
	}
	if s, err := e.Subscriber(ctx, ours, anna); err != nil || len(s.Accounts) != 1 {
		t.Errorf("after all that Anna has %+v, %v, want the manual account", s.Accounts, err)
	}
}

// tenants calls every method with the scope of a tenant who has nothing, and looks whether anything of ours was seen or
// changed.
func tenants(t *testing.T, e Engine) {
	ctx := t.Context()
	put(t, e, ours, anna, [2]string{"qq", "1"}, [2]string{"xmpp", "1"})
	ev := event(1, callsign.EventInvite)
	key := callsign.Key{ID: "k1", Hash: [32]byte{1}, Scope: ours}
	audit := callsign.Audit{ID: "1", Tenant: ours.Tenant, MSISDN: anna}
	if err := errors.Join(e.AppendEvents(ctx, []callsign.Event{ev}), e.PutKey(ctx, key), e.PutAudit(ctx, audit)); err != nil {
		t.Fatal(err)
	}
	keep(t, e, numbered(said("qq", "1", "hello", callsign.TimedStamp(noon)), 5), judged(said("xmpp", "1", "held", callsign.Stamp{Version: 1}), callsign.Held))
	before, err := e.Subscriber(ctx, ours, anna)
	if err != nil {
		t.Fatal(err)
	}
	other := said("qq", "1", "not yours", callsign.Stamp{Version: 9})
	other.Tenant = theirs.Tenant

	for method, call := range map[string]func() (seen any, err error){
		"PutSubscriber": func() (any, error) {
			_, err := e.PutSubscriber(ctx, theirs, callsign.Subscriber{MSISDN: anna, Name: "x"})
			return nil, expect(err, callsign.ErrConflict)
		},
		"Subscriber": func() (any, error) {
			_, err := e.Subscriber(ctx, theirs, anna)
			return nil, expect(err, callsign.ErrNotFound)
		},
		"Subscribers": func() (any, error) { return e.Subscribers(ctx, theirs, callsign.Page{Limit: 10}) },
		"DeleteSubscriber": func() (any, error) {
			return nil, expect(e.DeleteSubscriber(ctx, theirs, anna, 0), callsign.ErrNotFound)
		},
		"LinkAccount": func() (any, error) {
			_, err := e.LinkAccount(ctx, theirs, anna, "qq", "2")
			return nil, expect(err, callsign.ErrNotFound)
		},
		"LinkAccount, again": func() (any, error) {
			_, err := e.LinkAccount(ctx, theirs, anna, "qq", "1")
			return nil, expect(err, callsign.ErrNotFound)
		},
		"UnlinkAccount": func() (any, error) {
			return nil, expect(e.UnlinkAccount(ctx, theirs, anna, "qq", "1"), callsign.ErrNotFound)
		},
		"UnlinkAccount, the manual one": func() (any, error) {
			return nil, expect(e.UnlinkAccount(ctx, theirs, anna, callsign.ManualNetwork, "8613800000001"), callsign.ErrNotFound)
		},
		"Erase": func() (any, error) {
			_, err := e.Erase(ctx, theirs, anna)
			return nil, expect(err, callsign.ErrNotFound)
		},
		"Calls": func() (any, error) { return e.Calls(ctx, theirs, callsign.CallFilter{Callee: anna}) },
		"Timeline": func() (any, error) {
			_, err := e.Timeline(ctx, theirs, ev.Call.ID)
			return nil, expect(err, callsign.ErrNotFound)
		},
		"Reviews": func() (any, error) { return e.Reviews(ctx, theirs, callsign.Held, callsign.Page{}) },
		"Review": func() (any, error) {
			v := verdict(said("xmpp", "1", "held", callsign.Stamp{Version: 1}), anna, callsign.Approved)
			return nil, expect(e.Review(ctx, theirs, v, cleanly), callsign.ErrNotFound)
		},
		"Keys": func() (any, error) { return e.Keys(ctx, theirs, callsign.Page{}) },
		"RotateKey": func() (any, error) {
			_, err := e.RotateKey(ctx, theirs, "k1", noon, callsign.Key{ID: "k2", Hash: [32]byte{2}})
			return nil, expect(err, callsign.ErrNotFound)
		},
		"Audits":    func() (any, error) { return e.Audits(ctx, theirs, callsign.Page{}) },
		"RevokeKey": func() (any, error) { return nil, expect(e.RevokeKey(ctx, theirs, "k1"), callsign.ErrNotFound) },
		"Cursor": func() (any, error) {
			seq, err := e.Cursor(ctx, theirs.Tenant, "src")
			return make([]int, seq), err
		},
		"Keep": func() (any, error) {
			statuses, err := e.Keep(ctx, []callsign.Entry{other})
			return slices.DeleteFunc(statuses, func(s callsign.Status) bool { return s == callsign.Unlinked }), err
		},
	} {
		seen, err := call()
		if err != nil {
			t.Errorf("%s: %v", method, err)
		}
		if v := reflect.ValueOf(seen); v.IsValid() && v.Len() > 0 {
			t.Errorf("%s shows another tenant's rows: %+v", method, seen)
		}
	}

	if after, err := e.Subscriber(ctx, ours, anna); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("the subscriber became %+v, %v, was %+v", after, err, before)
	}
	if k, err := e.KeyByHash(ctx, key.Hash); err != nil || k.Revoked {
		t.Errorf("the key became %+v, %v", k, err)
	}
	// The same account may be another person's in another tenant.
	put(t, e, theirs, ben, [2]string{"qq", "1"})
	if got := keep(t, e, other); got[0] != callsign.Stored {
		t.Errorf("their account of the same name: %s", got[0])
	}
	if p, err := e.Profile(ctx, anna); err != nil || p.Signature.Text != "hello" || p.Tenant != ours.Tenant {
		t.Errorf("our profile became %+v, %v", p, err)
	}
}

func expect(got, want error) error {
	if errors.Is(got, want) {
		return nil
	}
	return errors.Join(errors.New("instead of "+want.Error()), got)
}

func revisions(t *testing.T, e Engine) {
	ctx := t.Context()
	at := noon.UnixMicro()
	text := func(text string, epoch, version int64) func() error {
		return func() error {
			_, err := e.Keep(ctx, []callsign.Entry{said("qq", "1", text, callsign.Stamp{Epoch: epoch, Version: version})})
			return err
		}
	}
	var last uint64
	for _, step := range []struct {
		name  string
		do    func() error
		grows bool
	}{
		{"create", func() error { put(t, e, ours, anna); return nil }, true},
		{"rename", func() error {
			_, err := e.PutSubscriber(ctx, ours, callsign.Subscriber{MSISDN: anna, Name: "Anna"})
			return err
		}, true},
		{"link", func() error { _, err := e.LinkAccount(ctx, ours, anna, "qq", "1"); return err }, true},
		{"link again", func() error { _, err := e.LinkAccount(ctx, ours, anna, "qq", "1"); return err }, false},
		{"say", text("hello", callsign.TimedEpoch, at), true},
		{"say it again", text("hello", callsign.TimedEpoch, at), false},
		{"say something older", text("hi", callsign.TimedEpoch, at-1), false},
		{"say by version", text("hello", 0, 1), true},
		{"clear", text("", 0, 2), true},
		{"somebody else changes", func() error { put(t, e, ours, ben); return nil }, false},
		{"unlink", func() error { return e.UnlinkAccount(ctx, ours, anna, "qq", "1") }, true},
		{"unlink the manual one", func() error {
			return expect(e.UnlinkAccount(ctx, ours, anna, callsign.ManualNetwork, "8613800000001"), callsign.ErrConflict)
		}, false},
		{"delete and create again", func() error {
			err := e.DeleteSubscriber(ctx, ours, anna, 0)
			put(t, e, ours, anna)
			return err
		}, true},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		p, err := e.Profile(ctx, anna)
		if err != nil {
			t.Fatalf("%s: %v", step.name, err)
		}
		if p.Rev < last || (p.Rev > last) != step.grows {
			t.Errorf("%s: Rev went from %d to %d, want growth %v", step.name, last, p.Rev, step.grows)
		}
		last = p.Rev
	}
}

func keys(t *testing.T, e Engine) {
	ctx := t.Context()
	k := callsign.Key{
		ID: "b", Name: "push of QQ", Hash: [32]byte{7, 8}, Created: noon, Expires: noon.AddDate(1, 0, 0),
		Scope: callsign.Scope{Tenant: ours.Tenant, Role: callsign.RoleSource, Network: "qq", Source: "qq-1", MSISDN: anna},
	}
	if err := e.PutKey(ctx, k); err != nil {
		t.Fatal(err)
	}
	k.Scope.KeyID = k.ID
	if got, err := e.KeyByHash(ctx, k.Hash); err != nil || got != k {
		t.Errorf("key is %+v, %v, want %+v", got, err, k)
	}
	_, err := e.KeyByHash(ctx, [32]byte{9})
	wantErr(t, "an unknown hash", err, callsign.ErrNotFound)
	second := callsign.Key{ID: "a", Hash: [32]byte{1}, Scope: ours}
	if err := e.PutKey(ctx, second); err != nil {
		t.Fatal(err)
	}
	second.Scope.KeyID = "a"
	wantErr(t, "the same ID again", e.PutKey(ctx, callsign.Key{ID: "a", Hash: [32]byte{2}, Scope: ours}), callsign.ErrConflict)
	wantErr(t, "the same hash again", e.PutKey(ctx, callsign.Key{ID: "c", Hash: [32]byte{1}, Scope: theirs}), callsign.ErrConflict)
	if err := e.PutKey(ctx, callsign.Key{ID: "a", Hash: [32]byte{3}, Scope: theirs}); err != nil {
		t.Errorf("the same ID of another tenant: %v", err)
	}
	for range 2 { // revoking twice is no error
		if err := e.RevokeKey(ctx, ours, "b"); err != nil {
			t.Error(err)
		}
	}
	k.Revoked = true
	if got, err := e.KeyByHash(ctx, k.Hash); err != nil || got != k {
		t.Errorf("revoked, it is %+v, %v, want %+v", got, err, k)
	}
	wantErr(t, "revoking an unknown key", e.RevokeKey(ctx, ours, "zz"), callsign.ErrNotFound)
	if got, err := e.Keys(ctx, ours, callsign.Page{}); err != nil || !slices.Equal(got, []callsign.Key{second, k}) {
		t.Errorf("keys are %+v, %v", got, err)
	}
	for after, want := range map[string][]callsign.Key{"": {second}, "a": {k}, "b": nil} {
		if got, err := e.Keys(ctx, ours, callsign.Page{After: after, Limit: 1}); err != nil || !slices.Equal(got, want) {
			t.Errorf("the key after %q is %+v, %v, want %+v", after, got, err, want)
		}
	}
}

func rotatedKeys(t *testing.T, e Engine) {
	ctx := t.Context()
	made, now, until := noon, noon.AddDate(0, 1, 0), noon.AddDate(0, 1, 1)
	source := callsign.Scope{Tenant: ours.Tenant, Role: callsign.RoleSource, Network: "qq", Source: "qq-1"}
	for i, step := range []struct {
		name          string
		expires       time.Time
		next, old     time.Time // when they end afterwards
		oldID, nextID string
	}{
		{"one that ends", made.AddDate(1, 0, 0), now.Add(made.AddDate(1, 0, 0).Sub(made)), until, "a", "b"},
		{"one that never ends", time.Time{}, time.Time{}, until, "c", "d"},
		{"one that ends before", until.Add(-time.Hour), now.Add(until.Add(-time.Hour).Sub(made)), until.Add(-time.Hour), "e", "f"},
	} {
		old := callsign.Key{ID: step.oldID, Name: "push", Hash: [32]byte{byte(i), 1}, Scope: source, Created: made, Expires: step.expires}
		if err := e.PutKey(ctx, old); err != nil {
			t.Fatal(err)
		}
		next := callsign.Key{ID: step.nextID, Hash: [32]byte{byte(i), 2}, Created: now}
		want := callsign.Key{ID: next.ID, Name: old.Name, Hash: next.Hash, Scope: source, Created: now, Expires: step.next}
		want.Scope.KeyID = next.ID
		if got, err := e.RotateKey(ctx, ours, old.ID, until, next); err != nil || got != want {
			t.Errorf("%s: the next key is %+v, %v, want %+v", step.name, got, err, want)
		}
		if got, err := e.KeyByHash(ctx, next.Hash); err != nil || got != want {
			t.Errorf("%s: kept is %+v, %v, want %+v", step.name, got, err, want)
		}
		if got, err := e.KeyByHash(ctx, old.Hash); err != nil || !got.Expires.Equal(step.old) {
			t.Errorf("%s: the old one ends at %v, %v, want %v", step.name, got.Expires, err, step.old)
		}
	}
	_, err := e.RotateKey(ctx, ours, "c", until, callsign.Key{ID: "d", Hash: [32]byte{9}})
	wantErr(t, "an ID that is there", err, callsign.ErrConflict)
	if err := e.RevokeKey(ctx, ours, "a"); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"a", "unknown"} {
		_, err := e.RotateKey(ctx, ours, id, until, callsign.Key{ID: "z", Hash: [32]byte{8}})
		wantErr(t, "rotating "+id, err, callsign.ErrNotFound)
	}
	_, err = e.KeyByHash(ctx, [32]byte{8})
	wantErr(t, "what a refused rotation brought", err, callsign.ErrNotFound)
}

func changedMeanwhile(t *testing.T, e Engine) {
	ctx := t.Context()
	put := func(name string, rev uint64) error {
		_, err := e.PutSubscriber(ctx, ours, callsign.Subscriber{MSISDN: anna, Name: name, Rev: rev})
		return err
	}
	rev := func() uint64 {
		s, err := e.Subscriber(ctx, ours, anna)
		if err != nil {
			t.Fatal(err)
		}
		return s.Rev
	}
	wantErr(t, "changing one that isn't there", put("Anna", 1), callsign.ErrChanged)
	wantErr(t, "creating it", put("Anna", 0), nil)
	read := rev()
	wantErr(t, "the first of two who read the same", put("Anna Lee", read), nil)
	wantErr(t, "the second", put("Ann", read), callsign.ErrChanged)
	wantErr(t, "who deletes what was read", e.DeleteSubscriber(ctx, ours, anna, read), callsign.ErrChanged)
	read = rev()
	keep(t, e, said(callsign.ManualNetwork, "8613800000001", "hello", callsign.TimedStamp(noon)))
	wantErr(t, "who has not seen the text", put("Ann", read), callsign.ErrChanged)
	if s, err := e.Subscriber(ctx, ours, anna); err != nil || s.Name != "Anna Lee" {
		t.Errorf("the name is %q, %v", s.Name, err)
	}
	_, err := e.PutSubscriber(ctx, theirs, callsign.Subscriber{MSISDN: anna, Rev: rev()})
	wantErr(t, "another tenant that knows the revision", err, callsign.ErrChanged)
	wantErr(t, "deleting what was read", e.DeleteSubscriber(ctx, ours, anna, rev()), nil)
}

func audits(t *testing.T, e Engine) {
	ctx := t.Context()
	put(t, e, ours, anna)
	var want []callsign.Audit
	for i := range 5 {
		a := callsign.Audit{
			ID: string(rune('1' + i)), Tenant: ours.Tenant, At: noon, KeyID: "k", Address: "127.0.0.1", Action: "PUT /v1/subscribers/{msisdn}",
			MSISDN: anna + callsign.MSISDN(i%2), Object: "qq\xff",
		}
		if i == 2 {
			a.MSISDN = 0
		}
		if err := e.PutAudit(ctx, a); err != nil {
			t.Fatal(err)
		}
		if i == 2 { // whom it is about turned out later
			a.MSISDN = chloe
			if err := e.PutAudit(ctx, a); err != nil {
				t.Fatal(err)
			}
		}
		if i != 3 {
			a.Status = 200
			if err := e.PutAudit(ctx, a); err != nil {
				t.Fatal(err)
			}
		}
		want = append(want, a)
	}
	slices.Reverse(want)
	if got, err := e.Audits(ctx, ours, callsign.Page{}); err != nil || !slices.Equal(got, want) {
		t.Errorf("the audit is %+v, %v, want %+v", got, err, want)
	}
	if got, err := e.Audits(ctx, ours, callsign.Page{After: "4", Limit: 2}); err != nil || !slices.Equal(got, want[2:4]) {
		t.Errorf("the page after 4 is %+v, %v, want %+v", got, err, want[2:4])
	}
	if _, err := e.Erase(ctx, ours, anna); err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if want[i].MSISDN == anna {
			want[i].MSISDN = 0
		}
	}
	for _, a := range want {
		if a.Status == 200 && a.MSISDN == 0 {
			a.MSISDN = anna
			if err := e.PutAudit(ctx, a); err != nil { // as the end of the erasure itself does
				t.Fatal(err)
			}
		}
	}
	if got, err := e.Audits(ctx, ours, callsign.Page{}); err != nil || !slices.Equal(got, want) {
		t.Errorf("after the erasure the audit is %+v, %v, want %+v", got, err, want)
	}
}
