package smpp

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
)

// Mode is which way messages go in a bind (SMPP 3.4 §2.1).
type Mode pdu.ID

// The three binds.
const (
	Transceiver = Mode(pdu.BindTransceiverID)
	Transmitter = Mode(pdu.BindTransmitterID)
	Receiver    = Mode(pdu.BindReceiverID)
)

// version is what interface_version says (SMPP 3.4 §5.2.4).
const version = 0x34

// BindRequest is what an ESME says of itself (SMPP 3.4 §4.1).
type BindRequest struct {
	Mode               Mode   // zero: Transceiver
	SystemID, Password string // at most 15 and 8 octets
	SystemType         string // at most 12 octets
	InterfaceVersion   byte   // zero: 0x34
	AddressRange       Address
}

func (b BindRequest) encode(seq uint32) ([]byte, error) {
	w := newWriter(header{pdu.ID(b.Mode), StatusOK, seq}, 80)
	w.text(pdufield.SystemID, b.SystemID, 15)
	w.text(pdufield.Password, b.Password, 8)
	w.text(pdufield.SystemType, b.SystemType, 12)
	w.put(b.InterfaceVersion)
	w.address(pdufield.AddressRange, b.AddressRange, 40)
	return w.pdu()
}

func decodeBind(id pdu.ID, body []byte) (BindRequest, Status) {
	f, _, status := decode(bindFields, body)
	return BindRequest{
		Mode(id), f.text(pdufield.SystemID), f.text(pdufield.Password), f.text(pdufield.SystemType), f.octet(pdufield.InterfaceVersion),
		Address{f.octet(pdufield.AddrTON), f.octet(pdufield.AddrNPI), f.text(pdufield.AddressRange)},
	}, status
}

// Bind binds an ESME to the SMSC at the other end of conn, within BindTimeout and ctx. The session lives when its Run is
// called. On an error conn is closed; a refusal is a *StatusError.
func Bind(ctx context.Context, conn net.Conn, b BindRequest, opt Options) (*Session, error) {
	s := newSession(conn, opt, false)
	if b.Mode == 0 {
		b.Mode = Transceiver
	}
	if b.InterfaceVersion == 0 {
		b.InterfaceVersion = version
	}
	s.bind = b
	name := command(pdu.ID(b.Mode))
	err := s.within(ctx, func() error {
		s.seq = 1
		octets, err := b.encode(s.seq)
		if err != nil {
			return err
		}
		if err := s.writeNow(octets); err != nil {
			return err
		}
		return s.unbound(func(h header, _ []byte) (done bool, err error) {
			if h.seq != s.seq || h.id != pdu.ID(b.Mode)|response && h.id != pdu.GenericNACKID {
				return false, nil
			}
			if h.status != StatusOK || h.id == pdu.GenericNACKID {
				return true, &StatusError{name, h.status}
			}
			return true, nil
		})
	})
	if refused := (*StatusError)(nil); errors.As(err, &refused) {
		return nil, err
	} else if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return s, nil
}

// Accept waits for the bind of the ESME at the other end of conn, within BindTimeout and ctx, and answers it with what
// check says. The session lives when its Run is called. On an error conn is closed; a refusal is a *StatusError.
func Accept(ctx context.Context, conn net.Conn, systemID string, check func(BindRequest) Status, opt Options) (*Session, error) {
	s := newSession(conn, opt, true)
	err := s.within(ctx, func() error {
		return s.unbound(func(h header, body []byte) (done bool, err error) {
			switch Mode(h.id) {
			case Transceiver, Transmitter, Receiver:
			default:
				return false, nil
			}
			bind, status := decodeBind(h.id, body)
			if status == StatusOK {
				s.bind = bind
				status = check(bind)
			}
			return true, s.answerBind(header{h.id | response, status, h.seq}, systemID)
		})
	})
	if err != nil {
		return nil, fmt.Errorf("waiting for a bind: %w", err)
	}
	return s, nil
}

// answerBind writes the bind_resp; a refusal has no body and is an error.
func (s *Session) answerBind(h header, systemID string) (err error) {
	w := newWriter(h, 24)
	if h.status != StatusOK {
		err = &StatusError{command(h.id), h.status}
	} else {
		w.text(pdufield.SystemID, systemID, 15)
		w.tlv(TagInterfaceVersion, []byte{version})
	}
	octets, broken := w.pdu()
	if broken != nil {
		return broken
	}
	return errors.Join(s.writeNow(octets), err)
}

// within does the bind; it closes the connection when BindTimeout or ctx ends it, and on any error.
func (s *Session) within(ctx context.Context, bind func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.opt.BindTimeout, fmt.Errorf("no answer within %v", s.opt.BindTimeout))
	defer cancel()
	stop := context.AfterFunc(ctx, s.Close)
	err := bind()
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		s.Close()
	}
	return err
}

// unbound reads until match is done with a PDU. Before the bind only enquire_link and unbind are answered with a yes.
func (s *Session) unbound(match func(h header, body []byte) (done bool, err error)) error {
	for {
		h, body, err := s.framer.next()
		if err != nil {
			return err
		}
		if done, err := match(h, body); done {
			return err
		}
		answer := header{h.id | response, StatusInvalidBindState, h.seq}
		switch {
		case h.id&response != 0:
			s.opt.Observe(OddLate)
			continue
		case h.id == pdu.EnquireLinkID, h.id == pdu.UnbindID:
			answer.status = StatusOK
		case h.id == pdu.AlertNotificationID, h.id == pdu.OutbindID: // an outbind asks for this very bind
			s.opt.Observe(OddNotice)
			continue
		case operation(h.id):
			s.opt.Observe(OddState)
		default:
			s.opt.Observe(OddUnknown)
			answer = header{pdu.GenericNACKID, StatusInvalidCommand, h.seq}
		}
		if err := s.writeNow(empty(answer)); err != nil {
			return err
		}
		if h.id == pdu.UnbindID {
			return ErrUnbound
		}
	}
}
