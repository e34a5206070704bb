package sipas

import (
	"context"
	"time"

	"github.com/callsign-as/callsign"
)

const (
	// liveFor is how long a set-up is remembered that may still ring: Timer C's least (RFC 3261 §16.6, step 11).
	liveFor = 3 * time.Minute
	// doneFor is how long one is remembered that needs nothing more: retransmissions come for 64*T1 (RFC 3261 §17.1.1.2).
	doneFor = 32 * time.Second
	// tableSize bounds the set-ups that a worker remembers; the oldest goes when it is full.
	tableSize = 1 << 17
	// maxUntold is how many lines of a timeline wait for the look-up of its callee.
	maxUntold = 4
)

// setup is one call set-up. Its fields may be filled in any order: it is released when decided and alerting, whichever
// comes last, and dropped when over.
type setup struct {
	branch   callsign.BranchKey
	invited  bool      // its INVITE was read
	early    bool      // it had a 183
	rang     time.Time // zero: it hasn't yet
	alerting bool      // show.at is reached
	released bool      // its text went to the bridge
	over     bool      // nothing is sent any more, cause says why
	done     bool      // nothing is shown at all
	served   *served   // nil until the callee is known to be a subscriber
	cause    error
	cancel   context.CancelCauseFunc
	untold   []line // until served is known

	last       time.Time
	next, prev *setup
	queue      *queue
}

// served is what a set-up has beyond its state when its callee is a subscriber.
type served struct{ delivery callsign.Delivery }

// line is one of a timeline that is not known to be ours yet.
type line struct {
	at     time.Time
	kind   callsign.EventKind
	reason string
}

// queue is set-ups in the order of their last event; all of one queue live equally long, so that it is in the order of
// their ends as well. The zero queue is empty.
type queue struct{ first, last *setup }

func (q *queue) push(s *setup) {
	s.prev, s.next, s.queue = q.last, nil, q
	if q.last != nil {
		q.last.next = s
	} else {
		q.first = s
	}
	q.last = s
}

func (q *queue) remove(s *setup) {
	if s.prev != nil {
		s.prev.next = s.next
	} else {
		q.first = s.next
	}
	if s.next != nil {
		s.next.prev = s.prev
	} else {
		q.last = s.prev
	}
	s.prev, s.next, s.queue = nil, nil, nil
}

// table is one worker's set-ups. One goroutine owns it.
type table struct {
	byBranch   map[callsign.BranchKey]*setup
	live, done queue
	size       int
}

// touch gives the set-up of a branch, a new one if it is unknown; evicted tells that another had to go for it.
func (t *table) touch(b callsign.BranchKey, now time.Time) (s *setup, evicted bool) {
	s = t.byBranch[b]
	if s == nil {
		if len(t.byBranch) >= t.size {
			oldest := t.done.first
			if oldest == nil {
				oldest = t.live.first
			}
			t.forget(oldest)
			evicted = true
		}
		s = &setup{branch: b}
		t.byBranch[b] = s
		t.live.push(s)
	}
	s.last = now
	t.requeue(s)
	return s, evicted
}

// requeue puts s at the end of the queue in which it now belongs.
func (t *table) requeue(s *setup) {
	s.queue.remove(s)
	if s.done || s.over {
		t.done.push(s)
	} else {
		t.live.push(s)
	}
}

func (t *table) forget(s *setup) {
	if s.cancel != nil {
		s.cancel(errForgotten)
	}
	s.queue.remove(s)
	delete(t.byBranch, s.branch)
}

// expire forgets what nothing was heard of for its time.
func (t *table) expire(now time.Time) {
	for _, q := range []struct {
		queue *queue
		age   time.Duration
	}{{&t.live, liveFor}, {&t.done, doneFor}} {
		for s := q.queue.first; s != nil && now.Sub(s.last) >= q.age; s = q.queue.first {
			t.forget(s)
		}
	}
}
