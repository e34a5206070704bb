package smpp

import (
	"bytes"
	"context"
	"fmt"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
)

// MessageState is what became of a message (SMPP 3.4 §5.2.28).
type MessageState byte

// The message states.
const (
	Enroute MessageState = iota + 1
	Delivered
	Expired
	Deleted
	Undeliverable
	Accepted
	Unknown
	Rejected
)

// String is the state in the words of a receipt's text, like "DELIVRD" (SMPP 3.4 Appendix B).
func (m MessageState) String() string {
	switch m {
	case Enroute:
		return "ENROUTE"
	case Delivered:
		return "DELIVRD"
	case Expired:
		return "EXPIRED"
	case Deleted:
		return "DELETED"
	case Undeliverable:
		return "UNDELIV"
	case Accepted:
		return "ACCEPTD"
	case Rejected:
		return "REJECTD"
	}
	return "UNKNOWN"
}

// Query asks what became of a message; Source is as it was in its submit_sm (SMPP 3.4 §4.8.1).
type Query struct {
	MessageID string
	Source    Address
}

func (q Query) encode() ([]byte, error) {
	w := newWriter(header{id: pdu.QuerySMID}, 96)
	w.text(pdufield.MessageID, q.MessageID, 64)
	w.address(pdufield.SourceAddr, q.Source, 20)
	return w.pdu()
}

func decodeQuery(body []byte) (Query, Status) {
	f, _, status := decode(queryFields, body)
	return Query{f.text(pdufield.MessageID), f.source()}, status
}

// writeState writes a query_sm_resp (SMPP 3.4 §4.8.2), without a final date: a message's receipt has it.
func (q Query) writeState(w *writer, state MessageState) {
	w.text(pdufield.MessageID, q.MessageID, 64)
	w.put(0, byte(state), 0)
}

// decodeState reads a query_sm_resp: two C-octet strings, message_state, error_code. The codec takes both of these for
// strings too.
func decodeState(body []byte) (MessageState, bool) {
	_, rest, _ := bytes.Cut(body, []byte{0})
	if _, rest, ok := bytes.Cut(rest, []byte{0}); ok && len(rest) > 0 {
		return MessageState(rest[0]), true
	}
	return 0, false
}

// Query asks the SMSC for a message's state. Its context and errors are as Submit's; one more says that the answer can't be read.
func (s *Session) Query(ctx context.Context, id string, source Address) (MessageState, error) {
	octets, err := Query{id, source}.encode()
	a, err := s.request(ctx, pdu.QuerySMID, octets, err, nil)
	if err != nil {
		return 0, err
	}
	state, ok := decodeState(a.body)
	if !ok {
		return 0, fmt.Errorf("query_sm: the answer has no message_state: % x", a.body)
	}
	return state, nil
}

// Cancel names what an SMSC shall not deliver any more: a message by its id, or if that is "" all that the same ServiceType,
// Source and Dest were given for (SMPP 3.4 §4.9.1). Source is as it was in the submit_sm; so is Dest, if there is no id.
type Cancel struct {
	ServiceType  string
	MessageID    string
	Source, Dest Address
}

func (c Cancel) encode() ([]byte, error) {
	w := newWriter(header{id: pdu.CancelSMID}, 128)
	w.text(pdufield.ServiceType, c.ServiceType, 5)
	w.text(pdufield.MessageID, c.MessageID, 64)
	w.address(pdufield.SourceAddr, c.Source, 20)
	w.address(pdufield.DestinationAddr, c.Dest, 20)
	return w.pdu()
}

func decodeCancel(body []byte) (Cancel, Status) {
	f, _, status := decode(cancelFields, body)
	return Cancel{f.text(pdufield.ServiceType), f.text(pdufield.MessageID), f.source(), f.dest()}, status
}

// Cancel asks the SMSC not to deliver a message. Its context and errors are as Submit's.
func (s *Session) Cancel(ctx context.Context, c Cancel) error {
	octets, err := c.encode()
	_, err = s.request(ctx, pdu.CancelSMID, octets, err, nil)
	return err
}

// operation reports whether a request is one of those that handlers answer.
func operation(id pdu.ID) bool {
	switch id {
	case pdu.SubmitSMID, pdu.DeliverSMID, pdu.DataSMID, pdu.QuerySMID, pdu.CancelSMID:
		return true
	}
	return false
}

// allowed reports whether the peer may ask for id: an ESME that may transmit for all but deliver_sm, an SMSC for deliver_sm
// and data_sm of an ESME that may receive (SMPP 3.4 §2.3).
func (s *Session) allowed(id pdu.ID) bool {
	if s.smsc {
		return id != pdu.DeliverSMID && s.bind.Mode != Receiver
	}
	return (id == pdu.DeliverSMID || id == pdu.DataSMID) && s.bind.Mode != Transmitter
}

// task is what answers a request that handlers answer.
func (s *Session) task(h header, body []byte) (task, Status) {
	answer := func(status Status) header { return header{h.id | response, status, h.seq} }
	switch h.id {
	case pdu.QuerySMID:
		q, status := decodeQuery(body)
		return func(ctx context.Context) {
			state, status := s.opt.Query(ctx, s, q)
			s.reply(answer(status), func(w *writer) {
				if status == StatusOK {
					q.writeState(w, state)
				}
			})
		}, status
	case pdu.CancelSMID:
		c, status := decodeCancel(body)
		return func(ctx context.Context) { s.reply(answer(s.opt.Cancel(ctx, s, c)), nil) }, status
	}
	m, status := decodeMessage(h.id, body)
	return func(ctx context.Context) {
		a := s.opt.Handle(ctx, s, m)
		if !a.Silent {
			s.reply(answer(a.Status), func(w *writer) {
				if a.Status == StatusOK || h.id != pdu.SubmitSMID { // it has no body then (SMPP 3.4 §4.4.2)
					w.text(pdufield.MessageID, a.MessageID, 64)
				}
			})
		}
		if a.Then != nil {
			a.Then()
		}
	}, status
}
