package relay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxStreams  = 4096             // connections of one listening socket, taken and made
	maxQueued   = 1 << 20          // bytes that wait for one stream; more and it is closed
	connectTime = 2 * time.Second  // for TCP and TLS together
	writeTime   = 2 * time.Second  // for what is queued
	silence     = 10 * time.Second // after which a peer that acknowledges nothing is taken for dead
)

var (
	errStreamFull = errors.New("the peer reads too slowly: 1 MiB waits for it")
	errStreams    = fmt.Errorf("there are %d connections already", maxStreams)
)

// streams are the connections of one tcp:// or tls:// socket: those that peers opened, and those that we opened to send on
// what came by them. They are found by the peer's address and used both ways.
type streams struct {
	relay          *Relay
	transport      string // as Via names it
	listener       *net.TCPListener
	own            netip.AddrPort
	probes         *prober
	used           atomic.Bool
	server, client *tls.Config // nil: TCP

	mu     sync.Mutex
	byPeer map[netip.AddrPort]*stream // the newest of each
	open   map[*stream]struct{}       // all: a peer that connects from the port on which it listens may have two
	closed bool
	all    sync.WaitGroup
}

func (r *Relay) newStreams(scheme string, l *net.TCPListener, own netip.AddrPort) (*streams, error) {
	ss := &streams{
		relay: r, transport: strings.ToUpper(scheme), listener: l, own: own,
		byPeer: map[netip.AddrPort]*stream{}, open: map[*stream]struct{}{},
	}
	ss.probes = r.newProber(scheme, own, func(to netip.AddrPort, msg []byte) { _ = ss.write(to, to, msg, nil) }, ss.used.Load)
	if scheme == "tls" {
		var err error
		if ss.server, ss.client, err = tlsConfigs(r.config.TLS); err != nil {
			return nil, err
		}
	}
	return ss, nil
}

// run takes connections until ctx ends; then it closes all and waits for their goroutines.
func (ss *streams) run(ctx context.Context) error {
	defer ss.all.Wait()
	defer ss.close()
	ss.all.Go(func() { ss.probes.run(ctx) })
	for {
		c, err := ss.listener.AcceptTCP()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept on %s: %w", ss.own, err)
		case err != nil: // out of file descriptors: those who are connected go on
			ss.relay.log.Warn("a connection could not be accepted", "listen", ss.own, "err", err)
			pause(ctx)
			continue
		}
		ss.accepted(c)
	}
}

// pause is what a socket's goroutine waits after an error that may last, before it tries again.
func pause(ctx context.Context) {
	select {
	case <-time.After(50 * time.Millisecond):
	case <-ctx.Done():
	}
}

func (ss *streams) close() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	ss.closed = true
	for s := range ss.open {
		s.end()
	}
}

func (ss *streams) accepted(c *net.TCPConn) {
	peer := unmapped(c.RemoteAddr().(*net.TCPAddr).AddrPort())
	if !ss.relay.trusted(peer.Addr()) {
		ss.relay.drop(dropUntrusted)
		_ = c.Close()
		return
	}
	diesIn(c, silence)
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if s, err := ss.add(peer); err != nil {
		_ = c.Close()
	} else {
		ss.all.Go(func() { s.serve(func(context.Context) (net.Conn, error) { return c, nil }, ss.server) })
	}
}

// add makes the stream of a peer; ss.mu is held.
func (ss *streams) add(peer netip.AddrPort) (*stream, error) {
	if ss.closed {
		return nil, net.ErrClosed
	}
	if len(ss.open) >= maxStreams {
		return nil, errStreams
	}
	ctx, end := context.WithCancel(context.Background())
	s := &stream{streams: ss, peer: peer, ctx: ctx, end: end, wake: make(chan struct{}, 1)}
	ss.byPeer[peer], ss.open[s] = s, struct{}{}
	ss.relay.metrics.streams.WithLabelValues(ss.transport).Inc()
	return s, nil
}

func (ss *streams) remove(s *stream) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	delete(ss.open, s)
	if ss.byPeer[s.peer] == s {
		delete(ss.byPeer, s.peer)
	}
	ss.relay.metrics.streams.WithLabelValues(ss.transport).Dec()
}

// write queues msg on the connection to a peer, else on one to orElse, which is made if there is none.
func (ss *streams) write(to, orElse netip.AddrPort, msg []byte, unsent func() ownAnswer) error {
	ss.mu.Lock()
	s := ss.byPeer[to]
	if s == nil {
		s = ss.byPeer[orElse]
	}
	if s == nil {
		var err error
		if s, err = ss.add(orElse); err != nil {
			ss.mu.Unlock()
			return err
		}
		ss.all.Go(func() {
			s.serve(func(ctx context.Context) (net.Conn, error) {
				c, err := (&net.Dialer{Timeout: connectTime}).DialContext(ctx, "tcp", orElse.String())
				if err == nil {
					diesIn(c.(*net.TCPConn), silence)
				}
				return c, err
			}, nil)
		})
	}
	ss.mu.Unlock()
	return s.queue(msg, unsent)
}

// stream is one connection: its reader is the goroutine that serves it, its writer runs beside.
type stream struct {
	*streams
	peer netip.AddrPort
	ctx  context.Context // ends with the stream
	end  context.CancelFunc
	wake chan struct{} // one place: something is queued

	mu     sync.Mutex
	out    [][]byte
	bytes  int
	open   bool        // connected: what is queued can't be taken back
	unsent []ownAnswer // to the requests that wait for the connection
}

// queue takes a copy of msg. Until the connection stands, a request's unsent answer waits beside it.
func (s *stream) queue(msg []byte, unsent func() ownAnswer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return net.ErrClosed
	}
	if s.bytes+len(msg) > maxQueued {
		s.end()
		return errStreamFull
	}
	if !s.open && unsent != nil {
		s.unsent = append(s.unsent, unsent())
	}
	s.out, s.bytes = append(s.out, bytes.Clone(msg)), s.bytes+len(msg)
	select {
	case s.wake <- struct{}{}:
	default:
	}
	return nil
}

// serve connects, then reads and forwards until either side ends. server is the TLS of who connected to us.
func (s *stream) serve(connect func(context.Context) (net.Conn, error), server *tls.Config) {
	defer s.streams.remove(s)
	defer s.end()
	c, err := s.connected(connect, server)
	if err != nil {
		s.relay.metrics.writeErrors.Inc()
		s.relay.log.Info("no connection", "transport", s.transport, "peer", s.peer, "err", err)
		s.refuse()
		return
	}
	defer c.Close()
	stop := context.AfterFunc(s.ctx, func() { _ = c.Close() })
	defer stop()
	s.mu.Lock()
	s.open, s.unsent = true, nil
	s.mu.Unlock()
	var writer sync.WaitGroup
	defer writer.Wait()
	defer s.end()
	writer.Go(func() { s.flush(c) })

	f := s.relay.newForwarder(s.probes)
	f.write = s.streams.write
	r := bufio.NewReaderSize(c, 16<<10)
	var buf []byte
	for {
		if buf, err = readFrame(r, buf); err != nil {
			if errors.Is(err, errUnframed) {
				s.relay.drop(dropMalformed)
				s.relay.log.Info("a connection is closed: what it sends can't be framed", "peer", s.peer, "err", err)
			}
			return
		}
		if len(buf) == 0 {
			s.relay.drop(dropKeepalive)
			if s.queue([]byte("\r\n"), nil) != nil { // RFC 5626 §3.5.1: the pong
				return
			}
			continue
		}
		if !f.message(buf, s.peer) {
			s.relay.log.Info("a connection is closed: what it sends is no SIP", "peer", s.peer)
			return // where the next message begins is anybody's guess
		}
		s.used.Store(true)
	}
}

// connected makes the connection and shakes hands within connectTime.
func (s *stream) connected(connect func(context.Context) (net.Conn, error), server *tls.Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.ctx, connectTime)
	defer cancel()
	c, err := connect(ctx)
	if err != nil || s.client == nil {
		return c, err
	}
	var secured *tls.Conn
	if server != nil {
		secured = tls.Server(c, server)
	} else {
		config := s.client.Clone()
		if config.ServerName = s.relay.names.name(s.peer); config.ServerName == "" {
			config.ServerName = s.peer.Addr().String()
		}
		secured = tls.Client(c, config)
	}
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return secured, nil
}

// refuse answers the requests that were to go over a connection that can't be had.
func (s *stream) refuse() {
	s.mu.Lock()
	s.end()
	unsent := s.unsent
	s.mu.Unlock()
	for _, a := range unsent {
		s.relay.setups.ended(a.key)
		if s.streams.write(a.to, a.orElse, a.msg, nil) == nil {
			s.relay.metrics.answered.WithLabelValues("503").Inc()
		}
	}
}

// flush sends what is queued until the stream ends.
func (s *stream) flush(c net.Conn) {
	defer s.end()
	for {
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return
		}
		s.mu.Lock()
		out := net.Buffers(s.out)
		s.out, s.bytes = nil, 0
		s.mu.Unlock()
		_ = c.SetWriteDeadline(time.Now().Add(writeTime))
		if _, err := out.WriteTo(c); err != nil {
			s.relay.metrics.writeErrors.Inc()
			s.relay.log.Info("a connection is closed: it takes no more", "peer", s.peer, "err", err)
			return
		}
	}
}
