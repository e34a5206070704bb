package gsmbridge

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// Deliver tries link after link until one accepts d or ctx ends: ctx is the call, which may go on after Deliver returned,
// and nothing is written after it. Links whose rate or window is used up are tried again, and waited for, when no other took
// it. It may return up to response_timeout after ctx, for the answer to what was written before tells whether it was taken.
// A text that was written and not answered is never sent again.
func (b *Bridge) Deliver(ctx context.Context, d callsign.Delivery) callsign.Outcome {
	links := b.route(d)
	t := trip{delivery: d}
	if later := t.along(ctx, links, false); t.end == nil {
		t.along(ctx, later, true)
	}
	if t.end != nil {
		return *t.end
	}
	o := callsign.Outcome{State: callsign.Failed, Reason: strings.Join(t.reasons, "; ")}
	switch {
	case ctx.Err() != nil && !t.wrote:
		o.State, o.Reason = callsign.Dropped, context.Cause(ctx).Error()
	case len(b.links) == 0:
		o.Reason = "no link is configured: name an SMSC in smpp.links"
	case !slices.ContainsFunc(b.links, func(l *link) bool { return l.reaches(d.Call.Caller) }):
		o.Reason = "every link leaves away a country code that the caller's number doesn't have: name one in smpp.links without destination.strip"
	case len(links) == 0 && d.Channel != "":
		o.Reason = "the tenant's policy wants channel " + d.Channel + " for the caller's access, over which no link can reach it: see its channels"
	case len(links) == 0:
		o.Reason = "no flash link is configured, and the caller is not known to be on GERAN or UTRAN, where USSD is: name one in smpp.links"
	}
	if !t.wrote { // what was written told its own end
		b.record(d, callsign.Event{At: time.Now(), Kind: callsign.EventFailed, Reason: o.Reason, Outcome: o.State})
	}
	return o
}

// trip is a delivery on its way from link to link.
type trip struct {
	delivery callsign.Delivery
	reasons  []string // why each link didn't take it
	wrote    bool
	second   bool   // a link has refused it as others may too
	busy     string // the channel on which the handset takes nothing now
	end      *callsign.Outcome
}

// along tries links until one ends the trip. Without patience it gives those that might take it a little later.
func (t *trip) along(ctx context.Context, links []*link, patient bool) (later []*link) {
	for _, l := range links {
		if ctx.Err() != nil {
			return nil
		}
		if l.Channel == t.busy {
			continue
		}
		a := l.try(ctx, t.delivery, patient)
		t.wrote = t.wrote || a.wrote
		switch a.next {
		case nowhereElse:
			t.end = &a.Outcome
			return nil
		case hereLater:
			if !patient {
				later = append(later, l)
				continue
			}
		case otherChannel:
			t.busy = l.Channel
		}
		t.reasons = append(t.reasons, l.Name+": "+a.Reason)
		if a.next == onceMore {
			if t.second {
				return nil
			}
			t.second = true
		}
	}
	return later
}

// next is where a text may go that one link didn't take.
type next int

const (
	nowhereElse next = iota
	anywhere
	onceMore     // to one more link
	otherChannel // to links of another channel
	hereLater    // to this link, in a while
)

// attempt is a delivery over one link.
type attempt struct {
	callsign.Outcome
	next  next
	wrote bool
	fault bool // the link is to blame, not the text, the handset or the call
}

// try sends d over l. Only a patient one waits for the link's rate and window.
func (l *link) try(ctx context.Context, d callsign.Delivery, patient bool) attempt {
	a := attempt{Outcome: callsign.Outcome{State: callsign.Failed, Channel: l.Channel, Link: l.Name}}
	r, err := render(d, l.LinkConfig, l.bridge.templates)
	if err != nil {
		return l.failed(d, a, "unsent", err.Error())
	}
	leave := func(next next, why string) attempt {
		a.next, a.Reason = next, why
		if next != hereLater || patient {
			l.count("unsent")
		}
		return a
	}
	s, why := l.ready()
	if s == nil {
		return leave(anywhere, why)
	}
	if !patient && s.Full() {
		return leave(hereLater, "its window is full")
	}
	if err := l.pace.take(ctx, r.Parts, patient); err != nil {
		return leave(hereLater, err.Error())
	}
	done, err := l.breaker.Allow()
	if err != nil {
		return leave(anywhere, "it failed too often, and is tried again in a moment")
	}
	defer func() { done(!a.fault) }() // also where submit panics: an open circuit waits for the word of the one that tries it
	a = l.submit(ctx, s, d, r, a)
	return a
}

// submit sends all parts of r; once one was taken nothing of it goes elsewhere.
func (l *link) submit(ctx context.Context, s *smpp.Session, d callsign.Delivery, r Rendered, a attempt) attempt {
	start := time.Now()
	for i, m := range l.messages(ctx, d, r) {
		e := callsign.Event{Kind: callsign.EventSubmitted, Link: l.Name, Channel: l.Channel, Text: r.Text, Reason: r.form(i)}
		id, wrote, err := l.part(ctx, s, d, m, e)
		a.wrote = a.wrote || wrote
		if err != nil {
			if a = l.refused(ctx, d, a, s, err); i > 0 {
				a = l.halved(ctx, d, a, err)
			}
			return a
		}
		a.MessageID = id
	}
	l.count("accepted")
	l.pace.accepted(time.Now())
	a.State = callsign.Accepted
	l.bridge.record(d, callsign.Event{At: time.Now(), Kind: callsign.EventAccepted, Link: l.Name, MessageID: a.MessageID})
	l.await(ctx, d, a.MessageID, start)
	return a
}

// halved ends a text of which an earlier part was taken: the rest goes nowhere else, and that it didn't go is told.
func (l *link) halved(ctx context.Context, d callsign.Delivery, a attempt, err error) attempt {
	a.next = nowhereElse
	if errors.Is(err, smpp.ErrNotSent) {
		if ctx.Err() != nil {
			a.State, a.Reason = callsign.Dropped, context.Cause(ctx).Error()
		}
		l.bridge.record(d, callsign.Event{At: time.Now(), Kind: callsign.EventFailed, Link: l.Name, Reason: a.Reason, Outcome: a.State})
	}
	return a
}

// part sends one message; e is recorded just before it is written.
func (l *link) part(ctx context.Context, s *smpp.Session, d callsign.Delivery, m *smpp.Message, e callsign.Event) (id string, wrote bool, err error) {
	send := s.Submit
	if l.Operation == "data_sm" {
		send = s.Data
	}
	start := time.Now()
	var written atomic.Int64 // nanoseconds since start: the writer tells it, perhaps while we give up
	id, err = send(ctx, m, func(octets []byte) {
		written.Store(int64(max(1, time.Since(start))))
		e.At, e.Wire = time.Now(), bytes.Clone(octets)
		l.bridge.record(d, e)
	})
	wrote = written.Load() > 0
	if refusal := (*smpp.StatusError)(nil); err == nil || errors.As(err, &refusal) {
		l.bridge.metrics.seconds.WithLabelValues(l.Name, l.Channel).Observe((time.Since(start) - time.Duration(written.Load())).Seconds())
	}
	return id, wrote, err
}

// refused maps what Submit says to where the text may go.
func (l *link) refused(ctx context.Context, d callsign.Delivery, a attempt, s *smpp.Session, err error) attempt {
	refusal, ok := errors.AsType[*smpp.StatusError](err)
	switch {
	case ok:
		result := "refused"
		switch c := l.classify(refusal.Status); c {
		case throttled:
			a.next, result = anywhere, "throttled"
			l.pace.throttled(time.Now())
		case rebind:
			a.next, a.fault = anywhere, true
			l.rebind(s, err)
		case elsewhere:
			a.next, a.fault = onceMore, true
		case busy:
			a.next, result = otherChannel, "busy"
		}
		if a.next != nowhereElse {
			l.learn(d.Call, false, 0)
		}
		return l.failed(d, a, result, err.Error())
	case errors.Is(err, smpp.ErrNotSent):
		a.next, a.Reason, a.fault = anywhere, err.Error(), ctx.Err() == nil
		l.count("unsent")
		return a
	case errors.Is(err, smpp.ErrAmbiguous):
		a.State, a.fault = callsign.Ambiguous, true
		l.learn(d.Call, false, 0)
		return l.failed(d, a, "ambiguous", err.Error()+": it may have been shown, and is not sent again")
	}
	return l.failed(d, a, "unsent", err.Error()) // it can't be coded, here or elsewhere
}

// failed ends an attempt that the timeline must tell of.
func (l *link) failed(d callsign.Delivery, a attempt, result, reason string) attempt {
	a.Reason = reason
	l.count(result)
	l.bridge.record(d, callsign.Event{At: time.Now(), Kind: callsign.EventFailed, Link: l.Name, Reason: reason, Outcome: a.State})
	return a
}

func (l *link) count(result string) { l.bridge.metrics.submits.WithLabelValues(l.Name, result).Inc() }
