package gsmbridge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// Deliver tries link after link until one accepts d or ctx ends: ctx is the call, and nothing is written after it.
// It may return up to response_timeout later, for the answer to what was written before tells whether it was taken.
// A text that was written and not answered is never sent again.
func (b *Bridge) Deliver(ctx context.Context, d callsign.Delivery) callsign.Outcome {
	var (
		reasons       []string
		wrote, second bool
	)
	for _, l := range b.links {
		if ctx.Err() != nil {
			break
		}
		a := l.try(ctx, d)
		wrote = wrote || a.wrote
		if a.next == nowhereElse {
			return a.Outcome
		}
		reasons = append(reasons, l.Name+": "+a.Reason)
		if a.next == onceElsewhere && second {
			break
		}
		second = second || a.next == onceElsewhere
	}
	o := callsign.Outcome{State: callsign.Failed, Reason: strings.Join(reasons, "; ")}
	switch {
	case ctx.Err() != nil && !wrote:
		o.State, o.Reason = callsign.Dropped, context.Cause(ctx).Error()
	case len(b.links) == 0:
		o.Reason = "no link is configured: name an SMSC in smpp.links"
	}
	if !wrote { // what was written told its own end
		b.record(d, callsign.Event{At: time.Now(), Kind: callsign.EventFailed, Reason: o.Reason})
	}
	return o
}

// next is whether a text that one link didn't take may go to another.
type next int

const (
	nowhereElse next = iota
	elsewhere
	onceElsewhere // to one more link only: that many would refuse the same
)

// attempt is a delivery over one link.
type attempt struct {
	callsign.Outcome
	next  next
	wrote bool
}

// try submits d over l.
func (l *link) try(ctx context.Context, d callsign.Delivery) attempt {
	a := attempt{Outcome: callsign.Outcome{State: callsign.Failed, Channel: l.Channel, Link: l.Name}}
	r, err := render(d.Text, l.LinkConfig)
	if err != nil {
		return l.failed(d, a, "unsent", err.Error())
	}
	s, why := l.ready()
	if s == nil {
		a.next, a.Reason = elsewhere, why
		l.count("unsent")
		return a
	}
	if err := l.pace.Wait(ctx); err != nil {
		a.next, a.Reason = elsewhere, fmt.Sprintf("its rate of %v a second is used up: %v", l.Rate, err)
		l.count("unsent")
		return a
	}
	start := time.Now()
	var written atomic.Int64 // nanoseconds since start: the writer tells it, perhaps while we give up
	id, err := s.Submit(ctx, l.submitSM(d.Call.Caller, r), func(octets []byte) {
		written.Store(int64(max(1, time.Since(start))))
		l.bridge.record(d, callsign.Event{
			At: time.Now(), Kind: callsign.EventSubmitted, Link: l.Name, Text: r.Text, Wire: bytes.Clone(octets),
		})
	})
	a.wrote = written.Load() > 0
	return l.answered(d, a, s, id, err, time.Since(start)-time.Duration(written.Load()))
}

// answered maps what Submit says.
func (l *link) answered(d callsign.Delivery, a attempt, s *smpp.Session, id string, err error, took time.Duration) attempt {
	var refused *smpp.StatusError
	switch {
	case err == nil:
		l.count("accepted")
		l.bridge.metrics.seconds.WithLabelValues(l.Name).Observe(took.Seconds())
		a.State, a.MessageID = callsign.Accepted, id
		l.bridge.record(d, callsign.Event{At: time.Now(), Kind: callsign.EventAccepted, Link: l.Name, MessageID: id})
		if l.Receipts != "none" && id != "" {
			l.bridge.awaitReceipt(l, d, id)
		}
		return a
	case errors.As(err, &refused):
		var result string
		a.next, result = classify(refused.Status)
		l.bridge.metrics.seconds.WithLabelValues(l.Name).Observe(took.Seconds())
		if sessionFault(refused.Status) {
			l.rebind(s, err)
		}
		return l.failed(d, a, result, err.Error())
	case errors.Is(err, smpp.ErrNotSent):
		a.next, a.Reason = elsewhere, err.Error()
		l.count("unsent")
		return a
	case errors.Is(err, smpp.ErrAmbiguous):
		a.State = callsign.Ambiguous
		return l.failed(d, a, "ambiguous", err.Error()+": it may have been shown, and is not sent again")
	}
	return l.failed(d, a, "unsent", err.Error()) // it can't be coded, here or elsewhere
}

// failed ends an attempt that the timeline must tell of.
func (l *link) failed(d callsign.Delivery, a attempt, result, reason string) attempt {
	a.Reason = reason
	l.count(result)
	l.bridge.record(d, callsign.Event{At: time.Now(), Kind: callsign.EventFailed, Link: l.Name, Reason: reason})
	return a
}

func (l *link) count(result string) { l.bridge.metrics.submits.WithLabelValues(l.Name, result).Inc() }

// classify tells where a text that was refused with s may go, and the metric's word for it (SMPP 3.4 §5.1.3).
func classify(s smpp.Status) (next, string) {
	switch {
	case s == smpp.StatusThrottled, s == smpp.StatusQueueFull:
		return elsewhere, "throttled"
	case sessionFault(s):
		return elsewhere, "refused"
	case s == 0x01, s == 0x0A, s == 0x0B, s == 0x15, s == 0x43, s >= 0x48 && s <= 0x51, s == 0x61, s == 0x62, s >= 0xC0 && s <= 0xC4:
		return nowhereElse, "refused" // the message is at fault
	}
	return onceElsewhere, "refused" // 0x08, 0x45, 0x64, 0xFE, and what only this SMSC knows
}

// sessionFault is a status that says that the session is not what we take it for: it has to be bound again.
func sessionFault(s smpp.Status) bool {
	switch s {
	case smpp.StatusInvalidBindState, smpp.StatusAlreadyBound, smpp.StatusBindFailed, smpp.StatusInvalidPassword, smpp.StatusInvalidSystemID:
		return true
	}
	return false
}
