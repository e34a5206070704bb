package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Audits keeps what was asked to be changed. PutAudit of an ID that is there changes its Status and Object, and
// its MSISDN where that is 0 and the Status not known yet. A list is newest
// first; Page.After is an ID.
type Audits interface {
	PutAudit(context.Context, callsign.Audit) error
	Audits(context.Context, callsign.Scope, callsign.Page) ([]callsign.Audit, error)
}

// audited is a callsign.Audit in JSON.
type audited struct {
	ID      string    `json:"id"`
	At      time.Time `json:"at"`
	KeyID   string    `json:"key_id,omitempty" doc:"whose key; absent: somebody on the node's machine"`
	Address string    `json:"address,omitempty" doc:"whom the request came from"`
	Action  string    `json:"action" doc:"method and path, as this document has them"`
	MSISDN  number    `json:"msisdn,omitzero" doc:"whom it is about; absent: nobody, or erased"`
	Object  string    `json:"object,omitempty" doc:"the network or the key that it is about"`
	Status  int       `json:"status,omitempty" doc:"how it was answered; absent: the node ended before that was known"`
}

func (s *Server) registerAudit(api huma.API) {
	route(s, api, "GET /v1/audit", "What was asked to be changed, by whom, newest first", 0, []callsign.Role{callsign.RoleAdmin}, s.listAudit)
}

func (s *Server) listAudit(ctx context.Context, scope callsign.Scope, in *struct {
	After string `query:"after" pattern:"^[0-9a-f]{30}$" doc:"next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many rows at most"`
},
) (*reply[rows[audited]], error) {
	as, err := s.o.Audits.Audits(ctx, scope, callsign.Page{After: in.After, Limit: in.Limit})
	return listed(as, in.Limit, func(a callsign.Audit) audited {
		return audited{a.ID, a.At, a.KeyID, a.Address, a.Action, number{a.MSISDN}, a.Object, a.Status}
	}, func(a callsign.Audit) string { return a.ID }), err
}

// auditKey finds the *callsign.Audit of a request, for a handler that knows its Object better than the path.
type auditKey struct{}

// NewAudit is one of now, of what scope asks for.
func NewAudit(scope callsign.Scope, action string) callsign.Audit {
	now := time.Now().UTC().Truncate(time.Microsecond)
	return callsign.Audit{ID: fmt.Sprintf("%014x", now.UnixMicro()) + newID(), Tenant: scope.Tenant, At: now, KeyID: scope.KeyID, Action: action}
}

// audit writes down what r asks for, before it is done: without that it isn't done. ended notes how it was answered.
func (s *Server) audit(ctx context.Context, scope callsign.Scope, r *http.Request) (_ context.Context, ended func(status int), err error) {
	a := NewAudit(scope, r.Pattern)
	if from := addressOf(r); from.IsValid() {
		a.Address = from.String()
	}
	a.Object = r.PathValue("network") + r.PathValue("id")
	_ = a.MSISDN.UnmarshalText([]byte(r.PathValue("msisdn"))) // one that can't be read is nobody's
	if err := s.o.Audits.PutAudit(ctx, a); err != nil {
		return ctx, nil, err
	}
	return context.WithValue(ctx, auditKey{}, &a), func(status int) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), handlingTime)
		defer cancel()
		a.Status = status
		if err := s.o.Audits.PutAudit(ctx, a); err != nil {
			s.log.Warn("the audit doesn't tell how a request was answered", "action", a.Action, "status", status, "err", err)
		}
	}, nil
}

// concernsNumber names whom and what a request turned out to be about, before it is done. Nobody is put into Object: an erasure doesn't
// look there.
func (s *Server) concernsNumber(ctx context.Context, m callsign.MSISDN, object string) error {
	a, ok := ctx.Value(auditKey{}).(*callsign.Audit)
	if !ok {
		return nil
	}
	a.MSISDN, a.Object = m, object
	return s.o.Audits.PutAudit(ctx, *a)
}

// concerns names what a request turned out to be about.
func concerns(ctx context.Context, object string) {
	if a, ok := ctx.Value(auditKey{}).(*callsign.Audit); ok {
		a.Object = object
	}
}
