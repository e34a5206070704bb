package fetion

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// What a message may have at most; beyond it the connection is given up.
const (
	maxLine   = 4 << 10 // bytes; a text too
	maxFields = 64
	maxBody   = 1 << 20 // bytes
)

const version = "SIP-C/4.0"

// message is a request or an answer of SIP-C/4.0: SIP's shape with header fields of one or two letters.
type message struct {
	Method, To string // of a request
	Code       int    // of an answer
	Reason     string
	Fields     []field // without L
	Body       []byte
}

type field struct{ Name, Value string }

// field is the first value of a name; "": there is none.
func (m *message) field(name string) string {
	for _, f := range m.Fields {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

// append writes m.
func (m *message) append(b []byte) []byte {
	if m.Code != 0 {
		b = fmt.Appendf(b, "%s %d %s\r\n", version, m.Code, m.Reason)
	} else {
		b = fmt.Appendf(b, "%s %s %s\r\n", m.Method, m.To, version)
	}
	for _, f := range m.Fields {
		b = fmt.Appendf(b, "%s: %s\r\n", f.Name, f.Value)
	}
	if len(m.Body) > 0 {
		b = fmt.Appendf(b, "L: %d\r\n", len(m.Body))
	}
	return append(append(b, "\r\n"...), m.Body...)
}

// readMessage reads one; r's buffer bounds a line.
func readMessage(r *bufio.Reader) (m message, err error) {
	line, err := readLine(r)
	for err == nil && line == "" { // what keeps a connection open
		line, err = readLine(r)
	}
	if err != nil {
		return m, err
	}
	if m, err = parseStart(line); err != nil {
		return m, err
	}
	length := 0
	for {
		line, err := readLine(r)
		if err != nil {
			return m, err
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		value = strings.TrimSpace(value)
		switch {
		case !isToken(name):
			return m, fmt.Errorf("fetion: the header field %.40q has no name", line)
		case len(m.Fields) == maxFields:
			return m, fmt.Errorf("fetion: a message has more than %d header fields", maxFields)
		case name != "L":
			m.Fields = append(m.Fields, field{name, value})
		default:
			if length, err = strconv.Atoi(value); err != nil || length < 0 || length > maxBody {
				return m, fmt.Errorf("fetion: a body of %.40q bytes, 0 to %d may be", value, maxBody)
			}
		}
	}
	if length > 0 {
		var body bytes.Buffer // grows with what comes, not with what is announced
		if _, err := io.CopyN(&body, r, int64(length)); err != nil {
			return m, err
		}
		m.Body = body.Bytes()
	}
	return m, nil
}

// readLine reads a line without its end.
func readLine(r *bufio.Reader) (string, error) {
	line, err := r.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		err = fmt.Errorf("fetion: a line is longer than %d bytes", r.Size())
	}
	return strings.TrimRight(string(line), "\r\n"), err
}

// parseStart reads the first line.
func parseStart(line string) (m message, err error) {
	first, rest, _ := strings.Cut(line, " ")
	second, third, _ := strings.Cut(rest, " ")
	switch {
	case first == version:
		m.Reason = third
		if m.Code, err = strconv.Atoi(second); err != nil || len(second) != 3 || m.Code < 100 {
			return message{}, fmt.Errorf("fetion: the status %.20q is none", second)
		}
	case third == version && isToken(first) && isToken(second):
		m.Method, m.To = first, second
	default:
		return message{}, fmt.Errorf("fetion: %.40q begins no message of %s", line, version)
	}
	return m, nil
}

// isToken reports whether s can stand in a first line or name a field.
func isToken(s string) bool {
	return s != "" && len(s) <= 255 && !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7F || r == ':' })
}
