package gsmbridge

import (
	"context"
	"strings"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// speaks is a session over which an SMS may be submitted, nil if there is none.
func (b *Bridge) speaks() *smpp.Session {
	for _, l := range b.links {
		if s, _ := l.ready(); s != nil && l.Bind != "receiver" && l.Channel != USSD {
			return s
		}
	}
	return nil
}

// Types of number (SMPP 3.4 §5.2.5).
const (
	tonInternational = 1
	tonNational      = 2
)

// handle takes a deliver_sm: a receipt, or what a handset sent.
func (l *link) handle(ctx context.Context, s *smpp.Session, m *smpp.Message) smpp.Answer {
	if r, ok := smpp.ReceiptOf(m); ok {
		l.bridge.receipt(l, early{r, m.Source.Number, m.Dest.Number})
		return smpp.Answer{}
	}
	if taken, status := l.confirmation(ctx, m); taken {
		return smpp.Answer{Status: status}
	}
	status, reply := l.receive(ctx, m)
	answer := smpp.Answer{Status: status}
	if status == smpp.StatusOK && reply != "" {
		answer.Then = func() { l.reply(ctx, s, m, reply) }
	}
	return answer
}

// receive hands a message to the inbox; the deliver_sm_resp says what became of it, after it is kept.
func (l *link) receive(ctx context.Context, m *smpp.Message) (status smpp.Status, reply string) {
	result := "taken"
	defer func() { l.bridge.metrics.inbox.WithLabelValues(l.Name, result).Inc() }()
	if l.bridge.inbox == nil {
		result = "refused"
		return smpp.StatusPermanent, ""
	}
	from, err := l.msisdn(m.Source)
	if err != nil {
		l.log.Debug("message from no number was refused", "err", err)
		result = "refused"
		return smpp.StatusPermanent, ""
	}
	text, _ := gsm.Decode(m.DataCoding, m.UserData())
	ctx, cancel := context.WithTimeout(ctx, l.ResponseTimeout)
	defer cancel()
	reply, err = l.bridge.inbox.Receive(ctx, callsign.MO{From: from, To: m.Dest.Number, Text: text, Link: l.Name})
	if err != nil {
		l.log.Warn("message was not taken: the SMSC will send it again", "from", from, "err", err)
		result = "failed"
		return smpp.StatusTemporary, ""
	}
	return smpp.StatusOK, reply
}

// reply answers a handset with an ordinary SMS, which its phone keeps: data_coding without a class.
func (l *link) reply(ctx context.Context, s *smpp.Session, to *smpp.Message, text string) {
	screen := gsm.Fit(text)
	m := &smpp.Message{Source: to.Dest, Dest: to.Source, ShortMessage: screen.Octets}
	if screen.Encoding == gsm.UCS2 {
		m.DataCoding = 0x08
	}
	if l.Bind == "receiver" { // which may submit nothing (SMPP 3.4 §2.3)
		s = l.bridge.speaks()
	}
	if s == nil {
		l.log.Warn("reply to a handset was not sent: no link that may submit is bound")
		return
	}
	if _, err := s.Submit(ctx, m, nil); err != nil {
		l.log.Warn("reply to a handset was not taken", "err", err)
	}
}

// msisdn reads a number as the SMSC writes them, with or without its country code. A national one may begin with the digits of that code.
func (l *link) msisdn(a smpp.Address) (callsign.MSISDN, error) {
	digits, plus := strings.CutPrefix(a.Number, "+")
	digits, trunk := strings.CutPrefix(digits, l.Destination.Prefix)
	national := a.TON == tonNational || trunk && l.Destination.Prefix != "" || !strings.HasPrefix(digits, l.Destination.Strip)
	if a.TON != tonInternational && !plus && national {
		digits = l.Destination.Strip + digits
	}
	return callsign.ParseMSISDN(digits)
}
