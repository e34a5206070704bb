package records

import (
	"strings"
	"time"

	"github.com/callsign-as/callsign"
)

// maxOpen bounds the calls whose record is not complete: beyond it the oldest's is written as it stands. That is five minutes of
// 400 texts a second whose receipts never come, in about 60 MB.
const maxOpen = 120_000

// open is a call whose record may still change.
type open struct {
	record     Record
	since      time.Time
	next, prev *open
}

// calls joins the lines of timelines to records. One goroutine owns it.
type calls struct {
	byID        map[callsign.CallID]*open
	first, last *open // in the order in which they were opened
	most        int
}

func newCalls() *calls { return &calls{byID: map[callsign.CallID]*open{}, most: maxOpen} }

// add takes a line, and gives the record that is complete with it, or that had to make room.
func (c *calls) add(e callsign.Event, now time.Time) (complete *Record) {
	o := c.byID[e.Call.ID]
	if o == nil {
		if e.Kind != callsign.EventInvite { // of a call that is written already, or whose beginning was dropped
			return nil
		}
		if len(c.byID) >= c.most {
			complete = c.close(c.first)
		}
		c.begin(e, now)
		return complete
	}
	r := &o.record
	switch e.Kind {
	case callsign.EventSkipped:
		r.State, r.Reason = skipped, line(e.Reason)
		return c.close(o)
	case callsign.EventSubmitted:
		if r.State != sent { // the first part, perhaps after a link that took nothing
			r.Parts = 0
		}
		r.State, r.Link, r.Channel = sent, line(e.Link), e.Channel
		r.Parts++
	case callsign.EventFailed:
		r.Reason = line(e.Reason)
		switch e.Outcome {
		case callsign.Ambiguous:
			r.State = sent
		case callsign.Dropped:
			r.State = skipped
			return c.close(o)
		default:
			r.State = failed
		}
	case callsign.EventAccepted:
		r.State, r.MessageID, r.Reason = accepted, line(e.MessageID), ""
	case callsign.EventWithdrawn:
		r.State = withdrawn
		return c.close(o)
	case callsign.EventReceipt:
		r.Receipt, r.ReceiptTime = line(e.Reason), e.At.UTC()
		switch stat, _, _ := strings.Cut(e.Reason, " "); stat {
		case "ENROUTE", "ACCEPTD":
			return nil
		case "DELIVRD", "CONFIRMED":
			r.State = shown
		default:
			r.State = unshown
		}
		return c.close(o)
	}
	return nil
}

func (c *calls) begin(e callsign.Event, now time.Time) {
	o := &open{since: now, prev: c.last, record: Record{
		Time: e.Call.At.UTC(), ID: e.Call.ID.String(), ICID: line(e.Call.ICID), CallID: line(e.Call.SIPCallID), Tenant: line(e.Tenant),
		Caller: number(e.Call.Caller), Callee: number(e.Call.Callee), State: skipped,
	}}
	if c.last != nil {
		c.last.next = o
	} else {
		c.first = o
	}
	c.last = o
	c.byID[e.Call.ID] = o
}

func (c *calls) close(o *open) *Record {
	if o.prev != nil {
		o.prev.next = o.next
	} else {
		c.first = o.next
	}
	if o.next != nil {
		o.next.prev = o.prev
	} else {
		c.last = o.prev
	}
	var id callsign.CallID
	_ = id.UnmarshalText([]byte(o.record.ID)) // it is ours
	delete(c.byID, id)
	if o.record.Chargeable = chargeable(o.record.State); o.record.State == skipped && o.record.Reason == "" {
		o.record.Reason = "nothing more was heard of the call"
	}
	return &o.record
}

// oldest gives the record of the call that was opened first, if that was at least so long ago.
func (c *calls) oldest(age time.Duration, now time.Time) *Record {
	if c.first == nil || now.Sub(c.first.since) < age {
		return nil
	}
	return c.close(c.first)
}
