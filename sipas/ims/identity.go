package ims

import (
	"bytes"
	"strconv"
)

// identity is one value of an identity header: an address of a person, as URI, and the header's own parameters behind it.
type identity struct{ uri, params []byte }

// identities reads header values. Kamailio 5.6 writes several URIs into one pair of brackets: the first of them counts.
func identities(fields [][]byte) (ids []identity) {
	values(fields, func(v []byte) {
		if id := addrSpec(v); len(id.uri) > 0 {
			ids = append(ids, id)
		}
	})
	return ids
}

// allIdentities reads every URI that stands in header values, also where several share one pair of brackets.
func allIdentities(fields [][]byte) (ids []identity) {
	values(fields, func(v []byte) {
		inside, _ := nameAddr(v)
		for uri := range bytes.SplitSeq(inside, []byte(",")) {
			ids = append(ids, identity{uri: bytes.TrimSpace(uri)})
		}
	})
	return ids
}

// addrSpec is the URI of a name-addr or a bare one, whose parameters then are the header's.
func addrSpec(value []byte) identity {
	inside, behind := nameAddr(value)
	first, _, _ := bytes.Cut(inside, []byte(","))
	return identity{bytes.TrimSpace(first), behind}
}

// nameAddr is what stands between the brackets, or the bare URI, and the parameters behind it.
func nameAddr(value []byte) (inside, behind []byte) {
	if open := indexOutside(value, '<'); open < len(value) {
		inside, behind, _ = bytes.Cut(value[open+1:], []byte(">"))
		return inside, behind
	}
	semicolon := indexOutside(value, ';')
	return value[:semicolon], value[semicolon:]
}

func (id identity) isTel() bool { return hasPrefixFold(id.uri, "tel:") }

// subscriber is the user part of a SIP URI or the number of a tel URI, each with its parameters (RFC 3966 §3); nothing for
// other URIs.
func (id identity) subscriber() []byte {
	scheme, rest, _ := bytes.Cut(id.uri, []byte(":"))
	switch {
	case equalFold(scheme, "sip"), equalFold(scheme, "sips"):
		user, _, found := bytes.Cut(rest, []byte("@"))
		if !found {
			return nil
		}
		return user
	case equalFold(scheme, "tel"):
		return rest
	}
	return nil
}

// userParam is a parameter of the number itself, like rn or phone-context.
func (id identity) userParam(name string) (value []byte, found bool) {
	return lookup(id.subscriber(), name)
}

// isPhone reports whether a SIP URI says that its user part is a number (RFC 3261 §19.1.1).
func (id identity) isPhone() bool {
	_, behind, _ := bytes.Cut(id.uri, []byte("@"))
	behind, _, _ = bytes.Cut(behind, []byte("?"))
	value, _ := lookup(behind, "user")
	return equalFold(value, "phone")
}

// digits are a number's, without its visual separators (RFC 3966 §5.1.1).
type digits struct {
	global bool // it begins with "+"
	n      int
	b      [24]byte
}

func (d *digits) text() string { return string(d.b[:d.n]) }

// digits reads the number of a URI, or of one of its parameters. ok is false where anything else stands there, or too much.
func readDigits(s []byte) (d digits, ok bool) {
	if end := bytes.IndexByte(s, ';'); end >= 0 {
		s = s[:end]
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c == '%' && i+2 < len(s) { // RFC 3261 §19.1.2: any character may be escaped
			u, err := strconv.ParseUint(string(s[i+1:i+3]), 16, 8)
			if err != nil {
				return d, false
			}
			c = byte(u)
			i += 2
		}
		switch {
		case c >= '0' && c <= '9' && d.n < len(d.b):
			d.b[d.n] = c
			d.n++
		case c == '+' && d.n == 0 && !d.global:
			d.global = true
		case c == '-' || c == '.' || c == '(' || c == ')' || c == ' ' || c == '\t' || c == '\r' || c == '\n':
		default:
			return d, false
		}
	}
	return d, d.n > 0
}
