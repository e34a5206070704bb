package gsmbridge

import (
	"context"
	"errors"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// takeBack sees to it that t is cancelled if its call ends before its receipt came; the call's time being up is no reason, for
// the text's own validity ends with it. The way to keep it is what it gives.
func (l *link) takeBack(ctx context.Context, t *text) (keep func() bool) {
	return context.AfterFunc(ctx, func() {
		if !errors.Is(ctx.Err(), context.Canceled) || errors.Is(context.Cause(ctx), context.Canceled) { // its time, or this node's
			return
		}
		select {
		case l.obsolete <- t:
		default:
			l.bridge.metrics.takenBack.WithLabelValues(l.Name, "unsent").Inc()
		}
	})
}

// withdraw cancels obsolete texts until ctx ends.
func (l *link) withdraw(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case t := <-l.obsolete:
			l.cancel(ctx, t)
		}
	}
}

func (l *link) cancel(ctx context.Context, t *text) {
	result := "unsent"
	if s, _ := l.ready(); s != nil {
		err := s.Cancel(ctx, smpp.Cancel{MessageID: t.id, Source: l.sender(t.call), Dest: l.destination(t.call.Caller)})
		switch refusal := (*smpp.StatusError)(nil); {
		case err == nil:
			result = "cancelled"
			l.bridge.recorder.Record(callsign.Event{
				Call: t.call, Tenant: t.tenant, At: time.Now(), Kind: callsign.EventWithdrawn, Link: l.Name, MessageID: t.id,
			})
		case errors.As(err, &refusal):
			result = "refused"
		}
	}
	l.bridge.metrics.takenBack.WithLabelValues(l.Name, result).Inc()
}
