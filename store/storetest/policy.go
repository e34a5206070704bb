package storetest

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// text is an entry for a policy's text as the intake would pass it on.
func text(m callsign.MSISDN, name, what string, at time.Time) callsign.Entry {
	en := said(callsign.PolicyNetwork, callsign.TextAccount(m, name, ""), what, callsign.TimedStamp(at))
	en.Source, en.ID, en.At = callsign.PolicyNetwork, name, at
	return en
}

func policies(t *testing.T, e Engine) {
	ctx := t.Context()
	put(t, e, ours, anna, [2]string{"qq", "1"}, [2]string{"xmpp", "a/b"})
	put(t, e, theirs, ben)
	keep(t, e, said("qq", "1", "from qq", callsign.TimedStamp(noon)), callsign.Entry{
		Change: callsign.Change{Tenant: ours.Tenant, Network: "xmpp", Account: "a/b", Text: "from xmpp", Stamp: callsign.TimedStamp(noon), At: noon.Add(time.Hour)}, Shown: "from xmpp",
	})
	policy := callsign.Policy{Texts: map[string]callsign.PolicyText{"a": {Text: "A"}, "b": {Text: "B"}}, Rules: []callsign.PolicyRule{{Name: "all", Show: "a"}}}
	of := func() callsign.Profile {
		t.Helper()
		p, err := e.Profile(ctx, anna)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if before := of(); before.Policy != nil || before.Signature.Shown != "from xmpp" {
		t.Errorf("without a policy: %+v", before)
	}
	_, _, err := e.Policy(ctx, ours, anna)
	wantErr(t, "a policy that isn't there", err, callsign.ErrNotFound)
	_, err = e.PutPolicy(ctx, theirs, anna, policy, 0, nil)
	wantErr(t, "another tenant's", err, callsign.ErrNotFound)
	_, err = e.PutPolicy(ctx, ours, chloe, policy, 0, nil)
	wantErr(t, "nobody's", err, callsign.ErrNotFound)
	_, err = e.PutPolicy(ctx, ours, anna, policy, 7, nil)
	wantErr(t, "changing what isn't there", err, callsign.ErrChanged)

	held := judged(text(anna, "b", "B", noon), callsign.Held)
	revBefore := of().Rev
	rev, err := e.PutPolicy(ctx, ours, anna, policy, 0, []callsign.Entry{text(anna, "a", "A", noon), held})
	if err != nil {
		t.Fatal(err)
	}
	p := of()
	if p.Policy == nil || p.Policy.Rev != rev || p.Rev <= revBefore || !reflect.DeepEqual(p.Policy.Policy, policy) || p.Signature.Shown != "from xmpp" {
		t.Fatalf("%+v, %+v, at %d", p, p.Policy, rev)
	}
	if len(p.Policy.Shown) != 1 || p.Policy.Shown["a"].Shown != "A" {
		t.Errorf("shown %+v, want a alone: b is held", p.Policy.Shown)
	}
	if got, at, err := e.Policy(ctx, ours, anna); err != nil || at != rev || !reflect.DeepEqual(got, policy) {
		t.Errorf("%+v at %d, %v", got, at, err)
	}
	_, _, err = e.Policy(ctx, theirs, anna)
	wantErr(t, "read by another tenant", err, callsign.ErrNotFound)

	// A person approves what was held, and it stands when the same policy is put again, by a node whose clock is behind.
	if err := e.Review(ctx, ours, callsign.Verdict{MSISDN: anna, Network: held.Network, Account: held.Account, Stamp: held.Stamp, Review: callsign.Approved, At: noon}, cleanly); err != nil {
		t.Fatal(err)
	}
	if got := of().Policy.Shown["b"].Shown; got != "clean B" {
		t.Errorf("approved it shows %q", got)
	}
	policy.Account, policy.Paused = "qq/1", true
	again := []callsign.Entry{text(anna, "a", "A2", noon.Add(-time.Hour)), judged(text(anna, "b", "B", noon.Add(-time.Hour)), callsign.Held)}
	later, err := e.PutPolicy(ctx, ours, anna, policy, rev, again)
	if err != nil || later <= rev {
		t.Fatalf("put again: %d after %d, %v", later, rev, err)
	}
	if p := of(); p.Policy.Shown["a"].Shown != "A2" || p.Policy.Shown["b"].Shown != "clean B" || p.Signature.Shown != "from qq" {
		t.Errorf("put again it shows %+v and %q", p.Policy.Shown, p.Signature.Shown)
	}
	_, err = e.PutPolicy(ctx, ours, anna, policy, rev, again)
	wantErr(t, "what was changed meanwhile", err, callsign.ErrChanged)
	_, err = e.PutPolicy(ctx, ours, anna, callsign.Policy{Paused: true}, callsign.NoRev, nil)
	wantErr(t, "what was put meanwhile where there was none", err, callsign.ErrChanged)
	wantErr(t, "deleting what was changed", e.DeletePolicy(ctx, ours, anna, rev), callsign.ErrChanged)

	// Its texts are nobody's accounts, and go with it.
	_, err = e.LinkAccount(ctx, ours, anna, callsign.PolicyNetwork, "x")
	wantErr(t, "linking", err, callsign.ErrConflict)
	wantErr(t, "unlinking", e.UnlinkAccount(ctx, ours, anna, callsign.PolicyNetwork, held.Account), callsign.ErrConflict)
	if refused, err := e.Import(ctx, ours, []callsign.ImportRow{{MSISDN: anna, Signature: callsign.Signature{Network: callsign.PolicyNetwork, Account: "x"}}}); err != nil || refused[0] == nil {
		t.Errorf("importing: %v, %v", refused, err)
	}
	delete(policy.Texts, "b")
	if _, err := e.PutPolicy(ctx, ours, anna, policy, 0, again[:1]); err != nil {
		t.Fatal(err)
	}
	if p := of(); len(p.Policy.Shown) != 1 {
		t.Errorf("a text that is gone is shown: %+v", p.Policy.Shown)
	}
	if err := e.DeletePolicy(ctx, ours, anna, 0); err != nil {
		t.Fatal(err)
	}
	if p := of(); p.Policy != nil || p.Signature.Shown != "from xmpp" {
		t.Errorf("after it was deleted: %+v", p)
	}
	wantErr(t, "deleting it again", e.DeletePolicy(ctx, ours, anna, 0), callsign.ErrNotFound)
	if s, err := e.Subscriber(ctx, ours, anna); err != nil || len(s.Accounts) != 3 {
		t.Errorf("the accounts that are left: %+v, %v", s.Accounts, err)
	}
	if _, err := e.PutPolicy(ctx, ours, anna, policy, 0, again[:1]); err != nil {
		t.Fatal(err)
	}
	if err := e.DeleteSubscriber(ctx, ours, anna, 0); err != nil {
		t.Fatal(err)
	}
	put(t, e, theirs, anna)
	if p := of(); p.Policy != nil {
		t.Errorf("the number's next owner has %+v", p.Policy)
	}
}

func tenantPolicies(t *testing.T, e Engine) {
	ctx := t.Context()
	all := func() map[string]store.TenantDocument {
		t.Helper()
		got, err := e.TenantPolicies(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := all(); len(got) != 0 {
		t.Errorf("at first: %v", got)
	}
	_, err := e.PutTenantPolicy(ctx, ours, callsign.TenantPolicy{}, 3)
	wantErr(t, "changing what isn't there", err, callsign.ErrChanged)
	first, err := e.PutTenantPolicy(ctx, ours, callsign.TenantPolicy{PerDay: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.PutTenantPolicy(ctx, theirs, callsign.TenantPolicy{PerDay: 9}, 0); err != nil {
		t.Fatal(err)
	}
	second, err := e.PutTenantPolicy(ctx, ours, callsign.TenantPolicy{PerDay: 2}, first)
	if err != nil || second <= first {
		t.Fatalf("%d after %d, %v", second, first, err)
	}
	_, err = e.PutTenantPolicy(ctx, ours, callsign.TenantPolicy{PerDay: 3}, first)
	wantErr(t, "what was changed meanwhile", err, callsign.ErrChanged)
	wantErr(t, "deleting what was changed", e.DeleteTenantPolicy(ctx, ours, first), callsign.ErrChanged)
	if p, rev, err := e.TenantPolicy(ctx, ours); err != nil || p.PerDay != 2 || rev != second || len(all()) != 2 {
		t.Errorf("%v: %+v at %d, %v", all(), p, rev, err)
	}
	if err := e.DeleteTenantPolicy(ctx, ours, second); err != nil {
		t.Fatal(err)
	}
	if got := all(); len(got) != 1 {
		t.Errorf("after it was deleted: %v", got)
	}
	_, _, err = e.TenantPolicy(ctx, ours)
	wantErr(t, "reading it then", err, callsign.ErrNotFound)
	wantErr(t, "deleting it again", e.DeleteTenantPolicy(ctx, ours, 0), callsign.ErrNotFound)
}

// policyNodes has two nodes' memories of one engine: what is put on one holds on the other within a second.
func policyNodes(t *testing.T, e Engine) {
	put(t, e, ours, anna)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	type node struct {
		*store.Tenants
		cached *store.Cached
	}
	var nodes [2]node
	for i := range nodes {
		nodes[i] = node{store.NewTenants(e, nil), store.NewCached(store.CachedOptions{Truth: e})}
		if _, known := nodes[i].Tenant(ours.Tenant); known {
			t.Error("it is known before anything was read")
		}
		running.Go(func() { _ = nodes[i].Run(ctx) })
		running.Go(func() { _ = nodes[i].cached.Run(ctx) })
	}
	within := func(what string, limit time.Duration, holds func(node) bool) {
		t.Helper()
		began := time.Now()
		for i, n := range nodes {
			for ; !holds(n); time.Sleep(time.Millisecond) {
				if time.Since(began) > limit {
					t.Fatalf("%s: node %d not after %v", what, i, limit)
				}
			}
		}
		t.Logf("%s: after %v", what, time.Since(began))
	}
	perDay := func(want int) func(node) bool {
		return func(n node) bool {
			tenant, known := n.Tenant(ours.Tenant)
			return known && tenant.PerDay() == want
		}
	}
	paused := func(want bool) func(node) bool {
		return func(n node) bool {
			p, err := n.cached.Profile(ctx, anna)
			return err == nil && (p.Policy != nil && p.Policy.Policy.Paused) == want
		}
	}
	within("loaded", 10*time.Second, func(n node) bool { return perDay(0)(n) && paused(false)(n) })
	for i := range 5 {
		if _, err := e.PutTenantPolicy(ctx, ours, callsign.TenantPolicy{PerDay: i + 1}, 0); err != nil {
			t.Fatal(err)
		}
		within("a tenant's policy", time.Second, perDay(i+1))
		if _, err := e.PutPolicy(ctx, ours, anna, callsign.Policy{Paused: i%2 == 0}, 0, nil); err != nil {
			t.Fatal(err)
		}
		within("a subscriber's", time.Second, paused(i%2 == 0))
	}
	within("in memory, where calls look first", time.Second, func(n node) bool {
		_, _ = n.cached.Profile(ctx, anna) // the feed may have come to stand since the look before: then it is read once more
		p, found, known := n.cached.Peek(anna)
		return known && found && p.Policy != nil && p.Policy.Policy.Paused
	})
	if err := e.DeleteTenantPolicy(ctx, ours, 0); err != nil {
		t.Fatal(err)
	}
	within("deleted", time.Second, perDay(0))
}

func consents(t *testing.T, e Engine) {
	ctx := t.Context()
	_, err := e.Consent(ctx, ours, anna)
	wantErr(t, "nothing is kept", err, callsign.ErrNotFound)
	asked := callsign.Consent{MSISDN: anna, Tenant: ours.Tenant, Request: "ON\x00", Asked: "Sure?", AskedAt: noon, AskedLink: "a"}
	confirmed := asked
	confirmed.Reply, confirmed.RepliedAt, confirmed.ReplyLink = "是", noon.Add(time.Minute), "b"
	for _, c := range []callsign.Consent{asked, confirmed} {
		if err := e.PutConsent(ctx, c); err != nil {
			t.Fatal(err)
		}
		if got, err := e.Consent(ctx, ours, anna); err != nil || got != c {
			t.Errorf("%+v, %v, want %+v", got, err, c)
		}
	}
	_, err = e.Consent(ctx, theirs, anna)
	wantErr(t, "another tenant's", err, callsign.ErrNotFound)
	if _, err := e.Erase(ctx, ours, anna); err != nil && !errors.Is(err, callsign.ErrNotFound) {
		t.Error(err)
	}
	_, err = e.Consent(ctx, ours, anna)
	wantErr(t, "erased", err, callsign.ErrNotFound)

	put(t, e, ours, anna)
	if err := e.PutConsent(ctx, confirmed); err != nil {
		t.Fatal(err)
	}
	if err := e.DeleteSubscriber(ctx, ours, anna, 0); err != nil {
		t.Fatal(err)
	}
	_, err = e.Consent(ctx, ours, anna)
	wantErr(t, "of the number's last owner", err, callsign.ErrNotFound)
}
