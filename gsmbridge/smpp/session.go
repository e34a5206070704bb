// Package smpp is an SMPP 3.4 session, the same code for both ends (ESME and SMSC), over a net.Conn and fiorix/go-smpp's
// codecs: bind, window, correlation, keep-alive, unbind. It refuses to know what a message says or when to connect again.
// Session.Run owns every goroutine of a session; Bind and Accept leave none.
package smpp

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"golang.org/x/sync/errgroup"
)

// Options of a session; zero fields have the defaults given here.
type Options struct {
	Window          int           // requests that wait for their answer at once: 10
	MaxPDU          int           // octets of a PDU that is read, 16 times as many are skipped: 65536
	EnquireLink     time.Duration // between our enquire_links: 30 s; negative: none
	BindTimeout     time.Duration // for the whole bind: 10 s
	ResponseTimeout time.Duration // from a request to its answer, and for the rest of a PDU that has begun: 10 s
	WriteTimeout    time.Duration // for one write: 10 s
	Backlog         int           // messages that wait for Handle; one more is answered with StatusQueueFull: 256
	Handlers        int           // calls of Handle at once: 1, which keeps the order

	// Handle takes what the peer sends: deliver_sm at the ESME's end, submit_sm at the SMSC's, data_sm at both. The answer
	// goes out when it returns; ctx ends with the session. If nil, everything is answered with StatusSystemError.
	Handle func(ctx context.Context, s *Session, m *Message) Answer
	// Query and Cancel answer an ESME's query_sm and cancel_sm, in the same line as Handle. If nil, with StatusQueryFailed and
	// StatusCancelFailed.
	Query  func(ctx context.Context, s *Session, q Query) (MessageState, Status)
	Cancel func(ctx context.Context, s *Session, c Cancel) Status
	// Observe is told of what was odd and survived. It must not block.
	Observe func(Oddity)
}

func (o Options) withDefaults() Options {
	o.Window = cmp.Or(o.Window, 10)
	o.MaxPDU = cmp.Or(o.MaxPDU, 64<<10)
	o.EnquireLink = cmp.Or(o.EnquireLink, 30*time.Second)
	o.BindTimeout = cmp.Or(o.BindTimeout, 10*time.Second)
	o.ResponseTimeout = cmp.Or(o.ResponseTimeout, 10*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, 10*time.Second)
	o.Backlog = cmp.Or(o.Backlog, 256)
	o.Handlers = cmp.Or(o.Handlers, 1)
	if o.Handle == nil {
		o.Handle = func(context.Context, *Session, *Message) Answer { return Answer{Status: StatusSystemError} }
	}
	if o.Query == nil {
		o.Query = func(context.Context, *Session, Query) (MessageState, Status) { return 0, StatusQueryFailed }
	}
	if o.Cancel == nil {
		o.Cancel = func(context.Context, *Session, Cancel) Status { return StatusCancelFailed }
	}
	if o.Observe == nil {
		o.Observe = func(Oddity) {}
	}
	return o
}

// Answer is what Handle says to a message.
type Answer struct {
	Status    Status
	MessageID string // of a submit_sm or data_sm that was taken; at most 64 octets
	Silent    bool   // no answer at all: how a simulator loses one
	// Then, if not nil, is called after the answer was put in line to be written.
	Then func()
}

// Oddity is something that a peer did wrong, or late, and that the session survived.
type Oddity string

// The oddities.
const (
	OddLate       Oddity = "late_response"    // nobody waits for it: too late, a duplicate, or never asked for
	OddMismatched Oddity = "mismatched"       // its sequence number is a waiting request's, its command is not
	OddUnknown    Oddity = "unknown_command"  // answered with generic_nack
	OddTooLong    Oddity = "oversized"        // skipped; answered with generic_nack
	OddMalformed  Oddity = "malformed"        // answered with generic_nack
	OddState      Oddity = "wrong_state"      // not allowed in this bind, or before it: refused
	OddOverflow   Oddity = "backlog_overflow" // more messages than Backlog: refused for now
	OddNotice     Oddity = "notice"           // alert_notification or outbind, which have no answer: dropped
)

// Session is one bound connection. Its methods may be called by many goroutines at once; they work while Run runs.
type Session struct {
	conn   net.Conn
	opt    Options
	smsc   bool // this end is the SMSC's
	bind   BindRequest
	framer framer

	window  chan struct{}
	out     chan *outgoing
	work    chan task   // what waits for a handler
	leaving atomic.Bool // unbinding: nothing new goes out

	done   chan struct{} // closed when the session is at its end
	finish sync.Once
	err    error // why; read it after done

	mu      sync.Mutex
	seq     uint32
	pending map[uint32]*request
}

// task calls what the options have for a request, and answers it.
type task func(ctx context.Context)

func newSession(conn net.Conn, opt Options, smsc bool) *Session {
	opt = opt.withDefaults()
	conn = quiet(conn)
	return &Session{
		conn: conn, opt: opt, smsc: smsc,
		framer:  framer{conn, bufio.NewReaderSize(conn, 8<<10), opt.MaxPDU, opt.ResponseTimeout},
		window:  make(chan struct{}, opt.Window),
		out:     make(chan *outgoing, opt.Window+16), // full: who writes waits, for at most WriteTimeout
		work:    make(chan task, opt.Backlog),
		done:    make(chan struct{}),
		pending: make(map[uint32]*request),
	}
}

// Peer is what the bind said: at the SMSC's end the ESME's words, at the ESME's end our own.
func (s *Session) Peer() BindRequest { return s.bind }

// Full reports whether one request more would have to wait for the window.
func (s *Session) Full() bool { return len(s.window) == cap(s.window) }

// Close ends the session without unbind; what was written and is not answered becomes ErrAmbiguous. It doesn't wait for
// Run, which returns soon after.
func (s *Session) Close() { s.end(ErrClosed) }

// end keeps the first reason and lets everything that waits go on.
func (s *Session) end(err error) {
	s.finish.Do(func() {
		s.err = err
		close(s.done)
		_ = s.conn.Close()
	})
}

// Run keeps the session until it ends and returns why, or nil if ctx ended: then it unbinds first, and waits for the
// answer at most a second.
func (s *Session) Run(ctx context.Context) error {
	hctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // handlers may finish while we unbind
	var g errgroup.Group
	keep := func(part func() error) {
		g.Go(func() error {
			err := part()
			s.end(err)
			return nil
		})
	}
	keep(s.read)
	keep(s.write)
	keep(func() error { return s.enquire(hctx) })
	keep(func() error { return s.leave(ctx) })
	for range s.opt.Handlers {
		keep(func() error { return s.handle(hctx) })
	}
	<-s.done
	cancel()
	_ = g.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return s.err
}

// leave unbinds when ctx ends (SMPP 3.4 §4.2).
func (s *Session) leave(ctx context.Context) error {
	select {
	case <-s.done:
	case <-ctx.Done():
		s.leaving.Store(true)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_, _ = s.ask(ctx, pdu.UnbindID, empty(header{id: pdu.UnbindID}), nil, time.Second)
	}
	return ErrClosed
}

// enquire asks the peer now and then whether it lives (SMPP 3.4 §4.11), and ends the session if it doesn't say so.
func (s *Session) enquire(ctx context.Context) error {
	if s.opt.EnquireLink < 0 {
		<-s.done
		return nil
	}
	tick := time.NewTicker(s.opt.EnquireLink)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return nil
		case <-tick.C:
			// Any answer shows that it lives, a generic_nack too.
			if _, err := s.ask(ctx, pdu.EnquireLinkID, empty(header{id: pdu.EnquireLinkID}), nil, s.opt.ResponseTimeout); err != nil {
				return fmt.Errorf("enquire_link: %w", err)
			}
		}
	}
}

// read takes what comes in until the connection ends.
func (s *Session) read() error {
	for {
		h, body, err := s.framer.next()
		switch {
		case errors.Is(err, errTooLong):
			s.refuse(h, StatusInvalidLength, OddTooLong)
			continue
		case errors.Is(err, errFraming):
			s.put(&outgoing{octets: empty(header{pdu.GenericNACKID, StatusInvalidLength, 0}), end: err})
			<-s.done
			return err
		case s.leaving.Load() && err != nil: // the peer needn't wait for us to close
			return ErrUnbound
		case err != nil:
			return fmt.Errorf("read: %w", err)
		case h.id&response != 0:
			s.answered(h, body)
			continue
		}
		s.asked(h, body)
	}
}

// asked takes the peer's requests.
func (s *Session) asked(h header, body []byte) {
	switch h.id {
	case pdu.EnquireLinkID:
		s.reply(header{h.id | response, StatusOK, h.seq}, nil)
	case pdu.UnbindID:
		s.leaving.Store(true)
		s.put(&outgoing{octets: empty(header{h.id | response, StatusOK, h.seq}), end: ErrUnbound})
	case pdu.BindReceiverID, pdu.BindTransmitterID, pdu.BindTransceiverID:
		s.opt.Observe(OddState)
		s.reply(header{h.id | response, StatusAlreadyBound, h.seq}, nil)
	case pdu.AlertNotificationID, pdu.OutbindID:
		s.opt.Observe(OddNotice)
	default:
		if operation(h.id) {
			s.take(h, body)
			return
		}
		s.refuse(h, StatusInvalidCommand, OddUnknown)
	}
}

// take puts a request in line for the handlers.
func (s *Session) take(h header, body []byte) {
	if !s.allowed(h.id) {
		s.opt.Observe(OddState)
		s.reply(header{h.id | response, StatusInvalidBindState, h.seq}, nil)
		return
	}
	t, status := s.task(h, body)
	if status != StatusOK {
		s.refuse(h, status, OddMalformed)
		return
	}
	select {
	case s.work <- t:
	default:
		s.opt.Observe(OddOverflow)
		s.reply(header{h.id | response, StatusQueueFull, h.seq}, nil)
	}
}

// refuse answers what can't be read with generic_nack (SMPP 3.4 §4.3); the bind goes on.
func (s *Session) refuse(h header, status Status, odd Oddity) {
	s.opt.Observe(odd)
	if h.id&response == 0 { // a nack to an answer would be an answer to nothing
		s.reply(header{pdu.GenericNACKID, status, h.seq}, nil)
	}
}

// reply answers with what body writes, if not nil.
func (s *Session) reply(h header, body func(*writer)) {
	w := newWriter(h, 72)
	if body != nil {
		body(&w)
	}
	octets, err := w.pdu()
	if err != nil { // an id of our own handler that can't be sent
		octets = empty(header{h.id, StatusSystemError, h.seq})
	}
	s.put(&outgoing{octets: octets})
}

// handle does what is in line.
func (s *Session) handle(ctx context.Context) error {
	for {
		select {
		case <-s.done:
			return nil
		case t := <-s.work:
			t(ctx)
		}
	}
}
