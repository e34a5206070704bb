package sigsync

import (
	"context"
	"slices"
	"sync"

	"github.com/callsign-as/callsign"
)

// Latest keeps what a Watcher hears until it is put: of each account its newest change alone. So it is bounded by the accounts that
// are followed, and a store that is slow or away keeps no Watcher from reading its network. Its zero value is empty.
type Latest struct {
	mu   sync.Mutex
	of   map[string]callsign.Change
	more chan struct{} // has room for one: there is something to put
}

// Add keeps a change, which replaces an older one of its account.
func (l *Latest) Add(c callsign.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]callsign.Change{}
	}
	l.of[c.Account] = c
	select {
	case l.waiting() <- struct{}{}:
	default: // who puts is told already
	}
}

// Run puts what is added until ctx ends.
func (l *Latest) Run(ctx context.Context, put func([]callsign.Change)) {
	l.mu.Lock()
	more := l.waiting()
	l.mu.Unlock()
	for {
		select {
		case <-more:
		case <-ctx.Done():
			return
		}
		l.mu.Lock()
		changes := make([]callsign.Change, 0, len(l.of))
		for _, c := range l.of {
			changes = append(changes, c)
		}
		l.of = nil
		l.mu.Unlock()
		for some := range slices.Chunk(changes, followAtOnce) {
			put(some)
		}
	}
}

func (l *Latest) waiting() chan struct{} {
	if l.more == nil {
		l.more = make(chan struct{}, 1)
	}
	return l.more
}
