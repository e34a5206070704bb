// Package relay forwards SIP byte for byte and keeps no state. It knows nothing of signatures, looks nothing up and calls no
// code of any other room: it puts events into bounded channels and drops them when they are full. It owns one goroutine
// per UDP socket.
package relay

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
)

const (
	maxDatagram   = 65535
	receiveBuffer = 4 << 20 // asked for; the kernel caps it at net.core.rmem_max
)

// Options is what New needs. Config.Secret must be set, Config valid.
type Options struct {
	Config  Config
	Shards  int // event channels, one reader each; 1 if 0
	Queue   int // events that each may hold; 4096 if 0
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Relay is the forwarding plane.
type Relay struct {
	config    Config
	sockets   []*net.UDPConn
	own       own
	hops      []netip.AddrPort
	shards    []chan Event // by branch, so that one call has one reader
	metrics   *metrics
	log       *slog.Logger
	lastPanic atomic.Int64 // unix seconds: one log line a second is enough
}

// New binds the sockets: from here on the kernel keeps what arrives, and Run forwards it. The error names the socket and
// says what to do.
func New(o Options) (*Relay, error) {
	if o.Config.Secret == "" {
		return nil, errors.New("relay: no secret")
	}
	r := &Relay{config: o.Config, metrics: newMetrics(o.Metrics), log: o.Log}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	for range max(1, o.Shards) {
		queue := o.Queue
		if queue == 0 {
			queue = 4096
		}
		r.shards = append(r.shards, make(chan Event, queue))
	}
	for _, h := range o.Config.NextHop {
		hop, err := netip.ParseAddrPort(strings.TrimPrefix(h, "udp://"))
		if err != nil {
			return nil, fmt.Errorf("sip.next_hop: %w", err)
		}
		r.hops = append(r.hops, hop)
	}
	if host, _, ok := hostPort([]byte(o.Config.Advertise)); ok {
		r.own.host = string(host)
	}
	for _, l := range o.Config.Listen {
		if err := r.bind(l); err != nil {
			r.Close()
			return nil, err
		}
	}
	return r, nil
}

func (r *Relay) bind(listen string) error {
	addr, err := listenAddr(listen)
	if err != nil {
		return fmt.Errorf("sip.listen: %w", err)
	}
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return fmt.Errorf("listen on %s: %w", listen, err)
	}
	r.sockets = append(r.sockets, c)
	local := c.LocalAddr().(*net.UDPAddr).AddrPort()
	r.own.addrs = append(r.own.addrs, netip.AddrPortFrom(local.Addr().Unmap(), local.Port()))
	if err := c.SetReadBuffer(receiveBuffer); err != nil {
		r.log.Warn("receive buffer stays at the system's default", "listen", listen, "err", err)
	}
	return nil
}

// Close gives the sockets back; Run does it at its end.
func (r *Relay) Close() {
	for _, c := range r.sockets {
		_ = c.Close()
	}
}

// Addrs are the sockets' addresses, in the order of sip.listen.
func (r *Relay) Addrs() []netip.AddrPort { return r.own.addrs }

// Shards is how many event streams there are.
func (r *Relay) Shards() int { return len(r.shards) }

// Events is shard i's stream; one goroutine reads it. It is never closed.
func (r *Relay) Events(i int) <-chan Event { return r.shards[i] }

// Run forwards until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range r.sockets {
		group.Go(func() error { return r.newSocket(i).run(ctx) })
	}
	group.Go(func() error {
		<-ctx.Done()
		r.Close()
		return nil
	})
	return group.Wait()
}

// socket is one UDP socket's goroutine: two buffers for its life.
type socket struct {
	*Relay
	conn   *net.UDPConn
	via    string // our Via line up to the key
	signer *signer
	out    []byte
}

func (r *Relay) newSocket(i int) *socket {
	sentBy := r.config.Advertise
	if sentBy == "" {
		sentBy = r.own.addrs[i].String()
	}
	return &socket{
		Relay:  r,
		conn:   r.sockets[i],
		via:    "Via: SIP/2.0/UDP " + sentBy + ";branch=" + ourCookie,
		signer: newSigner([]byte(r.config.Secret), []byte(r.config.SecretPrevious)),
		out:    make([]byte, 0, maxDatagram+2048),
	}
}

func (s *socket) run(ctx context.Context) error {
	in := make([]byte, maxDatagram)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(in)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("read %s: %w", s.conn.LocalAddr(), err)
		case err != nil:
			s.log.Warn("a datagram could not be read", "listen", s.conn.LocalAddr(), "err", err)
			continue
		}
		s.datagram(in[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	}
}

// datagram forwards one message, then tells of it.
func (s *socket) datagram(msg []byte, from netip.AddrPort) {
	defer func() { // one of the two places where recover stands
		if p := recover(); p != nil {
			s.metrics.panics.Inc()
			if now := time.Now().Unix(); s.lastPanic.Swap(now) != now {
				s.log.Error("a datagram made the relay panic; it was dropped, please report this", "panic", p, "stack", string(debug.Stack()))
			}
		}
	}()
	msg = bytes.TrimLeft(msg, "\r\n") // RFC 3261 §7.5
	if len(msg) == 0 {
		s.drop(dropKeepalive)
		return
	}
	var m message
	if !scan(msg, &m) {
		s.drop(dropMalformed)
		return
	}
	if m.status != 0 {
		s.answer(msg, &m, from)
		return
	}
	if !s.trusted(from.Addr()) {
		s.drop(dropUntrusted)
		return
	}
	s.request(msg, &m, from)
}

func (s *socket) drop(reason string) { s.metrics.dropped.WithLabelValues(reason).Inc() }

func (s *socket) trusted(a netip.Addr) bool {
	for _, p := range s.config.Trust {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// answer pops our own Via and sends an answer on to where the Via below says, which our branch vouches for.
func (s *socket) answer(msg []byte, m *message, from netip.AddrPort) {
	if m.nVias < 2 {
		s.drop(dropNoVia)
		return
	}
	top, ok := readVia(msg, m.vias[0].value)
	below, okBelow := readVia(msg, m.vias[1].value)
	if !ok || !okBelow || m.cseqMethod.empty() {
		s.drop(dropMalformed)
		return
	}
	to, ok := below.written(msg)
	if !ok {
		s.drop(dropForged)
		return
	}
	key, ok := s.signer.ours(msg, m, top, below, to)
	if !ok {
		s.drop(dropForged)
		return
	}
	s.out = splice(s.out[:0], msg, dropFirst(m.vias, m.nVias))
	if s.send(to) {
		s.metrics.relayedAnswers.Inc()
	}
	if equalFold(m.cseqMethod.of(msg), "invite") {
		s.tell(Event{Branch: key, At: time.Now(), Peer: from, Status: m.status})
	}
}

// request pops our own Route, puts our Via on top and sends a request on to its next Route or to a next hop.
func (s *socket) request(msg []byte, m *message, from netip.AddrPort) {
	v, ok := via{}, m.nVias > 0
	if ok {
		v, ok = readVia(msg, m.vias[0].value)
	}
	if !ok || m.cseqMethod.empty() {
		s.drop(dropMalformed)
		return
	}
	hops, ok := maxForwards(msg, m)
	if !ok {
		s.drop(dropMalformed)
		return
	}
	key := s.signer.branch(s.signer.now, msg, m, v, v.answerTo(from))
	to, status := s.target(msg, m, key)
	if status == 0 && hops < 0 {
		status = 483
	}
	if status != 0 {
		s.refuse(msg, m, v, from, key, status)
		return
	}
	s.out = s.relayed(msg, m, v, from, key, hops)
	if !s.send(to) {
		s.refuse(msg, m, v, from, key, 503)
		return
	}
	s.metrics.relayedRequests.Inc()
	switch method := m.method.of(msg); {
	case bytes.Equal(method, []byte("CANCEL")):
		s.tell(Event{Branch: key, At: time.Now(), Peer: from, Cancel: true})
	case bytes.Equal(method, []byte("INVITE")):
		if _, inDialog := param(msg, m.to.value, "tag"); !inDialog {
			s.tell(Event{Branch: key, At: time.Now(), Peer: from, Invite: msg})
		}
	}
}

// maxForwards is what the relayed request carries: 70 where there was none (RFC 3261 §16.6), negative where it is used up.
func maxForwards(msg []byte, m *message) (n int, ok bool) {
	if m.maxForwards.line.empty() {
		return 70, true
	}
	u, err := strconv.ParseUint(m.maxForwards.value.text(msg), 10, 31)
	return int(u) - 1, err == nil
}

// target says where a request goes, or with which status it is refused. It never looks at the Request-URI of what it
// relays: who is trusted chooses the way by Route, the operator by sip.next_hop, nobody else.
func (s *socket) target(msg []byte, m *message, key callsign.BranchKey) (to netip.AddrPort, status int) {
	if m.nRoutes > 0 {
		first, ok := readRoute(msg, m.routes[0].value)
		if !ok || !s.own.is(first) {
			return to, 403
		}
	}
	if m.nRoutes > 1 {
		next, ok := readRoute(msg, m.routes[1].value)
		if !ok {
			return to, 403
		}
		addr, ok := address(next.host)
		if !ok || addr.IsUnspecified() || addr.IsMulticast() {
			return to, 503 // Deviation: RFC 3263 §4, a next Route by name is not resolved yet
		}
		return netip.AddrPortFrom(addr, next.port), 0
	}
	if equalFold(m.method.of(msg), "options") && s.toUs(m.uri.of(msg)) {
		return to, 200
	}
	if to, ok := nextHop(s.hops, key); ok {
		return to, 0
	}
	if m.nRoutes == 0 {
		return to, 403
	}
	return to, 503
}

// toUs reports whether a Request-URI names this node itself: no user part, our own host.
func (s *socket) toUs(uri []byte) bool {
	r, ok := readURI(uri)
	return ok && !bytes.ContainsRune(uri, '@') && s.own.is(r)
}

// relayed is the request as it leaves: our Via on top, where it came from in the Via below, our Route gone, one hop less.
// The Request-URI and every other byte stay as they came.
func (s *socket) relayed(msg []byte, m *message, v via, from netip.AddrPort, key callsign.BranchKey, hops int) []byte {
	top := fmt.Appendf(nil, "%s%x\r\n", s.via, key)
	if m.maxForwards.line.empty() {
		top = fmt.Appendf(top, "Max-Forwards: %d\r\n", hops)
	}
	received := viaEdits(msg, v, from)
	at := m.vias[0].line.from
	edits := [5]edit{{at: span{at, at}, text: top}, received[0], received[1]}
	n := 3
	if m.nRoutes > 0 {
		edits[n] = dropFirst(m.routes, m.nRoutes)
		n++
	}
	if !m.maxForwards.line.empty() {
		edits[n] = edit{at: m.maxForwards.value, text: strconv.AppendInt(nil, int64(hops), 10)}
		n++
	}
	return splice(s.out[:0], msg, edits[:n]...)
}

// refuse answers instead of relaying. An ACK is never answered; the ACK of our own answer ends here, for elsewhere it
// would loop.
func (s *socket) refuse(msg []byte, m *message, v via, from netip.AddrPort, key callsign.BranchKey, status int) {
	if equalFold(m.method.of(msg), "ack") {
		if answersUs(msg, m, s.signer, key) {
			s.metrics.acks.Inc()
		} else {
			s.drop(dropLooped)
		}
		return
	}
	s.out = answer(s.out[:0], msg, status, m, v, from, s.signer.answerTag(key))
	if s.send(v.answerTo(from)) {
		s.metrics.answered.WithLabelValues(strconv.Itoa(status)).Inc()
	}
}

func (s *socket) send(to netip.AddrPort) bool {
	if _, err := s.conn.WriteToUDPAddrPort(s.out, to); err != nil {
		s.metrics.writeErrors.Inc()
		s.log.Debug("a datagram could not be sent", "to", to, "err", err)
		return false
	}
	return true
}

// tell puts an event into its shard's queue, or counts that it was full. An INVITE is copied only if there is room.
func (s *socket) tell(e Event) {
	q := s.shards[int(e.Branch[0])%len(s.shards)]
	if len(q) == cap(q) {
		s.metrics.eventsDropped.Inc()
		return
	}
	if e.Invite != nil {
		e.Invite = bytes.Clone(e.Invite)
	}
	select {
	case q <- e:
	default: // another socket took the last place
		s.metrics.eventsDropped.Inc()
	}
}
