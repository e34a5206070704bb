package sigsync

import (
	"maps"
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
	if kept, there := l.of[c.Account]; there && !c.Stamp.Newer(kept.Stamp) {
		return
	}
	l.of[c.Account] = c
	select {
	case l.waiting() <- struct{}{}:
	default: // who puts is told already
	}
}

// PutWhile puts what is added while hear runs, and the rest of it once hear has ended: who said it may be gone when the network is
// heard again. It gives hear's error.
func (l *Latest) PutWhile(put func([]callsign.Change), hear func() error) error {
	l.mu.Lock()
	more := l.waiting()
	l.mu.Unlock()
	ended := make(chan struct{})
	var putting sync.WaitGroup
	defer putting.Wait()
	defer close(ended)
	putting.Go(func() {
		for open := true; open; {
			select {
			case <-more:
			case <-ended:
				open = false
			}
			for some := range slices.Chunk(l.take(), followAtOnce) {
				put(some)
			}
		}
	})
	return hear()
}

func (l *Latest) take() []callsign.Change {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := slices.Collect(maps.Values(l.of))
	l.of = nil
	return all
}

func (l *Latest) waiting() chan struct{} {
	if l.more == nil {
		l.more = make(chan struct{}, 1)
	}
	return l.more
}
