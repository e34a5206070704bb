package api

import "sync"

// ledger keeps a session's sequence numbers. An acknowledgement never covers an event that isn't durable: when a batch fails,
// those that were taken behind it fail too, and only the event after the last durable one is taken next.
type ledger struct {
	mu         sync.Mutex
	credit     int
	unanswered int   // events taken and neither acknowledged nor refused: at most credit
	taken      int64 // the last event taken
	durable    int64 // the last event committed
	round      int   // grows with each failure: a batch of an earlier round is behind one
}

// take lets a batch in, or says why not. Events that were taken before may come again: the intake knows them.
func (l *ledger) take(first, last int64) (round int, refused nackCode) {
	l.mu.Lock()
	defer l.mu.Unlock()
	events := int(last - first + 1)
	switch {
	case events > l.credit-l.unanswered:
		return 0, nackCredit
	case first > l.taken+1:
		return 0, nackGap
	}
	l.unanswered += events
	l.taken = max(l.taken, last)
	return l.round, ""
}

// resume begins after what is known to be durable. Others may ask already where the source is.
func (l *ledger) resume(cursor int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken, l.durable = cursor, cursor
}

// at is how far the source is.
func (l *ledger) at() (durable, taken int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.durable, l.taken
}

// current reports whether nothing failed since a batch of round was taken.
func (l *ledger) current(round int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return round == l.round
}

// commit notes a batch as durable and says up to which event all are.
func (l *ledger) commit(first, last int64) (upTo int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unanswered -= int(last - first + 1)
	l.durable = max(l.durable, last)
	return l.durable
}

// fail notes a batch of round as not kept: the source is to go on after the last durable event.
func (l *ledger) fail(round int, first, last int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unanswered -= int(last - first + 1)
	if round == l.round {
		l.round++
		l.taken = l.durable
	}
}
