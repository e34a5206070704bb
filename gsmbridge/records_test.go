package gsmbridge

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

// What a record of a call needs and a timeline does not keep: the channel of what went out, and how an attempt ended that failed.
func TestEventsTellRecordsTheChannelAndHowItEnded(t *testing.T) {
	over, cancel := context.WithCancelCause(context.Background())
	cancel(errors.New("answered"))
	for name, c := range map[string]struct {
		ctx     context.Context
		smsc    *smsc.Options
		sent    bool
		outcome callsign.OutcomeState // of the last failure, "" if there is none
	}{
		"accepted":        {context.Background(), &smsc.Options{}, true, ""},
		"refused":         {context.Background(), refusing(smpp.StatusInvalidDest), true, callsign.Failed},
		"not answered":    {context.Background(), &smsc.Options{Behaviour: smsc.Behaviour{Silent: true}}, true, callsign.Ambiguous},
		"over before":     {over, &smsc.Options{}, false, callsign.Dropped},
		"no link is good": {context.Background(), &smsc.Options{Behaviour: smsc.Behaviour{BindStatus: smpp.StatusInvalidPassword}}, false, callsign.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			inLab(t, []*smsc.Options{c.smsc}, nil, func(t *testing.T, l *lab) {
				l.Deliver(c.ctx, delivery("hi"))
				synctest.Wait()
				var outcome callsign.OutcomeState
				sent := false
				l.timeline.mu.Lock()
				defer l.timeline.mu.Unlock()
				for _, e := range l.timeline.events {
					switch e.Kind {
					case callsign.EventSubmitted:
						if sent = true; e.Channel != Flash {
							t.Errorf("it went out on the channel %q", e.Channel)
						}
					case callsign.EventFailed:
						outcome = e.Outcome
					}
				}
				if sent != c.sent || outcome != c.outcome {
					t.Errorf("sent is %t, it ended %q; want %t, %q", sent, outcome, c.sent, c.outcome)
				}
			})
		})
	}
}
