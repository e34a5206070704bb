// Package smsc simulates an SMSC with virtual handsets: what it is sent by SMPP is shown on them, as far as anybody asks.
// It refuses to know who sends and why. Server.Run owns every goroutine: one that accepts, and a session's for each connection.
package smsc

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// Options of a Server; every field may be zero.
type Options struct {
	SystemID, Password string        // what an ESME must bind with; empty: anything
	Log                *slog.Logger  // nil: nothing is logged
	OnMessage          func(Message) // is told of each message once a handset shows it; it must not block
	OnReceipt          func(Message) // and once the ESME has taken its receipt
	Behaviour          Behaviour
}

// Behaviour is how the SMSC differs from one that takes all and sends a receipt at once. It is for tests and drills.
type Behaviour struct {
	BindStatus   smpp.Status   // refuses binds with it
	SubmitStatus smpp.Status   // refuses messages with it
	Delay        time.Duration // before a submit_sm's answer
	Silent       bool          // shows messages and never answers

	NoReceipts    bool // though they were asked for
	ReceiptFirst  bool // before the answer that names the id
	ReceiptTwice  bool
	ReceiptStat   string              // instead of DELIVRD
	ReceiptFormOf func(string) string // the form in which a receipt writes a message id
}

// Server is an SMSC.
type Server struct {
	Options
	handsets handsets

	lastID atomic.Uint64
}

// New makes one.
func New(o Options) *Server {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	o.Behaviour.ReceiptStat = cmp.Or(o.Behaviour.ReceiptStat, "DELIVRD")
	s := &Server{Options: o, handsets: newHandsets()}
	s.lastID.Store(4096) // from here on an id differs in decimal and hexadecimal, as deployed SMSCs mix them
	return s
}

// maxSessions bounds what connects; more connections wait to be accepted.
const maxSessions = 256

// Run serves l until ctx ends, then unbinds every session and returns nil. It closes l.
func (s *Server) Run(ctx context.Context, l net.Listener) error {
	var g errgroup.Group
	g.SetLimit(maxSessions)
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
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

func (s *Server) serve(ctx context.Context, conn net.Conn) {
	log := s.Log.With("peer", conn.RemoteAddr().String())
	handlers := 16 // so that an ESME that is slow to take receipts is still answered
	if s.Behaviour.Delay > 0 {
		handlers = 128 // each waits
	}
	session, err := smpp.Accept(ctx, conn, "callsign-smsc", s.check, smpp.Options{Handle: s.take, Handlers: handlers, Backlog: 4096})
	if err != nil {
		log.Info("no bind", "err", err)
		return
	}
	log.Info("bound", "system_id", session.Peer().SystemID)
	log.Info("session ended", "why", session.Run(ctx))
}

// check answers a bind.
func (s *Server) check(b smpp.BindRequest) smpp.Status {
	switch {
	case s.Behaviour.BindStatus != smpp.StatusOK:
		return s.Behaviour.BindStatus
	case s.SystemID != "" && b.SystemID != s.SystemID:
		return smpp.StatusInvalidSystemID
	case s.Password != "" && b.Password != s.Password:
		return smpp.StatusInvalidPassword
	}
	return smpp.StatusOK
}

// take answers a submit_sm and shows it.
func (s *Server) take(ctx context.Context, session *smpp.Session, m *smpp.Message) smpp.Answer {
	if s.Behaviour.Delay > 0 {
		select {
		case <-time.After(s.Behaviour.Delay):
		case <-ctx.Done():
			return smpp.Answer{Silent: true}
		}
	}
	if s.Behaviour.SubmitStatus != smpp.StatusOK {
		return smpp.Answer{Status: s.Behaviour.SubmitStatus}
	}
	to, err := callsign.ParseMSISDN(m.Dest.Number)
	if err != nil {
		return smpp.Answer{Status: smpp.StatusInvalidDest}
	}
	shown := s.show(to, m)
	if s.Behaviour.Silent {
		return smpp.Answer{Silent: true}
	}
	answer := smpp.Answer{MessageID: shown.ID}
	asked := m.RegisteredDelivery&0x03 == 1 && session.Peer().Mode != smpp.Transmitter // SMPP 3.4 §5.2.17, §2.3
	if asked && !s.Behaviour.NoReceipts {
		answer.Then = func() { s.receipt(ctx, session, m, shown) }
		if s.Behaviour.ReceiptFirst {
			answer.Then()
			answer.Then = nil
		}
	}
	return answer
}

// show puts a message on its handset.
func (s *Server) show(to callsign.MSISDN, m *smpp.Message) Message {
	data := m.UserData()
	text, encoding := gsm.Decode(m.DataCoding, data)
	units := len(data)
	if encoding == gsm.UCS2 {
		units = (units + 1) / 2
	}
	subunit := m.TLVs[smpp.TagDestAddrSubunit] // 1: the display (SMPP 3.4 §5.3.2.1)
	shown := Message{
		To: to, From: m.Source.Number, Text: text, Encoding: encoding, DataCoding: m.DataCoding, Units: units,
		Flash: gsm.Class0(m.DataCoding) || len(subunit) == 1 && subunit[0] == 1,
		At:    time.Now(), ID: strconv.FormatUint(s.lastID.Add(1), 10),
	}
	s.handsets.add(shown)
	if s.OnMessage != nil {
		s.OnMessage(shown)
	}
	return shown
}

// receipt sends the delivery receipt of a message on the session that it came on.
func (s *Server) receipt(ctx context.Context, session *smpp.Session, m *smpp.Message, shown Message) {
	id := shown.ID
	if s.Behaviour.ReceiptFormOf != nil {
		id = s.Behaviour.ReceiptFormOf(id)
	}
	r := smpp.Receipt{MessageID: id, Stat: s.Behaviour.ReceiptStat, Err: "000"}
	d := &smpp.Message{
		Source: m.Dest, Dest: m.Source, ESMClass: 0x04,
		ShortMessage: []byte(r.Text(shown.At, time.Now())),
		TLVs:         smpp.TLVs{smpp.TagReceiptedMessageID: append([]byte(id), 0), smpp.TagMessageState: {2}},
	}
	if r.Stat != "DELIVRD" {
		delete(d.TLVs, smpp.TagMessageState)
	}
	times := 1
	if s.Behaviour.ReceiptTwice {
		times = 2
	}
	for range times {
		if err := session.Deliver(ctx, d); err != nil {
			s.Log.Info("receipt was not taken", "err", err)
		} else if s.OnReceipt != nil {
			s.OnReceipt(shown)
		}
	}
}
