package smpp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

const headerLen = pdu.HeaderLen

// header is what every PDU begins with (SMPP 3.4 §3.2), without its length.
type header struct {
	id     pdu.ID
	status Status
	seq    uint32
}

var (
	// errTooLong says that a PDU was longer than the limit and has been skipped: the next one can be read.
	errTooLong = errors.New("PDU is too long")
	// errFraming says that the octets can't be cut into PDUs any more.
	errFraming = errors.New("command_length makes no sense")
)

// framer cuts what comes in into PDUs. fiorix's own reading gives up at 4096 octets and at ids that it doesn't know.
type framer struct {
	conn    net.Conn
	in      *bufio.Reader
	max     int           // octets of a PDU
	timeout time.Duration // a PDU that has begun must be whole within it
}

// next reads one PDU; body is the caller's to keep. With errTooLong and errFraming the header is as it was sent.
func (f *framer) next() (h header, body []byte, err error) {
	if _, err := f.in.Peek(1); err != nil { // silence between PDUs is enquire_link's to judge
		return h, nil, err
	}
	if f.in.Buffered() < headerLen {
		defer f.hurry()()
	}
	b, err := f.in.Peek(headerLen)
	if err != nil {
		return h, nil, cutOff(err)
	}
	length := int(binary.BigEndian.Uint32(b))
	h = header{pdu.ID(binary.BigEndian.Uint32(b[4:])), Status(binary.BigEndian.Uint32(b[8:])), binary.BigEndian.Uint32(b[12:])}
	if length < headerLen || length > 16*f.max {
		return h, nil, fmt.Errorf("%w: %d", errFraming, length)
	}
	if f.in.Buffered() < length {
		defer f.hurry()()
	}
	if length > f.max {
		if _, err := f.in.Discard(length); err != nil {
			return h, nil, cutOff(err)
		}
		return h, nil, fmt.Errorf("%w: %d octets, the limit is %d", errTooLong, length, f.max)
	}
	if _, err := f.in.Discard(headerLen); err != nil {
		return h, nil, cutOff(err)
	}
	body = make([]byte, length-headerLen)
	if _, err := io.ReadFull(f.in, body); err != nil {
		return h, nil, cutOff(err)
	}
	return h, body, nil
}

// hurry sets the deadline for the rest of a PDU and gives the way to lift it.
func (f *framer) hurry() (lift func()) {
	_ = f.conn.SetReadDeadline(time.Now().Add(f.timeout))
	return func() { _ = f.conn.SetReadDeadline(time.Time{}) }
}

func cutOff(err error) error {
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("within a PDU: %w", err)
}
