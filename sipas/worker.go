package sipas

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sipas/relay"
)

const (
	// inFlight bounds the look-ups, and apart from them the deliveries, that a worker has under way; what comes beyond
	// is skipped and counted.
	inFlight = 1024
	// lookupTime is how long a look-up may take: a text that is known later than this would come too late as well.
	lookupTime = 2 * time.Second
)

// Why a delivery's context ended: the causes that gsmbridge sees.
var (
	errAnswered  = errors.New("the call was answered")
	errCancelled = errors.New("the caller hung up")
	errTooLate   = errors.New("show.window is over")
	errForgotten = errors.New("the set-up was forgotten")
)

// worker owns one shard's table: no lock, one goroutine. What takes time runs beside it and comes back as a result.
type worker struct {
	*Workers
	table   table
	early   []early       // set-ups with a 183 and no 180 yet, oldest first
	results chan result   // of look-ups
	lookups chan struct{} // a token for each look-up under way
	sending chan struct{} // a token for each delivery under way
	events  <-chan relay.Event
	rung    rung
	beside  sync.WaitGroup
}

type early struct {
	branch callsign.BranchKey
	at     time.Time
}

type result struct {
	invite  relay.Event
	profile callsign.Profile
	err     error
}

func (ws *Workers) newWorker(events <-chan relay.Event) *worker {
	return &worker{
		events:  events,
		Workers: ws,
		table:   newTable(tableSize),
		results: make(chan result, inFlight),
		lookups: make(chan struct{}, inFlight),
		sending: make(chan struct{}, inFlight),
	}
}

// run reads one shard's events until ctx ends, then waits for what runs beside it.
func (w *worker) run(ctx context.Context) error {
	defer w.beside.Wait()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-w.events:
			w.weigh()
			w.guard(func() { w.event(ctx, e) })
		case r := <-w.results:
			w.guard(func() { w.looked(ctx, r) })
		case now := <-tick.C:
			w.weigh()
			w.guard(func() { w.tick(ctx, now) })
		}
	}
}

// weigh sees how much is waiting.
func (w *worker) weigh() {
	eighths := len(w.events) * 8 / max(1, cap(w.events))
	if now := w.rung.next(eighths, len(w.lookups) == cap(w.lookups)); now != w.rung {
		w.rung = now
		w.load.stands(w, now)
	}
}

// guard runs a part of an event's work: whatever panics in it costs that call its text and nothing else.
func (w *worker) guard(work func()) {
	defer func() { // the other place where recover stands
		if p := recover(); p != nil {
			w.metrics.panics.Inc()
			w.log.Error("reading a call panicked; the call goes on without its text, please report this", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	work()
}

// besideWith runs work beside the worker if there is a token for it.
func (w *worker) besideWith(tokens chan struct{}, work func()) bool {
	select {
	case tokens <- struct{}{}:
	default:
		return false
	}
	w.beside.Go(func() {
		defer func() { <-tokens }()
		w.guard(work)
	})
	return true
}

func (w *worker) event(ctx context.Context, e relay.Event) {
	if e.Register != nil {
		w.registered(e.Register, e.At)
		return
	}
	s, evicted := w.table.touch(e.Branch, e.At)
	if evicted {
		w.metrics.evicted.Inc()
	}
	if s == nil {
		return
	}
	defer w.settle(s)
	switch {
	case e.Invite != nil:
		if !s.invited { // else a retransmission
			s.invited = true
			w.invited(ctx, s, e)
		}
	case e.Cancel:
		w.over(s, e.At, errCancelled)
	default:
		w.answered(ctx, s, e)
	}
}

// invited finds out whether the callee is a subscriber: at once where memory knows, beside where the store must say.
func (w *worker) invited(ctx context.Context, s *setup, e relay.Event) {
	callee, ok := w.reader.Callee(e.Invite)
	if !ok {
		w.skip(s, NoCallee)
		return
	}
	p, found, known := w.Profiles.Peek(callee)
	switch {
	case known && found:
		w.decide(ctx, s, e, p)
	case known:
		w.skip(s, NoSubscriber)
	case w.rung != fullService:
		w.skip(s, Overloaded)
	default:
		started := w.besideWith(w.lookups, func() {
			within, cancel := context.WithTimeout(ctx, lookupTime)
			defer cancel()
			p, err := w.Profiles.Profile(within, callee)
			select {
			case w.results <- result{e, p, err}:
			case <-ctx.Done(): // nobody reads them any more
			}
		})
		if !started {
			w.skip(s, Unavailable)
		}
	}
}

func (w *worker) looked(ctx context.Context, r result) {
	s := w.table.byBranch[r.invite.Branch]
	if s == nil {
		return // forgotten meanwhile
	}
	defer w.settle(s)
	switch {
	case errors.Is(r.err, callsign.ErrNotFound):
		w.skip(s, NoSubscriber)
	case r.err != nil:
		w.log.Debug("a callee could not be looked up", "err", r.err)
		w.skip(s, Unavailable)
	default:
		w.decide(ctx, s, r.invite, r.profile)
	}
}

// settle lets go of a set-up for which nothing is left to do.
func (w *worker) settle(s *setup) {
	if s.done || s.over && s.served != nil {
		w.table.finish(s)
		w.Hush(s.branch)
	}
}

// decide reads the whole INVITE of a call whose callee has something to show, and decides about it. The others, nearly all
// calls of most networks, are counted and leave no timeline: it would tell nothing but who called whom.
func (w *worker) decide(ctx context.Context, s *setup, e relay.Event, p callsign.Profile) {
	if p.Policy == nil && p.Showable(e.At) == "" {
		w.skip(s, NoText)
		return
	}
	call, err := w.reader.Read(e.Invite)
	if err != nil {
		w.log.Debug("an INVITE could not be read", "err", err)
		w.skip(s, Unreadable)
		return
	}
	call.ID, call.At = callsign.NewCallID(e.At, e.Branch), e.At
	call = w.Access(call, e.Peer.Addr(), e.At)
	d := w.Workers.Decide(call, p, e.At)
	if d.textless {
		w.skip(s, d.Refusal)
		return
	}
	s.served = &served{delivery: d.Delivery(call, p)}
	w.record(s, callsign.Event{At: e.At, Kind: callsign.EventInvite})
	for _, l := range s.untold {
		w.record(s, callsign.Event{At: l.at, Kind: l.kind, Reason: l.reason})
	}
	s.untold = nil
	if !d.Show {
		w.record(s, callsign.Event{At: e.At, Kind: callsign.EventSkipped, Reason: d.Refusal})
		w.skip(s, d.Refusal)
		return
	}
	w.metrics.calls.WithLabelValues("decided").Inc()
	w.record(s, callsign.Event{At: e.At, Kind: callsign.EventDecided, Text: d.Text, Reason: d.Signature.Origin})
	if s.over {
		w.record(s, callsign.Event{At: e.At, Kind: callsign.EventSkipped, Reason: s.cause.Error()})
	}
	if w.Config.At == "invite" {
		s.alerting = true
	}
	w.release(ctx, s)
}

// skip ends our interest in a set-up; its branch is remembered for its retransmissions.
func (w *worker) skip(s *setup, reason string) {
	w.metrics.calls.WithLabelValues(reason).Inc()
	s.done = true
}

func (w *worker) answered(ctx context.Context, s *setup, e relay.Event) {
	switch {
	case s.over:
	case e.Status == 180:
		w.ringing(ctx, s, e.At, "180")
	case e.Status == 183:
		if !s.alerting && !s.done && !s.early {
			s.early = true
			w.early = append(w.early, early{s.branch, e.At})
		}
	case e.Status < 200: // forwarded, queued, a fork that ended: nobody rings
	case e.Status < 300:
		w.record(s, callsign.Event{At: e.At, Kind: callsign.EventAnswered})
		switch {
		case w.Config.At == "answer": // until the window is over, for nothing could be sent before
			s.alerting = true
			w.release(ctx, s)
		case w.Config.Until == "answer":
			w.over(s, e.At, errAnswered)
		}
	default:
		w.over(s, e.At, fmt.Errorf("the call failed with %d", e.Status))
	}
}

// ringing releases the text where show.at asks for it. The first 180 counts: others are retransmissions or forks.
func (w *worker) ringing(ctx context.Context, s *setup, at time.Time, how string) {
	if !s.rang.IsZero() {
		return
	}
	s.rang = at
	w.record(s, callsign.Event{At: at, Kind: callsign.EventRinging, Reason: how})
	if w.Config.At == "ringing" {
		s.alerting = true
		w.release(ctx, s)
	}
}

// release sends the text off once the call is decided, alerting and not over.
func (w *worker) release(ctx context.Context, s *setup) {
	if s.served == nil || s.done || !s.alerting || s.over || s.released {
		return
	}
	s.released = true
	d := s.served.delivery
	ctx, cancel := context.WithCancelCause(ctx)
	from := s.last // of the event, however late it is read
	if s.rang.After(from) {
		from = s.rang // a 183's that no 180 followed
	}
	ctx, stop := context.WithDeadlineCause(ctx, from.Add(w.Config.Window), errTooLate)
	// It is not called when the text is delivered: one that is not shown yet may be taken back when the call is over.
	s.cancel = func(cause error) {
		cancel(cause)
		stop()
	}
	released := time.Now()
	if !w.besideWith(w.sending, func() { w.deliver(ctx, d, released) }) {
		s.cancel(nil)
		w.record(s, callsign.Event{At: released, Kind: callsign.EventSkipped, Reason: Unavailable})
		w.metrics.deliveries.WithLabelValues(Unavailable).Inc()
	}
}

// deliver runs beside the worker: asks whether the caller may be sent this text now, and has it sent.
func (w *worker) deliver(ctx context.Context, d callsign.Delivery, released time.Time) {
	skip := func(reason string) {
		w.metrics.deliveries.WithLabelValues(reason).Inc()
		w.Recorder.Record(callsign.Event{Call: d.Call, Tenant: d.Profile.Tenant, At: time.Now(), Kind: callsign.EventSkipped, Reason: reason})
	}
	if w.OptOuts != nil {
		switch wants, known := w.OptOuts.Wants(d.Call.Caller, d.Call.Callee); {
		case !known:
			skip(Unavailable)
			return
		case wants.None:
			skip(OptedOut)
			return
		default:
			d.PerDay, d.PerCallee = stricter(d.PerDay, wants.PerDay), stricter(d.PerCallee, wants.PerCallee)
		}
	}
	refusal, err := w.Claims.Claim(ctx, d)
	switch {
	case err != nil:
		w.log.Warn("a text was not sent because its caps could not be asked", "call", d.Call.ID, "err", err)
		skip(Unavailable)
		return
	case refusal != "":
		skip(refusal)
		return
	}
	o := w.Bridge.Deliver(ctx, d)
	if err := w.Claims.Settle(context.WithoutCancel(ctx), d, o); err != nil {
		w.log.Warn("a delivery's claim could not be settled", "call", d.Call.ID, "err", err)
	}
	w.metrics.deliveries.WithLabelValues(string(o.State)).Inc()
	if o.State == callsign.Accepted {
		w.metrics.accepted.Observe(time.Since(released).Seconds())
	}
	w.log.Debug("delivery ended", "call", d.Call.ID, "state", o.State, "link", o.Link, "reason", o.Reason)
}

// over ends a set-up: nothing is sent after it.
func (w *worker) over(s *setup, at time.Time, cause error) {
	if s.over {
		return
	}
	s.over, s.cause = true, cause
	if s.cancel != nil {
		s.cancel(cause)
	}
	if cause != errAnswered {
		w.record(s, callsign.Event{At: at, Kind: callsign.EventEnded, Reason: cause.Error()})
	}
	if s.served != nil && !s.done && !s.released {
		w.record(s, callsign.Event{At: at, Kind: callsign.EventSkipped, Reason: cause.Error()})
	}
	w.table.requeue(s)
}

// tick lets 183s without a 180 ring, and forgets.
func (w *worker) tick(ctx context.Context, now time.Time) {
	for len(w.early) > 0 && now.Sub(w.early[0].at) >= w.Config.No180After {
		branch := w.early[0].branch
		w.early = w.early[1:]
		if s := w.table.byBranch[branch]; s != nil && !s.over && !s.done {
			w.ringing(ctx, s, now, "183 and no 180")
		}
	}
	w.metrics.unknown.Add(float64(w.table.expire(now)))
}

// record writes a line of a served call's timeline; calls that are none of ours leave nothing. Until it is known whose
// call it is, what happened waits.
func (w *worker) record(s *setup, e callsign.Event) {
	switch {
	case s.served != nil:
		e.Call, e.Tenant = s.served.delivery.Call, s.served.delivery.Profile.Tenant
		w.Recorder.Record(e)
	case !s.done && len(s.untold) < maxUntold:
		s.untold = append(s.untold, line{e.At, e.Kind, e.Reason})
	}
}
