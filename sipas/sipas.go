// Package sipas turns a call's events into at most one delivery. A call's state is owned by one worker goroutine (by
// branch); what takes time (a look-up, a claim, a delivery) runs beside it. It knows no SQL, no SMPP and no socket, and
// owns one goroutine per shard besides those.
package sipas

import (
	"context"
	"errors"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sipas/ims"
	"github.com/callsign-as/callsign/sipas/relay"
)

// Profiles answers what is known of a callee. Peek never does I/O: known is false where only Profile, within ctx, can say.
type Profiles interface {
	Peek(m callsign.MSISDN) (p callsign.Profile, found, known bool)
	Profile(context.Context, callsign.MSISDN) (callsign.Profile, error)
}

// Claims is asked once, at release: capped, seen, delivered already? Atomic. Settle tells how it ended.
type Claims interface {
	Claim(context.Context, callsign.Delivery) (refusal string, err error)
	Settle(context.Context, callsign.Delivery, callsign.Outcome) error
}

// OptOuts is asked at release, from memory, whether the caller wants no texts, or how many. Where it isn't known nothing is sent.
type OptOuts interface {
	Wants(caller, callee callsign.MSISDN) (w callsign.Wants, known bool)
}

// Tenants has what operators say for each tenant; nil: nothing. Where it isn't known nothing is sent.
type Tenants interface {
	Tenant(name string) (t *callsign.Tenant, known bool)
}

// Bridge shows a text to a caller. ctx ends when the call is answered, cancelled or failed (context.Cause says which):
// after that nothing is sent. It may end long after Deliver returned, with the submission's outcome, not the receipt.
type Bridge interface {
	Deliver(context.Context, callsign.Delivery) callsign.Outcome
}

// Recorder takes a line of a timeline; it never blocks and never fails.
type Recorder interface{ Record(callsign.Event) }

// Options is what New needs; Metrics and Log may be nil.
type Options struct {
	Config   Config
	Profiles Profiles
	Claims   Claims
	OptOuts  OptOuts // nil: nobody has opted out
	Tenants  Tenants // nil: none says anything
	Bridge   Bridge
	Recorder Recorder
	Hush     func(callsign.BranchKey) // is called with each set-up of which nothing more need be told; nil: it isn't
	Metrics  prometheus.Registerer
	Log      *slog.Logger
}

// Workers read what the relay tells.
type Workers struct {
	Options
	operator      Operator
	reader        ims.Reader
	ladder        ladder
	registrations *registrations
	metrics       *metrics
	load          *load
	log           *slog.Logger
}

// New makes them.
func New(o Options) (*Workers, error) {
	if o.Profiles == nil || o.Claims == nil || o.Bridge == nil || o.Recorder == nil {
		return nil, errors.New("sipas: Profiles, Claims, Bridge and Recorder are required")
	}
	operator, err := NewOperator(o.Config)
	if err != nil {
		return nil, err
	}
	roaming, err := parseNumbers("show.msrn_ranges", o.Config.MSRNRanges)
	if err != nil {
		return nil, err
	}
	ladder, err := newLadder(o.Config)
	if err != nil {
		return nil, err
	}
	ws := &Workers{
		Options: o, operator: operator, ladder: ladder, log: o.Log,
		reader:        ims.Reader{Region: o.Config.Region, CallerFrom: o.Config.CallerIdentity, Roaming: roaming.contain},
		registrations: newRegistrations(maxRegistrations, o.Metrics), metrics: newMetrics(o.Metrics),
	}
	if ws.Hush == nil {
		ws.Hush = func(callsign.BranchKey) {}
	}
	if ws.log == nil {
		ws.log = slog.New(slog.DiscardHandler)
	}
	ws.load = newLoad(o.Metrics, ws.log)
	return ws, nil
}

// Run reads every stream, one worker each, until ctx ends; it leaves nothing running.
func (ws *Workers) Run(ctx context.Context, streams ...<-chan relay.Event) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, events := range streams {
		group.Go(func() error { return ws.newWorker(events).run(ctx) })
	}
	return group.Wait()
}

type metrics struct {
	calls, deliveries        *prometheus.CounterVec
	evicted, unknown, panics prometheus.Counter
	accepted                 prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		calls:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callsign_calls_total", Help: "Call set-ups read, by what was decided: decided, or the reason why nothing is shown."}, []string{"decision"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callsign_deliveries_total", Help: "Texts released, by outcome: accepted, failed, ambiguous, dropped, or what held them back: a cap, opted_out, unavailable."}, []string{"outcome"}),
		evicted:    prometheus.NewCounter(prometheus.CounterOpts{Name: "callsign_setups_evicted_total", Help: "Set-ups forgotten early because a worker's table was full."}),
		unknown: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callsign_setups_unknown_total",
			Help: "Set-ups forgotten whose answers came and whose INVITE didn't: it was before a restart, or its event was dropped. The call went through, without its text.",
		}),
		panics:   prometheus.NewCounter(prometheus.CounterOpts{Name: "callsign_worker_panics_total", Help: "Panics recovered around a call's event."}),
		accepted: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "callsign_ringing_to_accepted_seconds", Help: "From a text's release to the SMSC's acceptance.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
	}
	if reg != nil {
		reg.MustRegister(m.calls, m.deliveries, m.evicted, m.unknown, m.panics, m.accepted)
	}
	return m
}
