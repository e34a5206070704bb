package simple

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

const (
	maxAsking = 32 // requests that are under way
	// A subscription that ends or fails is made again after retryAfter, then later, up to retryMost.
	retryAfter, retryMost = time.Second, 5 * time.Minute
)

// subscription is one account's, which may have several dialogs one after the other.
type subscription struct {
	account   string
	d         *dialog // nil: there is none
	due       time.Time
	confirmed time.Time // when the agent last answered for d
	expires   time.Duration
	fails     int
	busy      bool // a request is under way
	gone      bool // to be ended
	told      sigsync.Note
	tells     bool // told was told
}

// watch is a running Watch.
type watch struct {
	c       Config
	e       *endpoint
	changes sigsync.Latest
	wake    chan struct{} // has room for one: something may be due
	lost    chan error    // has room for one: why it can't go on

	mu       sync.Mutex
	subs     map[string]*subscription
	failed   func(account string, why error)
	answered time.Time // when anything came of the agent
	checked  time.Time // when a subscription was last found known, or is being looked at
}

// Watch implements sigsync.Watcher.
func (p *Provider) Watch(ctx context.Context, follow <-chan sigsync.Follow, put func([]callsign.Change)) error {
	e, release, err := p.endpoints.Use(ctx)
	if err != nil {
		return err
	}
	defer release()
	w := &watch{c: p.c, e: e, wake: make(chan struct{}, 1), lost: make(chan error, 1), subs: map[string]*subscription{}, failed: func(string, error) {}, checked: time.Now()}
	defer w.leave()
	err = w.changes.PutWhile(put, func() error {
		running, stop := context.WithCancel(ctx)
		var all sync.WaitGroup
		defer all.Wait()
		defer stop()
		all.Go(func() { w.followAll(running, follow) })
		all.Go(func() { w.renewAll(running) })
		select {
		case <-e.ended:
			return e.err
		case err := <-w.lost:
			return err
		case <-ctx.Done():
			return nil
		}
	})
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// followAll takes accounts that are to be followed, or no longer, until ctx ends.
func (w *watch) followAll(ctx context.Context, follow <-chan sigsync.Follow) {
	for {
		var f sigsync.Follow
		select {
		case f = <-follow:
		case <-ctx.Done():
			return
		}
		w.follow(f, time.Now())
		w.notify()
	}
}

func (w *watch) follow(f sigsync.Follow, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if f.Failed != nil {
		w.failed = f.Failed
	}
	for _, account := range f.Accounts {
		s := w.subs[account]
		switch {
		case f.Gone && s != nil:
			s.gone, s.due = true, now
		case f.Gone:
		case s != nil: // told anew, whether it had time to end or not
			s.gone, s.tells, s.due = false, false, now
		case len(w.subs) >= w.c.Most:
			w.failed(account, fmt.Errorf("simple: %d are subscribed to, and no more may be: see subscriptions", w.c.Most))
		default:
			w.subs[account] = &subscription{account: account, expires: w.c.Expires, due: now}
		}
	}
}

// refuse gives up an account that can't be followed; it is named again.
func (w *watch) refuse(s *subscription, why error) {
	if s.gone = true; w.subs[s.account] == s { // else it was told
		delete(w.subs, s.account)
		w.failed(s.account, why)
	}
}

func (w *watch) notify() {
	select {
	case w.wake <- struct{}{}:
	default: // it is awake already
	}
}

// renewAll makes, renews and ends subscriptions when that is due, until ctx ends and all requests have.
func (w *watch) renewAll(ctx context.Context) {
	pace := rate.NewLimiter(rate.Limit(w.c.Pace), 1)
	var asking errgroup.Group
	asking.SetLimit(maxAsking)
	defer func() { _ = asking.Wait() }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		for _, s := range w.due(time.Now()) {
			if pace.Wait(ctx) != nil {
				return
			}
			asking.Go(func() error { w.renew(ctx, s); return nil })
		}
		select {
		case <-tick.C:
		case <-w.wake:
		case <-ctx.Done():
			return
		}
	}
}

// due takes the subscriptions whose time has come, the longest waiting first, and now and then one whose time has not: an agent that
// was started again knows none of them, and says so of the first that it is asked about. Each that it doesn't know has the next asked.
func (w *watch) due(now time.Time) (due []*subscription) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var oldest *subscription
	for _, s := range w.subs {
		switch {
		case s.busy:
		case !now.Before(s.due):
			s.busy = true
			due = append(due, s)
		case s.d != nil && (oldest == nil || s.confirmed.Before(oldest.confirmed)):
			oldest = s
		}
	}
	slices.SortFunc(due, func(a, b *subscription) int { return a.due.Compare(b.due) })
	if oldest != nil && now.Sub(w.checked) >= w.c.Check {
		oldest.busy, w.checked = true, now
		due = append(due, oldest)
	}
	return due
}

// renew sends what a subscription needs next.
func (w *watch) renew(ctx context.Context, s *subscription) {
	w.mu.Lock()
	d, expires, gone := s.d, s.expires, s.gone
	w.mu.Unlock()
	began, fresh := time.Now(), d == nil
	if gone {
		if !fresh {
			_, _ = w.e.subscribe(ctx, d, 0) // else it ends by itself
			w.e.drop(d)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		s.busy, s.d, s.due = false, nil, time.Time{}
		if s.gone && w.subs[s.account] == s {
			delete(w.subs, s.account)
		}
		return
	}
	if fresh {
		uri, err := w.c.address(s.account)
		if err != nil {
			w.settle(s, nil, began, 0, err)
			return
		}
		d = newDialog(uri, nil)
		d.heard = func(n notice) { w.heard(s, d, n) }
		w.mu.Lock()
		s.d = d
		w.mu.Unlock()
		w.e.keep(d) // its first notification may be faster than the answer
	}
	granted, err := w.e.subscribe(ctx, d, expires)
	if err != nil && ctx.Err() == nil {
		w.e.drop(d)
	}
	w.settle(s, d, began, granted, err)
}

// settle draws the consequences of how a SUBSCRIBE ended.
func (w *watch) settle(s *subscription, d *dialog, began time.Time, granted time.Duration, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer w.notify()
	now := time.Now()
	s.busy = false
	if !errors.Is(err, errSilent) {
		w.answered = now
	}
	if s.d != d && err == nil { // ended meanwhile by a notification, which said when to go on
		return
	}
	var brief *briefError
	var limited *sigsync.LimitedError
	known := !s.confirmed.IsZero()
	if err != nil {
		s.d, s.confirmed = nil, time.Time{}
	}
	switch {
	case err == nil:
		if known {
			s.fails, w.checked = 0, now
		}
		s.confirmed, s.due = now, now.Add(granted*3/4)
	case errors.Is(err, errUnknown) && known:
		s.due, w.checked = now, time.Time{}
	case errors.As(err, &brief) && brief.least > s.expires:
		s.expires, s.due = brief.least, now
	case errors.Is(err, sigsync.ErrCredentials):
		w.lose(err)
	case errors.Is(err, sigsync.ErrNoAccount):
		w.refuse(s, err)
	case errors.As(err, &limited):
		s.due = now.Add(limited.After)
	case errors.Is(err, errSilent) && w.answered.Before(began):
		w.lose(fmt.Errorf("simple: nothing comes from %s within %v: %w", w.c.Agent, w.c.Timeout, err))
	default:
		s.due = now.Add(s.again())
	}
}

// again is how long to wait before a subscription is tried again.
func (s *subscription) again() time.Duration {
	s.fails++
	return min(retryAfter<<min(s.fails-1, 10), retryMost)
}

func (w *watch) lose(err error) {
	select {
	case w.lost <- err:
	default: // it is lost already
	}
}

// heard draws the consequences of a notification.
func (w *watch) heard(s *subscription, d *dialog, n notice) {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	w.answered = now
	if s.gone || s.d != d {
		return
	}
	if n.tells && n.err == nil && !(s.tells && s.told == n.note) {
		s.told, s.tells = n.note, true
		w.changes.Add(change(s.account, n.note, now))
	}
	if n.is != "terminated" {
		if end := now.Add(n.expires * 3 / 4); n.expires > 0 && end.Before(s.due) {
			s.due = end
		}
		return
	}
	s.d, s.confirmed = nil, time.Time{}
	wait := s.again()
	switch n.reason { // RFC 6665 §4.1.3
	case "rejected", "noresource":
		w.refuse(s, fmt.Errorf("%w: %s", sigsync.ErrNoAccount, n.reason))
		return
	case "probation", "giveup":
		wait = max(wait, cmp.Or(n.after, retryMost))
	default:
		wait = max(wait, n.after)
	}
	s.due = now.Add(wait)
	w.notify()
}

// leave forgets all dialogs: the agent's next notification of one is answered by 481, which ends it.
func (w *watch) leave() {
	w.mu.Lock()
	var dialogs []*dialog
	for _, s := range w.subs {
		if s.d != nil {
			dialogs = append(dialogs, s.d)
		}
	}
	w.mu.Unlock()
	for _, d := range dialogs {
		w.e.drop(d)
	}
}
