package store

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

// EventKeeper keeps events, all or, with an error, none. One that wraps ErrUnavailable may pass, any other is final.
type EventKeeper interface {
	AppendEvents(context.Context, []callsign.Event) error
}

const (
	journalBatch = 500
	journalDelay = 100 * time.Millisecond // how long an event may wait for others to be written with
	journalFlush = 2 * time.Second        // what is left for writing when the journal ends
)

// JournalOptions are what a Journal is made of. Keep is required.
type JournalOptions struct {
	Keep    EventKeeper
	Queue   int  // events that wait while the store is slow; default 8192. More are dropped and counted.
	Wire    int  // octets of a message that are kept: its first
	Off     bool // nothing is kept
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Journal writes timelines beside the calls that they tell of: a call never waits for it.
type Journal struct {
	o                         JournalOptions
	queue                     chan callsign.Event
	written, dropped, refused prometheus.Counter
}

// NewJournal makes one. Events are queued at once and written once Run runs.
func NewJournal(o JournalOptions) *Journal {
	o.Queue = cmp.Or(o.Queue, 8192)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	j := &Journal{o: o, queue: make(chan callsign.Event, o.Queue)}
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "callsign_journal_events_total",
		Help: "Events of timelines: written; dropped as the store was slow or away; refused by the store.",
	}, []string{"result"})
	j.written, j.dropped, j.refused = events.WithLabelValues("written"), events.WithLabelValues("dropped"), events.WithLabelValues("refused")
	register(o.Metrics, events, prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "callsign_journal_queue", Help: "Events that wait to be written."},
		func() float64 { return float64(len(j.queue)) }))
	return j
}

// Record queues e, as it may be kept, and keeps its Wire; it never blocks. Full: e is dropped and counted.
func (j *Journal) Record(e callsign.Event) {
	if j.o.Off {
		return
	}
	if e = e.Kept(); len(e.Wire) > j.o.Wire {
		e.Wire = e.Wire[:j.o.Wire:j.o.Wire]
	}
	select {
	case j.queue <- e:
	default:
		j.dropped.Inc()
	}
}

// Run writes what is recorded until ctx ends, then what is still queued, within two seconds.
func (j *Journal) Run(ctx context.Context) error {
	var batch []callsign.Event
	for ctx.Err() == nil {
		batch = j.gather(ctx, batch)
		if j.write(ctx, batch) {
			batch = batch[:0]
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), journalFlush)
	defer cancel()
	for {
		batch = j.fill(batch)
		if len(batch) == 0 {
			return nil
		}
		if !j.write(last, batch) {
			lost := len(batch) + len(j.queue)
			j.dropped.Add(float64(lost))
			j.o.Log.Error("events of timelines were not written before the end", "events", lost)
			return nil
		}
		batch = batch[:0]
	}
}

// gather waits for an event and takes what follows it soon.
func (j *Journal) gather(ctx context.Context, batch []callsign.Event) []callsign.Event {
	select {
	case <-ctx.Done():
		return batch
	case e := <-j.queue:
		batch = append(batch, e)
	}
	soon := time.NewTimer(journalDelay)
	defer soon.Stop()
	for len(batch) < journalBatch {
		select {
		case e := <-j.queue:
			batch = append(batch, e)
		case <-soon.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// fill takes what is there.
func (j *Journal) fill(batch []callsign.Event) []callsign.Event {
	for len(batch) < journalBatch {
		select {
		case e := <-j.queue:
			batch = append(batch, e)
		default:
			return batch
		}
	}
	return batch
}

// write tries until the batch is written or refused; false: ctx ended before.
func (j *Journal) write(ctx context.Context, batch []callsign.Event) bool {
	if len(batch) == 0 {
		return true
	}
	for wait := journalDelay; ; wait = min(2*wait, 5*time.Second) {
		err := j.o.Keep.AppendEvents(ctx, batch)
		switch {
		case err == nil:
			j.written.Add(float64(len(batch)))
			if wait > journalDelay {
				j.o.Log.Info("timelines are written again")
			}
			return true
		case ctx.Err() != nil:
			return false
		case !errors.Is(err, callsign.ErrUnavailable):
			j.refused.Add(float64(len(batch)))
			j.o.Log.Error("events of timelines were refused by the store", "events", len(batch), "err", err)
			return true
		case wait == journalDelay:
			j.o.Log.Warn("timelines can't be written; events wait, and are dropped when the queue is full", "err", err)
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(wait):
		}
	}
}
