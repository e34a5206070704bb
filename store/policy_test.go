package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

func policed(tb testing.TB, m callsign.MSISDN) callsign.Profile {
	tb.Helper()
	p := callsign.Policy{
		TimeZone: "Asia/Shanghai", Groups: map[string][]string{"all": nil}, Texts: map[string]callsign.PolicyText{"a": {Text: "until {end}", Languages: map[string]string{"zh": "到{end}"}}},
		Rules: []callsign.PolicyRule{{Name: "all", Callers: []string{"@all", "+1*"}, When: callsign.When{Days: []string{"mon"}, To: "18:00"}, Show: "a"}},
	}
	for i := range 100 {
		p.Groups["all"] = append(p.Groups["all"], fmt.Sprintf("+86138%08d", i))
	}
	c, err := p.Compile(7, map[string]callsign.Signature{
		"a": {Network: callsign.PolicyNetwork, Shown: "until {end}", Origin: "policy/a"}, "a/zh": {Network: callsign.PolicyNetwork, Shown: "到{end}", Lang: "zh"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return callsign.Profile{MSISDN: m, Tenant: "t", Rev: 9, Signature: callsign.Signature{Text: "x", Shown: "x"}, Policy: c}
}

func TestAPolicyIsPackedWhole(t *testing.T) {
	p := policed(t, 7)
	packed := Pack(&p)
	got, ok := Unpack(7, 9, packed)
	if !ok || !reflect.DeepEqual(got.Policy, p.Policy) {
		t.Errorf("got %+v, %v, want %+v", got.Policy, ok, p.Policy)
	}
	for _, n := range []int{1, 10, len(packed) / 2} {
		if _, ok := Unpack(7, 9, packed[:len(packed)-n]); ok {
			t.Errorf("cut off by %d it is taken for whole", n)
		}
	}
}

// TestWhatANewerNodeSaysIsNotHalfRead has members that this node doesn't know: a caller that they keep out would be shown the text.
func TestWhatANewerNodeSaysIsNotHalfRead(t *testing.T) {
	for document, ok := range map[string]bool{
		`{"never":["+8613800000001"]}`:                   true,
		`{"never_again":["+8613800000001"]}`:             false,
		`{"rules":[{"show":"nothing","moon":"full"}]}`:   false,
		`{"rules":[{"show":"nothing"}]} {"paused":true}`: false,
	} {
		_, err := ReadPolicy(8613900000002, 1, document, nil)
		if ok != (err == nil) || err != nil && !errors.Is(err, callsign.ErrUnavailable) {
			t.Errorf("%s is read with %v", document, err)
		}
		packed := Pack(&callsign.Profile{Tenant: "t"}) + `{"rev":1,"policy":` + document + `}`
		if _, unpacked := Unpack(8613900000002, 1, packed); unpacked != ok {
			t.Errorf("%s of another node's is taken: %v", document, unpacked)
		}
	}
}

type policedTruth struct {
	everyone
	profile callsign.Profile
	err     error
}

func (tr *policedTruth) Profile(context.Context, callsign.MSISDN) (callsign.Profile, error) {
	return tr.profile, tr.err
}

// TestAPolicyIsCompiledOnce has a call's look at memory give what was compiled when it was read, also after a restart.
func TestAPolicyIsCompiledOnce(t *testing.T) {
	tr := &policedTruth{profile: policed(t, 7)}
	file := filepath.Join(t.TempDir(), "memory")
	c := NewCached(CachedOptions{Truth: tr, Snapshot: file})
	if _, err := c.Profile(t.Context(), 7); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if p, found, known := c.Peek(7); !known || !found || p.Policy != tr.profile.Policy {
			t.Fatalf("memory has %p, %v, %v, want %p", p.Policy, found, known, tr.profile.Policy)
		}
	}
	if n := testing.AllocsPerRun(100, func() { c.Peek(7) }); n != 0 {
		t.Errorf("a look takes %v allocations", n)
	}
	c.save()

	away := NewCached(CachedOptions{Truth: &policedTruth{err: callsign.ErrUnavailable}, Snapshot: file})
	away.load()
	if p, err := away.Profile(t.Context(), 7); err != nil || p.Policy == nil || !reflect.DeepEqual(p.Policy, tr.profile.Policy) {
		t.Errorf("of a snapshot, with the truth away: %+v, %v", p, err)
	}

	c.changed(7, 10)
	if s := c.shard(7); len(s.policies) != 0 || s.bytes != 0 {
		t.Errorf("after a change %d policies and %d bytes are left", len(s.policies), s.bytes)
	}
	tr.profile.Policy = nil
	if p, err := c.Profile(t.Context(), 7); err != nil || p.Policy != nil {
		t.Errorf("without a policy: %+v, %v", p, err)
	}
}

func TestPoliciesTakeWhatMemorySays(t *testing.T) {
	const n = 3000
	c := NewCached(CachedOptions{Truth: everyone{}, MaxBytes: 1 << 30})
	before := heap()
	for m := range callsign.MSISDN(n) {
		p := policed(t, m+1)
		s := c.shard(m + 1)
		s.put(entry{msisdn: m + 1, rev: 9, packed: Pack(&p)}, p.Policy)
	}
	took, says := heap()-before, 0
	for i := range c.shards {
		says += c.shards[i].bytes
	}
	if took > says*125/100 || took < says*50/100 {
		t.Errorf("%d policies take %d bytes, and are said to take %d", n, took, says)
	}
}

// keptTenants is a keeper whose policies can be changed, or away.
type keptTenants struct {
	everyone
	documents map[string]TenantDocument
}

func (k keptTenants) TenantPolicies(context.Context) (map[string]TenantDocument, error) {
	return k.documents, nil
}

func TestATenantWhosePolicyCantBeUsedIsSilent(t *testing.T) {
	ts := NewTenants(keptTenants{documents: map[string]TenantDocument{"a": {1, `{"time_zone":"Mars"}`}, "b": {1, `{`}, "c": {1, `{"per_day":3}`}, "e": {1, `{"per_day":3,"per_hour":1}`}}}, nil)
	if err := ts.read(t.Context()); err != nil {
		t.Fatal(err)
	}
	call := callsign.Call{Caller: 8613800000001, Callee: 8613900000002, At: time.Now()}
	for name, want := range map[string]bool{"a": false, "b": false, "c": true, "d": true, "e": false} {
		if tenant, known := ts.Tenant(name); !known || tenant.Takes(call) != want {
			t.Errorf("%s: known %v, shows %v", name, known, tenant.Takes(call))
		}
	}
}
