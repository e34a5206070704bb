package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Eraser forgets whom a number belongs to, and tells of how many calls; callsign.ErrNotFound if nothing is kept of it.
type Eraser interface {
	Erase(context.Context, callsign.Scope, callsign.MSISDN) (calls int64, err error)
}

// person is all that a tenant keeps of a number.
type person struct {
	MSISDN     number           `json:"msisdn"`
	Subscriber *subscriber      `json:"subscriber,omitempty" doc:"absent: it is no subscriber's"`
	Links      []link           `json:"links" nullable:"false" doc:"how its accounts were linked, and which wait for a proof"`
	Keys       []key            `json:"keys" nullable:"false" doc:"the keys for this number"`
	Policy     *callsign.Policy `json:"policy,omitempty" doc:"what they say of what is shown; absent: nothing"`
	Consent    *consent         `json:"consent,omitempty" doc:"the proof that they asked for it by SMS; absent: there is none"`
	OptOuts    []optOut         `json:"opt_outs,omitempty" nullable:"false" doc:"as a caller they want no texts"`
	Calls      []call           `json:"calls" nullable:"false" doc:"the calls from and to it with their timelines, newest first"`
	Next       string           `json:"next,omitempty" doc:"send it as after for the calls that follow; absent: there are none"`
}

// erased is what erasing did.
type erased struct {
	Calls int64 `json:"calls" doc:"the calls in which the number was made unknown"`
}

func (s *Server) registerPerson(api huma.API) {
	const path = " /v1/subscribers/{msisdn}"
	route(s, api, "GET"+path+"/export", "All that is kept of a number, a subscriber's or not: what it said, its keys, its calls", 0, operators(), s.exportPerson)
	route(s, api, "POST"+path+"/erase", "Erase a number, a subscriber's or not: what it said, its keys, and from its calls number, texts and messages; "+
		"that the calls were stays", http.StatusOK, operators(), s.erasePerson)
}

func (s *Server) exportPerson(ctx context.Context, scope callsign.Scope, in *struct {
	MSISDN number `path:"msisdn"`
	After  string `query:"after" pattern:"^[0-9a-f]{32}$" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many calls at most"`
},
) (*reply[person], error) {
	m := in.MSISDN.MSISDN
	out := person{MSISDN: in.MSISDN}
	sub, err := s.o.Subscribers.Subscriber(ctx, scope, m)
	if err == nil {
		told := subscriberJSON(sub)
		out.Subscriber = &told
	} else if !errors.Is(err, callsign.ErrNotFound) {
		return nil, err
	}
	if out.Links, err = s.linksOf(ctx, scope, m); err != nil {
		return nil, err
	}
	if out.Keys, err = s.keysOf(ctx, scope, m); err != nil {
		return nil, err
	}
	if err := s.sayOf(ctx, scope, m, &out); err != nil {
		return nil, err
	}
	out.Calls, out.Next, err = s.callsOf(ctx, scope, m, callsign.Page{After: in.After, Limit: in.Limit})
	return ok(out), err
}

// sayOf adds what m says as a subscriber and as a caller.
func (s *Server) sayOf(ctx context.Context, scope callsign.Scope, m callsign.MSISDN, out *person) error {
	p, _, err := s.o.Policies.Policy(ctx, scope, m)
	if err == nil {
		out.Policy = &p
	} else if !errors.Is(err, callsign.ErrNotFound) {
		return err
	}
	c, err := s.o.Consents.Consent(ctx, scope, m)
	if err == nil {
		out.Consent = &consent{c.Request, c.Asked, c.AskedAt, c.AskedLink, c.Reply, c.RepliedAt, c.ReplyLink}
	} else if !errors.Is(err, callsign.ErrNotFound) {
		return err
	}
	out.OptOuts, err = s.optOutsOf(ctx, scope, m)
	return err
}

// keysOf are the keys for m.
func (s *Server) keysOf(ctx context.Context, scope callsign.Scope, m callsign.MSISDN) ([]key, error) {
	out := []key{}
	for page := (callsign.Page{Limit: 1000}); ; {
		keys, err := s.o.Keys.Keys(ctx, scope, page)
		if err != nil {
			return nil, err
		}
		for _, k := range keys {
			if k.Scope.MSISDN == m {
				out = append(out, keyJSON(k))
			}
		}
		if len(keys) < page.Limit {
			return out, nil
		}
		page.After = keys[len(keys)-1].ID
	}
}

// callsOf are a page of the calls from and to m, which two lists have, with their timelines.
func (s *Server) callsOf(ctx context.Context, scope callsign.Scope, m callsign.MSISDN, page callsign.Page) (out []call, next string, err error) {
	out = []call{}
	from, err := s.o.Calls.Calls(ctx, scope, callsign.CallFilter{Caller: m, Page: page})
	if err != nil {
		return nil, "", err
	}
	to, err := s.o.Calls.Calls(ctx, scope, callsign.CallFilter{Callee: m, Page: page})
	if err != nil {
		return nil, "", err
	}
	all := append(from, to...)
	slices.SortFunc(all, func(a, b callsign.Call) int { return cmp.Compare(b.ID.String(), a.ID.String()) })
	all = slices.CompactFunc(all, func(a, b callsign.Call) bool { return a.ID == b.ID })
	if len(all) > page.Limit || max(len(from), len(to)) == page.Limit {
		all = all[:page.Limit]
		next = all[page.Limit-1].ID.String()
	}
	for _, c := range all {
		t, err := s.o.Calls.Timeline(ctx, scope, c.ID)
		if errors.Is(err, callsign.ErrNotFound) {
			continue // its time was over meanwhile
		}
		if err != nil {
			return nil, "", err
		}
		out = append(out, timelineJSON(t, scope))
	}
	return out, next, nil
}

func (s *Server) erasePerson(ctx context.Context, by callsign.Scope, in *subscriberPath) (*reply[erased], error) {
	calls, err := s.o.Eraser.Erase(ctx, by, in.MSISDN.MSISDN)
	s.keys.doubt() // its own are gone
	if err == nil {
		s.log.Info("a number was erased", "msisdn", in.MSISDN.MSISDN, "calls", calls, "by", by.KeyID)
	}
	return ok(erased{calls}), err
}
