package smsc

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// What ussd_service_op says (SMPP 3.4 §5.3.2.44).
const (
	ussrRequest = 2
	ussrConfirm = 18
	ussnConfirm = 19
)

// isUSSD reports whether a message goes by USSD.
func isUSSD(m *smpp.Message) bool {
	return m.ServiceType == "USSD" || len(m.TLVs[smpp.TagUSSDServiceOp]) == 1
}

// question is a USSD request that a handset has not answered yet.
type question struct {
	session *smpp.Session
	asked   *smpp.Message
}

// ussd has the handset confirm a notification at once; a request waits for its user.
func (s *Server) ussd(ctx context.Context, x *delivery) {
	if op := x.message.TLVs[smpp.TagUSSDServiceOp]; len(op) == 1 && op[0] == ussrRequest {
		s.handsets.ask(x.to, &question{x.session, x.message})
		return
	}
	if err := s.confirm(ctx, question{x.session, x.message}, ussnConfirm, ""); err != nil {
		s.Log.Info("confirmation of USSD was not taken", "err", err)
	}
}

// confirm sends what a phone answers to USSD; its session is named as it was, and at its end (SMPP 3.4 §5.3.2.43).
func (s *Server) confirm(ctx context.Context, q question, op byte, text string) error {
	to := q.session
	if to.Peer().Mode == smpp.Transmitter {
		if to = s.receiving(to.Peer().SystemID, nil); to == nil {
			return errNoReceiver
		}
	}
	m := coded(text)
	m.ServiceType, m.Source, m.Dest = q.asked.ServiceType, q.asked.Dest, q.asked.Source
	m.TLVs = smpp.TLVs{smpp.TagUSSDServiceOp: {op}}
	if info := q.asked.TLVs[smpp.TagITSSessionInfo]; len(info) == 2 {
		m.TLVs[smpp.TagITSSessionInfo] = []byte{info[0], info[1] | 1}
	}
	return to.Deliver(ctx, m)
}

var (
	errNoReceiver = errors.New("nobody is bound who takes messages: bind as receiver or transceiver")
	errNoQuestion = errors.New("the handset was asked nothing by USSD, or has answered")
)

// Send has a handset send a message to a number of the ESMEs', and waits for the deliver_sm_resp. A refusal is a
// *smpp.StatusError.
func (s *Server) Send(ctx context.Context, from callsign.MSISDN, to, text string) error {
	session := s.receiving("", nil)
	if session == nil {
		return errNoReceiver
	}
	m := coded(text)
	m.Source = smpp.Address{TON: 1, NPI: 1, Number: strconv.FormatUint(uint64(from), 10)}
	m.Dest = smpp.Address{Number: to}
	return session.Deliver(ctx, m)
}

// Reply has a handset answer the USSD request that it shows.
func (s *Server) Reply(ctx context.Context, from callsign.MSISDN, text string) error {
	q := s.handsets.asked(from)
	if q == nil {
		return fmt.Errorf("%s: %w", from.E164(), errNoQuestion)
	}
	return s.confirm(ctx, *q, ussrConfirm, text)
}

// coded is a message with a text, in the shorter alphabet.
func coded(text string) *smpp.Message {
	screen := gsm.Fit(text)
	m := &smpp.Message{ShortMessage: screen.Octets}
	if screen.Encoding == gsm.UCS2 {
		m.DataCoding = 0x08
	}
	return m
}
