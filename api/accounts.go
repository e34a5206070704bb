package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Accounts links IM accounts to subscribers. An account that another subscriber has is callsign.ErrConflict.
type Accounts interface {
	LinkAccount(ctx context.Context, scope callsign.Scope, m callsign.MSISDN, network, account string) (created bool, err error)
	UnlinkAccount(ctx context.Context, scope callsign.Scope, m callsign.MSISDN, network, account string) error
}

// accountPath names an account. ServeMux matches escaped segments, so an account may hold an escaped "/".
type accountPath struct {
	MSISDN  number `path:"msisdn" json:"msisdn"`
	Network string `path:"network" json:"network" pattern:"^[a-z0-9][a-z0-9._-]{0,31}$" doc:"name of the IM network, as configured"`
	Account string `path:"account" json:"account" minLength:"1" maxLength:"512" doc:"the account's name there, percent-encoded"`
}

// Resolve implements huma.Resolver: it refuses the account for hand-set texts, which comes and goes with its subscriber, and
// names that no source can say.
func (p *accountPath) Resolve(huma.Context) []error {
	if p.Network == callsign.ManualNetwork {
		return []error{&huma.ErrorDetail{Location: "path.network", Message: "manual is every subscriber's own: PUT …/signature sets its text"}}
	}
	if p.Network == callsign.PolicyNetwork {
		return []error{&huma.ErrorDetail{Location: "path.network", Message: "policy is for the texts of policies: PUT …/policy says them"}}
	}
	if !plain(p.Account) {
		return []error{&huma.ErrorDetail{Location: "path.account", Message: "it holds a control character or is not UTF-8"}}
	}
	return nil
}

func (s *Server) registerAccounts(api huma.API) {
	const path = " /v1/subscribers/{msisdn}/accounts/{network}/{account}"
	route(s, api, "PUT"+path, "Link an IM account to a subscriber", http.StatusCreated, operators(), s.linkAccount)
	route(s, api, "DELETE"+path, "Unlink an IM account, with its text", 0, operators(), s.unlinkAccount)
}

func (s *Server) linkAccount(ctx context.Context, scope callsign.Scope, in *accountPath) (*reply[accountPath], error) {
	created, err := s.o.Accounts.LinkAccount(ctx, scope, in.MSISDN.MSISDN, in.Network, in.Account)
	if created && err == nil {
		s.o.Linked(scope.Tenant, in.Network, in.Account)
	}
	return putReply(*in, created), err
}

func (s *Server) unlinkAccount(ctx context.Context, scope callsign.Scope, in *accountPath) (*struct{}, error) {
	return nil, s.o.Accounts.UnlinkAccount(ctx, scope, in.MSISDN.MSISDN, in.Network, in.Account)
}
