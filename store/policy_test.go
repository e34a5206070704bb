package store

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
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

// TestNoPolicyTakesMoreThanMemorySays fills policies with whatever grows most when it is compiled: a subscriber writes them.
func TestNoPolicyTakesMoreThanMemorySays(t *testing.T) {
	list := func(n int, item string) (items []string) {
		for i := range n {
			items = append(items, strings.ReplaceAll(item, "#", fmt.Sprint(i%9+1)))
		}
		return items
	}
	rules := func(n int, r callsign.PolicyRule) callsign.Policy {
		return callsign.Policy{Rules: slices.Repeat([]callsign.PolicyRule{r}, n)}
	}
	text := map[string]callsign.PolicyText{}
	for i := range 32 {
		text[fmt.Sprint("t", i)] = callsign.PolicyText{Text: strings.Repeat("x", 1300)}
	}
	groups := map[string][]string{}
	for i := range 64 {
		for j := range 100 {
			groups[fmt.Sprint("g", i)] = append(groups[fmt.Sprint("g", i)], fmt.Sprint(j+10))
		}
	}
	for what, p := range map[string]callsign.Policy{
		"nothing":        {},
		"prefixes":       {Never: list(7000, "#*")},
		"ranges":         {Never: list(5000, "1-+#")},
		"numbers":        {Never: list(9000, "#")},
		"dates":          {Holidays: list(5000, "12-0#")},
		"days":           rules(1, callsign.PolicyRule{Show: "nothing", When: callsign.When{Days: list(6000, "mon")}}),
		"dates of rules": rules(200, callsign.PolicyRule{Show: "nothing", When: callsign.When{Dates: list(20, "12-0#")}}),
		"rules":          rules(200, callsign.PolicyRule{Show: "nothing"}),
		"pauses":         {Pauses: slices.Repeat([]callsign.Pause{{To: time.Unix(1, 0)}}, 600)},
		"groups":         {Groups: groups},
		"texts":          {Texts: text},
	} {
		const n = 100
		shown := map[string]callsign.Signature{}
		for name, t := range p.Texts {
			shown[name] = callsign.Signature{Network: callsign.PolicyNetwork, Shown: t.Text, Origin: "policy/" + name}
		}
		all, says := map[callsign.MSISDN]callsign.Profile{}, 0
		before := heap()
		for m := range callsign.MSISDN(n) {
			c, err := p.Compile(7, shown)
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			profile := callsign.Profile{MSISDN: m, Tenant: "t", Rev: 9, Policy: c}
			packed := Pack(&profile)
			if profile, _ = Unpack(m, 9, packed); profile.Policy == nil { // strings of its own, as it is read
				t.Fatalf("%s is not packed", what)
			}
			e := entry{packed: packed, compiled: uint32(profile.Policy.Bytes())}
			says += e.cost()
			profile.Name = packed
			all[m] = profile
		}
		if took := heap() - before; took > says*110/100 {
			t.Errorf("%d policies of %s take %d bytes, and are said to take %d", n, what, took, says)
		}
		runtime.KeepAlive(all)
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
