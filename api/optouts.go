package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// OptOutRows reads opt-outs, of all tenants, in the order of caller and callee.
type OptOutRows interface {
	OptOuts(ctx context.Context, after callsign.OptOut, limit int) ([]callsign.OptOut, error)
	OptOutsOf(ctx context.Context, caller callsign.MSISDN) ([]callsign.OptOut, error)
}

// optOutPage is how many opt-outs are read at once: most may be other tenants', so a short page of the tenant's own would cost many reads.
const optOutPage = 1000

// Consents has the proof that a number's holder asked for what they write to be shown.
type Consents interface {
	Consent(context.Context, callsign.Scope, callsign.MSISDN) (callsign.Consent, error)
	PutConsent(context.Context, callsign.Consent) error
}

// optOut is a callsign.OptOut in JSON.
type optOut struct {
	Caller number    `json:"caller" doc:"who wants no texts, or only some"`
	Callee number    `json:"callee,omitzero" doc:"of calls to whom; absent: to anybody, of all tenants"`
	At     time.Time `json:"at"`
	Origin string    `json:"origin,omitempty" doc:"what told it: the link of an SMS, or the key of who did for the caller"`
	PerDay int       `json:"per_day" doc:"how many texts they want within 24 hours; 0: none at all"`
}

func optOutJSON(o callsign.OptOut) optOut {
	return optOut{number{o.Caller}, number{o.Callee}, o.At, o.Origin, o.PerDay}
}

// consent is a callsign.Consent in JSON.
type consent struct {
	Request   string    `json:"request" doc:"what their handset sent"`
	Asked     string    `json:"asked" doc:"what they were asked"`
	AskedAt   time.Time `json:"asked_at"`
	AskedLink string    `json:"asked_link"`
	Reply     string    `json:"reply,omitempty" doc:"absent: they did not confirm it"`
	RepliedAt time.Time `json:"replied_at,omitzero"`
	ReplyLink string    `json:"reply_link,omitempty"`
}

type optOutPath struct {
	Caller number `path:"caller"`
	Callee number `query:"callee" doc:"of calls to whom; absent: to anybody"`
}

func (s *Server) registerOptOuts(api huma.API) {
	const path = " /v1/opt-outs/{caller}"
	route(s, api, "GET /v1/opt-outs", "Callers who want no texts, or only some, in the order of their numbers", 0, operators(), s.listOptOuts)
	route(s, api, "PUT"+path, "Send a caller no more texts, or only so many a day", http.StatusCreated, operators(), s.putOptOut)
	route(s, api, "DELETE"+path, "Send a caller texts again", 0, operators(), s.deleteOptOut)
}

func (s *Server) listOptOuts(ctx context.Context, scope callsign.Scope, in *struct {
	After string `query:"after" pattern:"^[0-9]{1,15}/[0-9]{1,15}$" doc:"next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many rows at most"`
},
) (*reply[rows[optOut]], error) {
	var after callsign.OptOut
	if in.After != "" {
		if _, err := fmt.Sscanf(in.After, "%d/%d", &after.Caller, &after.Callee); err != nil {
			return nil, newProblem(http.StatusUnprocessableEntity, "invalid", "after is no place in this list: send next as it was given")
		}
	}
	var own []callsign.OptOut
	for len(own) < in.Limit {
		page, err := s.o.OptOutRows.OptOuts(ctx, after, optOutPage)
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			if o.Tenant == scope.Tenant && len(own) < in.Limit {
				own = append(own, o)
			}
		}
		if len(page) < optOutPage {
			break
		}
		after = page[len(page)-1]
	}
	return listed(own, in.Limit, optOutJSON, func(o callsign.OptOut) string { return digits(o.Caller) + "/" + digits(o.Callee) }), nil
}

func (s *Server) putOptOut(ctx context.Context, scope callsign.Scope, in *struct {
	Caller number `path:"caller"`
	Callee number `query:"callee" doc:"of calls to whom; absent: to anybody"`
	Body   *struct {
		PerDay int `json:"per_day,omitempty" minimum:"0" maximum:"1000" doc:"send as many texts within 24 hours; absent or 0: none at all"`
	}
},
) (*reply[optOut], error) {
	o := callsign.OptOut{
		Tenant: scope.Tenant, Caller: in.Caller.MSISDN, Callee: in.Callee.MSISDN, At: time.Now().UTC().Truncate(time.Microsecond), Origin: callsign.OptOutByOperator + scope.KeyID,
	}
	if in.Body != nil {
		o.PerDay = in.Body.PerDay
	}
	if err := s.concernsNumber(ctx, o.Caller, ""); err != nil {
		return nil, err
	}
	kept, err := s.o.OptOuts.OptOut(ctx, o)
	if err != nil || kept || o.PerDay == 0 {
		return putReply(optOutJSON(o), kept), err
	}
	own, err := s.optOutsOf(ctx, scope, o.Caller)
	if err == nil && !slices.ContainsFunc(own, func(x optOut) bool { return x.Callee.MSISDN == o.Callee && x.PerDay == o.PerDay }) {
		err = newProblem(http.StatusConflict, "stricter", "the caller has said STOP, or asked another operator for as few texts or fewer: that stands, and this was not kept; "+
			"START from their handset takes all back")
	}
	return ok(optOutJSON(o)), err
}

// deleteOptOut takes back what the tenant took: another's is not to be seen.
func (s *Server) deleteOptOut(ctx context.Context, scope callsign.Scope, in *optOutPath) (*struct{}, error) {
	if err := s.concernsNumber(ctx, in.Caller.MSISDN, ""); err != nil {
		return nil, err
	}
	own, err := s.optOutsOf(ctx, scope, in.Caller.MSISDN)
	if err != nil {
		return nil, err
	}
	for _, o := range own {
		if o.Callee.MSISDN == in.Callee.MSISDN {
			deleted, err := s.o.OptOuts.OptIn(ctx, callsign.OptOut{Tenant: scope.Tenant, Caller: o.Caller.MSISDN, Callee: o.Callee.MSISDN, Origin: o.Origin})
			if err == nil && !deleted {
				err = newProblem(http.StatusConflict, "changed_meanwhile", "somebody else, perhaps the caller, has just said of it: read the list again, and decide again")
			}
			return nil, err
		}
	}
	return nil, callsign.ErrNotFound
}

// optOutsOf are a caller's that the tenant took.
func (s *Server) optOutsOf(ctx context.Context, scope callsign.Scope, caller callsign.MSISDN) (out []optOut, err error) {
	all, err := s.o.OptOutRows.OptOutsOf(ctx, caller)
	for _, o := range all {
		if o.Tenant == scope.Tenant {
			out = append(out, optOutJSON(o))
		}
	}
	return out, err
}
