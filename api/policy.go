package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Policies reads and forgets subscribers' policies; PolicyIntake is the door by which they come.
type Policies interface {
	Policy(context.Context, callsign.Scope, callsign.MSISDN) (p callsign.Policy, rev uint64, err error)
	DeletePolicy(ctx context.Context, scope callsign.Scope, m callsign.MSISDN, rev uint64) error
}

// PolicyIntake keeps a policy, with its texts judged; callsign.ErrInvalid says what to mend.
type PolicyIntake interface {
	PutPolicy(ctx context.Context, scope callsign.Scope, m callsign.MSISDN, p callsign.Policy, rev uint64) (now uint64, err error)
}

// TenantPolicies keeps what operators say for a tenant.
type TenantPolicies interface {
	TenantPolicy(context.Context, callsign.Scope) (p callsign.TenantPolicy, rev uint64, err error)
	PutTenantPolicy(ctx context.Context, scope callsign.Scope, p callsign.TenantPolicy, rev uint64) (now uint64, err error)
	DeleteTenantPolicy(ctx context.Context, scope callsign.Scope, rev uint64) error
}

func (s *Server) registerPolicies(api huma.API) {
	const path = " /v1/subscribers/{msisdn}/policy"
	own := append(operators(), callsign.RoleSubscriber)
	route(s, api, "GET"+path, "What a subscriber says of what is shown, to whom and when", 0, own, s.getPolicy)
	route(s, api, "PUT"+path, "Say it anew, as a whole; its texts are accounts of the network policy, and wait for approval as all others do", 0, own, s.putPolicy)
	route(s, api, "DELETE"+path, "Forget it: the signature is shown to everybody", 0, own, s.deletePolicy)
	route(s, api, "GET /v1/policy", "What the operator says for all subscribers", 0, operators(), s.getTenantPolicy)
	route(s, api, "PUT /v1/policy", "Say it anew, as a whole", 0, operators(), s.putTenantPolicy)
	route(s, api, "DELETE /v1/policy", "Forget it", 0, operators(), s.deleteTenantPolicy)
}

func etag(rev uint64) string { return strconv.Quote(strconv.FormatUint(rev, 10)) }

func (s *Server) getPolicy(ctx context.Context, scope callsign.Scope, in *subscriberPath) (*tagged[callsign.Policy], error) {
	if err := ownNumber(scope, in.MSISDN); err != nil {
		return nil, err
	}
	p, rev, err := s.o.Policies.Policy(ctx, scope, in.MSISDN.MSISDN)
	return &tagged[callsign.Policy]{http.StatusOK, etag(rev), p}, err
}

func (s *Server) putPolicy(ctx context.Context, scope callsign.Scope, in *struct {
	MSISDN  number  `path:"msisdn"`
	IfMatch ifMatch `header:"If-Match" doc:"the ETag that was read: the change is refused with 412 if it isn't that any more"`
	Body    callsign.Policy
},
) (*tagged[callsign.Policy], error) {
	if err := ownNumber(scope, in.MSISDN); err != nil {
		return nil, err
	}
	rev, err := in.IfMatch.rev()
	if err == nil {
		rev, err = s.o.PolicyIntake.PutPolicy(ctx, scope, in.MSISDN.MSISDN, in.Body, rev)
	}
	return &tagged[callsign.Policy]{http.StatusOK, etag(rev), in.Body}, err
}

func (s *Server) deletePolicy(ctx context.Context, scope callsign.Scope, in *struct {
	MSISDN  number  `path:"msisdn"`
	IfMatch ifMatch `header:"If-Match" doc:"the ETag that was read: the change is refused with 412 if it isn't that any more"`
},
) (*struct{}, error) {
	if err := ownNumber(scope, in.MSISDN); err != nil {
		return nil, err
	}
	rev, err := in.IfMatch.rev()
	if err == nil {
		err = s.o.Policies.DeletePolicy(ctx, scope, in.MSISDN.MSISDN, rev)
	}
	return nil, err
}

func (s *Server) getTenantPolicy(ctx context.Context, scope callsign.Scope, _ *struct{}) (*tagged[callsign.TenantPolicy], error) {
	p, rev, err := s.o.TenantPolicies.TenantPolicy(ctx, scope)
	return &tagged[callsign.TenantPolicy]{http.StatusOK, etag(rev), p}, err
}

func (s *Server) putTenantPolicy(ctx context.Context, scope callsign.Scope, in *struct {
	IfMatch ifMatch `header:"If-Match" doc:"the ETag that was read: the change is refused with 412 if it isn't that any more"`
	Body    callsign.TenantPolicy
},
) (*tagged[callsign.TenantPolicy], error) {
	rev, err := in.IfMatch.rev()
	if err != nil {
		return nil, err
	}
	if _, err := in.Body.Compile(1); err != nil {
		return nil, newProblem(http.StatusUnprocessableEntity, "invalid", err.Error())
	}
	rev, err = s.o.TenantPolicies.PutTenantPolicy(ctx, scope, in.Body, rev)
	return &tagged[callsign.TenantPolicy]{http.StatusOK, etag(rev), in.Body}, err
}

func (s *Server) deleteTenantPolicy(ctx context.Context, scope callsign.Scope, in *struct {
	IfMatch ifMatch `header:"If-Match" doc:"the ETag that was read: the change is refused with 412 if it isn't that any more"`
},
) (*struct{}, error) {
	rev, err := in.IfMatch.rev()
	if err == nil {
		err = s.o.TenantPolicies.DeleteTenantPolicy(ctx, scope, rev)
	}
	return nil, err
}
