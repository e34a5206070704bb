package api

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

func TestATimelineIsMaskedByRole(t *testing.T) {
	s := serve(t, nil)
	id := callsign.NewCallID(time.UnixMilli(1), callsign.BranchKey{7})
	s.memory.timelines = []callsign.Timeline{{
		Call:   callsign.Call{ID: id, Caller: 8613800000001, Callee: 8613900000002, At: time.Unix(1, 0).UTC()},
		Events: []callsign.Event{{Kind: callsign.EventSubmitted, Text: "On the road", Wire: []byte("submit_sm")}},
	}}
	for role, octets := range map[callsign.Role]bool{callsign.RoleAdmin: true, callsign.RoleOperator: false} {
		key := s.memory.key(callsign.Scope{Role: role})
		got := string(s.do(t, key, "GET", "/v1/calls/"+id.String(), "").raw)
		if !strings.Contains(got, `"text":"On the road"`) || strings.Contains(got, `"wire"`) != octets {
			t.Errorf("%s: got %s, want the text, and the message's octets: %v", role, got, octets)
		}
	}
}

func TestATimelineTellsWhichPushOrPollSetItsText(t *testing.T) {
	s := serve(t, nil)
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	said := callsign.Signature{Network: "qq", Account: "10001", At: time.Unix(7, 0).UTC(), Origin: "im.example/e-7"}
	s.memory.subscribers[8613900000002] = callsign.Subscriber{MSISDN: 8613900000002, Tenant: callsign.DefaultTenant, Accounts: []callsign.Signature{said}}
	for sentence, c := range map[string]struct {
		callee callsign.MSISDN
		event  callsign.Event
		want   string
	}{
		"the account still says it": {
			8613900000002,
			callsign.Event{Kind: callsign.EventDecided, Reason: "im.example/e-7"},
			`"said_by":{"origin":"im.example/e-7","network":"qq","account":"10001","at":"1970-01-01T00:00:07Z"}`,
		},
		"it says something else by now": {
			8613900000002, callsign.Event{Kind: callsign.EventDecided, Reason: "im.example/e-6"}, `"said_by":{"origin":"im.example/e-6"},`,
		},
		"the subscriber is gone": {8613900000003, callsign.Event{Kind: callsign.EventDecided, Reason: "im.example/e-7"}, `"said_by":{"origin":"im.example/e-7"},`},
		"nothing was decided":    {8613900000002, callsign.Event{Kind: callsign.EventSkipped, Reason: "no_caller"}, `"at":"1970-01-01T00:00:01Z","events"`},
	} {
		id := callsign.NewCallID(time.UnixMilli(1), callsign.BranchKey{7})
		s.memory.timelines = []callsign.Timeline{{
			Call: callsign.Call{ID: id, Callee: c.callee, At: time.Unix(1, 0).UTC()}, Events: []callsign.Event{c.event},
		}}
		if got := string(s.do(t, admin, "GET", "/v1/calls/"+id.String(), "").raw); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s in it", sentence, got, c.want)
		}
	}
}

func TestTheConsoleIsOpenedWithoutAKey(t *testing.T) {
	s := serve(t, nil)
	if a := s.do(t, "", "GET", "/", ""); a.status != 302 || a.header.Get("Location") != "/console/" {
		t.Errorf("the root answers %d to %s", a.status, a.header.Get("Location"))
	}
	a := s.do(t, "", "GET", "/console/", "")
	if policy := a.header.Values("Content-Security-Policy"); a.status != 200 || len(policy) != 1 || !strings.Contains(policy[0], "script-src 'self'") {
		t.Errorf("the console answers %d with the policies %q", a.status, policy)
	}
	if a := s.do(t, "", "POST", "/console/", ""); a.status != 405 {
		t.Errorf("to a POST it answers %d", a.status)
	}
}

func TestTestCalls(t *testing.T) {
	const ours, body = callsign.MSISDN(8613900000002), `{"caller":"+8613800000001","callee":"+8613900000002"}`
	for sentence, c := range map[string]struct {
		off    bool
		answer error
		body   string
		want   string
	}{
		"one is placed":                  {want: `200 "answers":[{"at":"1970-01-01T00:00:01Z","status":180,"text":"Ringing"}]`},
		"they are off unless configured": {off: true, want: `403 http.test_calls`},
		"the callee is a subscriber":     {body: `{"caller":"+8613800000001","callee":"+8613900000003"}`, want: `404 not_found`},
		"the node may refuse":            {answer: TestCallRefusal("the caller is out of range"), want: `422 the caller is out of range`},
		"it may fail":                    {answer: errors.New("answered with 503"), want: `502 answered with 503`},
	} {
		placed := 0
		s := serve(t, func(o *Options) {
			o.Config.TestCalls = !c.off
			o.TestCall = func(_ context.Context, caller, callee callsign.MSISDN) ([]TestCallAnswer, error) {
				placed++
				if caller != 8613800000001 || callee != ours {
					t.Errorf("%s: %v calls %v", sentence, caller, callee)
				}
				return []TestCallAnswer{{time.Unix(1, 0).UTC(), 180, "Ringing"}}, c.answer
			}
		})
		s.memory.subscribers[ours] = callsign.Subscriber{MSISDN: ours, Tenant: callsign.DefaultTenant}
		if c.body == "" {
			c.body = body
		}
		a := s.do(t, s.memory.key(callsign.Scope{Role: callsign.RoleOperator}), "POST", "/v1/test-calls", c.body)
		status, contains, _ := strings.Cut(c.want, " ")
		if fmt.Sprint(a.status) != status || !strings.Contains(string(a.raw), contains) {
			t.Errorf("%s: got %d %s, want %s", sentence, a.status, a.raw, c.want)
		}
		if want := status == "200" || status == "422" || status == "502"; (placed == 1) != want {
			t.Errorf("%s: %d were placed", sentence, placed)
		}
		if len(s.memory.audits) != 1 {
			t.Errorf("%s: the audit has %v", sentence, s.memory.audits)
		}
	}
}

func TestOneTestCallAtATime(t *testing.T) {
	ringing, hangUp := make(chan struct{}), make(chan struct{})
	s := serve(t, func(o *Options) {
		o.Config.TestCalls = true
		o.TestCall = func(context.Context, callsign.MSISDN, callsign.MSISDN) ([]TestCallAnswer, error) {
			close(ringing)
			<-hangUp
			return nil, nil
		}
	})
	s.memory.subscribers[8613900000002] = callsign.Subscriber{MSISDN: 8613900000002, Tenant: callsign.DefaultTenant}
	key := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	call := func() answer {
		return s.do(t, key, "POST", "/v1/test-calls", `{"caller":"+8613800000001","callee":"+8613900000002"}`)
	}
	first := make(chan answer)
	go func() { first <- call() }()
	<-ringing
	if a := call(); a.status != 409 || a.body["code"] != "test_call_under_way" {
		t.Errorf("beside another: got %d %s", a.status, a.raw)
	}
	close(hangUp)
	if a := <-first; a.status != 200 {
		t.Errorf("the first: got %d %s", a.status, a.raw)
	}
}
