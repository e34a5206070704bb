package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Subscribers keeps subscribers. Every method takes the Scope, so that no handler can forget the tenant. With a revision they
// change what is at it, or give callsign.ErrChanged; 0 is any.
type Subscribers interface {
	PutSubscriber(context.Context, callsign.Scope, callsign.Subscriber) (created bool, err error)
	Subscriber(context.Context, callsign.Scope, callsign.MSISDN) (callsign.Subscriber, error)
	DeleteSubscriber(ctx context.Context, scope callsign.Scope, m callsign.MSISDN, rev uint64) error
}

// Directory lists a tenant's subscribers in order of their numbers; Page.After is a number's digits.
type Directory interface {
	Subscribers(context.Context, callsign.Scope, callsign.Page) ([]callsign.Subscriber, error)
}

// subscriber is a callsign.Subscriber in JSON.
type subscriber struct {
	MSISDN   number    `json:"msisdn"`
	Name     string    `json:"name"`
	Rev      uint64    `json:"rev" doc:"grows with every change to the subscriber or a text"`
	Accounts []account `json:"accounts" nullable:"false"`
}

// account is a linked IM account and what it last said.
type account struct {
	Network string    `json:"network"`
	Account string    `json:"account"`
	Text    string    `json:"text" doc:"as its source said it"`
	Shown   string    `json:"shown" doc:"cleaned and approved: what callers may see"`
	Lang    string    `json:"lang,omitempty"`
	At      time.Time `json:"at,omitzero" doc:"when it was said"`
	Expires time.Time `json:"expires_at,omitzero"`
	Epoch   int64     `json:"epoch" doc:"-1: ordered by time"`
	Version int64     `json:"version"`
	Origin  string    `json:"origin,omitempty" doc:"source/id of the event that said it"`

	Review   callsign.Review `json:"review,omitempty" enum:"pending,approved,rejected" doc:"whether it may be shown: a person is to decide, or did; the words or the reviewer reject too. Absent: nothing was against it"`
	Reason   string          `json:"reason,omitempty" doc:"why"`
	Reviewed time.Time       `json:"reviewed_at,omitzero" doc:"when a person decided; absent: none did"`
}

func accountJSON(a callsign.Signature) account {
	return account{
		a.Network, a.Account, a.Text, a.Shown, a.Lang, a.At, a.Expires, a.Stamp.Epoch, a.Stamp.Version, a.Origin, a.Review, a.Reason, a.Reviewed,
	}
}

func subscriberJSON(s callsign.Subscriber) subscriber {
	out := subscriber{MSISDN: number{s.MSISDN}, Name: s.Name, Rev: s.Rev, Accounts: make([]account, 0, len(s.Accounts))}
	for _, a := range s.Accounts {
		out.Accounts = append(out.Accounts, accountJSON(a))
	}
	return out
}

type subscriberPath struct {
	MSISDN number `path:"msisdn"`
}

func (s *Server) registerSubscribers(api huma.API) {
	const path = " /v1/subscribers/{msisdn}"
	own := append(operators(), callsign.RoleSubscriber)
	route(s, api, "PUT"+path, "Create or change a subscriber", http.StatusCreated, operators(), s.putSubscriber)
	route(s, api, "GET"+path, "A subscriber and its accounts", 0, own, s.getSubscriber)
	route(s, api, "DELETE"+path, "Remove a subscriber, its accounts and texts", 0, operators(), s.deleteSubscriber)
	route(s, api, "GET /v1/subscribers", "Subscribers in order of their numbers", 0, operators(), s.listSubscribers)
	route(s, api, "PUT"+path+"/signature", "Set a text by hand; an empty one clears it", 0, own, s.putSignature)
}

func (s *Server) putSubscriber(ctx context.Context, scope callsign.Scope, in *struct {
	MSISDN  number  `path:"msisdn"`
	IfMatch ifMatch `header:"If-Match" doc:"the ETag that was read: the change is refused with 412 if it isn't that any more"`
	Body    *struct {
		Name string `json:"name,omitempty" maxLength:"200" doc:"for administrators, never shown to callers"`
	}
},
) (*tagged[subscriber], error) {
	rev, err := in.IfMatch.rev()
	if err != nil {
		return nil, err
	}
	sub := callsign.Subscriber{MSISDN: in.MSISDN.MSISDN, Tenant: scope.Tenant, Rev: rev}
	if in.Body != nil {
		sub.Name = in.Body.Name
	}
	created, err := s.o.Subscribers.PutSubscriber(ctx, scope, sub)
	if err != nil {
		return nil, err
	}
	if sub, err = s.o.Subscribers.Subscriber(ctx, scope, sub.MSISDN); err != nil {
		return nil, err
	}
	out := withTag(sub)
	if created {
		out.Status = http.StatusCreated
	}
	return out, nil
}

// ifMatch is the precondition of a change (RFC 9110 §13.1.1): one ETag.
type ifMatch string

// rev is the revision that is asked for, 0 for none.
func (m ifMatch) rev() (uint64, error) {
	if m == "" {
		return 0, nil
	}
	tag, quoted := strings.CutPrefix(string(m), `"`)
	rev, err := strconv.ParseUint(strings.TrimSuffix(tag, `"`), 10, 64)
	if !quoted || err != nil || rev == 0 {
		return 0, newProblem(http.StatusBadRequest, "bad_request", "If-Match is none of our ETags: send one as GET gives it, with its quotes")
	}
	return rev, nil
}

func withTag(sub callsign.Subscriber) *tagged[subscriber] {
	return &tagged[subscriber]{http.StatusOK, strconv.Quote(strconv.FormatUint(sub.Rev, 10)), subscriberJSON(sub)}
}

func (s *Server) getSubscriber(ctx context.Context, scope callsign.Scope, in *subscriberPath) (*tagged[subscriber], error) {
	if err := ownNumber(scope, in.MSISDN); err != nil {
		return nil, err
	}
	sub, err := s.o.Subscribers.Subscriber(ctx, scope, in.MSISDN.MSISDN)
	return withTag(sub), err
}

func (s *Server) deleteSubscriber(ctx context.Context, scope callsign.Scope, in *struct {
	MSISDN  number  `path:"msisdn"`
	IfMatch ifMatch `header:"If-Match" doc:"the ETag that was read: the change is refused with 412 if it isn't that any more"`
},
) (*struct{}, error) {
	rev, err := in.IfMatch.rev()
	if err != nil {
		return nil, err
	}
	err = s.o.Subscribers.DeleteSubscriber(ctx, scope, in.MSISDN.MSISDN, rev)
	s.keys.doubt() // its own are revoked
	return nil, err
}

func (s *Server) listSubscribers(ctx context.Context, scope callsign.Scope, in *struct {
	After number `query:"after" doc:"next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many rows at most"`
},
) (*reply[rows[subscriber]], error) {
	p := callsign.Page{Limit: in.Limit}
	if in.After.MSISDN != 0 {
		p.After = digits(in.After.MSISDN)
	}
	subs, err := s.o.Directory.Subscribers(ctx, scope, p)
	return listed(subs, in.Limit, subscriberJSON, func(s callsign.Subscriber) string { return digits(s.MSISDN) }), err
}

// handSource is what hand-set texts are said by: their Origin is "api/" and an id of ours.
const handSource = "api"

type putStatus struct {
	Status callsign.Status `json:"status" enum:"stored,duplicate,stale,pending" doc:"pending: shown once a person approves it"`
}

func (s *Server) putSignature(ctx context.Context, scope callsign.Scope, in *struct {
	MSISDN number `path:"msisdn"`
	Body   struct {
		Text string `json:"text" doc:"at most 2048 bytes of UTF-8"`
	}
},
) (*reply[putStatus], error) {
	if err := ownNumber(scope, in.MSISDN); err != nil {
		return nil, err
	}
	now := time.Now()
	statuses, err := s.putChanges(ctx, []callsign.Change{{
		Tenant: scope.Tenant, Source: handSource, ID: newID(), Network: callsign.ManualNetwork, Account: digits(in.MSISDN.MSISDN),
		Text: in.Body.Text, Stamp: callsign.TimedStamp(now), At: now,
	}})
	switch {
	case err != nil:
		return nil, err
	case statuses[0] == callsign.Unlinked:
		return nil, callsign.ErrNotFound
	case statuses[0] == callsign.Rejected && len(in.Body.Text) >= maxText:
		return nil, newProblem(http.StatusUnprocessableEntity, "text_rejected", "the text can't be kept: send at most 2048 bytes of UTF-8")
	case statuses[0] == callsign.Rejected:
		return nil, newProblem(http.StatusUnprocessableEntity, "text_not_allowed",
			"the text is kept but shown to nobody, for the reason that GET tells of the account: send another, or ask an operator to approve it")
	}
	return ok(putStatus{statuses[0]}), nil
}

func digits(m callsign.MSISDN) string { return strconv.FormatUint(uint64(m), 10) }
