// Package records writes a record of each call to a subscriber with a text, as CSV or JSON Lines, for billing and mediation. It
// refuses to know who decided what and how a text travels: it joins the lines that timelines are made of.
// Records.Run owns one goroutine; no call waits for it or for its disk.
package records

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

// flushEvery is how long a complete record may wait for the disk: what a crash loses beside the records that are not complete.
const flushEvery = time.Second

// Options are what Records are made of.
type Options struct {
	Config  Config
	Queue   int // lines that wait while the disk is slow; default 16384. More are dropped and counted.
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Records writes what it is told.
type Records struct {
	o       Options
	queue   chan callsign.Event
	calls   *calls
	files   []*file
	lock    *os.File
	problem atomic.Pointer[error] // why none are written; nil: they are

	complete, lost, dropped prometheus.Counter
	open                    prometheus.Gauge
}

// New checks the configuration; the directory is Run's.
func New(o Options) (*Records, error) {
	if err := o.Config.Validate(); err != nil {
		return nil, err
	}
	if o.Config.Dir == "" {
		return nil, errors.New("records.dir is empty: name a directory of this node's own")
	}
	o.Queue = cmp.Or(o.Queue, 16384)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	rs := &Records{o: o, queue: make(chan callsign.Event, o.Queue), calls: newCalls()}
	for _, f := range o.Config.Formats {
		rs.files = append(rs.files, &file{dir: o.Config.Dir, format: f, config: o.Config, encode: encoders[f]})
	}
	made := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "callsign_records_total", Help: "Call records: complete; lost as the disk took none for too long.",
	}, []string{"result"})
	rs.complete, rs.lost = made.WithLabelValues("complete"), made.WithLabelValues("lost")
	rs.dropped = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "callsign_records_dropped_lines_total", Help: "Lines of timelines that were not told to the records because their queue was full.",
	})
	rs.open = prometheus.NewGauge(prometheus.GaugeOpts{Name: "callsign_records_open", Help: "Call records that are not complete yet."})
	if o.Metrics != nil {
		o.Metrics.MustRegister(made, rs.dropped, rs.open)
	}
	return rs, nil
}

// Record takes a line of a timeline; it never blocks. Full: the line is dropped and counted.
func (rs *Records) Record(e callsign.Event) {
	e = e.Kept()
	e.Wire, e.Text = nil, "" // in no record, so that they needn't stay
	select {
	case rs.queue <- e:
	default:
		rs.dropped.Inc()
	}
}

// Err is why no records are written now, nil if they are.
func (rs *Records) Err() error {
	if p := rs.problem.Load(); p != nil {
		return *p
	}
	return nil
}

// Run writes until ctx ends, then the records that are not complete as they stand. A directory that can't be used is tried again
// each second; meanwhile records wait, and are lost and counted beyond 8 MiB.
func (rs *Records) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case e := <-rs.queue:
			rs.keep(rs.calls.add(e, time.Now()))
		case now := <-tick.C:
			for r := rs.calls.oldest(rs.o.Config.Wait, now); r != nil; r = rs.calls.oldest(rs.o.Config.Wait, now) {
				rs.keep(r)
			}
			rs.flush(now)
		case <-ctx.Done():
			rs.end()
			return nil
		}
	}
}

// end writes what is left and closes the files.
func (rs *Records) end() {
	now := time.Now()
	for len(rs.queue) > 0 {
		rs.keep(rs.calls.add(<-rs.queue, now))
	}
	for r := rs.calls.oldest(0, now); r != nil; r = rs.calls.oldest(0, now) {
		rs.keep(r)
	}
	rs.flush(now)
	for _, f := range rs.files {
		if left := f.pending.Len(); left > 0 {
			rs.o.Log.Error("call records were not written before the end", "format", f.format, "bytes", left)
		}
		if err := f.close(); err != nil {
			rs.o.Log.Error("a file of call records could not be closed; its name ends with .part until the next start", "err", err)
		}
	}
	if rs.lock != nil {
		_ = rs.lock.Close()
	}
}

// keep buffers a record for each format; nil is none.
func (rs *Records) keep(r *Record) {
	if r == nil {
		return
	}
	counter := rs.complete
	for _, f := range rs.files {
		if err := f.add(r); err != nil {
			counter = rs.lost
		}
	}
	counter.Inc()
}

// flush brings what is buffered onto the disk, once that can be had.
func (rs *Records) flush(now time.Time) {
	rs.open.Set(float64(len(rs.calls.byID)))
	err := rs.ready()
	if err == nil {
		for _, f := range rs.files {
			err = errors.Join(err, f.flush(now))
		}
	}
	before := rs.Err()
	switch {
	case err != nil:
		rs.problem.Store(&err)
		if before == nil {
			rs.o.Log.Error("call records can't be written; they wait, and are lost when too many do", "err", err)
		}
	case before != nil:
		rs.problem.Store(nil)
		rs.o.Log.Info("call records are written again")
	}
}

// ready has the directory, for this process alone, and what an earlier one left in it published.
func (rs *Records) ready() error {
	if rs.lock != nil {
		return nil
	}
	dir := rs.o.Config.Dir
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("records.dir: %w", err)
	}
	held, err := lock(dir)
	if err != nil {
		return fmt.Errorf("records.dir: %w", err)
	}
	if err := recoverParts(dir); err != nil {
		_ = held.Close()
		return fmt.Errorf("records.dir: what an earlier process left: %w", err)
	}
	rs.lock = held
	return nil
}
