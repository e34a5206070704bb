package gsmbridge

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// How much is remembered of texts whose receipt may come, and of receipts whose text is not known yet.
const (
	maxAwaited, awaitedFor = 100_000, 5 * time.Minute
	maxDone, doneFor       = 100_000, time.Minute // of texts whose last receipt came: to know that again
	maxEarly, earlyFor     = 10_000, 30 * time.Second
)

// awaited is a text that the SMSC took.
type awaited struct {
	caller callsign.MSISDN
	whole  *text // nil once its last receipt came
	link   *link
}

// text is what a receipt is recorded with.
type text struct {
	call       callsign.Call
	tenant, id string
	sent       time.Time
	stat       string          // what was said last on its way
	over       <-chan struct{} // closed: the call is, so a receipt is late
	keep       func() bool     // it needn't be taken back when the call is over; nil: it would not be
}

// early is a receipt that came before its submit_sm_resp.
type early struct {
	receipt      smpp.Receipt
	source, dest string
}

// receipts joins receipts to texts: on whatever link they come, doubled, or before the answer that names their id.
type receipts struct {
	metrics *metrics
	mu      sync.Mutex
	awaited *recent[awaited]
	done    *recent[awaited]
	early   *recent[early]
}

func newReceipts(m *metrics) *receipts {
	return &receipts{
		metrics: m, awaited: newRecent[awaited](maxAwaited, awaitedFor), done: newRecent[awaited](maxDone, doneFor),
		early: newRecent[early](maxEarly, earlyFor),
	}
}

func (r *receipts) lose(reason string, n int) { r.metrics.lost.WithLabelValues(reason).Add(float64(n)) }

// await remembers that d is id at the SMSC since sent, and records the receipts that came already.
func (l *link) await(ctx context.Context, d callsign.Delivery, id string, sent time.Time) {
	t := &text{call: d.Call, tenant: d.Profile.Tenant, id: id, sent: sent, over: ctx.Done()}
	if l.Cancel && id != "" {
		t.keep = l.takeBack(ctx, t)
	}
	if l.Channel == USSD {
		l.bridge.receipts.awaits(confirmationOf(d.Call.Caller), awaited{caller: d.Call.Caller, whole: t, link: l})
	}
	switch {
	case l.Receipts == "none" || id == "":
		l.learn(d.Call, true, time.Since(sent))
	default:
		l.awaitReceipt(d.Call.Caller, t)
	}
}

func (r *receipts) awaits(key string, a awaited) {
	r.mu.Lock()
	_, overflow := r.awaited.add(key, a, time.Now())
	r.mu.Unlock()
	r.lose("overflow", overflow)
}

func (l *link) awaitReceipt(caller callsign.MSISDN, t *text) {
	r, id := l.bridge.receipts, t.id
	r.mu.Lock()
	_, overflow := r.awaited.add(canonical(id), awaited{caller: caller, whole: t, link: l}, time.Now())
	var came []early
	for i, form := range forms(id) {
		for _, k := range r.early.all(form) {
			if likely(i, caller, k.value) > 0 {
				came = append(came, k.value)
				r.early.remove(k)
			}
		}
	}
	r.mu.Unlock()
	r.lose("overflow", overflow)
	for _, e := range came {
		l.bridge.receipt(l, e)
	}
}

// receipt records e once with the text that it is for, or keeps it until that is known.
func (b *Bridge) receipt(l *link, e early) {
	r, now := b.receipts, time.Now()
	r.mu.Lock()
	a := r.find(l, e)
	if a == nil {
		old, full := r.early.add(canonical(e.receipt.MessageID), e, now)
		r.mu.Unlock()
		r.lose("unknown", old+full)
		return
	}
	said, link := a.value.whole, a.value.link
	if said == nil || said.stat == e.receipt.Stat {
		r.mu.Unlock()
		r.lose("duplicate", 1)
		return
	}
	if e.receipt.Final() {
		r.awaited.remove(a)
		r.done.add(a.key, awaited{caller: a.value.caller, link: link}, now)
	} else {
		said.stat = strings.Clone(e.receipt.Stat) // the receipt's text needn't stay for it
	}
	r.mu.Unlock()
	b.receipted(said, link, e.receipt, now)
}

// receipted tells what became of a text.
func (b *Bridge) receipted(t *text, l *link, r smpp.Receipt, now time.Time) {
	when := "in_time"
	select {
	case <-t.over:
		when = "late"
	default:
	}
	b.metrics.receipts.WithLabelValues(l.Name, l.Channel, statLabel(r), when).Inc()
	reason := r.Stat
	if r.Final() {
		shown := r.Stat == "DELIVRD" || r.Stat == confirmed
		if shown {
			b.metrics.receiptSeconds.WithLabelValues(l.Name, l.Channel).Observe(now.Sub(t.sent).Seconds())
		} else if strings.Trim(r.Err, "0") != "" {
			reason += " (err:" + r.Err + ")"
		}
		if t.keep != nil {
			t.keep()
		}
		l.learn(t.call, shown, now.Sub(t.sent))
	}
	b.recorder.Record(callsign.Event{
		Call: t.call, Tenant: t.tenant, At: now, Kind: callsign.EventReceipt, Reason: reason, Link: l.Name, MessageID: t.id,
	})
}

// confirmed is the stat of a text that the phone itself confirmed.
const confirmed = "CONFIRMED"

// confirmationOf is the key of the USSD texts to m, which are confirmed without an id; it has a character that no id has.
func confirmationOf(m callsign.MSISDN) string { return "ussd " + number(m) }

// confirmed records that the phone of from confirmed the last text that was sent to it by USSD.
func (b *Bridge) confirmed(l *link, from callsign.MSISDN, now time.Time) {
	r := b.receipts
	r.mu.Lock()
	var said *text
	link := l
	if all := r.awaited.all(confirmationOf(from)); len(all) > 0 {
		last := all[len(all)-1]
		said, link = last.value.whole, last.value.link
		r.awaited.remove(last)
	}
	r.mu.Unlock()
	if said == nil {
		r.lose("unknown", 1)
		return
	}
	b.receipted(said, link, smpp.Receipt{Stat: confirmed}, now)
}

// find is the likeliest text for a receipt, nil if there is none.
func (r *receipts) find(l *link, e early) (best *kept[awaited]) {
	most := 0
	for i, form := range forms(e.receipt.MessageID) {
		for _, k := range append(r.awaited.all(form), r.done.all(form)...) {
			score := 2 * likely(i, k.value.caller, e)
			if score > 0 && k.value.link == l {
				score++
			}
			if score > most {
				best, most = k, score
			}
		}
	}
	return best
}

// likely is how well a receipt whose id was found in its i-th form fits a text to caller: 0 is not at all. An id that
// reads the same is enough, for SMSCs write addresses as they like; one that is the same number in another base may be
// another text's, so an address must agree.
func likely(i int, caller callsign.MSISDN, e early) int {
	score := 0
	if i == 0 {
		score = 1
	}
	if sameNumber(caller, e.source) || sameNumber(caller, e.dest) {
		score += 2
	}
	return score
}

// sameNumber compares with an address that may lack country code or have a prefix of zeros.
func sameNumber(m callsign.MSISDN, address string) bool {
	digits := strings.TrimLeft(address, "+0")
	return len(digits) >= 7 && strings.HasSuffix(m.E164(), digits)
}

// canonical is an id without case and leading zeros.
func canonical(id string) string {
	return strings.TrimLeft(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(id)), "0x"), "0")
}

// forms are the ways in which SMSCs write an id: as it is, then the same number in the other base.
func forms(id string) []string {
	id = canonical(id)
	keys := []string{id}
	if n, err := strconv.ParseUint(id, 10, 64); err == nil {
		keys = append(keys, strconv.FormatUint(n, 16))
	}
	if n, err := strconv.ParseUint(id, 16, 64); err == nil {
		keys = append(keys, strconv.FormatUint(n, 10))
	}
	return keys
}
