package relay

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// routeURI is what a Route value points at.
type routeURI struct {
	host           []byte
	port, explicit uint16 // with and without the default of 5060
	at             span   // of host and port
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
	r.at = span{colon + 1, len(b)}
	if at := bytes.IndexByte(b, '@'); at > colon {
		r.at.from = at + 1
	}
	if end := bytes.IndexAny(r.at.of(b), ";?"); end >= 0 {
		r.at.to = r.at.from + end
		transport, _ := param(b, span{r.at.to, len(b)}, "transport")
		secure = secure || equalFold(transport.of(b), "tls")
	}
	r.at = trim(b, r.at)
	r.host, r.explicit, ok = hostPort(r.at.of(b))
	if r.port = r.explicit; r.port == 0 {
		r.port = defaultPort(secure)
	}
	return r, ok
}

// own is who we are: the addresses that we listen on, and the host that we advertise.
type own struct {
	addrs   []netip.AddrPort
	host    string   // of sip.advertise
	machine *machine // for sockets that listen on all of its addresses
}

// machine is this machine's addresses. One that it gets later, like a service's that moves here, is found when a message names it: they
// are read again then, once a second at the most.
type machine struct {
	addresses func() ([]net.Addr, error)

	mu    sync.Mutex
	known []netip.Addr
	read  time.Time
}

func (m *machine) has(a netip.Addr) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Contains(m.known, a) && time.Since(m.read) >= time.Second {
		_ = m.readAgain() // what was known stands
	}
	return slices.Contains(m.known, a)
}

func (m *machine) readAgain() error {
	m.read = time.Now()
	addresses, err := m.addresses()
	if err != nil {
		return fmt.Errorf("read this machine's addresses: %w", err)
	}
	m.known = nil
	for _, i := range addresses {
		if network, ok := i.(*net.IPNet); ok {
			if a, ok := netip.AddrFromSlice(network.IP); ok {
				m.known = append(m.known, a.Unmap())
			}
		}
	}
	return nil
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
		if a.Port() == r.port && (a.Addr() == addr || a.Addr().IsUnspecified() && o.machine.has(addr)) {
			return true
		}
	}
	return false
}
