package main

import (
	"bytes"
	"container/heap"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// t1 is RFC 3261's: an INVITE without any answer is sent again after it, then after twice as long, and so on.
const t1 = 500 * time.Millisecond

// call is what the three threads tell each other about a call. Times are nanoseconds since the run began, 0: not yet.
type call struct {
	sent, tried, rang, answered atomic.Int64
	arrived                     atomic.Bool // at the callee
}

// run is one run's calls.
type run struct {
	o              options
	maker          *maker
	began          time.Time
	calls          []call
	caller, callee socket
	answers        chan due // of callees that ring
	left           atomic.Int64
	ended          atomic.Bool

	retransmitted, strange atomic.Int64
	firstStrange           atomic.Pointer[string]
	late                   []time.Duration // how late each INVITE was sent
}

// due is what is to be sent at a time: an answer of the callee, or an INVITE again.
type due struct {
	at     time.Duration
	call   int
	answer []byte        // nil: the INVITE
	again  time.Duration // after this long it is due again
}

type dues []due

func (d dues) Len() int           { return len(d) }
func (d dues) Less(i, j int) bool { return d[i].at < d[j].at }
func (d dues) Swap(i, j int)      { d[i], d[j] = d[j], d[i] }
func (d *dues) Push(x any)        { *d = append(*d, x.(due)) }
func (d *dues) Pop() any {
	last := (*d)[len(*d)-1]
	*d = (*d)[:len(*d)-1]
	return last
}

func (r *run) now() time.Duration { return time.Since(r.began) }

func (r *run) run() error {
	var threads sync.WaitGroup
	thread := func(f func()) {
		threads.Go(func() {
			runtime.LockOSThread()
			f()
		})
	}
	r.began = time.Now()
	r.left.Store(int64(len(r.calls)))
	thread(r.listenAsCaller)
	thread(r.listenAsCallee)
	var err error
	thread(func() { err = r.send() })
	threads.Wait()
	return err
}

// send sends the INVITEs at their times, whatever became of those before, and everything else that has a time.
func (r *run) send() error {
	defer r.ended.Store(true)
	sharpTimers()
	var later dues
	every := time.Duration(float64(time.Second) / r.o.rate)
	const lead = 10 * time.Millisecond
	end := lead + time.Duration(len(r.calls))*every + r.o.answerAfter + r.o.patience
	buf := make([]byte, 0, 4096)
	for n := 0; r.left.Load() > 0; {
		for more := true; more; {
			select {
			case d := <-r.answers:
				heap.Push(&later, d)
			default:
				more = false
			}
		}
		now := r.now()
		if now > end {
			return nil
		}
		next := now + time.Millisecond // in case that a callee rings meanwhile
		if n < len(r.calls) {
			at := lead + time.Duration(n)*every
			if at <= now {
				msg := r.maker.invite(n)
				r.calls[n].sent.Store(int64(r.now()))
				if err := r.caller.write(msg); err != nil {
					return fmt.Errorf("send an INVITE: %w", err)
				}
				r.late = append(r.late, now-at)
				heap.Push(&later, due{at: now + t1, call: n, again: 2 * t1})
				n++
				continue
			}
			next = min(next, at)
		}
		if len(later) > 0 {
			if later[0].at <= now {
				d := heap.Pop(&later).(due)
				if err := r.sendAgain(&later, d, now, buf); err != nil {
					return err
				}
				continue
			}
			next = min(next, later[0].at)
		}
		sleep(next - now)
	}
	return nil
}

// sendAgain sends what is due, if it still is, and puts it into later to be sent once more.
func (r *run) sendAgain(later *dues, d due, now time.Duration, buf []byte) error {
	c := &r.calls[d.call]
	if c.answered.Load() != 0 || d.answer == nil && c.tried.Load() != 0 {
		return nil
	}
	var err error
	if d.answer == nil {
		err = r.caller.write(r.maker.invite(d.call))
		r.retransmitted.Add(1)
	} else {
		if d.again > t1 {
			r.retransmitted.Add(1)
		}
		err = r.callee.write(d.answer)
	}
	if err != nil {
		return fmt.Errorf("send again: %w", err)
	}
	d.at = now + d.again
	d.again *= 2
	heap.Push(later, d)
	return nil
}

// listenAsCaller notes when each call's answers came.
func (r *run) listenAsCaller() {
	buf := make([]byte, 65536)
	for !r.ended.Load() {
		msg := r.caller.read(buf)
		now := int64(r.now())
		if len(msg) == 0 {
			continue
		}
		n := r.maker.number(msg)
		if n < 0 || n >= len(r.calls) || !bytes.HasPrefix(msg, []byte("SIP/2.0 ")) || !r.comesBack(msg) {
			r.odd("the caller got", msg)
			continue
		}
		c := &r.calls[n]
		c.tried.CompareAndSwap(0, now)
		switch string(msg[8:11]) {
		case "100":
		case "180":
			c.rang.CompareAndSwap(0, now)
		case "200":
			if c.answered.CompareAndSwap(0, now) {
				r.left.Add(-1)
			}
		default:
			r.odd("the caller got", msg)
		}
	}
}

// comesBack reports whether an answer's top Via is the caller's own, as it must be: every other was popped.
func (r *run) comesBack(msg []byte) bool {
	_, rest, _ := bytes.Cut(msg, []byte("\r\nVia: SIP/2.0/UDP "))
	return bytes.HasPrefix(rest, []byte(r.o.caller.String()))
}

// listenAsCallee answers each INVITE with 100 and 180 at once, and has the 200 sent later.
func (r *run) listenAsCallee() {
	in, out := make([]byte, 65536), make([]byte, 0, 4096)
	for !r.ended.Load() {
		msg := r.callee.read(in)
		if len(msg) == 0 {
			continue
		}
		n := r.maker.number(msg)
		if n < 0 || n >= len(r.calls) || !bytes.HasPrefix(msg, []byte("INVITE ")) || !r.isRelayed(msg) {
			r.odd("the callee got", msg)
			continue
		}
		for _, status := range []string{"100 Trying", "180 Ringing"} {
			out = answer(out[:0], msg, status, nil)
			if err := r.callee.write(out); err != nil {
				r.odd("the callee could not send "+err.Error(), out)
			}
		}
		if !r.calls[n].arrived.Swap(true) {
			r.answers <- due{at: r.now() + r.o.answerAfter, call: n, again: t1, answer: answer(make([]byte, 0, 1600), msg, "200 OK", answerBody)}
		}
	}
}

// isRelayed reports whether a proxy has popped its Route of an INVITE and left ours; on the direct path nobody does.
func (r *run) isRelayed(msg []byte) bool {
	_, routes, _ := bytes.Cut(msg, []byte("\r\nRoute: "))
	return r.o.direct() || bytes.HasPrefix(routes, []byte("<"+r.o.odi()+">"))
}

func (r *run) odd(what string, msg []byte) {
	r.strange.Add(1)
	s := what + ":\n" + string(msg)
	r.firstStrange.CompareAndSwap(nil, &s)
}

// summary is what a run found. sound: nothing failed.
func (r *run) summary() (line string, sound bool) {
	var completed, unrung int
	var rang []time.Duration
	for i := range r.calls {
		c := &r.calls[i]
		if c.answered.Load() != 0 {
			completed++
		}
		if at := c.rang.Load(); at != 0 {
			rang = append(rang, time.Duration(at-c.sent.Load()))
		} else {
			unrung++
		}
	}
	slices.Sort(rang)
	slices.Sort(r.late)
	us := func(of []time.Duration, p float64) int64 {
		if len(of) == 0 {
			return -1
		}
		return of[min(len(of)-1, int(p*float64(len(of))))].Microseconds()
	}
	line = fmt.Sprintf("calls=%d completed=%d unrung=%d retransmitted=%d strange=%d p50=%d p90=%d p99=%d p999=%d max=%d late_p99=%d late_max=%d seconds=%.2f own_cpu=%.2f buffer=%d invite=%d",
		len(r.calls), completed, unrung, r.retransmitted.Load(), r.strange.Load(), us(rang, .5), us(rang, .9), us(rang, .99), us(rang, .999), us(rang, 1),
		us(r.late, .99), us(r.late, 1), r.now().Seconds(), cpuTime().Seconds(), min(r.caller.buffer, r.callee.buffer), len(r.maker.text))
	return line, completed == len(r.calls) && unrung == 0 && r.strange.Load() == 0
}
