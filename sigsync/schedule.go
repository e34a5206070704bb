package sigsync

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
)

const (
	// shareTerm is for how long a node has its parts of a network without asking again: in twice that, others have what a dead
	// node had.
	shareTerm = 6 * time.Second
	// shareParts is what a network's accounts are divided into, so many nodes can share it; those of a Limits.OneNode are one.
	shareParts = 32
)

// Directory lists the accounts that are linked.
type Directory interface {
	Linked(context.Context, callsign.Slice) ([]callsign.Linked, error)
	// Called are accounts of the slice's parts, whatever their phase, whose subscribers were called since then: at most limit.
	Called(ctx context.Context, s callsign.Slice, since time.Time, limit int) ([]callsign.Linked, error)
	// Awaited are accounts of the slice's parts, whatever their phase, that nobody has yet and that are to say a code.
	Awaited(ctx context.Context, s callsign.Slice, now time.Time) ([]callsign.Linked, error)
}

// Leases share a network's parts between nodes; see callsign.Shares.
type Leases interface {
	Share(ctx context.Context, name string, t callsign.Turn) (held map[int]time.Time, err error)
}

// Putter keeps changes, as Intake.Put does.
type Putter interface {
	Put(context.Context, []callsign.Change) ([]callsign.Status, error)
}

// Network is one that is read.
type Network struct {
	Name     string
	Provider Provider
	// Interval is within which each account is read, 10s to 24h. A pass over all accounts takes four fifths of it: what is late
	// for a node's death or a slow network is within it still.
	Interval time.Duration
}

// ScheduleOptions is what NewSchedule needs. Disagrees (may be nil) hears of a polled text that lost against what is kept of its
// account: if that is versioned, its source is to say it again.
type ScheduleOptions struct {
	Networks  []Network
	Directory Directory
	Leases    Leases
	Intake    Putter
	Disagrees func(tenant, network, account string)
	Metrics   prometheus.Registerer
	Log       *slog.Logger
}

// Schedule reads every linked account of its networks within their intervals: those of the parts that this node holds, at its
// part of the network's rate. Run owns the goroutines: for each network one that plans, one that asks for parts, one that
// follows what each Watcher tells, and up to maxReading that read.
type Schedule struct {
	pollers map[string]*poller
}

// NewSchedule makes one; it reads while it Runs.
func NewSchedule(o ScheduleOptions) (*Schedule, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Disagrees == nil {
		o.Disagrees = func(string, string, string) {}
	}
	s := &Schedule{pollers: map[string]*poller{}}
	metrics := newPollMetrics(o.Metrics)
	for _, n := range o.Networks {
		limits := n.Provider.Limits()
		watches := len(watchedOf(n.Provider)) > 0
		switch {
		case n.Interval < 10*time.Second || n.Interval > 24*time.Hour:
			return nil, fmt.Errorf("network %s: interval %v: use 10s to 24h", n.Name, n.Interval)
		case limits.PerCall < 1 || limits.PerSecond < 0 || limits.PerSecond == 0 && !watches:
			return nil, fmt.Errorf("network %s: its provider says that it can be read %g times a second, %d accounts each time: both must be above 0", n.Name, limits.PerSecond, limits.PerCall)
		}
		s.pollers[n.Name] = newPoller(n, o, metrics)
	}
	return s, nil
}

// Run reads until ctx ends, and gives this node's parts back.
func (s *Schedule) Run(ctx context.Context) error {
	node := rand.Text()
	var all errgroup.Group
	for _, p := range s.pollers {
		all.Go(func() error {
			p.run(ctx, node)
			return nil
		})
	}
	_ = all.Wait() // of errors there are none: a network that fails is tried again
	<-ctx.Done()
	return nil
}

// Want has an account read as soon as its network's limits allow, if this node reads it: it has just been linked, say.
func (s *Schedule) Want(tenant, network, account string) {
	if p := s.pollers[network]; p != nil {
		p.want(callsign.Linked{Tenant: tenant, Account: account}, false)
	}
}

// ErrNotRead says that this node doesn't read a network.
var ErrNotRead = errors.New("this node doesn't read the network: see sync.providers")

// Number is the number that a network has verified for an account, 0 for none. errors.ErrUnsupported: this node doesn't read the network,
// or it verifies none; callsign.ErrUnavailable: it can't tell now.
func (s *Schedule) Number(ctx context.Context, network, account string) (callsign.MSISDN, error) {
	p := s.pollers[network]
	if p == nil {
		return 0, fmt.Errorf("%s: %w: %w", network, ErrNotRead, errors.ErrUnsupported)
	}
	prover, proves := p.Provider.(Prover)
	if !proves || !prover.Proves() {
		return 0, fmt.Errorf("%s verifies no numbers: %w", network, errors.ErrUnsupported)
	}
	number, err := p.verified(ctx, prover, account)
	switch {
	case errors.Is(err, ErrNoAccount):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("%w: ask %s for a number: %w", callsign.ErrUnavailable, network, err)
	}
	return number, nil
}

// NetworkState is how reading a network goes on this node.
type NetworkState struct {
	Network  string
	Parts    int           // of the network that this node holds
	OfParts  int           // all of them
	Interval time.Duration // within which each account is to be read
	Lag      time.Duration // how late those are that are to be read now
	Read     time.Time     // when something was read last
	Failing  string        // why nothing was read since; "": it works
	Resting  time.Time     // until when nothing is asked; zero: it is
	Watching bool          // its connection for changes stands
}

// States are those of all networks that this node is to read, in no order.
func (s *Schedule) States() (all []NetworkState) {
	for _, p := range s.pollers {
		all = append(all, p.status())
	}
	return all
}

type pollMetrics struct {
	reads, accounts *prometheus.CounterVec
	took            *prometheus.HistogramVec
	lag, held       *prometheus.GaugeVec
	passes          *prometheus.CounterVec
}

func newPollMetrics(reg prometheus.Registerer) *pollMetrics {
	m := &pollMetrics{
		reads:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callsign_sync_reads_total", Help: "Reads of a network, by how they ended: ok, credentials, limited, missing, failed."}, []string{"network", "result"}),
		accounts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callsign_sync_accounts_total", Help: "Accounts that were read or heard of: changed, unchanged, stale; failed with their read, or to be followed; skipped, for they failed before."}, []string{"network", "result"}),
		took:     prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "callsign_sync_read_seconds", Help: "How long a read took.", Buckets: prometheus.ExponentialBuckets(0.005, 2, 14)}, []string{"network"}),
		lag:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "callsign_sync_lag_seconds", Help: "How late the accounts are that this node is to read now. A fifth of the interval is allowed for."}, []string{"network"}),
		held:     prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "callsign_sync_parts", Help: "Parts of the network that this node reads; all nodes together have all."}, []string{"network"}),
		passes:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callsign_sync_passes_missed_total", Help: "Passes over a part of the accounts that never were, as the network's limits or its absence left no time."}, []string{"network"}),
	}
	if reg != nil {
		reg.MustRegister(m.reads, m.accounts, m.took, m.lag, m.held, m.passes)
	}
	return m
}
