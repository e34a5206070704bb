package relay

import (
	"bytes"
	"strconv"
)

// span is a piece of a message, by its offsets.
type span struct{ from, to int }

func (s span) empty() bool            { return s.from == s.to }
func (s span) of(msg []byte) []byte   { return msg[s.from:s.to] }
func (s span) text(msg []byte) string { return string(s.of(msg)) }

// header is one header field: its whole line with folded lines and line end, and its trimmed value.
type header struct{ line, value span }

// message is what the relay reads of a SIP message. It is offsets into the received bytes: nothing is copied, nothing is
// normalised, and what the relay doesn't need it doesn't look at.
type message struct {
	method, uri span   // of a request
	status      uint16 // of an answer; 0: a request
	vias        [2]header
	routes      [2]header
	nVias       int // counted up to 2
	nRoutes     int
	maxForwards header
	cseqNumber  span
	cseqMethod  span
	callID      header
	from, to    header
	end         int // where the header ends, behind the empty line
}

// scan reads the start line and the header of msg. It accepts what the world sends: compact names, folded lines (RFC 3261
// §7.3.1), spaces before the colon, bare LF, any order. ok is false when there is no start line of SIP/2.0 or no end of
// the header.
func scan(msg []byte, m *message) (ok bool) {
	*m = message{}
	line, next := cutLine(msg, 0)
	if !m.startLine(msg, line) {
		return false
	}
	for next < len(msg) {
		if after := pass(msg, next); after > next {
			next = after
			continue
		}
		name, h, ok := fieldAt(msg, next)
		if !ok {
			return false
		}
		next = h.line.to
		if h.line.to-h.line.from <= 2 && isSpace(msg[h.line.from]) {
			m.end = next
			return true
		}
		m.field(msg, name, h)
	}
	return false
}

// pass is where the next line begins if the one at start has a field that the relay doesn't need, by its first letter; else
// start. What is folded into such a line is passed as a line of its own.
func pass(msg []byte, start int) (next int) {
	switch msg[start] | 0x20 {
	case 'v', 'r', 'm', 'c', 'i', 'f', 't', '\r' | 0x20, '\n' | 0x20:
		return start
	}
	return start + bytes.IndexByte(msg[start:], '\n') + 1
}

// fieldAt reads the header field whose line begins at start, with the lines folded into it. An empty line has neither
// name nor value; one without a colon has no name. ok is false where the message ends within the line.
func fieldAt(msg []byte, start int) (name []byte, h header, ok bool) {
	line, next := cutLine(msg, start)
	for !line.empty() && next < len(msg) && (msg[next] == ' ' || msg[next] == '\t') {
		var folded span
		folded, next = cutLine(msg, next)
		line.to = folded.to
	}
	h = header{line: span{start, next}, value: span{line.to, line.to}}
	if msg[next-1] != '\n' {
		return nil, h, false
	}
	if colon := bytes.IndexByte(line.of(msg), ':'); colon >= 0 {
		name = bytes.TrimRight(msg[start:start+colon], " \t")
		h.value = trim(msg, span{start + colon + 1, line.to})
	} else {
		h.value = line
	}
	return name, h, true
}

// cutLine gives the line that begins at start, without its CRLF or LF, and where the next begins.
func cutLine(msg []byte, start int) (line span, next int) {
	n := bytes.IndexByte(msg[start:], '\n')
	if n < 0 {
		return span{start, len(msg)}, len(msg)
	}
	to := start + n
	if n > 0 && msg[to-1] == '\r' {
		to--
	}
	return span{start, to}, start + n + 1
}

func (m *message) startLine(msg []byte, line span) bool {
	l := bytes.TrimRight(line.of(msg), " \t")
	if bytes.HasPrefix(l, []byte("SIP/2.0 ")) {
		if len(l) < 11 {
			return false
		}
		n, err := strconv.ParseUint(string(l[8:11]), 10, 16)
		m.status = uint16(n)
		return err == nil && n >= 100 && n < 700 && (len(l) == 11 || l[11] == ' ')
	}
	first, last := bytes.IndexByte(l, ' '), bytes.LastIndexByte(l, ' ')
	if first <= 0 || last <= first || !bytes.EqualFold(l[last+1:], []byte("SIP/2.0")) {
		return false
	}
	m.method = span{line.from, line.from + first}
	m.uri = trim(msg, span{line.from + first + 1, line.from + last})
	return !m.uri.empty()
}

// field keeps the header fields that the relay needs; of single ones the first.
func (m *message) field(msg, name []byte, h header) {
	is := func(long, short string) bool { return named(name, long, short) }
	once := func(to *header) {
		if to.line.empty() {
			*to = h
		}
	}
	if len(name) == 0 {
		return
	}
	switch name[0] | 0x20 {
	case 'v':
		if is("via", "v") {
			m.nVias = split(msg, h, &m.vias, m.nVias)
		}
	case 'r':
		if is("route", "") {
			m.nRoutes = split(msg, h, &m.routes, m.nRoutes)
		}
	case 'm':
		if is("max-forwards", "") {
			once(&m.maxForwards)
		}
	case 'c', 'i':
		switch {
		case is("cseq", "") && m.cseqMethod.empty():
			m.cseq(msg, h.value)
		case is("call-id", "i"):
			once(&m.callID)
		}
	case 'f':
		if is("from", "f") {
			once(&m.from)
		}
	case 't':
		if is("to", "t") {
			once(&m.to)
		}
	}
}

func (m *message) cseq(msg []byte, v span) {
	b := v.of(msg)
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	method := trim(msg, span{v.from + n, v.to})
	if n > 0 && method.from > v.from+n { // a number, white space and a method
		m.cseqNumber, m.cseqMethod = span{v.from, v.from + n}, method
	}
}

// split adds h's comma-separated values to the first two of all; their line is h's, so that two values of one line
// can be told from two lines.
func split(msg []byte, h header, all *[2]header, n int) int {
	rest := h.value
	for n < len(all) {
		end := valueEnd(msg, rest)
		if v := trim(msg, span{rest.from, end}); !v.empty() {
			all[n] = header{line: h.line, value: v}
			n++
		}
		if end == rest.to {
			break
		}
		rest.from = end + 1
	}
	return n
}

// valueEnd is where the first of v's comma-separated values ends: at a comma outside quotes and angle brackets, or at v's end.
func valueEnd(msg []byte, v span) int { return indexOutside(msg, v, ',') }

// indexOutside finds c in v outside "…" and <…>; v.to if there is none.
func indexOutside(msg []byte, v span, c byte) int {
	at := bytes.IndexByte(v.of(msg), c)
	if at < 0 {
		return v.to
	}
	if before := msg[v.from : v.from+at]; bytes.IndexByte(before, '"') < 0 && bytes.IndexByte(before, '<') < 0 {
		return v.from + at // as nearly always
	}
	quoted, bracket := false, false
	for i := v.from; i < v.to; i++ {
		switch b := msg[i]; {
		case quoted && b == '\\':
			i++
		case b == '"' && !bracket:
			quoted = !quoted
		case quoted:
		case b == c && !bracket:
			return i
		case b == '<':
			bracket = true
		case b == '>':
			bracket = false
		}
	}
	return v.to
}

// param finds ;name or ;name=value among the parameters in v, which begin at the first ';' outside quotes and brackets.
func param(msg []byte, v span, name string) (value span, found bool) {
	for v.from = indexOutside(msg, v, ';'); v.from < v.to; {
		var key span
		key, value, v.from = paramAt(msg, v)
		if equalFold(key.of(msg), name) {
			return value, true
		}
	}
	return span{}, false
}

// paramAt reads the parameter whose ';' v begins with, and where the next one's is; v.to if there is none.
func paramAt(msg []byte, v span) (key, value span, next int) {
	p := span{v.from + 1, v.to}
	p.to = indexOutside(msg, p, ';')
	if eq := bytes.IndexByte(p.of(msg), '='); eq >= 0 {
		return trim(msg, span{p.from, p.from + eq}), trim(msg, span{p.from + eq + 1, p.to}), p.to
	}
	key = trim(msg, p)
	return key, span{key.to, key.to}, p.to
}

func trim(msg []byte, s span) span {
	for s.from < s.to && isSpace(msg[s.from]) {
		s.from++
	}
	for s.to > s.from && isSpace(msg[s.to-1]) {
		s.to--
	}
	return s
}

func isSpace(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// named compares a header field's name with its long and its compact form ("" if it has none).
func named(name []byte, long, short string) bool {
	return equalFold(name, long) || equalFold(name, short) && short != ""
}

// equalFold compares b with lower, which is ASCII in lower case.
func equalFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}
