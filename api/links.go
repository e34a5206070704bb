package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Linker has a link wait for its proof and gives the code that proves it; by a network's word it is linked at once. callsign.ErrLinked,
// ErrAccountTaken, ErrTooMany and ErrNotProved say why not; errors.ErrUnsupported: this node can't ask the network.
type Linker interface {
	Ask(context.Context, callsign.Scope, callsign.Link) (_ callsign.Link, code string, err error)
}

// Links are a number's, those that wait and those that are proved.
type Links interface {
	Links(context.Context, callsign.Scope, callsign.MSISDN) ([]callsign.Link, error)
	WithdrawLink(ctx context.Context, scope callsign.Scope, m callsign.MSISDN, network, account string) error
}

// link is a callsign.Link in JSON.
type link struct {
	Network string         `json:"network"`
	Account string         `json:"account"`
	State   string         `json:"state" enum:"waiting,linked"`
	Proof   callsign.Proof `json:"proof" enum:"operator,signature,sms,network" doc:"who vouches for it: an operator, the account that said the code, the number that sent it, or the network"`
	Code    string         `json:"code,omitempty" doc:"what the account is to say, or the number to send; told only now"`
	By      string         `json:"by,omitempty" doc:"id of the key that asked for it"`
	Asked   time.Time      `json:"asked_at"`
	Expires time.Time      `json:"expires_at,omitzero" doc:"until when the code is good"`
	Proved  time.Time      `json:"proved_at,omitzero" doc:"absent: it waits"`
}

func linkJSON(l callsign.Link) link {
	out := link{Network: l.Network, Account: l.Account, State: "waiting", Proof: l.Proof, By: l.By, Asked: l.Asked, Expires: l.Expires, Proved: l.Proved}
	if !l.Proved.IsZero() {
		out.State, out.Expires = "linked", time.Time{}
	}
	return out
}

// linkRequest asks for a link.
type linkRequest struct {
	MSISDN number `path:"msisdn"`
	Body   struct {
		Network string         `json:"network" maxLength:"32" doc:"name of the IM network, as configured"`
		Account string         `json:"account" minLength:"1" maxLength:"512" doc:"the account's name there"`
		Proof   callsign.Proof `json:"proof,omitempty" enum:"signature,sms,network" default:"signature" doc:"signature: the account is to say the code; sms: the number is to send it, the account is on your word; network: the network has verified the account's number"`
	}
}

// Resolve implements huma.Resolver: it refuses what no source can say.
func (in *linkRequest) Resolve(huma.Context) []error {
	if message := CheckNetwork(in.Body.Network); message != "" {
		return []error{&huma.ErrorDetail{Location: "body.network", Message: message}}
	}
	if !plain(in.Body.Account) {
		return []error{&huma.ErrorDetail{Location: "body.account", Message: "it holds a control character or is not UTF-8"}}
	}
	return nil
}

func (s *Server) registerLinks(api huma.API) {
	const path = " /v1/subscribers/{msisdn}/links"
	own := append(operators(), callsign.RoleSubscriber)
	route(s, api, "POST"+path, "Ask for an account to be linked once that is proved. A subscriber may not use sms, which proves the number alone; a source may use "+
		"sms alone, for its network's accounts", http.StatusCreated, append(own, callsign.RoleSource), s.askLink)
	route(s, api, "GET"+path, "What waits for its proof, and how what is linked was proved; what an import linked isn't there", 0, own, s.listLinks)
	route(s, api, "DELETE"+path+"/{network}/{account}", "Withdraw what waits for its proof", 0, own, s.withdrawLink)
}

func (s *Server) askLink(ctx context.Context, scope callsign.Scope, in *linkRequest) (*reply[link], error) {
	b := in.Body
	concerns(ctx, b.Network+" "+string(b.Proof))
	if err := ownNumber(scope, in.MSISDN); err != nil {
		return nil, err
	}
	switch {
	case scope.Role == callsign.RoleSubscriber && b.Proof == callsign.BySMS:
		return nil, forbidden("an SMS proves the number, which your key has proved already, and not the account: use signature or network")
	case scope.Role == callsign.RoleSource && (b.Proof != callsign.BySMS || b.Network != scope.Network):
		return nil, forbidden("a source vouches for the accounts of its own network, " + scope.Network + ", and for nothing else: use sms as the proof of the number")
	}
	l, code, err := s.o.Linker.Ask(ctx, scope, callsign.Link{MSISDN: in.MSISDN.MSISDN, Network: b.Network, Account: b.Account, Proof: b.Proof})
	switch {
	case errors.Is(err, callsign.ErrLinked):
		return nil, newProblem(http.StatusConflict, "linked_already", "the number has this account already: there is nothing to do")
	case errors.Is(err, callsign.ErrAccountTaken):
		return nil, newProblem(http.StatusConflict, "account_taken", "another number has this account: an operator can unlink it there first")
	case errors.Is(err, callsign.ErrTooMany):
		return nil, newProblem(http.StatusTooManyRequests, "too_many_waiting",
			"as many links wait for this number, or for this account, as may: prove or withdraw one, or wait until one is over")
	case errors.Is(err, callsign.ErrNotProved):
		return nil, newProblem(http.StatusConflict, "not_proved", "the network has not verified this number for the account: verify it there, or use another proof")
	case errors.Is(err, errors.ErrUnsupported):
		return nil, newProblem(http.StatusUnprocessableEntity, "proof_unavailable", "this node can't ask that network for numbers: use another proof, or a node that reads it")
	case err != nil:
		return nil, err
	}
	out := linkJSON(l)
	out.Code = code
	return &reply[link]{http.StatusCreated, out}, nil
}

func (s *Server) listLinks(ctx context.Context, scope callsign.Scope, in *subscriberPath) (*reply[rows[link]], error) {
	if err := ownNumber(scope, in.MSISDN); err != nil {
		return nil, err
	}
	links, err := s.linksOf(ctx, scope, in.MSISDN.MSISDN)
	return ok(rows[link]{Items: links}), err
}

// linksOf are those that are proved, and those that can be yet.
func (s *Server) linksOf(ctx context.Context, scope callsign.Scope, m callsign.MSISDN) ([]link, error) {
	all, err := s.o.Links.Links(ctx, scope, m)
	out := []link{}
	for _, l := range all {
		if !l.Proved.IsZero() || l.Waits(time.Now()) {
			out = append(out, linkJSON(l))
		}
	}
	return out, err
}

func (s *Server) withdrawLink(ctx context.Context, scope callsign.Scope, in *accountPath) (*struct{}, error) {
	if err := ownNumber(scope, in.MSISDN); err != nil {
		return nil, err
	}
	return nil, s.o.Links.WithdrawLink(ctx, scope, in.MSISDN.MSISDN, in.Network, in.Account)
}
