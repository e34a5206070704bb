package smsc

import (
	"encoding/binary"
	"net"
	"sync"
)

// wire is a connection to an ESME that mangles what goes out after the bind's answer, as the behaviour says.
type wire struct {
	net.Conn
	behaviour func() *Behaviour

	mu    sync.Mutex
	bound bool
	held  []byte
	cut   bool // the next PDU is the last, and only half of it goes out
}

// cutNext ends the connection within the next PDU.
func (w *wire) cutNext() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = true
}

// Write takes whole PDUs, as a session writes them.
func (w *wire) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for rest := b; len(rest) > 0; {
		n := binary.BigEndian.Uint32(rest)
		pdu := rest[:n]
		rest = rest[n:]
		if !w.bound {
			w.bound = true
			if _, err := w.Conn.Write(pdu); err != nil {
				return 0, err
			}
			continue
		}
		if err := w.mangle(pdu); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (w *wire) mangle(pdu []byte) error {
	b := w.behaviour()
	switch {
	case w.cut:
		_, _ = w.Conn.Write(pdu[:len(pdu)/2])
		return w.Close()
	case b.SilentAfterBind:
		return nil
	case b.OutOfOrder && w.held == nil:
		w.held = append([]byte{}, pdu...)
		return nil
	}
	var out []byte
	if b.UnknownPDUs {
		out = append(out, emptyPDU(0x00010203, 40)...)
	}
	if b.OversizedPDUs {
		out = append(out, emptyPDU(0x0103, 5000)...) // data_sm
	}
	out = append(append(out, pdu...), w.held...)
	if b.AnswersTwice {
		out = append(out, pdu...)
	}
	w.held = nil
	_, err := w.Conn.Write(out)
	return err
}

// emptyPDU has a body of zeros.
func emptyPDU(id uint32, body int) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(16+body))
	b = binary.BigEndian.AppendUint32(b, id)
	return append(b, make([]byte, 8+body)...)
}
