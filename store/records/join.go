package records

import (
	"container/list"
	"strings"
	"time"

	"github.com/callsign-as/callsign"
)

// maxOpen bounds the calls whose record is not complete: beyond it the oldest's is written as it stands. That is five minutes of
// 400 texts a second whose receipts never come, in about 60 MB.
const maxOpen = 120_000

// open is a call whose record may still change.
type open struct {
	id     callsign.CallID
	record Record
	since  time.Time
}

// calls joins the lines of timelines to records. One goroutine owns it.
type calls struct {
	byID  map[callsign.CallID]*list.Element
	order *list.List // of *open, as they were opened
	most  int
}

func newCalls() *calls {
	return &calls{byID: map[callsign.CallID]*list.Element{}, order: list.New(), most: maxOpen}
}

// add takes a line, and gives the record that is complete with it, or that had to make room.
func (c *calls) add(e callsign.Event, now time.Time) (complete *Record) {
	place, known := c.byID[e.Call.ID]
	if !known {
		if e.Kind != callsign.EventInvite { // of a call that is written already, or whose beginning was dropped
			return nil
		}
		if len(c.byID) >= c.most {
			complete = c.close(c.order.Front())
		}
		c.begin(e, now)
		return complete
	}
	r := &place.Value.(*open).record
	switch e.Kind {
	case callsign.EventSkipped:
		r.State, r.Reason = skipped, line(e.Reason)
		return c.close(place)
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
			return c.close(place)
		default:
			r.State = failed
		}
	case callsign.EventAccepted:
		r.State, r.MessageID, r.Reason = accepted, line(e.MessageID), ""
	case callsign.EventWithdrawn:
		r.State = withdrawn
		return c.close(place)
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
		return c.close(place)
	}
	return nil
}

func (c *calls) begin(e callsign.Event, now time.Time) {
	c.byID[e.Call.ID] = c.order.PushBack(&open{id: e.Call.ID, since: now, record: Record{
		Time: e.Call.At.UTC(), ID: e.Call.ID.String(), ICID: line(e.Call.ICID), CallID: line(e.Call.SIPCallID), Tenant: line(e.Tenant),
		Caller: number(e.Call.Caller), Callee: number(e.Call.Callee), State: skipped,
	}})
}

func (c *calls) close(place *list.Element) *Record {
	o := c.order.Remove(place).(*open)
	delete(c.byID, o.id)
	if o.record.Chargeable = chargeable(o.record.State); o.record.State == skipped && o.record.Reason == "" {
		o.record.Reason = "nothing more was heard of the call"
	}
	return &o.record
}

// oldest gives the record of the call that was opened first, if that was at least so long ago.
func (c *calls) oldest(age time.Duration, now time.Time) *Record {
	first := c.order.Front()
	if first == nil || now.Sub(first.Value.(*open).since) < age {
		return nil
	}
	return c.close(first)
}
