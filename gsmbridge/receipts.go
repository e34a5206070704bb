package gsmbridge

import (
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
	maxEarly, earlyFor     = 10_000, 30 * time.Second
)

// awaited is a text that the SMSC took.
type awaited struct {
	caller callsign.MSISDN
	whole  *text // nil once its last receipt came: it is kept to know that again
	link   string
	stat   string // the last that was said
}

// text is what a receipt is recorded with.
type text struct {
	call       callsign.Call
	tenant, id string
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
	early   *recent[early]
}

func newReceipts(m *metrics) *receipts {
	return &receipts{metrics: m, awaited: newRecent[awaited](maxAwaited, awaitedFor), early: newRecent[early](maxEarly, earlyFor)}
}

func (r *receipts) lose(reason string, n int) { r.metrics.lost.WithLabelValues(reason).Add(float64(n)) }

// awaitReceipt remembers that d is id at the SMSC, and records the receipts that came already.
func (b *Bridge) awaitReceipt(l *link, d callsign.Delivery, id string) {
	r := b.receipts
	r.mu.Lock()
	_, overflow := r.awaited.add(canonical(id), awaited{caller: d.Call.Caller, whole: &text{d.Call, d.Profile.Tenant, id}, link: l.Name}, time.Now())
	var came []early
	for i, form := range forms(id) {
		for _, k := range r.early.all(form) {
			if likely(i, d.Call.Caller, k.value) > 0 {
				came = append(came, k.value)
				r.early.remove(k)
			}
		}
	}
	r.mu.Unlock()
	r.lose("overflow", overflow)
	for _, e := range came {
		b.receipt(l, e)
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
	said, link := a.whole, a.link
	if said == nil || a.stat == e.receipt.Stat {
		r.mu.Unlock()
		r.lose("duplicate", 1)
		return
	}
	if a.stat = e.receipt.Stat; e.receipt.Final() {
		a.whole = nil
	}
	r.mu.Unlock()
	b.metrics.receipts.WithLabelValues(l.Name, statLabel(e.receipt)).Inc()
	b.recorder.Record(callsign.Event{
		Call: said.call, Tenant: said.tenant, At: now, Kind: callsign.EventReceipt,
		Reason: e.receipt.Stat, Link: link, MessageID: said.id,
	})
}

// find is the likeliest text for a receipt, nil if there is none.
func (r *receipts) find(l *link, e early) (best *awaited) {
	most := 0
	for i, form := range forms(e.receipt.MessageID) {
		for _, k := range r.awaited.all(form) {
			score := 2 * likely(i, k.value.caller, e)
			if score > 0 && k.value.link == l.Name {
				score++
			}
			if score > most {
				best, most = &k.value, score
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
