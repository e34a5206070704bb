package relay

import (
	"bytes"
	"net/netip"
	"strconv"
)

const (
	sipPort     = 5060
	sipsPort    = 5061
	magicCookie = "z9hG4bK" // RFC 3261 §8.1.1.7
)

// via is one Via value, "SIP/2.0/UDP host:port;branch=…".
type via struct {
	sentBy          span
	host            []byte
	port            uint16
	branch          span
	received, rport span
	hasReceived     bool
	hasRport        bool
	value           span
}

// readVia reads the Via value v. ok is false where no answer could be sent by it: no sent-protocol, no host, a bad port.
func readVia(msg []byte, v span) (r via, ok bool) {
	r.value = v
	head, params := v, span{v.to, v.to}
	if semicolon := bytes.IndexByte(v.of(msg), ';'); semicolon >= 0 {
		head.to = v.from + semicolon
		params.from = head.to
	}
	if bytes.ContainsAny(head.of(msg), "\"<>") {
		return r, false // what follows would read as quoted
	}
	for range 2 { // protocol-name SLASH protocol-version SLASH transport, with any white space between
		slash := bytes.IndexByte(head.of(msg), '/')
		if slash < 0 {
			return r, false
		}
		head = trim(msg, span{head.from + slash + 1, head.to})
	}
	transport := span{head.from, head.from}
	for head.from < head.to && !isSpace(msg[head.from]) {
		head.from++
	}
	transport.to = head.from
	r.sentBy = trim(msg, head)
	r.host, r.port, ok = hostPort(r.sentBy.of(msg))
	if !ok {
		return r, false
	}
	if r.port == 0 {
		r.port = defaultPort(equalFold(transport.of(msg), "tls"))
	}
	var hasBranch, hasReceived bool
	for params.from < params.to { // of two of one name the first counts
		var key, value span
		key, value, params.from = paramAt(msg, params)
		switch name := key.of(msg); {
		case !hasBranch && equalFold(name, "branch"):
			r.branch, hasBranch = value, true
		case !hasReceived && equalFold(name, "received"):
			r.received, hasReceived = value, true
		case !r.hasRport && equalFold(name, "rport"):
			r.rport, r.hasRport = value, true
		}
	}
	r.hasReceived = !r.received.empty()
	return r, true
}

// defaultPort is the one of a missing port (RFC 3261 §19.1.2).
func defaultPort(secure bool) uint16 {
	if secure {
		return sipsPort
	}
	return sipPort
}

// hostPort splits "host", "host:port", "[v6]:port", with white space around the colon as the grammar allows. A missing port
// is 0.
func hostPort(b []byte) (host []byte, port uint16, ok bool) {
	host = b
	rest := []byte(nil)
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return nil, 0, false
		}
		host, rest = b[:end+1], bytes.TrimSpace(b[end+1:])
		if _, isIP := address(host); !isIP || len(rest) > 0 && rest[0] != ':' {
			return nil, 0, false
		}
	} else if colon := bytes.IndexByte(b, ':'); colon >= 0 {
		host, rest = bytes.TrimSpace(b[:colon]), b[colon:]
	}
	if len(host) == 0 || host[0] != '[' && bytes.ContainsFunc(host, notHost) {
		return nil, 0, false
	}
	if len(rest) == 0 {
		return host, 0, true
	}
	n, err := strconv.ParseUint(string(bytes.TrimSpace(rest[1:])), 10, 16)
	return host, uint16(n), err == nil && n > 0
}

// notHost reports what stands in no host name or IPv4 address; the world has underscores in them.
func notHost(r rune) bool {
	return (r|0x20 < 'a' || r|0x20 > 'z') && (r < '0' || r > '9') && r != '.' && r != '-' && r != '_'
}

// address reads an IP address, an IPv6 one with or without its brackets.
func address(host []byte) (netip.Addr, bool) {
	if len(host) > 1 && host[0] == '[' && host[len(host)-1] == ']' {
		host = host[1 : len(host)-1]
	}
	if len(host) == 0 || len(host) > 45 {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(host))
	return a.Unmap(), err == nil && a.Zone() == ""
}

// answerTo is where an answer to what came from peer with this Via goes (RFC 3261 §18.2.2, RFC 3581 §4): the address
// that it came from, and that very port if the sender asked with rport, else the port it names.
func (v via) answerTo(peer netip.AddrPort) netip.AddrPort {
	if v.hasRport {
		return peer
	}
	return netip.AddrPortFrom(peer.Addr(), v.port)
}

// written is the same as answerTo, read from the parameters that were written on the way in.
func (v via) written(msg []byte) (netip.AddrPort, bool) {
	host := v.host
	if v.hasReceived {
		host = v.received.of(msg)
	}
	addr, ok := address(host)
	if !ok {
		return netip.AddrPort{}, false
	}
	port := v.port
	if v.hasRport {
		n, err := strconv.ParseUint(v.rport.text(msg), 10, 16)
		if err != nil || n == 0 {
			return netip.AddrPort{}, false
		}
		port = uint16(n)
	}
	return netip.AddrPortFrom(addr, port), true
}
