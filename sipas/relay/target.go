package relay

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"

	"github.com/callsign-as/callsign"
)

// routeURI is what a Route value points at.
type routeURI struct {
	host           []byte
	port, explicit uint16 // with and without the default of 5060
}

// readRoute reads a Route value, a name-addr or a bare URI. ok is false where it isn't sip or sips, or has no host.
func readRoute(msg []byte, v span) (r routeURI, ok bool) {
	b := v.of(msg)
	if open := indexOutside(msg, v, '<'); open < v.to {
		b = msg[open+1 : v.to]
		end := bytes.IndexByte(b, '>')
		if end < 0 {
			return r, false
		}
		b = b[:end]
	}
	return readURI(b)
}

// readURI reads host and port of a SIP URI (RFC 3261 §19.1.1). The user part may hold ';' and '?', so '@' is looked for
// first: it stands unescaped nowhere else.
func readURI(b []byte) (r routeURI, ok bool) {
	colon := bytes.IndexByte(b, ':')
	if colon < 0 || !equalFold(b[:colon], "sip") && !equalFold(b[:colon], "sips") {
		return r, false
	}
	secure := equalFold(b[:colon], "sips")
	b = b[colon+1:]
	if at := bytes.IndexByte(b, '@'); at >= 0 {
		b = b[at+1:]
	}
	if end := bytes.IndexAny(b, ";?"); end >= 0 {
		transport, _ := param(b, span{end, len(b)}, "transport")
		secure = secure || equalFold(transport.of(b), "tls")
		b = b[:end]
	}
	r.host, r.explicit, ok = hostPort(bytes.TrimSpace(b))
	if r.port = r.explicit; r.port == 0 {
		r.port = defaultPort(secure)
	}
	return r, ok
}

// own is who we are: the addresses that we listen on, and the host that we advertise.
type own struct {
	addrs []netip.AddrPort
	host  string // of sip.advertise
	// machine is this machine's addresses, for sockets that listen on all of them.
	machine []netip.Addr
}

// is reports whether a URI that was routed to us names us. A name that we don't know counts as ours: whoever sent the
// message here resolved it to us. An IP address must be one that we listen on.
func (o own) is(r routeURI) bool {
	_, isIP := address(r.host)
	return !isIP || o.literally(r)
}

// literally reports whether a URI has an address that we listen on, or the host that we advertise.
func (o own) literally(r routeURI) bool {
	if o.host != "" && strings.EqualFold(string(r.host), o.host) {
		return true
	}
	addr, isIP := address(r.host)
	if !isIP {
		return false
	}
	for _, a := range o.addrs {
		if a.Port() == r.port && (a.Addr() == addr || a.Addr().IsUnspecified() && slices.Contains(o.machine, addr)) {
			return true
		}
	}
	return false
}

// nextHop chooses among the configured hops by rendezvous hashing: the same set-up always gets the same one, on every
// node and after every restart, and a change of the list moves no more set-ups than it must.
func nextHop(hops []netip.AddrPort, key callsign.BranchKey) (best netip.AddrPort, ok bool) {
	if len(hops) == 1 {
		return hops[0], true
	}
	var most uint64
	for _, h := range hops {
		text, _ := h.MarshalText()
		sum := sha256.Sum256(append(text, key[:]...))
		if weight := binary.BigEndian.Uint64(sum[:]); !ok || weight > most {
			best, most, ok = h, weight, true
		}
	}
	return best, ok
}
