package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// TestCallRefusal says why a test call may not be placed, and what to do.
type TestCallRefusal string

func (r TestCallRefusal) Error() string { return string(r) }

// TestCallAnswer is what a test call was answered with.
type TestCallAnswer struct {
	At     time.Time `json:"at"`
	Status int       `json:"status" doc:"a SIP status"`
	Text   string    `json:"text"`
}

// testCall is a test call that is over.
type testCall struct {
	Answers []TestCallAnswer `json:"answers" nullable:"false" doc:"in the order in which they came; the call's timeline is found by GET /v1/calls"`
}

func (s *Server) registerTestCalls(api huma.API) {
	route(s, api, "POST /v1/test-calls", "Place a call through this node to a test phone that rings and answers, and wait until it is over", http.StatusOK,
		operators(), s.placeTestCall)
}

// placeTestCall places one at a time: each may put a text onto a real phone.
func (s *Server) placeTestCall(ctx context.Context, scope callsign.Scope, in *struct {
	Body struct {
		Caller number `json:"caller" doc:"whose phone is to show the text: one of show.caller_ranges"`
		Callee number `json:"callee" doc:"a subscriber"`
	}
},
) (*reply[testCall], error) {
	if !s.o.Config.TestCalls {
		return nil, newProblem(http.StatusForbidden, "no_test_calls", "this node places no test calls: set http.test_calls on one that takes calls")
	}
	if err := s.concernsNumber(ctx, in.Body.Callee.MSISDN, "test call"); err != nil {
		return nil, err
	}
	if _, err := s.o.Subscribers.Subscriber(ctx, scope, in.Body.Callee.MSISDN); err != nil {
		return nil, err
	}
	if s.o.TestCall == nil {
		return nil, newProblem(http.StatusNotImplemented, "no_calls", "this node takes no calls: ask one that does")
	}
	if !s.testing.TryLock() {
		return nil, newProblem(http.StatusConflict, "test_call_under_way", "another test call is under way on this node: wait until it is over")
	}
	defer s.testing.Unlock()
	answers, err := s.o.TestCall(ctx, in.Body.Caller.MSISDN, in.Body.Callee.MSISDN)
	var refused TestCallRefusal
	switch {
	case errors.As(err, &refused):
		return nil, newProblem(http.StatusUnprocessableEntity, "test_call_refused", refused.Error())
	case err != nil:
		return nil, newProblem(http.StatusBadGateway, "test_call_failed", err.Error()+": see that sip.trust has this machine's own address")
	}
	return ok(testCall{answers}), nil
}
