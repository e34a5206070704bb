package ims

import "bytes"

// fields walks over the header of a message: spans of its bytes, nothing is copied. A value keeps the line ends of its folds
// (RFC 3261 §7.3.1), which are white space like any other.
type fields struct{ rest []byte }

// startLine gives a message's first line and the fields behind it.
func startLine(msg []byte) (line []byte, f fields) {
	before, after, ok := bytes.Cut(msg, []byte{'\n'})
	if !ok {
		return nil, fields{}
	}
	return bytes.TrimRight(before, " \t\r"), fields{after}
}

// next gives one field; ok is false at the end of the header, whose body is then the rest, or where the message is cut off.
func (f *fields) next() (name, value []byte, ok bool) {
	for {
		n := bytes.IndexByte(f.rest, '\n')
		if n < 0 || n == 0 || n == 1 && f.rest[0] == '\r' {
			f.rest = f.rest[n+1:]
			return nil, nil, false
		}
		for n+1 < len(f.rest) && (f.rest[n+1] == ' ' || f.rest[n+1] == '\t') {
			more := bytes.IndexByte(f.rest[n+1:], '\n')
			if more < 0 {
				return nil, nil, false
			}
			n += 1 + more
		}
		line := f.rest[:n]
		f.rest = f.rest[n+1:]
		if colon := bytes.IndexByte(line, ':'); colon > 0 {
			return bytes.TrimRight(line[:colon], " \t"), bytes.TrimSpace(line[colon+1:]), true
		}
	}
}

// requestURI is the second word of a request's first line.
func requestURI(line []byte) []byte {
	_, uri, _ := bytes.Cut(line, []byte(" "))
	uri, _, _ = bytes.Cut(bytes.TrimLeft(uri, " "), []byte(" "))
	return uri
}

// sipMessage is a message as it is read in full: its first line, its fields and its body.
type sipMessage struct {
	line, body []byte
	fields     []field
}

type field struct{ name, value []byte }

func readMessage(msg []byte) sipMessage {
	line, f := startLine(msg)
	m := sipMessage{line: line, fields: make([]field, 0, 40)}
	for {
		name, value, ok := f.next()
		if !ok {
			break
		}
		m.fields = append(m.fields, field{name, value})
	}
	m.body = f.rest
	return m
}

// all are the values of a header field by its long name and its compact one, in lower case; "" if it has none.
func (m sipMessage) all(name, compact string) (values [][]byte) {
	for _, f := range m.fields {
		if equalFold(f.name, name) || compact != "" && equalFold(f.name, compact) {
			values = append(values, f.value)
		}
	}
	return values
}

func (m sipMessage) first(name, compact string) []byte {
	for _, f := range m.fields {
		if equalFold(f.name, name) || compact != "" && equalFold(f.name, compact) {
			return f.value
		}
	}
	return nil
}

// equalFold compares b with lower, which is ASCII in lower case.
func equalFold(b []byte, lower string) bool {
	return len(b) == len(lower) && hasPrefixFold(b, lower)
}

func hasPrefixFold(b []byte, lower string) bool {
	if len(b) < len(lower) {
		return false
	}
	for i := range len(lower) {
		c := b[i]
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// values splits header fields at their commas; one in quotes or brackets belongs to its value.
func values(fields [][]byte, visit func(value []byte)) {
	for _, f := range fields {
		for len(f) > 0 {
			end := indexOutside(f, ',')
			if v := bytes.TrimSpace(f[:end]); len(v) > 0 {
				visit(v)
			}
			f = f[min(end+1, len(f)):]
		}
	}
}

// param is the value of ;name=value, unquoted, "" where there is none.
func param(s []byte, name string) string {
	value, _ := lookup(s, name)
	return string(value)
}

func hasParam(s []byte, name string) bool {
	_, found := lookup(s, name)
	return found
}

func lookup(s []byte, name string) (value []byte, found bool) {
	at := indexOutside(s, ';')
	for at < len(s) {
		s = s[at+1:]
		at = indexOutside(s, ';')
		key, value, _ := bytes.Cut(s[:at], []byte("="))
		if equalFold(bytes.TrimSpace(key), name) {
			return bytes.Trim(bytes.TrimSpace(value), `"`), true
		}
	}
	return nil, false
}

// indexOutside finds c in s outside "…" and <…>; len(s) if there is none.
func indexOutside(s []byte, c byte) int {
	at := bytes.IndexByte(s, c)
	if at < 0 {
		return len(s)
	}
	if bytes.IndexByte(s[:at], '"') < 0 && bytes.IndexByte(s[:at], '<') < 0 {
		return at // as nearly always
	}
	quoted, bracket := false, false
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
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
	return len(s)
}
