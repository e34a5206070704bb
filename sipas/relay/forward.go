package relay

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/callsign-as/callsign"
)

// forwarder forwards the messages of one goroutine: of a UDP socket, or of a stream. What leaves takes the transport
// that it came by: to change it would need a transaction's state.
type forwarder struct {
	*Relay
	via       string // our Via line up to the key
	transport string // "udp", "tcp", "tls"
	stream    bool
	signer    *signer
	probes    *prober
	// Kept for the next message.
	in       message
	out, top []byte
	// write sends a message to a peer, or where that connection is gone to orElse. It must not block and may not keep msg.
	// unsent gives what to answer if it turns out later that a request could not be sent; nil for answers and ACKs, and for datagrams.
	write func(to, orElse netip.AddrPort, msg []byte, unsent func() ownAnswer) error
}

// ownAnswer is an answer of our own, and where it goes.
type ownAnswer struct {
	key        callsign.BranchKey
	msg        []byte
	to, orElse netip.AddrPort
}

// sentBy is how a listening socket names itself.
func (r *Relay) sentBy(listen netip.AddrPort) string {
	sentBy := r.config.Advertise
	if _, port, ok := hostPort([]byte(sentBy)); sentBy == "" {
		sentBy = listen.String()
	} else if ok && port == 0 {
		sentBy = fmt.Sprintf("%s:%d", sentBy, listen.Port())
	}
	return sentBy
}

func (r *Relay) newForwarder(p *prober) *forwarder {
	return &forwarder{
		Relay:     r,
		via:       "Via: SIP/2.0/" + strings.ToUpper(p.transport) + " " + p.sentBy + ";branch=" + ourCookie,
		transport: p.transport,
		stream:    p.transport != "udp",
		probes:    p,
		signer:    newSigner([]byte(r.config.Secret), []byte(r.config.SecretPrevious)),
		out:       make([]byte, 0, 4096),
	}
}

// message forwards one message, then tells of it. It reports whether that was one of SIP at all.
func (s *forwarder) message(msg []byte, from netip.AddrPort) (isSIP bool) {
	defer func() { // one of the two places where recover stands
		if p := recover(); p != nil {
			isSIP = true // a bug of ours says nothing of the message: a stream goes on behind it
			s.metrics.panics.Inc()
			if now := time.Now().Unix(); s.lastPanic.Swap(now) != now {
				s.log.Error("a message made the relay panic; it was dropped, please report this", "panic", p, "stack", string(debug.Stack()))
			}
		}
	}()
	msg = bytes.TrimLeft(msg, "\r\n") // RFC 3261 §7.5
	if len(msg) == 0 {
		s.drop(dropKeepalive)
		return true
	}
	m := &s.in
	if !scan(msg, m) {
		s.drop(dropMalformed)
		return false
	}
	switch {
	case m.status != 0:
		s.answer(msg, m, from)
	case !s.trusted(from.Addr()):
		s.drop(dropUntrusted)
	default:
		s.request(msg, m, from)
	}
	return true
}

func (r *Relay) drop(reason string) { r.metrics.dropped.WithLabelValues(reason).Inc() }

func (r *Relay) trusted(a netip.Addr) bool {
	for _, p := range r.config.Trust {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// answer pops our own Via and sends an answer on to where the Via below says, which our branch vouches for.
func (s *forwarder) answer(msg []byte, m *message, from netip.AddrPort) {
	top, ok := via{}, m.nVias > 0
	if ok {
		top, ok = readVia(msg, m.vias[0].value)
	}
	switch {
	case m.nVias == 1 && ok && s.probes.answered(top.branch.of(msg), m.status, from):
		return
	case m.nVias < 2:
		s.drop(dropNoVia)
		return
	}
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
	key, ok := s.signer.ours(msg, m, top, below, s.signed(below, to))
	if !ok {
		s.drop(dropForged)
		return
	}
	s.out = splice(s.out[:0], msg, dropFirst(m.vias, m.nVias))
	if s.send(to, s.signed(below, to), nil) {
		s.metrics.relayedAnswers.Inc()
	}
	if equalFold(m.cseqMethod.of(msg), "invite") {
		if m.status >= 200 {
			s.setups.ended(key)
		}
		if m.status > 100 { // 100 comes from the next hop and says nothing of the callee
			s.tell(Event{Branch: key, At: time.Now(), Peer: from, Status: m.status})
		}
	}
}

// request pops our own Route, puts our Via on top and sends a request on to its next Route or to a next hop.
func (s *forwarder) request(msg []byte, m *message, from netip.AddrPort) {
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
	key, before := s.key(msg, m, v, s.signed(v, v.answerTo(from)))
	if equalFold(m.method.of(msg), "ack") && answersUs(msg, m, s.signer, key) {
		s.metrics.acks.Inc() // of an answer of our own: elsewhere it would loop
		return
	}
	method := m.method.of(msg)
	isInvite := bytes.Equal(method, []byte("INVITE"))
	if isInvite {
		_, inDialog := param(msg, m.to.value, "tag")
		isInvite = !inDialog
	}
	w := s.way(msg, m, key, isInvite)
	if w.status == 0 && hops < 0 {
		w.status = 483
	}
	if w.status != 0 {
		s.refuse(msg, m, v, from, key, w.status)
		return
	}
	s.out = s.relayed(msg, m, v, from, key, hops, w)
	var unsent func() ownAnswer
	if s.stream && !equalFold(method, "ack") {
		unsent = func() ownAnswer { return s.ownAnswer(nil, msg, m, v, from, key, 503) }
	}
	now, known := time.Now(), bytes.Equal(method, []byte("CANCEL"))
	if isInvite || w.chosen && !equalFold(method, "ack") {
		known = !s.setups.began(key, w.to, isInvite, w.chosen || before, now) // before its answer can come
	}
	if !s.send(w.to, w.to, unsent) {
		if !known { // else what belongs to it was relayed: an answer now would contradict the one that comes
			s.setups.ended(key)
			s.refuse(msg, m, v, from, key, 503)
		}
		return
	}
	s.metrics.relayedRequests.Inc()
	switch {
	case isInvite:
		s.tell(Event{Branch: key, At: now, Peer: from, Invite: msg})
	case bytes.Equal(method, []byte("CANCEL")):
		s.tell(Event{Branch: key, At: now, Peer: from, Cancel: true})
	}
}

// key is a request's. For as long as set-ups ring that began before sip.secret was changed, it is made by the secret before, and stays
// so for those that begin then: their CANCEL and ACK are to have the branch of their INVITE.
func (s *forwarder) key(msg []byte, m *message, v via, answerTo netip.AddrPort) (key callsign.BranchKey, before bool) {
	if s.signer.previous != nil {
		key = s.signer.branch(s.signer.previous, msg, m, v, answerTo)
		if time.Since(s.began) < pinnedFor {
			return key, true
		}
		if _, known := s.setups.target(key); known {
			return key, true
		}
	}
	return s.signer.branch(s.signer.now, msg, m, v, answerTo), false
}

// maxForwards is what the relayed request carries: 70 where there was none (RFC 3261 §16.6), negative where it is used up.
func maxForwards(msg []byte, m *message) (n int, ok bool) {
	if m.maxForwards.line.empty() {
		return 70, true
	}
	u, err := strconv.ParseUint(m.maxForwards.value.text(msg), 10, 31)
	return int(u) - 1, err == nil
}

// relayed is the request as it leaves: our Via on top, where it came from in the Via below, our Route gone, one hop less.
// The Request-URI and every other byte stay as they came, but for its host where sip.uri_host asks for it.
func (s *forwarder) relayed(msg []byte, m *message, v via, from netip.AddrPort, key callsign.BranchKey, hops int, w way) []byte {
	top := append(hex.AppendEncode(append(s.top[:0], s.via...), key[:]), "\r\n"...)
	if m.maxForwards.line.empty() {
		top = fmt.Appendf(top, "Max-Forwards: %d\r\n", hops)
	}
	s.top = top
	received := viaEdits(msg, v, from, s.stream)
	at := m.vias[0].line.from
	edits := [6]edit{{at: span{at, at}, text: top}, received[0], received[1]}
	n := 3
	if m.nRoutes > 0 {
		edits[n] = dropFirst(m.routes, m.nRoutes)
		n++
	}
	if !m.maxForwards.line.empty() {
		edits[n] = edit{at: m.maxForwards.value, text: strconv.AppendInt(nil, int64(hops), 10)}
		n++
	}
	if w.uriHost != "" {
		edits[n] = edit{at: w.uriAt, text: []byte(w.uriHost)}
		n++
	}
	return splice(s.out[:0], msg, edits[:n]...)
}

// refuse answers instead of relaying. An ACK is never answered.
func (s *forwarder) refuse(msg []byte, m *message, v via, from netip.AddrPort, key callsign.BranchKey, status int) {
	if equalFold(m.method.of(msg), "ack") {
		s.drop(dropLooped)
		return
	}
	a := s.ownAnswer(s.out[:0], msg, m, v, from, key, status)
	s.out = a.msg
	if s.send(a.to, a.orElse, nil) {
		s.metrics.answered.WithLabelValues(strconv.Itoa(status)).Inc()
	}
	if status == 200 && equalFold(m.method.of(msg), "register") {
		s.tell(Event{Branch: key, At: time.Now(), Peer: from, Register: msg})
	}
}

func (s *forwarder) ownAnswer(out, msg []byte, m *message, v via, from netip.AddrPort, key callsign.BranchKey, status int) ownAnswer {
	to := v.answerTo(from)
	if s.stream {
		to = from
	}
	return ownAnswer{key, answer(out, msg, status, m, v, from, s.stream, s.signer.answerTag(key)), to, s.signed(v, to)}
}

// signed is the address that a branch vouches for. A stream's own port changes with each connection, and a transaction's
// messages may come over two of them: there it is the port that the sender listens on.
func (s *forwarder) signed(v via, answerTo netip.AddrPort) netip.AddrPort {
	if s.stream {
		return netip.AddrPortFrom(answerTo.Addr(), v.port)
	}
	return answerTo
}

func (s *forwarder) send(to, orElse netip.AddrPort, unsent func() ownAnswer) bool {
	if err := s.write(to, orElse, s.out, unsent); err != nil {
		s.metrics.writeErrors.Inc()
		s.log.Debug("a message could not be sent", "to", to, "err", err)
		return false
	}
	return true
}

// tell puts an event into its shard's queue, or counts that it was full. A message is copied only if there is room.
func (s *forwarder) tell(e Event) {
	if s.hushed.has(e.Branch) {
		return
	}
	q := s.shards[int(e.Branch[0])%len(s.shards)]
	room := cap(q)
	if e.Invite != nil || e.Register != nil {
		room -= cap(q) / 8 // kept for the ends of calls that are known: a text after its call is worse than none
	}
	if len(q) >= room {
		s.metrics.eventsDropped.Inc()
		return
	}
	e.Invite, e.Register = bytes.Clone(e.Invite), bytes.Clone(e.Register)
	select {
	case q <- e:
	default: // another socket took the last place
		s.metrics.eventsDropped.Inc()
	}
}
