package sipas

import (
	"context"
	"encoding/binary"
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

// table is one worker's set-ups. One goroutine owns it. Of those that need nothing more only the branch stays, which
// costs little however many there are.
type table struct {
	byBranch   map[callsign.BranchKey]*setup
	live, done queue // done: over, before its INVITE came or its callee was known
	size       int
	finished   branches
}

func newTable(size int) table {
	return table{byBranch: map[callsign.BranchKey]*setup{}, size: size, finished: branches{size: size}}
}

// touch gives the set-up of a branch, a new one if it is unknown, nil if it needs nothing more; evicted tells that another
// had to go for it.
func (t *table) touch(b callsign.BranchKey, now time.Time) (s *setup, evicted bool) {
	if t.finished.has(b) {
		return nil, false
	}
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
	if s.over {
		t.done.push(s)
	} else {
		t.live.push(s)
	}
}

// finish keeps nothing of s but its branch: what comes for it later changes nothing.
func (t *table) finish(s *setup) {
	t.drop(s)
	t.finished.add(s.branch, s.last)
}

func (t *table) forget(s *setup) {
	if s.cancel != nil {
		s.cancel(errForgotten)
	}
	t.drop(s)
}

func (t *table) drop(s *setup) {
	s.queue.remove(s)
	delete(t.byBranch, s.branch)
}

// expire forgets what nothing was heard of for its time, and tells of how many no INVITE ever came: it was before a restart, or was
// dropped on its way here.
func (t *table) expire(now time.Time) (unknown int) {
	for _, q := range []struct {
		queue *queue
		age   time.Duration
	}{{&t.live, liveFor}, {&t.done, doneFor}} {
		for s := q.queue.first; s != nil && now.Sub(s.last) >= q.age; s = q.queue.first {
			if !s.invited {
				unknown++
			}
			t.forget(s)
		}
	}
	t.finished.turn(now)
	return unknown
}

// branches is a set of them that forgets each after doneFor to twice that: two generations without pointers, of which the
// older goes as a whole, early if the newer is full. Eight bytes of an HMAC are enough to tell a few hundred thousand apart.
type branches struct {
	now, old map[uint64]struct{}
	since    time.Time // when now began
	size     int       // of a generation
}

func (b *branches) has(k callsign.BranchKey) bool {
	short := binary.NativeEndian.Uint64(k[:])
	_, in := b.now[short]
	if !in {
		_, in = b.old[short]
	}
	return in
}

func (b *branches) add(k callsign.BranchKey, now time.Time) {
	b.turn(now)
	b.now[binary.NativeEndian.Uint64(k[:])] = struct{}{}
}

func (b *branches) turn(now time.Time) {
	if now.Sub(b.since) >= doneFor || len(b.now) >= b.size {
		b.old, b.now, b.since = b.now, map[uint64]struct{}{}, now
	}
}
