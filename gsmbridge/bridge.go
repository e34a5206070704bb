// Package gsmbridge brings a text to a handset while it rings: which channel and link, how it is coded and cut, receipts.
// It refuses to know why a text is sent; what it says is a Delivery's.
// Bridge.Run owns every goroutine, one for each link, one that takes its texts back, and those of its session, and one that
// saves what was learned; Deliver works in its caller's.
package gsmbridge

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
)

// Inbox takes what a handset sent; its error becomes the deliver_sm_resp's status, so the SMSC tries again. The reply, if
// not empty, goes back to the handset as an ordinary SMS.
type Inbox interface {
	Receive(context.Context, callsign.MO) (reply string, err error)
}

// Recorder takes submissions and receipts. It must not block.
type Recorder interface{ Record(callsign.Event) }

// Options is what a Bridge is made of; every field may be zero.
type Options struct {
	Config   Config
	Inbox    Inbox                 // nil: messages from handsets are refused
	Recorder Recorder              // nil: nothing is recorded
	Learned  string                // the file where smpp.learn keeps what it knows; required if that is on
	Metrics  prometheus.Registerer // nil: nothing is measured
	Log      *slog.Logger          // nil: nothing is logged
}

// Bridge owns the links.
type Bridge struct {
	inbox     Inbox
	recorder  Recorder
	metrics   *metrics
	log       *slog.Logger
	links     []*link
	templates []Template
	receipts  *receipts
	habits    *habits // nil: nothing is learned
}

type nowhere struct{}

func (nowhere) Record(callsign.Event) {}

// New makes a Bridge. Its error is the configuration's, or that the metrics are registered already.
func New(o Options) (*Bridge, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	m, err := newMetrics(o.Metrics)
	if err != nil {
		return nil, fmt.Errorf("gsmbridge: %w", err)
	}
	b := &Bridge{
		inbox: o.Inbox, recorder: cmp.Or[Recorder](o.Recorder, nowhere{}), metrics: m,
		log: cmp.Or(o.Log, slog.New(slog.DiscardHandler)), receipts: newReceipts(m),
		templates: o.Config.Templates,
	}
	if o.Config.Learn.On {
		b.habits = newHabits(o.Config.Learn, o.Learned, b.log)
	}
	for _, c := range o.Config.Links {
		l := newLink(c.withDefaults(), b)
		if err := watch(o.Metrics, l); err != nil {
			return nil, fmt.Errorf("gsmbridge: %w", err)
		}
		b.links = append(b.links, l)
	}
	return b, nil
}

// Run keeps the links bound until ctx ends, then unbinds them and returns nil.
func (b *Bridge) Run(ctx context.Context) error {
	var g errgroup.Group
	for _, l := range b.links {
		g.Go(func() error {
			l.run(ctx)
			return nil
		})
		if l.Cancel {
			g.Go(func() error {
				l.withdraw(ctx)
				return nil
			})
		}
	}
	if b.habits != nil {
		g.Go(func() error {
			b.habits.run(ctx)
			return nil
		})
	}
	return g.Wait()
}

// LinkHealth is one link's state for readiness. LastError tells a person what to do; it is empty while the link is bound.
type LinkHealth struct {
	Name, Address, Channel string
	Bound                  bool
	LastError              string
	Since                  time.Time // when it became bound, or ceased to be
}

// Links tells how the links are, in the order of the configuration.
func (b *Bridge) Links() []LinkHealth {
	healths := make([]LinkHealth, 0, len(b.links))
	for _, l := range b.links {
		healths = append(healths, l.health())
	}
	return healths
}

// record completes e with its call.
func (b *Bridge) record(d callsign.Delivery, e callsign.Event) {
	e.Call, e.Tenant = d.Call, d.Profile.Tenant
	b.recorder.Record(e)
}
