package relay

import (
	"bytes"
	"net/netip"
	"strings"

	"github.com/callsign-as/callsign"
)

// maxPasses is how often one request may come through here on a trunk: again after a diversion, but not once more. Who
// keeps our Vias is told by them that it goes round (RFC 3261 §16.3); who doesn't, by Max-Forwards.
const maxPasses = 2

// way is where a request goes, or with which status it is answered instead.
type way struct {
	to      netip.AddrPort
	chosen  bool // among several places, by health or by a name: what follows must go there too
	status  int
	uriHost string // what the Request-URI's host and port become, "": they stay
	uriAt   span
}

func answeredWith(status int) way { return way{status: status} }

// way finds where a request goes. It never lets the Request-URI decide: who is trusted chooses by Route, the operator by
// sip.next_hop, nobody else. opens: it is an initial INVITE.
func (s *forwarder) way(msg []byte, m *message, key callsign.BranchKey, opens bool) way {
	if m.nRoutes > 0 {
		first, ok := readRoute(msg, m.routes[0].value)
		if !ok || !s.own.is(first) {
			return answeredWith(403)
		}
	}
	if m.nRoutes > 1 {
		return s.routed(msg, m, key, opens)
	}
	method := m.method.of(msg)
	uri, forUs := readURI(m.uri.of(msg))
	isPoll := equalFold(method, "options")
	forUs = forUs && (isPoll || equalFold(method, "register")) // a third-party REGISTER (TS 24.229 §5.4.1.7)
	own := answeredWith(200)
	if isPoll && s.draining.Load() {
		own = answeredWith(503)
	}
	switch {
	case forUs && s.own.literally(uri):
		return own
	case len(s.hops) > 0:
		return s.trunk(msg, m, key)
	case forUs && s.own.is(uri):
		return own
	case m.nRoutes == 0:
		return answeredWith(403)
	}
	return answeredWith(503)
}

// routed is where the next Route leads; 503 where it is a name that is not resolved, or not yet, and for new set-ups while
// we drain: an S-CSCF goes on without us at once.
func (s *forwarder) routed(msg []byte, m *message, key callsign.BranchKey, opens bool) way {
	next, ok := readRoute(msg, m.routes[1].value)
	if !ok {
		return answeredWith(403)
	}
	if opens && s.draining.Load() {
		if _, known := s.setups.target(key); !known {
			return answeredWith(503)
		}
	}
	w, known := way{}, true
	if addr, isIP := address(next.host); isIP {
		w.to = netip.AddrPortFrom(addr, next.port)
	} else {
		w, known = s.pinned(key, s.names.hops(question{s.transport, strings.ToLower(string(next.host)), next.explicit}), nil)
	}
	if !known || w.to.Addr().IsUnspecified() || w.to.Addr().IsMulticast() {
		return answeredWith(503)
	}
	return w
}

// trunk is the way of what carries no further Route, to one of sip.next_hop; 503 while none of their names is resolved.
func (s *forwarder) trunk(msg []byte, m *message, key callsign.BranchKey) way {
	if s.passes(msg, m) >= maxPasses {
		return answeredWith(482)
	}
	w, known := s.pinned(key, s.nextHops(s.transport), s.probes.up)
	if !known {
		return answeredWith(503)
	}
	if s.config.URIHost != "" {
		if uri, ok := readURI(m.uri.of(msg)); ok && s.own.literally(uri) {
			w.uriAt = span{m.uri.from + uri.at.from, m.uri.from + uri.at.to}
			if w.uriHost = s.config.URIHost; w.uriHost == nextHopHost {
				w.uriHost = w.to.String()
			}
		}
	}
	return w
}

// pinned is where a set-up went before, or the target that is chosen for a new one.
func (s *forwarder) pinned(key callsign.BranchKey, targets []Target, up func(netip.AddrPort) bool) (w way, ok bool) {
	if to, known := s.setups.target(key); known {
		return way{to: to, chosen: true}, true
	}
	to, ok := choose(targets, key, up)
	return way{to: to, chosen: true}, ok
}

// passes counts the Vias with which this socket sent the request on before.
func (s *forwarder) passes(msg []byte, m *message) int {
	ours := []byte(s.probes.sentBy + ";branch=" + ourCookie)
	return bytes.Count(msg[:m.end], ours)
}
