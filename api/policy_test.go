package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

// sayings are what subscribers, operators and callers said, as an engine keeps it.
type sayings struct {
	*memory
	rev      uint64
	policies map[callsign.MSISDN]callsign.Policy
	revs     map[callsign.MSISDN]uint64
	tenant   *callsign.TenantPolicy
	optOuts  []callsign.OptOut
	consents map[callsign.MSISDN]callsign.Consent
	pages    int // of opt-outs that were read
}

func newSayings(m *memory) *sayings {
	return &sayings{memory: m, policies: map[callsign.MSISDN]callsign.Policy{}, revs: map[callsign.MSISDN]uint64{}, consents: map[callsign.MSISDN]callsign.Consent{}}
}

func (s *sayings) Policy(ctx context.Context, scope callsign.Scope, m callsign.MSISDN) (callsign.Policy, uint64, error) {
	if _, err := s.Subscriber(ctx, scope, m); err != nil {
		return callsign.Policy{}, 0, err
	}
	p, there := s.policies[m]
	if !there {
		return p, 0, callsign.ErrNotFound
	}
	return p, s.revs[m], nil
}

func (s *sayings) PutPolicy(ctx context.Context, scope callsign.Scope, m callsign.MSISDN, p callsign.Policy, rev uint64) (uint64, error) {
	if _, err := p.Compile(1, nil); err != nil {
		return 0, fmt.Errorf("%w: %w", callsign.ErrInvalid, err)
	}
	if _, err := s.Subscriber(ctx, scope, m); err != nil {
		return 0, err
	}
	if _, there := s.policies[m]; rev == callsign.NoRev && there || rev != 0 && rev != callsign.NoRev && rev != s.revs[m] {
		return 0, callsign.ErrChanged
	}
	s.rev++
	s.policies[m], s.revs[m] = p, s.rev
	return s.rev, nil
}

func (s *sayings) DeletePolicy(ctx context.Context, scope callsign.Scope, m callsign.MSISDN, rev uint64) error {
	if _, now, err := s.Policy(ctx, scope, m); err != nil {
		return err
	} else if rev != 0 && rev != now {
		return callsign.ErrChanged
	}
	delete(s.policies, m)
	return nil
}

func (s *sayings) TenantPolicy(context.Context, callsign.Scope) (callsign.TenantPolicy, uint64, error) {
	if s.tenant == nil {
		return callsign.TenantPolicy{}, 0, callsign.ErrNotFound
	}
	return *s.tenant, 5, nil
}

func (s *sayings) PutTenantPolicy(_ context.Context, _ callsign.Scope, p callsign.TenantPolicy, rev uint64) (uint64, error) {
	if rev != 0 && rev != 5 {
		return 0, callsign.ErrChanged
	}
	s.tenant = &p
	return 5, nil
}

func (s *sayings) DeleteTenantPolicy(context.Context, callsign.Scope, uint64) error {
	s.tenant = nil
	return nil
}

func (s *sayings) OptOut(_ context.Context, o callsign.OptOut) (bool, error) {
	if i := slices.IndexFunc(s.optOuts, func(x callsign.OptOut) bool { return x.Caller == o.Caller && x.Callee == o.Callee }); i >= 0 {
		was := s.optOuts[i]
		if was.Tenant != o.Tenant || was.Origin == "sms" || was.PerDay == o.PerDay {
			return false, nil
		}
		s.optOuts = slices.Delete(s.optOuts, i, i+1)
	}
	s.optOuts = append(s.optOuts, o)
	slices.SortFunc(s.optOuts, func(a, b callsign.OptOut) int {
		return cmp.Or(cmp.Compare(a.Caller, b.Caller), cmp.Compare(a.Callee, b.Callee))
	})
	return true, nil
}

func (s *sayings) OptIn(_ context.Context, o callsign.OptOut) (bool, error) {
	before := len(s.optOuts)
	s.optOuts = slices.DeleteFunc(s.optOuts, func(x callsign.OptOut) bool {
		return x.Caller == o.Caller && x.Callee == o.Callee && x.Tenant == o.Tenant && x.Origin == o.Origin
	})
	return len(s.optOuts) < before, nil
}

func (s *sayings) OptInAll(context.Context, callsign.MSISDN) (bool, error) {
	return false, errors.ErrUnsupported
}

func (s *sayings) OptOuts(_ context.Context, after callsign.OptOut, limit int) (out []callsign.OptOut, _ error) {
	s.pages++
	for _, o := range s.optOuts {
		if cmp.Or(cmp.Compare(o.Caller, after.Caller), cmp.Compare(o.Callee, after.Callee)) > 0 && len(out) < limit {
			out = append(out, o)
		}
	}
	return out, nil
}

func (s *sayings) OptOutsOf(_ context.Context, caller callsign.MSISDN) (out []callsign.OptOut, _ error) {
	for _, o := range s.optOuts {
		if o.Caller == caller {
			out = append(out, o)
		}
	}
	return out, nil
}

func (s *sayings) Consent(_ context.Context, _ callsign.Scope, m callsign.MSISDN) (callsign.Consent, error) {
	c, there := s.consents[m]
	if !there {
		return c, callsign.ErrNotFound
	}
	return c, nil
}

func (s *sayings) PutConsent(_ context.Context, c callsign.Consent) error {
	s.consents[c.MSISDN] = c
	return nil
}

func TestAShortPageOfOptOutsReadsOthersInLongOnes(t *testing.T) {
	var of *sayings
	s := serve(t, func(o *Options) { of = o.Policies.(*sayings) })
	operator := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	for i := range callsign.MSISDN(2500) {
		of.optOuts = append(of.optOuts, callsign.OptOut{Tenant: "other", Caller: 8613800000000 + i, At: time.Unix(1, 0)})
	}
	of.optOuts = append(of.optOuts, callsign.OptOut{Tenant: callsign.DefaultTenant, Caller: 8613900000002, At: time.Unix(1, 0), Origin: "sms"})
	a := s.do(t, operator, "GET", "/v1/opt-outs?limit=1", "")
	if a.status != 200 || !strings.Contains(string(a.raw), `"next":"8613900000002/0"`) {
		t.Errorf("got %d %s", a.status, a.raw)
	}
	if of.pages != 3 {
		t.Errorf("the store was asked %d times, want 3", of.pages)
	}
}

// stopping is sayings of which a caller says STOP just after they were read.
type stopping struct{ *sayings }

func (s stopping) OptOutsOf(ctx context.Context, caller callsign.MSISDN) ([]callsign.OptOut, error) {
	read, err := s.sayings.OptOutsOf(ctx, caller)
	for i, o := range s.optOuts {
		if o.Caller == caller {
			s.optOuts[i].Origin = "sms"
		}
	}
	return read, err
}

func TestAStopThatCameMeanwhileIsNotTakenBack(t *testing.T) {
	var of *sayings
	s := serve(t, func(o *Options) {
		of = o.Policies.(*sayings)
		o.OptOutRows = stopping{of}
	})
	of.optOuts = []callsign.OptOut{{Tenant: callsign.DefaultTenant, Caller: 8613800000001, At: time.Unix(1, 0), Origin: callsign.OptOutByOperator + "key"}}
	a := s.do(t, s.memory.key(callsign.Scope{Role: callsign.RoleOperator}), "DELETE", "/v1/opt-outs/8613800000001", "")
	if a.status != 409 || !strings.Contains(string(a.raw), "changed_meanwhile") {
		t.Errorf("got %d %s", a.status, a.raw)
	}
	if len(of.optOuts) != 1 {
		t.Error("it is gone")
	}
}

func TestWhoSaysWhatIsShown(t *testing.T) {
	var of *sayings
	s := serve(t, func(o *Options) { of = o.Policies.(*sayings) })
	const li, wang = callsign.MSISDN(8613900000002), callsign.MSISDN(8613900000003)
	for _, m := range []callsign.MSISDN{li, wang} {
		s.memory.subscribers[m] = callsign.Subscriber{MSISDN: m, Tenant: callsign.DefaultTenant}
	}
	of.consents[li] = callsign.Consent{MSISDN: li, Request: "ON", Asked: "Sure?", AskedAt: time.Unix(1, 0).UTC(), AskedLink: "a", Reply: "YES", RepliedAt: time.Unix(2, 0).UTC(), ReplyLink: "b"}
	of.optOuts = []callsign.OptOut{{Tenant: "other", Caller: 1, At: time.Unix(1, 0)}, {Tenant: "other", Caller: 8613800000009}, {Tenant: callsign.DefaultTenant, Caller: 8613900000002, Callee: 3, At: time.Unix(3, 0), Origin: "sms"}}
	keys := map[string]string{
		"admin": s.memory.key(callsign.Scope{Role: callsign.RoleAdmin}), "operator": s.memory.key(callsign.Scope{Role: callsign.RoleOperator}),
		"li": s.memory.key(callsign.Scope{Role: callsign.RoleSubscriber, MSISDN: li}), "source": s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq", Source: "im"}),
	}
	const policy = "/v1/subscribers/+8613900000002/policy"
	for _, step := range []struct {
		sentence, key, method, path, body, ifMatch string
		status                                     int
		contains                                   string
	}{
		{"a policy that isn't there", "admin", "GET", policy, "", "", 404, "not_found"},
		{"its subscriber says one", "li", "PUT", policy, `{"paused":true,"texts":{"a":{"text":"A"}},"rules":[{"callers":["+86138*"],"days":["mon"],"show":"a"}]}`, "", 200, `"paused":true`},
		{"and reads it, with its tag", "li", "GET", policy, "", "", 200, `"rules":[{"callers":["+86138*"],"days":["mon"],"show":"a"}]`},
		{"an operator changes what was read", "operator", "PUT", policy, `{}`, `"1"`, 200, "{}"},
		{"but not what was changed meanwhile", "operator", "PUT", policy, `{}`, `"1"`, 412, "changed_meanwhile"},
		{"nor removes it", "admin", "DELETE", policy, "", `"1"`, 412, "changed_meanwhile"},
		{"a tag is one of ours", "admin", "PUT", policy, `{}`, `W/"2"`, 400, "ETag"},
		{"another's policy is not a subscriber's", "li", "GET", "/v1/subscribers/+8613900000003/policy", "", "", 403, "another number"},
		{"to change", "li", "PUT", "/v1/subscribers/+8613900000003/policy", `{}`, "", 403, "another number"},
		{"or to remove", "li", "DELETE", "/v1/subscribers/+8613900000003/policy", "", "", 403, "another number"},
		{"a source has none", "source", "GET", policy, "", "", 403, "forbidden"},
		{"what can't be used says what to do", "li", "PUT", policy, `{"rules":[{"show":"b"}]}`, "", 422, "name of one of texts"},
		{"an unknown key is refused", "li", "PUT", policy, `{"pause":true}`, "", 422, "pause"},
		{"so is a text that is not UTF-8", "li", "PUT", policy, "{\"default\":\"\xff\"}", "", 400, "UTF-8"},
		{"of nobody", "admin", "PUT", "/v1/subscribers/+8613900000009/policy", `{}`, "", 404, "not_found"},
		{"a subscriber reads themselves", "li", "GET", "/v1/subscribers/+8613900000002", "", "", 200, "+8613900000002"},
		{"and sets a text", "li", "PUT", "/v1/subscribers/+8613900000002/signature", `{"text":"x"}`, "", 404, ""}, // the fake has no account
		{"and removes the policy", "li", "DELETE", policy, "", `"2"`, 204, ""},

		{"a tenant has none", "operator", "GET", "/v1/policy", "", "", 404, "not_found"},
		{"an operator says one", "operator", "PUT", "/v1/policy", `{"per_day":3,"blackouts":[{"from":"22:00","to":"06:00"}]}`, "", 200, `"per_day":3`},
		{"and reads it", "operator", "GET", "/v1/policy", "", "", 200, `"blackouts":[{"from":"22:00","to":"06:00"}]`},
		{"one that can't be used", "operator", "PUT", "/v1/policy", `{"channels":{"any":"sms"}}`, "", 422, "flash, ussd or none"},
		{"what was changed meanwhile", "operator", "PUT", "/v1/policy", `{}`, `"4"`, 412, "changed_meanwhile"},
		{"subscribers have no say in it", "li", "PUT", "/v1/policy", `{}`, "", 403, "forbidden"},
		{"nor see it", "li", "GET", "/v1/policy", "", "", 403, "forbidden"},
		{"it is removed", "admin", "DELETE", "/v1/policy", "", "", 204, ""},

		{"a caller is opted out", "operator", "PUT", "/v1/opt-outs/+8613800000001", "", "", 201, `"caller":"+8613800000001"`},
		{"again", "operator", "PUT", "/v1/opt-outs/8613800000001", "", "", 200, ""},
		{"of one callee", "operator", "PUT", "/v1/opt-outs/8613800000002?callee=8613900000002", "", "", 201, `"callee":"+8613900000002"`},
		{"the list has the tenant's own", "operator", "GET", "/v1/opt-outs?limit=1", "", "", 200, `"next":"8613800000001/0"`},
		{"and goes on", "operator", "GET", "/v1/opt-outs?limit=1&after=8613800000001/0", "", "", 200, `"caller":"+8613800000002"`},
		{"to its end", "operator", "GET", "/v1/opt-outs?limit=1&after=8613900000002/3", "", "", 200, `{"items":[]}`},
		{"no place", "operator", "GET", "/v1/opt-outs?after=x", "", "", 422, "invalid"},
		{"another tenant's is not to be undone", "admin", "DELETE", "/v1/opt-outs/+8613800000009", "", "", 404, "not_found"},
		{"its own is", "admin", "DELETE", "/v1/opt-outs/+8613800000001", "", "", 204, ""},
		{"once", "admin", "DELETE", "/v1/opt-outs/+8613800000001", "", "", 404, ""},
		{"of one callee it is another", "admin", "DELETE", "/v1/opt-outs/+8613800000002", "", "", 404, ""},
		{"a caller wants only so many", "operator", "PUT", "/v1/opt-outs/8613800000003", `{"per_day":3}`, "", 201, `"per_day":3`},
		{"which is there already", "operator", "PUT", "/v1/opt-outs/8613800000003", `{"per_day":3}`, "", 200, `"per_day":3`},
		{"and then fewer of one callee", "operator", "PUT", "/v1/opt-outs/8613800000003?callee=8613900000002", `{"per_day":1}`, "", 201, `"per_day":1`},
		{"more of it", "operator", "PUT", "/v1/opt-outs/8613800000003?callee=8613900000002", `{"per_day":1000}`, "", 201, `"per_day":1000`},
		{"a person's data have it", "admin", "GET", "/v1/subscribers/+8613800000003/export", "", "", 200, `"per_day":1000}]`},
		{"none at all are 0", "operator", "PUT", "/v1/opt-outs/8613800000003", `{}`, "", 201, `"per_day":0`},
		{"more than a thousand are refused", "operator", "PUT", "/v1/opt-outs/8613800000003", `{"per_day":1001}`, "", 422, "1000"},
		{"so are fewer than none", "operator", "PUT", "/v1/opt-outs/8613800000003", `{"per_day":-1}`, "", 422, "per_day"},
		{"and what is no number", "operator", "PUT", "/v1/opt-outs/8613800000003", `{"per_day":"3"}`, "", 422, "per_day"},
		{"and what nobody knows", "operator", "PUT", "/v1/opt-outs/8613800000003", `{"per_hour":3}`, "", 422, "per_hour"},
		{"STOP is not made less by an operator", "operator", "PUT", "/v1/opt-outs/8613900000002?callee=3", `{"per_day":3}`, "", 409, "STOP"},
		{"nor is what another tenant took", "operator", "PUT", "/v1/opt-outs/8613800000009", `{"per_day":3}`, "", 409, "stricter"},
		{"a subscriber opts nobody out", "li", "PUT", "/v1/opt-outs/+8613800000001", "", "", 403, "forbidden"},

		{"a person's data have the proof", "admin", "GET", "/v1/subscribers/+8613900000002/export", "", "", 200, `"consent":{"request":"ON","asked":"Sure?"`},
		{"and what they want as a caller", "admin", "GET", "/v1/subscribers/+8613800000002/export", "", "", 200, `"opt_outs":[{"caller":"+8613800000002"`},
		{"a policy's texts are no accounts to link", "admin", "PUT", "/v1/subscribers/+8613900000002/accounts/policy/x", "", "", 422, "PUT …/policy"},
		{"nor to push", "admin", "POST", "/v1/keys", `{"role":"source","network":"policy"}`, "", 422, "policy is for"},
	} {
		var header []string
		if step.ifMatch != "" {
			header = []string{"If-Match", step.ifMatch}
		}
		a := s.do(t, keys[step.key], step.method, step.path, step.body, header...)
		if a.status != step.status || !strings.Contains(string(a.raw), step.contains) {
			t.Errorf("%s: %d %s, want %d with %s", step.sentence, a.status, a.raw, step.status, step.contains)
		}
	}
	if a := s.do(t, keys["li"], "PUT", policy, `{}`); a.header.Get("ETag") != `"3"` {
		t.Errorf("its tag is %q", a.header.Get("ETag"))
	}
	for _, a := range s.memory.audits {
		if strings.HasPrefix(a.Action, "PUT /v1/opt-outs") && a.MSISDN == 0 && a.Status != 422 {
			t.Errorf("the audit doesn't tell of whom: %+v", a)
		}
	}
}
