package smpp

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// request is one that may be waiting for its answer.
type request struct {
	outgoing
	id     pdu.ID
	answer chan answer // buffered: the reader never waits
}

type answer struct {
	header
	body []byte
}

// Submit sends a submit_sm and gives the message id of its answer. ctx bounds the wait for the window and for the write:
// after it ended nothing is written. What is written is awaited for ResponseTimeout even if ctx ends, for only the answer
// tells whether the SMSC has it. sent, if not nil, is called once with the PDU just before it is written; it must not
// block, and the octets are borrowed.
//
// An error is ErrNotSent, ErrAmbiguous, a *StatusError, or tells which field can't be coded.
func (s *Session) Submit(ctx context.Context, m *Message, sent func(octets []byte)) (id string, err error) {
	a, err := s.send(ctx, pdu.SubmitSMID, m, sent)
	return messageID(a.body), err
}

// Data sends a data_sm: m's ShortMessage, of any length, as its message_payload. An ESME and an SMSC may both send one. Its
// context and errors are as Submit's.
func (s *Session) Data(ctx context.Context, m *Message, sent func(octets []byte)) (id string, err error) {
	a, err := s.send(ctx, pdu.DataSMID, m, sent)
	return messageID(a.body), err
}

// Deliver sends a deliver_sm. Its context and errors are as Submit's.
func (s *Session) Deliver(ctx context.Context, m *Message) error {
	_, err := s.send(ctx, pdu.DeliverSMID, m, nil)
	return err
}

func (s *Session) send(ctx context.Context, id pdu.ID, m *Message, sent func([]byte)) (answer, error) {
	octets, err := m.encode(id)
	return s.request(ctx, id, octets, err, sent)
}

// request sends what was encoded, once there is room in the window, and wants a yes.
func (s *Session) request(ctx context.Context, id pdu.ID, octets []byte, err error, sent func([]byte)) (answer, error) {
	name := command(id)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", name, err)
	}
	select {
	case s.window <- struct{}{}:
		defer func() { <-s.window }()
	case <-ctx.Done():
		return answer{}, fmt.Errorf("%s: %w: waiting for the window: %w", name, ErrNotSent, context.Cause(ctx))
	case <-s.done:
		return answer{}, fmt.Errorf("%s: %w: %w", name, ErrNotSent, s.err)
	}
	if s.leaving.Load() {
		return answer{}, fmt.Errorf("%s: %w: the session is unbinding", name, ErrNotSent)
	}
	a, err := s.ask(ctx, id, octets, sent, s.opt.ResponseTimeout)
	if err != nil {
		return answer{}, fmt.Errorf("%s: %w", name, err)
	}
	if a.status != StatusOK || a.id == pdu.GenericNACKID {
		return answer{}, &StatusError{name, a.status}
	}
	return a, nil
}

// ask writes one request and waits for its answer, whatever it says. It keeps octets.
func (s *Session) ask(ctx context.Context, id pdu.ID, octets []byte, sent func([]byte), timeout time.Duration) (answer, error) {
	r := &request{outgoing{octets: octets, over: ctx.Done(), sent: sent}, id, make(chan answer, 1)}
	seq := s.register(r)
	defer s.forget(seq, r)
	if !s.put(&r.outgoing) {
		return answer{}, s.unanswered(ctx, r)
	}
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for over := ctx.Done(); ; {
		select {
		case a := <-r.answer:
			return a, nil
		case <-over:
			if r.withdraw() {
				return answer{}, fmt.Errorf("%w: %w", ErrNotSent, context.Cause(ctx))
			}
			over = nil
		case <-timer.C:
			if r.withdraw() {
				return answer{}, fmt.Errorf("%w: the connection took nothing for %v", ErrNotSent, timeout)
			}
			return answer{}, fmt.Errorf("%w within %v", ErrAmbiguous, timeout)
		case <-s.done:
			return s.last(ctx, r)
		}
	}
}

// last is what a request gets when the session ends: its answer, if that had come.
func (s *Session) last(ctx context.Context, r *request) (answer, error) {
	select {
	case a := <-r.answer:
		return a, nil
	default:
		return answer{}, s.unanswered(ctx, r)
	}
}

// unanswered says how far a request came that will not be answered.
func (s *Session) unanswered(ctx context.Context, r *request) error {
	if !r.withdraw() {
		return fmt.Errorf("%w: %w", ErrAmbiguous, s.err)
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w: %w", ErrNotSent, context.Cause(ctx))
	}
	return fmt.Errorf("%w: %w", ErrNotSent, s.err)
}

// register gives r a sequence number, 1 to 0x7FFFFFFF (SMPP 3.4 §5.1.4), that no waiting request has.
func (s *Session) register(r *request) uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		s.seq = s.seq%0x7FFFFFFF + 1
		if _, taken := s.pending[s.seq]; !taken {
			break
		}
	}
	binary.BigEndian.PutUint32(r.octets[12:], s.seq)
	s.pending[s.seq] = r
	return s.seq
}

func (s *Session) forget(seq uint32, r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending[seq] == r {
		delete(s.pending, seq)
	}
}

// answered gives an answer to the request with its sequence number and command; a generic_nack may answer any.
func (s *Session) answered(h header, body []byte) {
	s.mu.Lock()
	r := s.pending[h.seq]
	odd := OddLate
	if r != nil && h.id != r.id|response && h.id != pdu.GenericNACKID {
		r, odd = nil, OddMismatched
	}
	if r != nil {
		delete(s.pending, h.seq)
	}
	s.mu.Unlock()
	if r == nil {
		s.opt.Observe(odd)
		return
	}
	r.answer <- answer{h, body}
}

// outgoing is a PDU on its way to be written. Until the writer takes it, it can be withdrawn.
type outgoing struct {
	octets []byte
	over   <-chan struct{} // closed: it must not be written any more
	sent   func([]byte)
	end    error // the session ends with it once this is written
	state  atomic.Int32
}

const (
	queued int32 = iota
	taken
	withdrawn
)

func (o *outgoing) withdraw() bool {
	return o.state.CompareAndSwap(queued, withdrawn) || o.state.Load() == withdrawn
}

// take appends o to what is written next, unless it is withdrawn or over.
func (o *outgoing) take(buf []byte) []byte {
	select {
	case <-o.over:
		o.state.CompareAndSwap(queued, withdrawn)
		return buf
	default:
	}
	if !o.state.CompareAndSwap(queued, taken) {
		return buf
	}
	if o.sent != nil {
		o.sent(o.octets)
	}
	return append(buf, o.octets...)
}

// put lines o up for the writer. It waits while the line is full, and is false if o has no way out any more.
func (s *Session) put(o *outgoing) bool {
	select {
	case s.out <- o:
		return true
	case <-o.over:
	case <-s.done:
	}
	return false
}

// batch is how many octets are written at once, if as many are waiting.
const batch = 16 << 10

// write writes what is in line, many PDUs in one go.
func (s *Session) write() error {
	buf := make([]byte, 0, 2*batch)
	for {
		var o *outgoing
		select {
		case o = <-s.out:
		case <-s.done:
			return nil
		}
		runtime.Gosched() // those about to send line up: at a window of 100 one write for many takes a quarter of the CPU
		buf = buf[:0]
		for more := true; more; {
			buf = o.take(buf)
			if more = len(buf) < batch && o.end == nil; more {
				select {
				case o = <-s.out:
				default:
					more = false
				}
			}
		}
		if err := s.writeNow(buf); err != nil {
			return err
		}
		if o.end != nil {
			return o.end
		}
	}
}

// writeNow writes within WriteTimeout; a part that was written is the end of the session.
func (s *Session) writeNow(octets []byte) error {
	if len(octets) == 0 {
		return nil
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.opt.WriteTimeout))
	if _, err := s.conn.Write(octets); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	return nil
}
