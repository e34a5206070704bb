package store

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

// Feed tells listeners in this process of committed changes. A slow listener never holds anybody up: what doesn't fit into
// its queue becomes one lost. The zero Feed has none.
type Feed struct {
	mu        sync.Mutex
	listeners map[*listener]struct{}
}

type listener struct {
	changes chan change
	lost    chan struct{} // holds one value while a change that didn't fit hasn't been told as lost
}

// Tell tells every listener that m changed and has now revision rev.
func (f *Feed) Tell(m callsign.MSISDN, rev uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := range f.listeners {
		select {
		case l.changes <- change{m, rev}:
		default:
			select {
			case l.lost <- struct{}{}:
			default:
			}
		}
	}
}

// Follow calls lost, and from then on changed for each change and lost when some were missed, until ctx ends or stop is
// closed.
func (f *Feed) Follow(ctx context.Context, stop <-chan struct{}, changed func(callsign.MSISDN, uint64), lost func()) {
	l := &listener{changes: make(chan change, feedQueue), lost: make(chan struct{}, 1)}
	f.mu.Lock()
	if f.listeners == nil {
		f.listeners = map[*listener]struct{}{}
	}
	f.listeners[l] = struct{}{}
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, l)
	}()
	lost()
	for {
		select {
		case <-ctx.Done():
			return
		case <-stop:
			return
		case c := <-l.changes:
			changed(c.msisdn, c.rev)
		case <-l.lost:
			lost()
		}
	}
}
