package sigsync

import (
	"container/heap"
	"sync"
	"time"

	"github.com/callsign-as/callsign"
)

const (
	// maxSoon bounds the accounts that are wanted before their turn; one more is read in its turn.
	maxSoon = 1 << 16
	// oftenReads is how often an account is read before its turn after its subscriber was called or it changed, an eighth of
	// the interval apart.
	oftenReads = 8
)

// soon are accounts that are to be read before their turn comes, in the order of their times.
type soon struct {
	every time.Duration // between the reads of one

	mu    sync.Mutex
	queue wanted
	of    map[string]*want // by tenant and account
}

type want struct {
	callsign.Linked
	due   time.Time
	reads int // how many are left
	at    int // its place in the queue
}

func newSoon(interval time.Duration) *soon {
	return &soon{every: interval / 8, of: map[string]*want{}}
}

// add has an account read that often, first at due. One that waits already keeps the earlier time and the more reads.
func (s *soon) add(l callsign.Linked, due time.Time, reads int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := l.Tenant + "/" + l.Account
	w := s.of[key]
	if w == nil {
		if len(s.queue) >= maxSoon {
			return
		}
		w = &want{Linked: l, due: due, reads: reads}
		s.of[key] = w
		heap.Push(&s.queue, w)
		return
	}
	if l.Said {
		w.Linked = l
	}
	w.reads = max(w.reads, reads)
	if due.Before(w.due) {
		w.due = due
		heap.Fix(&s.queue, w.at)
	}
}

// take gives up to n that are due.
func (s *soon) take(now time.Time, n int) (all []callsign.Linked) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(all) < n && len(s.queue) > 0 && !s.queue[0].due.After(now) {
		w := s.queue[0]
		all = append(all, w.Linked)
		if w.reads--; w.reads > 0 {
			w.due = now.Add(s.every)
			heap.Fix(&s.queue, 0)
			continue
		}
		heap.Pop(&s.queue)
		delete(s.of, w.Tenant+"/"+w.Account)
	}
	return all
}

// wait is until one is due; an hour where none waits.
func (s *soon) wait(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return time.Hour
	}
	return max(0, s.queue[0].due.Sub(now))
}

// wanted is a heap by due.
type wanted []*want

func (q wanted) Len() int           { return len(q) }
func (q wanted) Less(i, j int) bool { return q[i].due.Before(q[j].due) }
func (q wanted) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

// Push implements heap.Interface.
func (q *wanted) Push(x any) {
	w := x.(*want)
	w.at = len(*q)
	*q = append(*q, w)
}

// Pop implements heap.Interface.
func (q *wanted) Pop() any {
	last := len(*q) - 1
	w := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return w
}
