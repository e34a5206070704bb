package sqlite

import (
	"context"
	"sync"

	"github.com/callsign-as/callsign"
)

// feedQueue is how many changes a listener may lag behind before it is told that it lost some.
const feedQueue = 1024

type change struct {
	msisdn callsign.MSISDN
	rev    uint64
}

// feed tells listeners in this process of committed changes. A slow listener never holds a writer up: what doesn't fit
// into its queue becomes one lost.
type feed struct {
	mu        sync.Mutex
	listeners map[*listener]struct{}
}

type listener struct {
	changes chan change
	lost    chan struct{} // holds one value while a change that didn't fit hasn't been told as lost
}

func (f *feed) tell(m callsign.MSISDN, rev uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := range f.listeners {
		select {
		case l.changes <- change{m, rev}:
		default:
			l.miss()
		}
	}
}

func (l *listener) miss() {
	select {
	case l.lost <- struct{}{}:
	default:
	}
}

func (f *feed) listen() *listener {
	l := &listener{changes: make(chan change, feedQueue), lost: make(chan struct{}, 1)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.listeners == nil {
		f.listeners = map[*listener]struct{}{}
	}
	f.listeners[l] = struct{}{}
	return l
}

func (f *feed) leave(l *listener) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.listeners, l)
}

// Changes calls changed after the commit of each change to a subscriber, with the revision that it has now (a deleted
// one: that nothing older may hide). It calls lost first of all, when the feed stands, as what was read before may be
// old, and again when a slow listener missed some. It may be called before Open, and returns nil when ctx ends.
func (e *Engine) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	if e.isClosed() {
		return e.failed("changes", errClosed)
	}
	l := e.feed.listen()
	defer e.feed.leave(l)
	lost()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-e.closed:
			return e.failed("changes", errClosed)
		case c := <-l.changes:
			changed(c.msisdn, c.rev)
		case <-l.lost:
			lost()
		}
	}
}
