package gsmbridge

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

func TestATextWhoseCallIsOverIsTakenBack(t *testing.T) {
	hungUp := errors.New("the caller hung up")
	receipt := &smpp.Message{ESMClass: 0x04, ShortMessage: []byte("id:1 stat:DELIVRD err:000 text:")}
	const taken = "submitted a hi | accepted a 1"
	for name, c := range map[string]struct {
		supported bool
		status    smpp.Status
		shown     bool // before
		end       error
		want      string
		cancels   int
	}{
		"that is not shown yet":                 {true, smpp.StatusOK, false, hungUp, taken + " | withdrawn a 1", 1},
		"but the SMSC may say that it's late":   {true, 0x11, false, hungUp, taken, 1},
		"not if it was shown":                   {true, smpp.StatusOK, true, hungUp, taken + " | receipt a 1 DELIVRD", 0},
		"not if only its time is up":            {true, smpp.StatusOK, false, nil, taken, 0},
		"not if this node goes":                 {true, smpp.StatusOK, false, context.Canceled, taken, 0},
		"not over a link that isn't told to do": {false, smpp.StatusOK, false, hungUp, taken, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inGateways(t, 1, func(l *LinkConfig, _ *Options) { l.Cancel = c.supported }, func(t *testing.T, l *lab, g []*gateway) {
				g[0].cancel = c.status
				ctx, end := context.WithCancelCause(t.Context())
				ctx, stop := context.WithTimeout(ctx, 30*time.Second)
				defer stop()
				l.Deliver(ctx, delivery("hi"))
				if c.shown {
					g[0].says(t, receipt)
				}
				if c.end != nil {
					end(c.end)
				}
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := l.timeline.String(); got != c.want {
					t.Errorf("\ngot  %s\nwant %s", got, c.want)
				}
				if got := len(g[0].cancelled); got != c.cancels {
					t.Fatalf("got %d cancel_sm, want %d", got, c.cancels)
				}
				if c.cancels > 0 {
					want := smpp.Cancel{MessageID: "1", Dest: smpp.Address{TON: 1, NPI: 1, Number: number(caller)}}
					if got := g[0].cancelled[0]; got != want {
						t.Errorf("got %+v, want %+v", got, want)
					}
				}
				end(nil)
			})
		})
	}
}
