package msn

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// What a server may send at once: a line and a payload are kept in memory.
const (
	maxLine    = 8 << 10
	maxPayload = 64 << 10
)

// command is one line of MSNP, with its payload where it has one. Its arguments are as they were on the line.
type command struct {
	name    string // three capital letters, or an error's three digits
	args    []string
	payload []byte
}

var isName = regexp.MustCompile(`^[A-Z0-9]{3}$`)

// withPayload are the commands from a server whose last argument is the length of what follows the line.
var withPayload = map[string]bool{"MSG": true, "UBX": true, "UBN": true, "NOT": true, "IPG": true, "GCF": true}

// arg is an argument, "" where there are fewer.
func (c command) arg(i int) string {
	if i < len(c.args) {
		return c.args[i]
	}
	return ""
}

// readCommand reads the next one. r's buffer has maxLine.
func readCommand(r *bufio.Reader) (c command, err error) {
	raw, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return c, fmt.Errorf("the server sends a line longer than %d bytes", maxLine)
	case errors.Is(err, io.EOF) && len(raw) > 0:
		return c, fmt.Errorf("the server ends within a line: %w", io.ErrUnexpectedEOF)
	case err != nil:
		return c, fmt.Errorf("the connection ended: %w", err)
	}
	fields := strings.Fields(string(raw))
	if len(fields) == 0 || !isName.MatchString(fields[0]) {
		return c, fmt.Errorf("the server sends %.40q, which is no command: see that address is a notification server's", raw)
	}
	c = command{name: fields[0], args: fields[1:]}
	if !withPayload[c.name] {
		return c, nil
	}
	last := len(c.args) - 1
	if last < 0 {
		return c, fmt.Errorf("the server sends %s without a length", c.name)
	}
	n, err := strconv.ParseUint(c.args[last], 10, 32)
	if err != nil || n > maxPayload {
		return c, fmt.Errorf("the server sends %s with a length of %.20q, up to %d may be", c.name, c.args[last], maxPayload)
	}
	c.args = c.args[:last]
	c.payload = make([]byte, n)
	if _, err = io.ReadFull(r, c.payload); err != nil {
		return c, fmt.Errorf("the server ends within the payload of %s: %w", c.name, err)
	}
	return c, nil
}

// append writes c as it goes over the wire.
func (c command) append(b []byte) []byte {
	b = append(b, c.name...)
	for _, a := range c.args {
		b = append(append(b, ' '), a...)
	}
	if c.payload != nil {
		b = strconv.AppendInt(append(b, ' '), int64(len(c.payload)), 10)
	}
	b = append(b, "\r\n"...)
	return append(b, c.payload...)
}
