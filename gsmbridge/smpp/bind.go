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

func (b BindRequest) fields() (pdufield.Map, error) {
	f := pdufield.Map{
		pdufield.InterfaceVersion: &pdufield.Fixed{Data: b.InterfaceVersion},
		pdufield.AddrTON:          &pdufield.Fixed{Data: b.AddressRange.TON},
		pdufield.AddrNPI:          &pdufield.Fixed{Data: b.AddressRange.NPI},
	}
	return f, setTexts(f, []textField{
		{pdufield.SystemID, b.SystemID, 15},
		{pdufield.Password, b.Password, 8},
		{pdufield.SystemType, b.SystemType, 12},
		{pdufield.AddressRange, b.AddressRange.Number, 40},
	})
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
		f, err := b.fields()
		if err != nil {
			return err
		}
		s.seq = 1
		octets, err := encode(header{pdu.ID(b.Mode), StatusOK, s.seq}, bindFields, f, nil)
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
			f, _, status := decode(bindFields, body)
			if status == StatusOK {
				s.bind = BindRequest{
					Mode(h.id), f[pdufield.SystemID].String(), f[pdufield.Password].String(), f[pdufield.SystemType].String(),
					octet(f, pdufield.InterfaceVersion),
					Address{octet(f, pdufield.AddrTON), octet(f, pdufield.AddrNPI), f[pdufield.AddressRange].String()},
				}
				status = check(s.bind)
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
func (s *Session) answerBind(h header, systemID string) error {
	if h.status != StatusOK {
		octets, err := encode(h, nil, nil, nil)
		if err != nil {
			return err
		}
		return errors.Join(s.writeNow(octets), &StatusError{command(h.id), h.status})
	}
	f := pdufield.Map{}
	if err := setTexts(f, []textField{{pdufield.SystemID, systemID, 15}}); err != nil {
		return err
	}
	octets, err := encode(h, bindRespFields, f, TLVs{TagInterfaceVersion: {version}})
	if err != nil {
		return err
	}
	return s.writeNow(octets)
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
		case h.id == pdu.SubmitSMID, h.id == pdu.DeliverSMID:
			s.opt.Observe(OddState)
		default:
			s.opt.Observe(OddUnknown)
			answer = header{pdu.GenericNACKID, StatusInvalidCommand, h.seq}
		}
		octets, err := encodeReply(answer, nil)
		if err != nil {
			return err
		}
		if err := s.writeNow(octets); err != nil {
			return err
		}
		if h.id == pdu.UnbindID {
			return ErrUnbound
		}
	}
}
