package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

// Why a claim is refused. They stand in timelines.
const (
	AlreadyDelivered = "already_delivered" // this call's text was released before: a fork, a spiral, a retransmission
	Repeated         = "repeat"            // the caller has seen it, and Repeat says that this is enough
	CallerCap        = "caller_cap"
	DayCap           = "day_cap" // the caller had as many texts within a day as the callee's operator allows, or as they want themselves
	GlobalCap        = "global_cap"
)

// Day is the time in which a delivery's PerDay and PerCallee count.
const Day = 24 * time.Hour

// DeliverOnce is how long a call is remembered, so that its forks and spirals show its text once: longer than any rings.
const DeliverOnce = 180 * time.Second

// ClaimsOptions are the limits. Zero: no limit.
type ClaimsOptions struct {
	Repeat    time.Duration // where a delivery says none: callsign.RepeatAlways, callsign.RepeatOnce, or the period in which a caller is shown a callee's text once
	PerCaller int           // texts that one caller gets in Per at the most; 20 is a sane number
	Per       time.Duration // default 1 h
	PerSecond int           // texts to all callers together; 500 is a sane number
	// Remember bounds how many calls, callers, and callers' callees are kept in memory; default 100,000 each. The oldest is
	// forgotten for a new one and counted: then a text may be shown once too often.
	Remember int
	Metrics  prometheus.Registerer
}

// WithDefaults is o with its defaults in place of zeros.
func (o ClaimsOptions) WithDefaults() ClaimsOptions {
	o.Per = cmp.Or(o.Per, time.Hour)
	o.Remember = cmp.Or(o.Remember, 100_000)
	return o
}

// Claims is this node's memory of who was shown what. It is asked once for each delivery, when it is released.
type Claims struct {
	o     ClaimsOptions
	began time.Time
	mu    sync.Mutex
	// Times are since began. calls has the claim of each call, by which Settle finds it; seen when a caller was last granted
	// a callee's text; grants each caller's claims in Per, oldest first; second the latest PerSecond claims, a ring.
	calls   book[[16]byte, time.Duration] // by keyOfCall
	seen    book[seenKey, time.Duration]
	grants  book[callsign.MSISDN, []time.Duration]
	days    book[dayKey, []time.Duration] // likewise within a day, of deliveries that have a cap for it
	longest time.Duration                 // for how long seen is kept: the longest repeat so far; callsign.RepeatOnce: for ever
	second  []time.Duration
	next    int
	results *prometheus.CounterVec
	evicted prometheus.Counter
}

type seenKey struct {
	caller, callee callsign.MSISDN
	text           [16]byte // of callsign.RepeatOnce: half its SHA-256
}

// dayKey is of one callee's texts; of all where callee is 0.
type dayKey struct{ caller, callee callsign.MSISDN }

// NewClaims makes one that remembers nothing yet.
func NewClaims(o ClaimsOptions) *Claims {
	o = o.WithDefaults()
	c := &Claims{
		o: o, began: time.Now(), longest: o.Repeat,
		calls:  newBook[[16]byte, time.Duration](o.Remember),
		seen:   newBook[seenKey, time.Duration](o.Remember),
		grants: newBook[callsign.MSISDN, []time.Duration](o.Remember),
		days:   newBook[dayKey, []time.Duration](o.Remember),
		second: slices.Repeat([]time.Duration{-time.Second}, o.PerSecond),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callsign_claims_total", Help: "Deliveries that asked whether their text may be shown, by answer.",
		}, []string{"result"}),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callsign_claims_evicted_total", Help: "Claims forgotten early as memory was full: a text may come once too often.",
		}),
	}
	register(o.Metrics, c.results, c.evicted)
	return c
}

// Claim grants d (an empty refusal) or says why not, in one step: of many that come at once no more are granted than may
// be. A refusal uses nothing up. This node's memory never fails.
func (c *Claims) Claim(_ context.Context, d callsign.Delivery) (refusal string, err error) {
	c.mu.Lock()
	refusal = c.claim(d, time.Since(c.began))
	c.mu.Unlock()
	c.results.WithLabelValues(cmp.Or(refusal, "granted")).Inc()
	return refusal, nil
}

func (c *Claims) claim(d callsign.Delivery, now time.Duration) (refusal string) {
	repeat := cmp.Or(d.Repeat, c.o.Repeat)
	if repeat == callsign.RepeatOnce || c.longest != callsign.RepeatOnce && repeat > c.longest {
		c.longest = repeat
	}
	c.forget(now)
	call, seen, caller := keyOfCall(d), c.keyOfSeen(d), d.Call.Caller
	all, one := dayKey{caller: caller}, dayKey{caller, d.Call.Callee}
	grants, today, ofCallee := since(&c.grants, caller, now-c.o.Per), since(&c.days, all, now-Day), since(&c.days, one, now-Day)
	last, shown := c.seen.get(seen)
	switch {
	case c.calls.has(call):
		return AlreadyDelivered
	case shown && (repeat == callsign.RepeatOnce || now-last < repeat):
		return Repeated
	case c.o.PerCaller > 0 && len(grants) >= c.o.PerCaller:
		return CallerCap
	case d.PerDay > 0 && len(today) >= d.PerDay, d.PerCallee > 0 && len(ofCallee) >= d.PerCallee:
		return DayCap
	case c.o.PerSecond > 0 && now-c.second[c.next] < time.Second:
		return GlobalCap
	}
	evicted := c.calls.add(call, now, now)
	if repeat != callsign.RepeatAlways {
		evicted += c.seen.add(seen, now, now)
	}
	if c.o.PerCaller > 0 {
		evicted += c.grants.add(caller, append(grants, now), now)
	}
	if d.PerDay > 0 {
		evicted += c.days.add(all, append(today, now), now)
	}
	if d.PerCallee > 0 {
		evicted += c.days.add(one, append(ofCallee, now), now)
	}
	if c.o.PerSecond > 0 {
		c.second[c.next] = now
		c.next = (c.next + 1) % len(c.second)
	}
	c.evicted.Add(float64(evicted))
	return ""
}

// since is what b has of k later than then; the rest is forgotten.
func since[K comparable](b *book[K, []time.Duration], k K, then time.Duration) []time.Duration {
	times, _ := b.get(k)
	times = slices.DeleteFunc(times, func(at time.Duration) bool { return at <= then })
	b.set(k, times)
	return times
}

// giveBack forgets what b has of k at that time.
func giveBack[K comparable](b *book[K, []time.Duration], k K, at time.Duration) {
	times, _ := b.get(k)
	if i := slices.Index(times, at); i >= 0 {
		b.set(k, slices.Delete(times, i, i+1))
	}
}

// forget lets go of what no longer refuses anybody.
func (c *Claims) forget(now time.Duration) {
	c.calls.expire(now - DeliverOnce)
	c.grants.expire(now - c.o.Per)
	c.days.expire(now - Day)
	if c.longest > 0 {
		c.seen.expire(now - c.longest)
	}
}

// Settle tells how a granted delivery ended. One that was shown to nobody for sure (Failed, Dropped) gives back what it
// used up, so that a fork of the call, or the next one, may try again; only the node's own second stays used, as the load
// was there. An Ambiguous one may have been shown: it keeps everything.
func (c *Claims) Settle(_ context.Context, d callsign.Delivery, o callsign.Outcome) error {
	if o.State != callsign.Failed && o.State != callsign.Dropped {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	call, seen, caller := keyOfCall(d), c.keyOfSeen(d), d.Call.Caller
	at, ok := c.calls.get(call)
	if !ok {
		return nil // settled before, or forgotten
	}
	c.calls.drop(call)
	if last, ok := c.seen.get(seen); ok && last == at {
		c.seen.drop(seen)
	}
	giveBack(&c.grants, caller, at)
	giveBack(&c.days, dayKey{caller: caller}, at)
	giveBack(&c.days, dayKey{caller, d.Call.Callee}, at)
	return nil
}

func keyOfCall(d callsign.Delivery) [16]byte {
	return Digest(d.Call.Caller.E164() + d.Call.Callee.E164() + Once(d))
}

func (c *Claims) keyOfSeen(d callsign.Delivery) seenKey {
	k := seenKey{caller: d.Call.Caller, callee: d.Call.Callee}
	if cmp.Or(d.Repeat, c.o.Repeat) == callsign.RepeatOnce {
		k.text = Digest(d.Text)
	}
	return k
}

// Once is what tells d's call from others: its forks and spirals have the same.
func Once(d callsign.Delivery) string { return cmp.Or(d.Call.Once, d.Call.ID.String()) }

// Digest is half of a SHA-256: short, whatever it stands for, and as good as that to tell one from another.
func Digest(s string) [16]byte {
	sum := sha256.Sum256([]byte(s))
	return [16]byte(sum[:16])
}
