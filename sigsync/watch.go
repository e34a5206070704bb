package sigsync

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/callsign-as/callsign"
)

const (
	// followAtOnce bounds the accounts of one Follow; a listing goes over all phases in listSteps.
	followAtOnce = 1000
	listSteps    = 256
	// lookAgain is how often it is seen whether the parts are still this node's.
	lookAgain = time.Second
	// relistAfter is the least between two listings, however many accounts are linked meanwhile.
	relistAfter = 5 * time.Second
)

var errWatchEnded = errors.New("the connector ended its connection")

// watch has a Watcher follow this node's accounts until ctx ends, with a pause that grows while its connection fails.
func (p *poller) watch(ctx context.Context, w *watched) {
	alone := w.slots != nil || p.limits.OneNode
	for failures, ours := 0, false; ctx.Err() == nil; {
		if len(w.held(p)) == 0 {
			ours = false
			pause(ctx, lookAgain)
			continue
		}
		if alone && !ours { // whoever had it ends its connection when it looks again
			ours = true
			pause(ctx, 2*lookAgain)
			continue
		}
		began := time.Now()
		err := p.watchOnce(ctx, w)
		if ctx.Err() != nil || err == nil || len(w.held(p)) == 0 { // another node has it now, and the network let that one in
			continue
		}
		if failures++; time.Since(began) > restMax {
			failures = 1
		}
		rest := backoff(restMin, failures, time.Minute)
		if errors.Is(err, ErrCredentials) {
			rest = backoff(credentialsRest, failures, restMax)
		}
		rest = apart(rest)
		p.log.Warn("the network's changes can't be heard; it is tried again", "err", err, "again_in", rest)
		p.mu.Lock()
		p.state.err = err
		p.mu.Unlock()
		pause(ctx, rest)
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// watchOnce follows until the connection ends, and says why it did: nil where this node holds no part any more, or ctx has ended.
func (p *poller) watchOnce(ctx context.Context, w *watched) error {
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &following{p: p, w: w, changes: make(chan Follow), of: map[string][]callsign.Linked{}, awaited: map[string]bool{}}
	ended := make(chan error, 1)
	go func() {
		var err error
		defer func() { ended <- err }()
		defer p.recovered(&err)
		if err = w.Watch(running, f.changes, func(changes []callsign.Change) { f.heard(running, changes) }); err == nil {
			err = errWatchEnded
		}
	}()
	p.setWatching(1)
	defer p.setWatching(-1)
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		f.feed(running)
		cancel() // no part is held: nothing is to be followed
	}()
	err := <-ended
	lost := running.Err() == nil
	cancel()
	<-fed
	if !lost {
		return nil
	}
	return err
}

func (p *poller) setWatching(more int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state.watching += more
}

// following is the accounts that a Watcher follows, with what they last said.
type following struct {
	p       *poller
	w       *watched
	changes chan Follow
	warned  sync.Once
	mu      sync.Mutex
	of      map[string][]callsign.Linked // by account; two tenants may have one
	awaited map[string]bool              // by tenant and account: of those in of that no listing had a row of
}

// feed tells the Watcher what to follow, and looks again once in the interval and when the node's parts change; it returns when
// ctx ends or the node holds none.
func (f *following) feed(ctx context.Context) {
	for ctx.Err() == nil {
		held, wants, listed := f.w.held(f.p), f.p.wants.Load(), time.Now()
		if len(held) == 0 {
			return
		}
		again := time.Now().Add(f.p.Interval)
		if err := f.list(ctx, held); err != nil {
			if ctx.Err() == nil {
				f.p.log.Warn("the accounts that are to be followed can't be looked up; it is tried again", "err", err)
			}
			again = time.Now().Add(time.Second)
		}
		for time.Now().Before(again) && ctx.Err() == nil && slices.Equal(held, f.w.held(f.p)) {
			wanted := f.p.wanted
			if f.w.slots != nil { // whose it is, of all logins, only a listing tells
				if wanted = nil; f.p.wants.Load() > wants && time.Since(listed) > relistAfter {
					break
				}
			}
			select {
			case w := <-wanted:
				f.add(ctx, []callsign.Linked{w.Linked}, w.awaited)
			case <-time.After(lookAgain):
			case <-ctx.Done():
			}
		}
	}
}

// list follows the accounts of the parts, and no others.
func (f *following) list(ctx context.Context, held []int) error {
	seen := map[string]bool{}
	for _, slice := range f.w.steps(f.p, held) {
		linked, err := f.p.o.Directory.Linked(ctx, slice)
		if err != nil {
			return err
		}
		for _, l := range linked {
			seen[l.Account] = true
		}
		f.add(ctx, linked, false)
	}
	awaited, err := f.p.o.Directory.Awaited(ctx, callsign.Slice{Network: f.p.Name, Parts: f.p.parts, Of: held}, time.Now())
	if err != nil {
		return err
	}
	for _, l := range awaited {
		seen[l.Account] = true
	}
	f.add(ctx, awaited, true)
	var gone []string
	f.mu.Lock()
	for account := range f.of {
		if !seen[account] {
			gone = append(gone, account)
			f.drop(account)
		}
	}
	f.mu.Unlock()
	f.tell(ctx, gone, true)
	return nil
}

// add follows accounts that aren't yet, and brings up to date what is known of the others. The network told once what those say: it is to
// tell it anew of one whose row hasn't got it, as another number has the account since, or another tenant too. Awaited ones have no row
// that could say: they are to say something new.
func (f *following) add(ctx context.Context, linked []callsign.Linked, awaited bool) {
	var fresh, anew []string
	f.mu.Lock()
	for _, l := range linked {
		known, key := f.of[l.Account], l.Tenant+"/"+l.Account
		i := slices.IndexFunc(known, func(k callsign.Linked) bool { return k.Tenant == l.Tenant })
		switch {
		case len(known) == 0:
			fresh = append(fresh, l.Account)
		case awaited:
		case i >= 0 && known[i].Said && !l.Said,
			(i < 0 || f.awaited[key]) && !slices.ContainsFunc(known, func(k callsign.Linked) bool { return k.Said && l.Said && k.Text == l.Text }):
			anew = append(anew, l.Account)
		}
		if i < 0 {
			f.of[l.Account] = append(known, l)
		} else if !awaited {
			known[i] = l
		}
		if !awaited {
			delete(f.awaited, key)
		} else if i < 0 {
			f.awaited[key] = true
		}
	}
	f.mu.Unlock()
	f.tell(ctx, fresh, false)
	f.tell(ctx, anew, true)
	f.tell(ctx, anew, false)
}

// drop forgets, with f locked, what is known of an account.
func (f *following) drop(account string) {
	for _, l := range f.of[account] {
		delete(f.awaited, l.Tenant+"/"+account)
	}
	delete(f.of, account)
}

func (f *following) tell(ctx context.Context, accounts []string, gone bool) {
	for chunk := range slices.Chunk(accounts, followAtOnce) {
		select {
		case f.changes <- Follow{Accounts: chunk, Gone: gone, Failed: f.failed}:
		case <-ctx.Done():
			return
		}
	}
}

// failed has an account named again at the next listing: it may be there by then. The log has one line of a connection's failures, and
// the metrics count them.
func (f *following) failed(account string, why error) {
	f.mu.Lock()
	_, followed := f.of[account]
	f.drop(account)
	f.mu.Unlock()
	if !followed {
		return
	}
	f.p.metrics.accounts.WithLabelValues(f.p.Name, "failed").Inc()
	f.warned.Do(func() {
		f.p.log.Warn("accounts can't be followed; it is tried again within the interval", "err", why)
	})
}

// heard keeps what the network told of accounts that are followed.
func (f *following) heard(ctx context.Context, changes []callsign.Change) {
	of := map[string][]callsign.Linked{}
	f.mu.Lock()
	for _, c := range changes {
		of[c.Account] = slices.Clone(f.of[c.Account])
	}
	f.mu.Unlock()
	_ = f.p.keep(ctx, changes, of) // who watches next is told all anew
	f.mu.Lock()
	defer f.mu.Unlock()
	for account, now := range of {
		for i, known := range f.of[account] { // of those who have it still, or have it since
			if j := slices.IndexFunc(now, func(l callsign.Linked) bool { return l.Tenant == known.Tenant }); j >= 0 {
				f.of[account][i] = now[j]
			}
		}
	}
	f.p.mu.Lock()
	f.p.state.read, f.p.state.err = time.Now(), nil
	f.p.mu.Unlock()
}
