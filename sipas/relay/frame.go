package relay

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// errUnframed says that where the next message of a stream begins can't be known.
var (
	errUnframed = errors.New("it can't be framed")
	errTooLong  = fmt.Errorf("%w: a message is longer than %d bytes", errUnframed, maxMessage)
)

// readFrame reads one message from a stream into buf, by its Content-Length (RFC 3261 §18.3); without one it has no body.
// It returns an empty message for a keepalive (RFC 5626 §3.5.1), a CRLF CRLF between messages.
func readFrame(r *bufio.Reader, buf []byte) ([]byte, error) {
	buf = buf[:0]
	for whole := true; ; {
		line, err := r.ReadSlice('\n')
		begins := whole // else it goes on with a line that was longer than r's buffer
		whole = err == nil
		buf = append(buf, line...)
		switch {
		case len(buf) > maxMessage:
			return buf, errTooLong
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			if errors.Is(err, io.EOF) && len(buf) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return buf, err
		}
		// White space alone is no end: it goes on with the line before (RFC 3261 §7.3.1), and who took it for one would take
		// a body for the next message.
		empty := begins && (string(line) == "\r\n" || string(line) == "\n")
		switch {
		case empty && len(buf) == len(line) && !isSecondCRLF(r): // a lone CRLF before a message (RFC 3261 §7.5)
			buf = buf[:0]
		case empty && len(buf) == len(line):
			_, _ = r.Discard(2)
			return buf[:0], nil
		case empty:
			return readBody(r, buf)
		}
	}
}

// isSecondCRLF looks whether a CRLF follows that has arrived already; it doesn't wait for one.
func isSecondCRLF(r *bufio.Reader) bool {
	if r.Buffered() < 2 {
		return false
	}
	next, err := r.Peek(2)
	return err == nil && next[0] == '\r' && next[1] == '\n'
}

func readBody(r *bufio.Reader, header []byte) ([]byte, error) {
	n, err := contentLength(header)
	if err != nil {
		return header, err
	}
	if len(header)+n > maxMessage {
		return header, errTooLong
	}
	msg := append(header, make([]byte, n)...)
	if _, err := io.ReadFull(r, msg[len(header):]); err != nil {
		return msg, io.ErrUnexpectedEOF
	}
	return msg, nil
}

// contentLength is the first Content-Length of a header, 0 if there is none. A wrong one would put the next message
// anywhere, so the stream has to end.
func contentLength(header []byte) (int, error) {
	_, at := cutLine(header, 0)
	for at < len(header) {
		name, h, ok := fieldAt(header, at)
		if !ok {
			break
		}
		at = h.line.to
		if named(name, "content-length", "l") {
			n, err := strconv.ParseUint(h.value.text(header), 10, 31)
			if err != nil {
				return 0, fmt.Errorf("%w: Content-Length %q is no number", errUnframed, h.value.of(header))
			}
			return int(n), nil
		}
	}
	return 0, nil
}
