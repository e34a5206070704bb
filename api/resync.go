package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// resyncs is a resyncFrame for each of these accounts, in one place of the queue; without any it is one for all accounts.
type resyncs []string

func (r resyncs) frames() []any {
	if len(r) == 0 {
		return []any{resyncFrame{"resync", ""}}
	}
	frames := make([]any, len(r))
	for i, account := range r {
		frames[i] = resyncFrame{"resync", account}
	}
	return frames
}

// Resync asks a network's sources that are connected to this node to say the accounts' texts again, without any all of
// theirs, and tells how many were asked. It doesn't block and promises nothing: a source that doesn't read isn't asked.
func (s *Server) Resync(tenant, network string, accounts ...string) (asked int) {
	s.push.each(func(one *session) {
		if one.source.tenant != tenant || one.key.Scope.Network != network {
			return
		}
		select {
		case one.out <- resyncs(accounts):
			asked++
		default:
			s.metrics.lostResyncs.Add(float64(max(1, len(accounts))))
		}
	})
	return asked
}

func (s *Server) registerResync(api huma.API) {
	route(s, api, "POST /v1/networks/{network}/resync", "Ask a network's sources that are connected to this node to say their texts again",
		http.StatusOK, operators(), s.resync)
}

type resynced struct {
	Asked int `json:"asked" doc:"how many sources were asked; 0: none is connected to this node, or it doesn't read"`
}

type resyncRequest struct {
	Network string `path:"network" pattern:"^[a-z0-9][a-z0-9._-]{0,31}$"`
	Body    *struct {
		Accounts []string `json:"accounts,omitempty" maxItems:"1000" nullable:"false" doc:"these; absent: all"`
	}
}

func (s *Server) resync(_ context.Context, scope callsign.Scope, in *resyncRequest) (*reply[resynced], error) {
	var accounts []string
	if in.Body != nil {
		accounts = in.Body.Accounts
	}
	return ok(resynced{s.Resync(scope.Tenant, in.Network, accounts...)}), nil
}
