package gsmbridge

import (
	"context"
	"encoding/binary"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign/gsmbridge/smpp"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

// gateway is an SMSC of the test's own at the end of a link: it keeps what it is sent and answers as it is told.
type gateway struct {
	answer func(n int, m *smpp.Message) smpp.Answer // to the n-th message, from 0; nil: taken, with its number as id
	cancel smpp.Status
	mangle func(pdu []byte) [][]byte // what really goes out for each PDU after the bind's; nil: itself

	mu        sync.Mutex
	session   *smpp.Session
	messages  []*smpp.Message
	cancelled []smpp.Cancel
}

// serve puts g at the end of the i-th link.
func (l *lab) serve(i int, g *gateway) {
	listener := l.hosts[i].listen()
	ctx, cancel := context.WithCancel(l.t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s, err := smpp.Accept(ctx, &mangled{Conn: conn, by: g}, "gateway", func(smpp.BindRequest) smpp.Status { return smpp.StatusOK }, smpp.Options{
				Handle: g.take,
				Cancel: func(_ context.Context, _ *smpp.Session, c smpp.Cancel) smpp.Status {
					g.mu.Lock()
					defer g.mu.Unlock()
					g.cancelled = append(g.cancelled, c)
					return g.cancel
				},
			})
			if err != nil {
				continue
			}
			g.mu.Lock()
			g.session = s
			g.mu.Unlock()
			running.Go(func() { _ = s.Run(ctx) })
		}
	})
	l.stops[i] = func() {
		cancel()
		_ = listener.Close()
		running.Wait()
	}
}

func (g *gateway) take(_ context.Context, _ *smpp.Session, m *smpp.Message) smpp.Answer {
	g.mu.Lock()
	n := len(g.messages)
	g.messages = append(g.messages, m)
	g.mu.Unlock()
	if g.answer != nil {
		return g.answer(n, m)
	}
	return smpp.Answer{MessageID: string(rune('1' + n))}
}

func (g *gateway) taken() []*smpp.Message {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.messages
}

func (g *gateway) mangles(by func(pdu []byte) [][]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.mangle = by
}

// cut ends the connection.
func (g *gateway) cut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.session.Close()
}

// says sends a message of a handset, or of the network, to the bridge.
func (g *gateway) says(t *testing.T, m *smpp.Message) {
	t.Helper()
	g.mu.Lock()
	s := g.session
	g.mu.Unlock()
	if err := s.Deliver(t.Context(), m); err != nil {
		t.Error(err)
	}
	synctest.Wait()
}

// inGateways runs test in a lab of n links with a gateway at the end of each.
func inGateways(t *testing.T, n int, change func(*LinkConfig, *Options), test func(t *testing.T, l *lab, g []*gateway)) {
	t.Helper()
	inLab(t, make([]*smsc.Options, n), change, func(t *testing.T, l *lab) {
		gateways := make([]*gateway, n)
		for i := range gateways {
			gateways[i] = &gateway{}
			l.serve(i, gateways[i])
		}
		time.Sleep(time.Second) // they were away at the first try
		synctest.Wait()
		test(t, l, gateways)
	})
}

// mangled is a connection whose writes its gateway mangles.
type mangled struct {
	net.Conn
	by    *gateway
	bound bool
}

func (m *mangled) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		n := binary.BigEndian.Uint32(rest)
		pdu := rest[:n]
		rest = rest[n:]
		out := [][]byte{pdu}
		m.by.mu.Lock()
		if m.bound && m.by.mangle != nil {
			out = m.by.mangle(pdu)
		}
		m.by.mu.Unlock()
		m.bound = true
		for _, o := range out {
			if _, err := m.Conn.Write(o); err != nil {
				return 0, err
			}
		}
	}
	return len(b), nil
}
