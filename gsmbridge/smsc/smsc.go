// Package smsc simulates an SMSC and USSD gateway with virtual handsets: what it is sent by SMPP is shown on them, as far as
// anybody asks, and they can answer. It refuses to know who sends and why. Server.Run owns every goroutine: one that accepts, a
// session's for each connection, and one for each message that is to be shown, or receipted, later.
package smsc

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// Options of a Server; every field may be zero.
type Options struct {
	SystemID, Password string            // what an ESME must bind with; empty: anything
	Accounts           map[string]string // passwords of more system ids; if there are any, no other may bind
	Log                *slog.Logger      // nil: nothing is logged
	OnMessage          func(Message)     // is told of each message once a handset shows it; it must not block
	OnReceipt          func(Message)     // and once the ESME has taken its receipt
	Behaviour          Behaviour
	Seed               uint64 // of what happens by chance; 0: another each time
}

// Server is an SMSC.
type Server struct {
	Options
	behaviour atomic.Pointer[Behaviour]
	handsets  handsets
	parts     parts
	messages  messages
	pace      pace

	lastID atomic.Uint64
	later  sync.WaitGroup

	mu       sync.Mutex
	random   *rand.Rand
	sessions map[*smpp.Session]*wire
}

// New makes one.
func New(o Options) *Server {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.Seed = cmp.Or(o.Seed, rand.Uint64())
	s := &Server{
		Options: o, handsets: newHandsets(), random: rand.New(rand.NewPCG(o.Seed, 0)), sessions: map[*smpp.Session]*wire{},
		parts: parts{sets: map[partKey]*partSet{}}, messages: messages{byID: map[string]*state{}},
	}
	s.behaviour.Store(&o.Behaviour)
	s.lastID.Store(4096) // from here on an id differs in decimal and hexadecimal, as deployed SMSCs mix them
	return s
}

// Behave changes the behaviour. What is under way keeps what it began with.
func (s *Server) Behave(b Behaviour) error {
	if err := b.Validate(); err != nil {
		return err
	}
	s.behaviour.Store(&b)
	return nil
}

func (s *Server) chance() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.Float64()
}

// maxSessions bounds what connects; more connections wait to be accepted.
const maxSessions = 256

// Run serves l until ctx ends, then unbinds every session and returns nil. It closes l.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	var g errgroup.Group
	g.SetLimit(maxSessions)
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer s.later.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			_ = l.Close()
			ended := ctx.Err() != nil
			_ = g.Wait()
			if ended {
				return nil
			}
			return fmt.Errorf("smsc: %w", err)
		}
		g.Go(func() error {
			s.serve(ctx, conn)
			return nil
		})
	}
}

// handlers is how many messages of a session may wait at once for their answers' delays.
const handlers = 128

func (s *Server) serve(ctx context.Context, conn net.Conn) {
	log := s.Log.With("peer", conn.RemoteAddr().String())
	w := &wire{Conn: conn, behaviour: s.behaviour.Load}
	var taken atomic.Int64
	session, err := smpp.Accept(ctx, w, "callsign-smsc", s.check, smpp.Options{
		Handle: func(ctx context.Context, session *smpp.Session, m *smpp.Message) smpp.Answer {
			b, n := s.behaviour.Load(), int(taken.Add(1))
			switch {
			case n == b.CutAfter:
				w.cutNext()
			case n == b.CloseAfter:
				defer session.Close()
			}
			return s.take(ctx, session, m, b)
		},
		Query: s.query, Cancel: s.cancel, Handlers: handlers, Backlog: 4096,
	})
	if err != nil {
		log.Info("no bind", "err", err)
		return
	}
	log.Info("bound", "system_id", session.Peer().SystemID)
	s.mu.Lock()
	s.sessions[session] = w
	s.mu.Unlock()
	why := session.Run(ctx)
	s.mu.Lock()
	delete(s.sessions, session)
	s.mu.Unlock()
	log.Info("session ended", "why", why)
}

// check answers a bind.
func (s *Server) check(b smpp.BindRequest) smpp.Status {
	password, known := s.Accounts[b.SystemID]
	if !known && (len(s.Accounts) == 0 || s.SystemID != "") {
		known, password = s.SystemID == "" || b.SystemID == s.SystemID, cmp.Or(s.Password, b.Password)
	}
	switch behaviour := s.behaviour.Load(); {
	case behaviour.BindStatus != smpp.StatusOK:
		return behaviour.BindStatus
	case !known:
		return smpp.StatusInvalidSystemID
	case b.Password != password:
		return smpp.StatusInvalidPassword
	}
	return smpp.StatusOK
}

// receiving is a session of a system id that takes messages, another than not if there is one; nil if there is none.
// An empty system id is any.
func (s *Server) receiving(systemID string, not *smpp.Session) (found *smpp.Session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for session := range s.sessions {
		peer := session.Peer()
		if peer.Mode == smpp.Transmitter || systemID != "" && peer.SystemID != systemID {
			continue
		}
		if session != not {
			return session
		}
		found = session
	}
	return found
}

// take answers a submit_sm or data_sm and shows it.
func (s *Server) take(ctx context.Context, session *smpp.Session, m *smpp.Message, b *Behaviour) smpp.Answer {
	if delay := time.Duration(b.Delay) + time.Duration(s.chance()*float64(b.Jitter)); delay > 0 && !sleep(ctx, delay) {
		return smpp.Answer{Silent: true}
	}
	if !s.pace.take(b.Rate, time.Now()) {
		return smpp.Answer{Status: smpp.StatusThrottled}
	}
	to, err := callsign.ParseMSISDN(m.Dest.Number)
	if err != nil {
		return smpp.Answer{Status: smpp.StatusInvalidDest}
	}
	if status := b.refusal(m.Dest.Number, isUSSD(m), s.handsets.isConnected(to), s.chance); status != smpp.StatusOK {
		return smpp.Answer{Status: status}
	}
	x := &delivery{server: s, session: session, behaviour: b, message: m, id: strconv.FormatUint(s.lastID.Add(1), 10), to: to}
	x.state = s.messages.add(x.id)
	silent := b.Silent || b.LoseAnswers > 0 && s.chance() < b.LoseAnswers
	if b.ShowAfter > 0 {
		s.later.Go(func() {
			if sleep(ctx, time.Duration(b.ShowAfter)) && x.state.become(smpp.Enroute, smpp.Delivered) {
				x.show()
				x.receipt(ctx)
			}
		})
		return smpp.Answer{MessageID: x.id, Silent: silent}
	}
	x.state.become(smpp.Enroute, smpp.Delivered)
	x.show()
	answer := smpp.Answer{MessageID: x.id, Silent: silent}
	switch {
	case silent:
	case b.ReceiptFirst:
		x.receipt(ctx)
	case b.ReceiptDelay > 0:
		s.later.Go(func() { x.receipt(ctx) })
	default:
		answer.Then = func() { x.receipt(ctx) }
	}
	return answer
}

// sleep is false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// delivery is a message on its way to a handset.
type delivery struct {
	server    *Server
	session   *smpp.Session
	behaviour *Behaviour
	message   *smpp.Message
	id        string
	to        callsign.MSISDN
	state     *state
	shown     Message
}

// show puts the message on its handset; a part waits for the others.
func (x *delivery) show() {
	s, m := x.server, x.message
	data, whole := s.parts.join(x.to, m, time.Now())
	x.shown = Message{To: x.to, From: m.Source.Number, DataCoding: m.DataCoding, At: time.Now(), ID: x.id}
	if !whole {
		return
	}
	decode := gsm.Decode
	if x.shown.USSD = isUSSD(m); x.shown.USSD {
		decode = gsm.DecodeUSSD
	}
	x.shown.Text, x.shown.Encoding = decode(m.DataCoding, data)
	if x.shown.Units = len(data); x.shown.Encoding == gsm.UCS2 {
		x.shown.Units = (len(data) + 1) / 2
	}
	subunit := m.TLVs[smpp.TagDestAddrSubunit] // 1: the display (SMPP 3.4 §5.3.2.1)
	x.shown.Flash = !x.shown.USSD && (gsm.Class0(m.DataCoding) || len(subunit) == 1 && subunit[0] == 1)
	s.handsets.add(x.shown)
	if s.OnMessage != nil {
		s.OnMessage(x.shown)
	}
	if x.shown.USSD {
		s.later.Go(func() { s.ussd(context.Background(), x) })
	}
}

// receipt sends the delivery receipt, if one was asked for (SMPP 3.4 §5.2.17), on the session that the message came on if
// that takes any (SMPP 3.4 §2.3).
func (x *delivery) receipt(ctx context.Context) {
	s, b, m := x.server, x.behaviour, x.message
	asked := m.RegisteredDelivery & 0x03
	stat := cmp.Or(b.ReceiptStat, "DELIVRD")
	if asked == 0 || asked == 2 && stat == "DELIVRD" || b.NoReceipts || b.LoseReceipts > 0 && s.chance() < b.LoseReceipts {
		return
	}
	if b.ReceiptDelay > 0 && !sleep(ctx, time.Duration(b.ReceiptDelay)) {
		return
	}
	to := x.session
	if b.ReceiptOnAny || to.Peer().Mode == smpp.Transmitter {
		if to = s.receiving(to.Peer().SystemID, x.session); to == nil {
			return
		}
	}
	id := b.receiptID(x.id)
	r := smpp.Receipt{MessageID: id, Stat: stat, Err: "000"}
	d := &smpp.Message{
		Source: m.Dest, Dest: m.Source, ESMClass: 0x04,
		ShortMessage: []byte(r.Text(x.shown.At, time.Now())),
		TLVs:         smpp.TLVs{smpp.TagReceiptedMessageID: append([]byte(id), 0)},
	}
	if stat == "DELIVRD" {
		d.TLVs[smpp.TagMessageState] = []byte{byte(smpp.Delivered)}
	}
	times := 1
	if b.ReceiptTwice {
		times = 2
	}
	for range times {
		if err := to.Deliver(ctx, d); err != nil {
			s.Log.Info("receipt was not taken", "err", err)
		} else if s.OnReceipt != nil {
			s.OnReceipt(x.shown)
		}
	}
}

// pace counts messages of a second.
type pace struct {
	mu    sync.Mutex
	since time.Time
	taken int
}

func (p *pace) take(most int, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.since) >= time.Second {
		p.since, p.taken = now, 0
	}
	p.taken++
	return most == 0 || p.taken <= most
}
