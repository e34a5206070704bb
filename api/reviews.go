package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Reviews lists a tenant's texts in a state of review, those that were said first first; Page.After is a callsign.Reviewable's Place.
type Reviews interface {
	Reviews(context.Context, callsign.Scope, callsign.Review, callsign.Page) ([]callsign.Reviewable, error)
}

// Judge keeps what a person decided of a text; callsign.ErrChanged says that the account says something else by now.
type Judge interface {
	Review(context.Context, callsign.Scope, callsign.Verdict) error
}

// reviewable is a callsign.Reviewable in JSON.
type reviewable struct {
	MSISDN  number `json:"msisdn"`
	Becomes string `json:"becomes" doc:"what callers see of the text once it is approved"`
	account
}

func (s *Server) registerReviews(api huma.API) {
	route(s, api, "GET /v1/reviews", "Texts that were held for approval, rejected or approved by a person, those that were said first first", 0,
		operators(), s.listReviews)
	route(s, api, "POST /v1/reviews", "Approve or reject a text, whatever was decided of it before; one that nobody held may be rejected too", http.StatusOK,
		operators(), s.review)
}

func (s *Server) listReviews(ctx context.Context, scope callsign.Scope, in *struct {
	State string `query:"state" enum:"pending,rejected,approved" default:"pending"`
	After string `query:"after" maxLength:"1100" doc:"next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many rows at most"`
},
) (*reply[rows[reviewable]], error) {
	if _, _, _, err := callsign.ParsePlace(in.After); err != nil {
		return nil, newProblem(http.StatusUnprocessableEntity, "invalid", err.Error())
	}
	rs, err := s.o.Reviews.Reviews(ctx, scope, callsign.Review(in.State), callsign.Page{After: in.After, Limit: in.Limit})
	return listed(rs, in.Limit, func(r callsign.Reviewable) reviewable {
		return reviewable{number{r.MSISDN}, s.o.Clean(r.Text), accountJSON(r.Signature)}
	}, callsign.Reviewable.Place), err
}

// judged is what became of a text by a verdict.
type judged struct {
	Review callsign.Review `json:"review" enum:"approved,rejected"`
}

func (s *Server) review(ctx context.Context, scope callsign.Scope, in *struct {
	Body struct {
		MSISDN  number `json:"msisdn"`
		Network string `json:"network" maxLength:"32"`
		Account string `json:"account" maxLength:"512"`
		Epoch   int64  `json:"epoch" doc:"epoch and version of the text that was looked at"`
		Version int64  `json:"version"`
		Verdict string `json:"verdict" enum:"approve,reject"`
		Reason  string `json:"reason,omitempty" maxLength:"200" doc:"kept with the text, for administrators and its subscriber"`
	}
},
) (*reply[judged], error) {
	b := in.Body
	if !networkName.MatchString(b.Network) || !plain(b.Account) {
		return nil, newProblem(http.StatusUnprocessableEntity, "invalid", "network or account can be nobody's: send them as GET /v1/reviews gives them")
	}
	v := callsign.Verdict{
		MSISDN: b.MSISDN.MSISDN, Network: b.Network, Account: b.Account, Stamp: callsign.Stamp{Epoch: b.Epoch, Version: b.Version},
		Review: callsign.Barred, Reason: b.Reason,
	}
	if b.Verdict == "approve" {
		v.Review = callsign.Approved
	}
	if err := s.concernsNumber(ctx, v.MSISDN, fmt.Sprintf("%s %s", b.Network, b.Verdict)); err != nil {
		return nil, err
	}
	err := s.o.Judge.Review(ctx, scope, v)
	if errors.Is(err, callsign.ErrChanged) {
		return nil, newProblem(http.StatusConflict, "changed_meanwhile", "the account doesn't say that text any more: list the texts again, and decide on the new one")
	}
	if err != nil {
		return nil, err
	}
	return ok(judged{v.Review}), nil
}
