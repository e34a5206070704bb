package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Calls reads what was recorded of calls. A list is newest first.
type Calls interface {
	Calls(context.Context, callsign.Scope, callsign.CallFilter) ([]callsign.Call, error)
	Timeline(context.Context, callsign.Scope, callsign.CallID) (callsign.Timeline, error)
}

// call is a callsign.Call in JSON.
type call struct {
	ID         callsign.CallID `json:"id"`
	Caller     number          `json:"caller,omitzero" doc:"absent if it is unknown, private or erased"`
	Private    bool            `json:"private,omitempty" doc:"the caller wants to stay unknown: their number is not kept"`
	Callee     number          `json:"callee,omitzero" doc:"absent if it was erased"`
	At         time.Time       `json:"at"`
	Access     string          `json:"access,omitempty" doc:"the caller's access network, if known"`
	AccessFrom string          `json:"access_from,omitempty" enum:"network,registration,peer,range,default" doc:"who told it: the call itself, the caller's registration, or the configuration by peer, number or default"`
	Exempt     string          `json:"exempt,omitempty" doc:"why nothing may be done for this call"`
	SIPCallID  string          `json:"sip_call_id,omitempty"`
	SaidBy     *saidBy         `json:"said_by,omitempty" doc:"which push or poll set the text, if one was to be shown; not in a list"`
	Events     []event         `json:"events,omitzero" nullable:"false" doc:"the timeline; not in a list"`
}

// saidBy is whom a text came from.
type saidBy struct {
	Origin  string    `json:"origin" doc:"source/id of the event that said it"`
	Network string    `json:"network,omitempty" doc:"absent, as what follows, where the account says something else by now"`
	Account string    `json:"account,omitempty"`
	At      time.Time `json:"at,omitzero" doc:"when it was said"`
}

// event is a line of a timeline.
type event struct {
	At        time.Time          `json:"at"`
	Kind      callsign.EventKind `json:"kind"`
	Reason    string             `json:"reason,omitempty"`
	Link      string             `json:"link,omitempty"`
	MessageID string             `json:"message_id,omitempty"`
	Text      string             `json:"text,omitempty"`
	Wire      []byte             `json:"wire,omitempty" doc:"the message itself, as much of it as store.keep_wire keeps; for administrators"`
}

func callJSON(c callsign.Call) call {
	if c.Private {
		c.Caller = 0 // whatever a store kept
	}
	return call{c.ID, number{c.Caller}, c.Private, number{c.Callee}, c.At, c.Access, string(c.AccessFrom), c.Exempt, c.SIPCallID, nil, nil}
}

func (s *Server) registerCalls(api huma.API) {
	route(s, api, "GET /v1/calls", "Calls, newest first", 0, operators(), s.listCalls)
	route(s, api, "GET /v1/calls/{id}", "A call's timeline", 0, operators(), s.getCall)
	route(s, api, "POST /v1/whatif", "What a call would show, on which channel, and why", 0, operators(), s.whatIf)
}

func (s *Server) listCalls(ctx context.Context, scope callsign.Scope, in *struct {
	Callee number    `query:"callee"`
	Caller number    `query:"caller"`
	Since  time.Time `query:"since" doc:"RFC 3339; only calls from then on"`
	Until  time.Time `query:"until" doc:"RFC 3339; only calls before then"`
	After  string    `query:"after" pattern:"^[0-9a-f]{32}$" doc:"next of the page before"`
	Limit  int       `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many rows at most"`
},
) (*reply[rows[call]], error) {
	calls, err := s.o.Calls.Calls(ctx, scope, callsign.CallFilter{
		Caller: in.Caller.MSISDN, Callee: in.Callee.MSISDN, Since: in.Since, Until: in.Until, Page: callsign.Page{After: in.After, Limit: in.Limit},
	})
	return listed(calls, in.Limit, callJSON, func(c callsign.Call) string { return c.ID.String() }), err
}

func (s *Server) getCall(ctx context.Context, scope callsign.Scope, in *struct {
	ID callsign.CallID `path:"id" pattern:"^[0-9a-fA-F]{32}$"`
},
) (*reply[call], error) {
	t, err := s.o.Calls.Timeline(ctx, scope, in.ID)
	if err != nil {
		return nil, err
	}
	out := timelineJSON(t, scope)
	out.SaidBy, err = s.saidBy(ctx, scope, t)
	return ok(out), err
}

// timelineJSON is t as scope may see it. The octets of a message are its administrators': they hold what the caller's SMSC was told, as it
// was told, and whoever only answers for calls needs none of it.
func timelineJSON(t callsign.Timeline, scope callsign.Scope) call {
	out := callJSON(t.Call)
	out.Events = make([]event, 0, len(t.Events))
	for _, e := range t.Events {
		if scope.Role != callsign.RoleAdmin {
			e.Wire = nil
		}
		out.Events = append(out.Events, event{e.At, e.Kind, e.Reason, e.Link, e.MessageID, e.Text, e.Wire})
	}
	return out
}

// saidBy joins the push or poll that set the text that t decided to show: what it is of stands with the account that still says it.
func (s *Server) saidBy(ctx context.Context, scope callsign.Scope, t callsign.Timeline) (*saidBy, error) {
	i := slices.IndexFunc(t.Events, func(e callsign.Event) bool { return e.Kind == callsign.EventDecided })
	if i < 0 || t.Events[i].Reason == "" {
		return nil, nil
	}
	by := &saidBy{Origin: t.Events[i].Reason}
	sub, err := s.o.Subscribers.Subscriber(ctx, scope, t.Call.Callee)
	if errors.Is(err, callsign.ErrNotFound) {
		return by, nil
	}
	for _, a := range sub.Accounts {
		if a.Origin == by.Origin {
			by.Network, by.Account, by.At = a.Network, a.Account, a.At
		}
	}
	return by, err
}

// WhatIfRequest is a call that didn't happen.
type WhatIfRequest struct {
	Caller, Callee callsign.MSISDN
	Private        bool      // the caller withholds the number
	At             time.Time // never zero
	Access         string    // as P-Access-Network-Info says it, "" if unknown
}

// WhatIfResult is what its caller would see, and why.
type WhatIfResult struct {
	Show      bool         `json:"show" doc:"whether anything would be shown"`
	Text      string       `json:"text" doc:"as it would stand on the caller's screen"`
	Channel   string       `json:"channel" doc:"flash or ussd; empty if nothing would be shown"`
	Coding    string       `json:"coding,omitempty" doc:"the alphabet in which it would be sent"`
	Units     int          `json:"units,omitempty" doc:"septets of GSM 7-bit or UTF-16 units that it takes"`
	MaxUnits  int          `json:"max_units,omitempty" doc:"and that there are"`
	Cut       bool         `json:"cut,omitempty" doc:"the text was longer"`
	Parts     int          `json:"parts,omitempty" doc:"messages that it takes"`
	PerDay    int          `json:"per_day,omitempty" doc:"how many texts the caller may get within 24 hours, by the operator's policy and their own wish; absent: no limit"`
	PerCallee int          `json:"per_callee,omitempty" doc:"and how many of them may be this callee's"`
	Refusal   string       `json:"refusal,omitempty" doc:"the first rule that refused, as timelines and metrics name it"`
	Reasons   []string     `json:"reasons" doc:"why, in the order in which it was decided"`
	Rules     []WhatIfRule `json:"rules,omitempty" nullable:"false" doc:"every rule in the order in which it was considered"`
}

// WhatIfRule is a rule and what was found of it.
type WhatIfRule struct {
	Rule    string `json:"rule" doc:"what it asks; of a subscriber's policy its name or place"`
	Verdict string `json:"verdict" enum:"passes,refuses,wins,loses,other_caller,other_time" doc:"the last four are of a subscriber's rules; the last two don't match"`
	Refusal string `json:"refusal,omitempty" doc:"why nothing is shown, where it says so"`
}

func (s *Server) whatIf(ctx context.Context, scope callsign.Scope, in *struct {
	Body struct {
		Caller  number    `json:"caller"`
		Callee  number    `json:"callee"`
		Private bool      `json:"private,omitempty" doc:"the caller withholds the number"`
		At      time.Time `json:"at,omitzero" doc:"RFC 3339; now, if absent"`
		Access  string    `json:"access,omitempty" maxLength:"64" doc:"access type as in P-Access-Network-Info, like 3GPP-UTRAN-FDD"`
	}
},
) (*reply[WhatIfResult], error) {
	if s.o.WhatIf == nil {
		return nil, newProblem(http.StatusNotImplemented, "no_calls", "this node takes no calls: ask one that does")
	}
	// Calls carry no tenant: that the callee is one of the asker's own is looked up first.
	_, err := s.o.Subscribers.Subscriber(ctx, scope, in.Body.Callee.MSISDN)
	if errors.Is(err, callsign.ErrNotFound) {
		return ok(WhatIfResult{Refusal: "no_subscriber", Reasons: []string{"the callee is not a subscriber"}}), nil
	}
	if err != nil {
		return nil, err
	}
	if in.Body.At.IsZero() {
		in.Body.At = time.Now()
	}
	result, err := s.o.WhatIf(ctx, WhatIfRequest{in.Body.Caller.MSISDN, in.Body.Callee.MSISDN, in.Body.Private, in.Body.At, in.Body.Access})
	return ok(result), err
}
