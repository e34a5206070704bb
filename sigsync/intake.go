// Package sigsync is the one door by which a text comes in: a push, a poll, a hand-set text, an SMS, an import. It knows no
// network and no SQL; Run owns the goroutines that commit.
package sigsync

import (
	"context"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

const (
	// maxText is how long a text may be, in bytes of UTF-8.
	maxText = 2 << 10
	// maxCommit bounds the changes of one transaction, waiting those of all that wait for one.
	maxCommit = 2000
	waiting   = 1024
)

// Keeper commits a batch in one transaction and returns after the commit: all of it or nothing. Import's refused has an error
// for each row of which something was not kept though the batch was. Review's clean gives what an approved text shows.
type Keeper interface {
	Keep(context.Context, []callsign.Entry) ([]callsign.Status, error)
	Import(context.Context, callsign.Scope, []callsign.ImportRow) (refused []error, err error)
	Review(ctx context.Context, scope callsign.Scope, v callsign.Verdict, clean func(text string) string) error
}

// Codes links the accounts that say a code that somebody waits for there. It commits before it returns.
type Codes interface {
	Said(context.Context, []callsign.Change) error
}

// Options is what NewIntake needs; all but Keeper may be nil.
type Options struct {
	Keeper   Keeper
	Codes    Codes
	Policies Policies // needed by PutPolicy alone
	Tenants  Tenants  // nil: no operator says anything
	// Moderator says which texts may be shown; nil: all.
	Moderator *Moderator
	// Committers is how many transactions run beside each other, each for sources of its own; 0 is one. A store that has one
	// writer wants one.
	Committers int
	Metrics    prometheus.Registerer
	Log        *slog.Logger
}

// Intake cleans texts and commits them in groups: whatever was put while the last commit ran goes into the next one, so a
// lone change waits for nobody and many share a flush of the disk. A source's changes are kept in their order.
type Intake struct {
	keeper    Keeper
	codes     Codes
	policies  Policies
	tenants   Tenants
	moderator *Moderator
	log       *slog.Logger
	puts      []chan put    // one for each committer, bounded: who finds it full waits
	ended     chan struct{} // closed when Run has ended
	metrics   *metrics
}

type put struct {
	entries []callsign.Entry
	codes   []callsign.Change // those of the entries that say a code
	done    chan outcome      // has room: answering never blocks
}

type outcome struct {
	statuses []callsign.Status
	err      error
}

// NewIntake makes one; it commits while it Runs.
func NewIntake(o Options) *Intake {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	in := &Intake{
		keeper: o.Keeper, codes: o.Codes, policies: o.Policies, tenants: o.Tenants, moderator: o.Moderator, log: o.Log,
		puts: make([]chan put, max(1, o.Committers)), ended: make(chan struct{}), metrics: newMetrics(o.Metrics),
	}
	for i := range in.puts {
		in.puts[i] = make(chan put, waiting)
	}
	return in
}

// committer is the one for a change's source: always the same, so that no later change of it is kept before an earlier one.
func (in *Intake) committer(c callsign.Change) chan<- put {
	h := fnv.New32a()
	_, _ = h.Write([]byte(c.Tenant + "/" + c.Source)) // never fails
	return in.puts[h.Sum32()%uint32(len(in.puts))]
}

// Put returns when every change, all of one source, is durable or refused, with what became of each, in order. An error that wraps
// callsign.ErrUnavailable says that none is kept. When ctx ends first, they may be kept all the same: put them again, what
// was kept is then a duplicate. Texts are judged before they queue up for the commit, in the caller's goroutine, so a slow reviewer
// holds up nobody else; whose changes have an order puts them one after the other.
func (in *Intake) Put(ctx context.Context, changes []callsign.Change) ([]callsign.Status, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	p := put{entries: make([]callsign.Entry, len(changes)), done: make(chan outcome, 1)}
	now := time.Now()
	for i, c := range changes {
		if c.Network == callsign.PolicyNetwork {
			return nil, fmt.Errorf("%w: %s is the network of policies' texts, which no source says: rename the source's network", callsign.ErrInvalid, c.Network)
		}
		p.entries[i] = entry(c, now)
		if _, found := callsign.CodeIn(c.Text); found && !p.entries[i].Refused {
			p.codes = append(p.codes, c)
		}
	}
	if err := in.judge(ctx, p.entries); err != nil {
		return nil, err
	}
	select {
	case in.committer(changes[0]) <- p:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-in.ended:
		return nil, errEnded
	}
	select {
	case o := <-p.done:
		return o.statuses, o.err
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-in.ended:
	}
	select {
	case o := <-p.done: // committed by the last one before the end
		return o.statuses, o.err
	default:
		return nil, errEnded
	}
}

var errEnded = fmt.Errorf("%w: this node is stopping", callsign.ErrUnavailable)

// entry is a change as it is kept: its text checked and cleaned, a time that is too far ahead of now taken for the time of receipt.
func entry(c callsign.Change, now time.Time) callsign.Entry {
	if c.At.IsZero() || c.At.After(now.Add(callsign.MaxAhead)) {
		c.At = now
	}
	if received := callsign.TimedStamp(now); c.Stamp.Timed() && c.Stamp.Version > received.Version+callsign.MaxAhead.Microseconds() {
		c.Stamp, c.Received = received, true
	}
	e := callsign.Entry{Change: c}
	if c.Tenant == "" {
		e.Seq = 0 // nobody's numbers
	}
	if len(c.Text) > maxText || !utf8.ValidString(c.Text) || !isName(c.Tenant) || !isName(c.Network) || !isName(c.Account) || !utf8.ValidString(c.ID) {
		e.Refused = true
		return e
	}
	e.Shown = Clean(c.Text)
	return e
}

// isName reports whether s can name something in every store.
func isName(s string) bool { return s != "" && utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// Run commits until ctx ends, and then what still waits.
func (in *Intake) Run(ctx context.Context) error {
	defer close(in.ended)
	var committers sync.WaitGroup
	for _, puts := range in.puts {
		committers.Go(func() { in.commitAll(ctx, puts) })
	}
	committers.Wait()
	return nil
}

func (in *Intake) commitAll(ctx context.Context, puts <-chan put) {
	for {
		select {
		case p := <-puts:
			in.commit(ctx, gather(p, puts))
		case <-ctx.Done():
			for {
				select {
				case p := <-puts:
					in.commit(ctx, gather(p, puts))
				default:
					return
				}
			}
		}
	}
}

// gather takes first and all that wait behind it, in their order, into one transaction.
func gather(first put, puts <-chan put) []put {
	group, size := []put{first}, len(first.entries)
	for size < maxCommit {
		select {
		case p := <-puts:
			group, size = append(group, p), size+len(p.entries)
		default:
			return group
		}
	}
	return group
}

// commit keeps a group and tells each of its puts. It isn't cut short by the end of Run: who waits gets an answer.
func (in *Intake) commit(ctx context.Context, group []put) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var entries []callsign.Entry
	var codes []callsign.Change
	for _, p := range group {
		entries, codes = append(entries, p.entries...), append(codes, p.codes...)
	}
	began := time.Now()
	statuses, err := in.keep(ctx, entries, codes)
	if err != nil {
		in.log.Error("signatures could not be kept; their senders were told so", "changes", len(entries), "err", err)
		in.metrics.failed.Add(float64(len(entries)))
		err = fmt.Errorf("%w: %w", callsign.ErrUnavailable, err)
	}
	in.metrics.commit.Observe(time.Since(began).Seconds())
	in.metrics.size.Observe(float64(len(entries)))
	for _, p := range group {
		if err != nil {
			p.done <- outcome{err: err}
			continue
		}
		p.done <- outcome{statuses: statuses[:len(p.entries):len(p.entries)]}
		for _, s := range statuses[:len(p.entries)] {
			in.metrics.changes.WithLabelValues(string(s)).Inc()
		}
		statuses = statuses[len(p.entries):]
	}
}

// keep honours the codes before the texts are durable: a source never sends again what it was told is, and its code would be lost with a
// node that ends in between. What isn't kept after that comes again, and finds its account linked.
func (in *Intake) keep(ctx context.Context, entries []callsign.Entry, codes []callsign.Change) ([]callsign.Status, error) {
	if len(codes) > 0 && in.codes != nil {
		if err := in.codes.Said(ctx, codes); err != nil {
			return nil, err
		}
	}
	statuses, err := in.keeper.Keep(ctx, entries)
	if err == nil && len(statuses) != len(entries) {
		err = fmt.Errorf("%w: it told %d statuses for %d changes", callsign.ErrUnavailable, len(statuses), len(entries))
	}
	return statuses, err
}

type metrics struct {
	changes      *prometheus.CounterVec
	failed       prometheus.Counter
	commit, size prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callsign_intake_changes_total", Help: "Changes of signatures, by what became of them."}, []string{"status"}),
		failed:  prometheus.NewCounter(prometheus.CounterOpts{Name: "callsign_intake_failed_total", Help: "Changes that could not be kept because the store failed; none was acknowledged."}),
		commit:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "callsign_intake_commit_seconds", Help: "How long a commit took.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		size:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "callsign_intake_commit_changes", Help: "Changes in one commit.", Buckets: prometheus.ExponentialBuckets(1, 2, 12)}),
	}
	if reg != nil {
		reg.MustRegister(m.changes, m.failed, m.commit, m.size)
	}
	return m
}
