package api

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/callsign-as/callsign"
)

// book has calls as an engine has them: by caller or callee, newest first.
type book struct {
	*memory
	calls []callsign.Call
}

func (b book) Calls(_ context.Context, _ callsign.Scope, f callsign.CallFilter) (out []callsign.Call, _ error) {
	for _, c := range slices.Backward(b.calls) {
		if f.Caller != 0 && c.Caller != f.Caller || f.Callee != 0 && c.Callee != f.Callee || f.Page.After != "" && c.ID.String() >= f.Page.After {
			continue
		}
		out = append(out, c)
	}
	return out[:min(len(out), f.Page.Limit)], nil
}

func (b book) Timeline(_ context.Context, _ callsign.Scope, id callsign.CallID) (callsign.Timeline, error) {
	if id[0] == 3 {
		return callsign.Timeline{}, callsign.ErrNotFound
	}
	return callsign.Timeline{Call: callsign.Call{ID: id}, Events: []callsign.Event{{Kind: callsign.EventInvite}}}, nil
}

func (b book) Erase(_ context.Context, scope callsign.Scope, m callsign.MSISDN) (int64, error) {
	if m != 1 || scope.Tenant != callsign.DefaultTenant {
		return 0, callsign.ErrNotFound
	}
	return 7, nil
}

func TestAPerson(t *testing.T) {
	var b book
	s := serve(t, func(o *Options) {
		b.memory = o.Accounts.(*memory)
		// She (1) called (2), was called, called herself; call 3 is forgotten while it is read; the last is others'.
		for n, of := range [][2]callsign.MSISDN{{1, 2}, {2, 1}, {1, 2}, {1, 1}, {2, 1}, {1, 2}, {2, 2}} {
			b.calls = append(b.calls, callsign.Call{ID: callsign.CallID{byte(n + 1)}, Caller: of[0], Callee: of[1]})
		}
		o.Calls, o.Eraser = b, b
	})
	s.memory.subscribers[1] = callsign.Subscriber{MSISDN: 1, Tenant: callsign.DefaultTenant, Name: "Anna"}
	operator := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	s.memory.key(callsign.Scope{Role: callsign.RoleSubscriber, MSISDN: 1})
	s.memory.key(callsign.Scope{Role: callsign.RoleSubscriber, MSISDN: 2})

	for limit := 1; limit <= 8; limit++ {
		var got []string
		for after := ""; ; {
			a := s.do(t, operator, "GET", fmt.Sprintf("/v1/subscribers/1/export?limit=%d%s", limit, after), "")
			if a.status != 200 {
				t.Fatalf("got %d %s", a.status, a.raw)
			}
			for _, c := range a.body["calls"].([]any) {
				got = append(got, c.(map[string]any)["id"].(string)[:2])
			}
			if name := a.body["subscriber"].(map[string]any)["name"]; name != "Anna" || len(a.body["keys"].([]any)) != 1 {
				t.Fatalf("subscriber %v, keys %v, want Anna and hers", name, a.body["keys"])
			}
			if a.body["next"] == nil {
				break
			}
			after = "&after=" + a.body["next"].(string)
		}
		if want := []string{"06", "05", "04", "02", "01"}; !slices.Equal(got, want) {
			t.Errorf("in pages of %d: calls %v, want %v", limit, got, want)
		}
	}
	for _, c := range []struct {
		sentence, method, path string
		status                 int
		body                   string
	}{
		{"of a number that nothing is kept of", "GET", "/v1/subscribers/3/export", 200, `{"msisdn":"+3","links":[],"keys":[],"calls":[]}`},
		{"erased, it tells from how many calls", "POST", "/v1/subscribers/1/erase", 200, `{"calls":7}`},
		{"nothing to erase", "POST", "/v1/subscribers/3/erase", 404, ""},
	} {
		a := s.do(t, operator, c.method, c.path, "")
		if got := string(a.raw); a.status != c.status || c.body != "" && got != c.body+"\n" {
			t.Errorf("%s: got %d %s, want %d %s", c.sentence, a.status, got, c.status, c.body)
		}
	}
}
