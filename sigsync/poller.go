package sigsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/bits"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/callsign-as/callsign"
)

const (
	// maxReading bounds the reads of one network that run at a time; readWithin ends one that its provider doesn't.
	maxReading = 64
	readWithin = time.Minute
	// maxPaced bounds one wait for the network's rate: a limiter has who waits at a rate of 0 wait for ever, whatever the rate is later.
	maxPaced = 5 * time.Second
	// maxSlice is the longest that one look into the directory covers; it is less where more than wantedSlice accounts come.
	maxSlice, minSlice = time.Second, time.Millisecond
	wantedSlice        = 2000
	// A network that fails again and again is left alone for restMin, then longer, up to restMax; one that refuses our
	// credentials for credentialsRest at first.
	restMin, restMax, credentialsRest = time.Second, 15 * time.Minute, time.Minute
	failuresToRest                    = 3
)

// poller reads one network on this node. It walks over the accounts in the order of their phases: time, modulo a pass, is where
// it is to be, and cursors are where it got to, one for each part that it holds.
type poller struct {
	Network
	o       ScheduleOptions
	log     *slog.Logger
	metrics *pollMetrics
	limits  Limits
	parts   int
	pass    time.Duration
	limiter *rate.Limiter
	proofs  *rate.Limiter // for what a Prover is asked: who asks for links is not to keep accounts from being read
	soon    *soon
	wake    chan struct{} // has room for one: something changed that plan may wait for
	wanted  chan followed // to be followed at once; who finds it full is followed at the next listing
	watched []watched
	wants   atomic.Int64 // accounts that were wanted ever: several logins list theirs again when it grows
	ids     atomic.Int64
	damaged rate.Sometimes // is told of

	mu      sync.Mutex
	cursors map[int]time.Time   // of the parts that are held; up to there all accounts are with a reader, or with ring
	until   time.Time           // when they are not held any more
	reading map[int64]time.Time // running reads, and those that ctx cut short: the time at which the oldest of their accounts was due
	reads   int64               // names for them
	ring    []due               // now, the longest first
	state   health
	failing map[string]failure // accounts, bounded by maxFailing
}

// followed is an account that is to be followed: somebody has it or, awaited, is to have it once it says a code.
type followed struct {
	callsign.Linked
	awaited bool
}

// due is an account that is to be read, and since when.
type due struct {
	callsign.Linked
	since time.Time
}

// health is how a network answers.
type health struct {
	failures int
	err      error
	rest     time.Time
	read     time.Time
	watching int // Watchers that run
}

func newPoller(n Network, o ScheduleOptions, m *pollMetrics) *poller {
	p := &poller{
		Network: n, o: o, log: o.Log.With("network", n.Name), metrics: m, limits: n.Provider.Limits(), parts: shareParts,
		pass: (n.Interval * 4 / 5).Truncate(time.Millisecond), limiter: rate.NewLimiter(0, 1), proofs: rate.NewLimiter(rate.Inf, 0), soon: newSoon(n.Interval), wake: make(chan struct{}, 1), wanted: make(chan followed, 256),
		reading: map[int64]time.Time{}, failing: map[string]failure{}, watched: watchedOf(n.Provider), damaged: rate.Sometimes{Interval: time.Minute},
	}
	if p.limits.PerSecond > 0 {
		p.proofs = rate.NewLimiter(rate.Limit(p.limits.PerSecond/10), proofsAtOnce)
	}
	if _, several := n.Provider.(Several); several {
		p.parts = len(p.watched)
	} else if p.limits.OneNode {
		p.parts = 1
	}
	p.ids.Store(time.Now().UnixMicro()) // above what another life of this node gave
	return p
}

// run holds parts and reads what is due in them until ctx ends, and then gives them back.
func (p *poller) run(ctx context.Context, node string) {
	var all sync.WaitGroup
	all.Go(func() { p.plan(ctx) })
	all.Go(func() { p.lookAround(ctx) })
	for i := range p.watched {
		all.Go(func() { p.watch(ctx, &p.watched[i]) })
	}
	if r, runs := p.Provider.(Runner); runs {
		all.Go(func() { p.keepRunning(ctx, r) })
	}
	p.hold(ctx, node)
	all.Wait()
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), shareTerm/3)
	defer cancel()
	_, _ = p.o.Leases.Share(within, p.share(), callsign.Turn{Node: node, Parts: p.parts, Done: p.done()}) // else its term ends by itself
}

func (p *poller) share() string { return "sync/" + p.Name }

// hold keeps this node's parts, until ctx ends.
func (p *poller) hold(ctx context.Context, node string) {
	tick := time.NewTicker(shareTerm / 3)
	defer tick.Stop()
	for {
		began := time.Now()
		within, cancel := context.WithTimeout(ctx, shareTerm/3)
		held, err := p.o.Leases.Share(within, p.share(), callsign.Turn{Node: node, Parts: p.parts, Term: shareTerm, Done: p.done()})
		cancel()
		if err == nil {
			p.setHeld(held, began.Add(shareTerm))
		} else if ctx.Err() == nil {
			p.log.Debug("nobody can say which accounts this node is to read", "err", err)
		}
		p.metrics.held.WithLabelValues(p.Name).Set(float64(len(p.held(time.Now()))))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// setHeld begins parts that are new where whoever had them got to.
func (p *poller) setHeld(held map[int]time.Time, until time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	cursors := make(map[int]time.Time, len(held))
	for part, done := range held {
		if at, ours := p.cursors[part]; ours && now.Before(p.until) {
			cursors[part] = at
			continue
		}
		if done.IsZero() || done.After(now) {
			done = now
		}
		cursors[part] = done.Truncate(time.Millisecond)
	}
	changed := !maps.Equal(p.cursors, cursors)
	p.cursors, p.until = cursors, until
	p.limiter.SetLimit(rate.Limit(p.limits.PerSecond * float64(len(held)) / float64(p.parts)))
	if changed {
		p.notify()
	}
}

func (p *poller) notify() {
	select {
	case p.wake <- struct{}{}:
	default: // it is awake already
	}
}

// held are the parts that this node has at now, in their order.
func (p *poller) held(now time.Time) []int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !now.Before(p.until) {
		return nil
	}
	return slices.Sorted(maps.Keys(p.cursors))
}

// done is up to where each part is read: who takes over begins there.
func (p *poller) done() map[int]time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	oldest := time.Time{}
	if len(p.ring) > 0 {
		oldest = p.ring[0].since
	}
	for _, due := range p.reading {
		if oldest.IsZero() || due.Before(oldest) {
			oldest = due
		}
	}
	done := maps.Clone(p.cursors)
	for part, at := range done {
		if !oldest.IsZero() && oldest.Before(at) {
			done[part] = oldest
		}
	}
	return done
}

// plan has what is due read, until ctx ends and its readers have.
func (p *poller) plan(ctx context.Context) {
	if p.limits.PerSecond == 0 {
		return
	}
	slots := make(chan struct{}, maxReading)
	var readers sync.WaitGroup
	defer readers.Wait()
	pace := pacing{width: maxSlice}
	for turn := 0; ctx.Err() == nil; {
		p.refill(ctx, &pace)
		if wait := p.wait(time.Now(), &pace); wait > 0 {
			p.sleep(ctx, wait)
			continue
		}
		within, cancel := context.WithTimeout(ctx, maxPaced)
		err := p.limiter.Wait(within)
		cancel()
		if err != nil { // no part is held, it takes longer, or ctx has ended
			p.sleep(ctx, time.Second)
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		batch, name := p.take(time.Now(), turn)
		turn++
		readers.Go(func() {
			defer func() { <-slots }()
			if len(batch) > 0 && p.read(ctx, batch) != nil {
				return // who takes over reads them: its entry keeps done before them
			}
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.reading, name)
		})
	}
}

// sleep waits for d, or until there may be something to do.
func (p *poller) sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.wake:
	case <-ctx.Done():
	}
}

// pacing is how far plan looks ahead, and when it may look again.
type pacing struct {
	width time.Duration // of a slice
	next  time.Time     // not before
}

// refill looks up who is due, until that is enough for a read. A node that has fallen far behind, as none was running say, catches up
// at twice its pace, so that a network isn't asked for everything at once.
func (p *poller) refill(ctx context.Context, pace *pacing) {
	now := time.Now()
	if held := p.held(now); len(held) == 0 {
		p.mu.Lock()
		p.ring = nil // whoever has them now reads them: they are not done
		p.mu.Unlock()
		return
	}
	from, to, of := p.slice(now, pace.width)
	if of == nil || now.Before(pace.next) {
		return
	}
	linked, err := p.o.Directory.Linked(ctx, callsign.Slice{Network: p.Name, From: p.phase(from), To: p.phaseEnd(to), Parts: p.parts, Of: of})
	if err != nil {
		pace.next = now.Add(time.Second)
		if ctx.Err() == nil {
			p.log.Warn("the accounts that are to be read can't be looked up; it is tried again", "err", err)
		}
		return
	}
	if pace.next = now; now.Sub(from) > p.slack() {
		pace.next = now.Add(to.Sub(from) / 2)
	}
	switch n := len(linked); {
	case n > 2*wantedSlice:
		pace.width = max(minSlice, pace.width/2)
	case n < wantedSlice/2:
		pace.width = min(maxSlice, 2*pace.width)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range linked {
		p.ring = append(p.ring, due{l, from})
	}
	for _, part := range of {
		if _, held := p.cursors[part]; held {
			p.cursors[part] = to
		}
	}
}

// slack is how late an account may be read without leaving its interval.
func (p *poller) slack() time.Duration { return (p.Interval - p.pass) / 2 }

// slice is what is to be looked up next: of the parts that are the furthest behind, the time from where they are to width later, the
// end of the pass, or where the others are; of is nil if there is nothing yet.
func (p *poller) slice(now time.Time, width time.Duration) (from, to time.Time, of []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.ring) >= p.limits.PerCall || len(p.cursors) == 0 {
		return from, to, nil
	}
	for part, at := range p.cursors {
		if missed := now.Sub(at) / p.pass; missed > 0 { // on with the pass where it is: nobody is left out of two for others' sake
			at = at.Add(missed * p.pass)
			p.cursors[part] = at
			p.metrics.passes.WithLabelValues(p.Name).Add(float64(missed))
		}
	}
	from = slices.MinFunc(slices.Collect(maps.Values(p.cursors)), time.Time.Compare)
	to = now.Truncate(time.Millisecond)
	for part, at := range p.cursors {
		if at.Equal(from) {
			of = append(of, part)
		} else if at.Before(to) {
			to = at
		}
	}
	p.metrics.lag.WithLabelValues(p.Name).Set(now.Sub(from).Seconds())
	end := from.Add(p.pass - time.Duration(from.UnixMilli())*time.Millisecond%p.pass)
	if last := from.Add(width); to.After(last) {
		to = last
	} else if to.Sub(from) < width && to.Before(end) && to.Equal(now.Truncate(time.Millisecond)) {
		return from, to, nil // not enough to look for yet
	}
	if to.After(end) {
		to = end
	}
	if !to.After(from) {
		return from, to, nil
	}
	slices.Sort(of)
	return from, to, of
}

// phase is the first phase that is due at t or later in its pass.
func (p *poller) phase(t time.Time) int64 {
	pass := p.pass.Milliseconds()
	return phaseOf(t.UnixMilli()%pass, pass)
}

// phaseEnd is phase, but Phases where a pass ends.
func (p *poller) phaseEnd(t time.Time) int64 {
	if phase := p.phase(t); phase > 0 {
		return phase
	}
	return callsign.Phases
}

// phaseOf is at/pass of all phases, rounded up.
func phaseOf(at, pass int64) int64 {
	hi, lo := bits.Mul64(uint64(at), callsign.Phases)
	q, rest := bits.Div64(hi, lo, uint64(pass))
	if rest > 0 {
		q++
	}
	return int64(q)
}

// wait is how long there is nothing to read; 0: there is.
func (p *poller) wait(now time.Time, pace *pacing) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch rest := p.state.rest.Sub(now); {
	case len(p.cursors) == 0 || !now.Before(p.until):
		return time.Second
	case rest > 0:
		return rest
	case len(p.ring) >= p.limits.PerCall || len(p.ring) > 0 && now.Sub(p.ring[0].since) > p.slack()/2: // a full read, or one that waits no longer
		return 0
	}
	next := max(pace.width/2, minSlice)
	if pace.next.After(now) {
		next = pace.next.Sub(now)
	}
	return min(next, p.soon.wait(now))
}

// take gives the accounts of the next read, and names it. Those that are wanted soon come first; where the others are late,
// in one of four turns only. What is left of a read's accounts goes to the other kind.
func (p *poller) take(now time.Time, turn int) (batch []callsign.Linked, name int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	late := len(p.ring) > 0 && now.Sub(p.ring[0].since) > p.slack()
	if !late || turn%4 == 0 {
		batch = p.soon.take(now, p.limits.PerCall)
	}
	p.reads++
	for len(batch) < p.limits.PerCall && len(p.ring) > 0 {
		l := p.ring[0]
		p.ring = p.ring[1:]
		if now.Before(p.failing[l.Account].until) {
			p.metrics.accounts.WithLabelValues(p.Name, "skipped").Inc()
			continue
		}
		if _, named := p.reading[p.reads]; !named {
			p.reading[p.reads] = l.since
		}
		batch = append(batch, l.Linked)
	}
	if rest := p.limits.PerCall - len(batch); rest > 0 && late {
		batch = append(batch, p.soon.take(now, rest)...)
	}
	return batch, p.reads
}

// want has an account read soon.
func (p *poller) want(l callsign.Linked, awaited bool) {
	p.wants.Add(1)
	select {
	case p.wanted <- followed{l, awaited}:
	default:
	}
	p.readSoon(l, time.Now(), 1)
	p.notify()
}

// readSoon has an account read that often before its turn, where the network is read at all.
func (p *poller) readSoon(l callsign.Linked, due time.Time, reads int) {
	if p.limits.PerSecond > 0 {
		p.soon.add(l, due, reads)
	}
}

// lookAround has the accounts of those who are called read more often, and those that are to say a code until they did or it is too late,
// until ctx ends.
func (p *poller) lookAround(ctx context.Context) {
	tick := time.NewTicker(min(max(p.Interval/16, 2*time.Second), 30*time.Second))
	defer tick.Stop()
	since := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s := callsign.Slice{Network: p.Name, Parts: p.parts, Of: p.held(time.Now())}
		if len(s.Of) == 0 {
			continue
		}
		began := time.Now()
		// What fails here fails in refill too, which tells.
		if awaited, err := p.o.Directory.Awaited(ctx, s, began); err == nil {
			for _, l := range awaited {
				p.want(l, true)
			}
		}
		if p.limits.PerSecond == 0 {
			continue
		}
		called, err := p.o.Directory.Called(ctx, s, since, maxCalled)
		if err != nil {
			continue
		}
		since = began.Add(-journalDelay)
		for _, l := range called {
			p.readSoon(l, began, oftenReads)
		}
		if len(called) > 0 {
			p.notify()
		}
	}
}

const (
	maxCalled = 1000
	// journalDelay is how long a call may take to its timeline.
	journalDelay = 2 * time.Second
)

// read reads accounts and keeps what they say. It fails where ctx ends before that is done; other errors are noted.
func (p *poller) read(ctx context.Context, batch []callsign.Linked) error {
	names := make([]string, 0, len(batch))
	of := make(map[string][]callsign.Linked, len(batch)) // two tenants may have one
	for _, l := range batch {
		if of[l.Account] == nil {
			names = append(names, l.Account)
		}
		of[l.Account] = append(of[l.Account], l)
	}
	within, cancel := context.WithTimeout(ctx, readWithin)
	began := time.Now()
	changes, err := p.ask(within, names)
	cancel()
	p.metrics.took.WithLabelValues(p.Name).Observe(time.Since(began).Seconds())
	if ctx.Err() != nil && err != nil {
		return ctx.Err()
	}
	if err := p.keep(ctx, changes, of); err != nil {
		return err
	}
	p.note(time.Now(), batch, err)
	return nil
}

// ask is Provider.Read; a provider that panics at what a network answers has failed to read it.
func (p *poller) ask(ctx context.Context, names []string) (changes []callsign.Change, err error) {
	defer p.recovered(&err)
	return p.Provider.Read(ctx, names)
}

// proofsAtOnce is how many may ask for a number at the same time; more are refused, and counted where their requests are.
const proofsAtOnce = 5

var errTooManyProofs = errors.New("more want to know numbers than it may be asked for")

// verified is Prover.Number, refused where it would be asked too often; a provider that panics has failed.
func (p *poller) verified(ctx context.Context, prover Prover, account string) (m callsign.MSISDN, err error) {
	if !p.proofs.Allow() {
		return 0, errTooManyProofs
	}
	defer p.recovered(&err)
	return prover.Number(ctx, account)
}

// recovered makes an error of a connector's panic.
func (p *poller) recovered(err *error) {
	if r := recover(); r != nil {
		p.log.Error("the connector panicked: please report it", "panic", r, "stack", string(debug.Stack()))
		*err = fmt.Errorf("the connector panicked: %v", r)
	}
}

// keep puts what is new among changes, until that is done or ctx ends, which is its error. Of tells who has the accounts and what is known of them, and
// is brought up to date.
func (p *poller) keep(ctx context.Context, changes []callsign.Change, of map[string][]callsign.Linked) error {
	all := len(changes)
	changes, err := sound(changes)
	if err != nil {
		p.metrics.accounts.WithLabelValues(p.Name, "failed").Add(float64(all - len(changes)))
		p.damaged.Do(func() { p.log.Warn("what accounts say can't be taken", "err", err) })
	}
	byTenant := map[string][]callsign.Change{} // a put is one source's
	who := map[string][]*callsign.Linked{}
	for _, c := range changes {
		for i := range of[c.Account] {
			l := &of[c.Account][i]
			if l.Said && c.Text == l.Text && (c.Stamp.Timed() || c.Stamp == l.Stamp) {
				p.metrics.accounts.WithLabelValues(p.Name, "unchanged").Inc()
				continue
			}
			c.Tenant, c.Network, c.Source, c.ID = l.Tenant, p.Name, "poll/"+p.Name, strconv.FormatInt(p.ids.Add(1), 36)
			byTenant[c.Tenant], who[c.Tenant] = append(byTenant[c.Tenant], c), append(who[c.Tenant], l)
		}
	}
	for tenant, puts := range byTenant {
		statuses, err := p.put(ctx, puts)
		if err != nil {
			return err
		}
		for i, status := range statuses {
			p.settle(puts[i], who[tenant][i], status)
		}
	}
	return nil
}

// put puts changes until they are kept; its error is that ctx ended first.
func (p *poller) put(ctx context.Context, changes []callsign.Change) ([]callsign.Status, error) {
	for wait := time.Second; ; wait = min(2*wait, 30*time.Second) {
		statuses, err := p.o.Intake.Put(ctx, changes)
		if err == nil {
			return statuses, nil
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// settle counts what became of a change, and has those who change read more often.
func (p *poller) settle(c callsign.Change, l *callsign.Linked, status callsign.Status) {
	result := "unchanged"
	switch status {
	case callsign.Stored, callsign.Pending, callsign.Rejected:
		result = "changed"
		l.Text, l.Stamp, l.Said = c.Text, c.Stamp, true
		p.readSoon(*l, time.Now().Add(p.soon.every), oftenReads)
	case callsign.Stale:
		result = "stale"
		p.o.Disagrees(c.Tenant, c.Network, c.Account)
	}
	p.metrics.accounts.WithLabelValues(p.Name, result).Inc()
}

// failure is of an account that can't be read: how often, and until when it isn't tried.
type failure struct {
	times int
	until time.Time
}

// maxFailing bounds the accounts that are known to fail; one that isn't is read in each pass.
const maxFailing = 1 << 16

// note draws the consequences of how a read ended.
func (p *poller) note(now time.Time, batch []callsign.Linked, err error) {
	var limited *LimitedError
	result := "failed"
	switch {
	case err == nil:
		result = "ok"
	case errors.Is(err, ErrCredentials):
		result = "credentials"
	case errors.Is(err, ErrNoAccount):
		result = "missing"
	case errors.As(err, &limited):
		result = "limited"
	}
	p.metrics.reads.WithLabelValues(p.Name, result).Inc()
	p.mu.Lock()
	defer p.mu.Unlock()
	if result == "ok" || result == "missing" { // it answers
		if p.state.failures >= failuresToRest {
			p.log.Info("the network can be read again")
		}
		p.state = health{read: now, watching: p.state.watching}
	}
	if result == "ok" {
		for _, l := range batch {
			delete(p.failing, l.Account)
		}
		return
	}
	p.metrics.accounts.WithLabelValues(p.Name, "failed").Add(float64(len(batch)))
	if result == "missing" && len(batch) == 1 {
		p.fail(batch[0].Account, now)
		return
	}
	p.state.err = err
	p.state.failures++
	switch {
	case result == "credentials":
		p.rest(now, backoff(credentialsRest, p.state.failures, restMax))
	case limited != nil:
		p.rest(now, limited.After)
	case p.state.failures >= failuresToRest:
		p.rest(now, backoff(restMin, p.state.failures-failuresToRest+1, time.Minute))
	}
	for _, l := range batch { // nothing says that it is the account's fault: it comes again once the network had its rest
		if len(batch) == 1 && limited == nil && result != "credentials" {
			p.fail(l.Account, now)
		}
		p.readSoon(l, later(now.Add(retryAfter), p.state.rest), 1)
	}
}

const retryAfter = 10 * time.Second

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// rest leaves the network alone.
func (p *poller) rest(now time.Time, d time.Duration) {
	until := now.Add(d)
	if !until.After(p.state.rest) {
		return
	}
	p.state.rest = until
	p.log.Warn("the network can't be read; it is left alone for a while", "err", p.state.err, "again_in", d.Round(time.Second))
}

// fail leaves an account out of passes: of one, then two, four, for a day at the longest.
func (p *poller) fail(account string, now time.Time) {
	f := p.failing[account]
	f.times++
	f.until = now.Add(backoff(p.pass, f.times, 24*time.Hour) - p.pass/2)
	if len(p.failing) >= maxFailing {
		for other := range p.failing { // any
			delete(p.failing, other)
			break
		}
	}
	p.failing[account] = f
}

// apart is between half of d and d, so that nodes which lost a network at the same time don't come back to it at the same time.
func apart(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }

// backoff is first, doubled with each time after the first, up to most.
func backoff(first time.Duration, times int, most time.Duration) time.Duration {
	for ; times > 1 && first < most; times-- {
		first *= 2
	}
	return min(first, most)
}

func (p *poller) status() NetworkState {
	now := time.Now()
	s := NetworkState{Network: p.Name, OfParts: p.parts, Interval: p.Interval}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Before(p.until) {
		s.Parts = len(p.cursors)
	}
	s.Read, s.Watching = p.state.read, p.state.watching > 0
	if p.state.err != nil {
		s.Failing = p.state.err.Error()
	}
	if p.state.rest.After(now) {
		s.Resting = p.state.rest
	}
	if s.Parts > 0 && p.limits.PerSecond > 0 {
		s.Lag = now.Sub(slices.MinFunc(slices.Collect(maps.Values(p.cursors)), time.Time.Compare))
	}
	return s
}
