package gsmbridge

import (
	"context"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// handle takes a deliver_sm: a receipt, or what a handset sent.
func (l *link) handle(ctx context.Context, s *smpp.Session, m *smpp.Message) smpp.Answer {
	if r, ok := smpp.ReceiptOf(m); ok {
		l.bridge.receipt(l, early{r, m.Source.Number, m.Dest.Number})
		return smpp.Answer{}
	}
	status, result, reply := l.receive(ctx, m)
	l.bridge.metrics.inbox.WithLabelValues(l.Name, result).Inc()
	answer := smpp.Answer{Status: status}
	if status == smpp.StatusOK && reply != "" {
		answer.Then = func() { l.reply(ctx, s, m, reply) }
	}
	return answer
}

// receive hands a message to the inbox; the deliver_sm_resp says what became of it, after it is kept.
func (l *link) receive(ctx context.Context, m *smpp.Message) (status smpp.Status, result, reply string) {
	if l.bridge.inbox == nil {
		return smpp.StatusPermanent, "refused", ""
	}
	from, err := callsign.ParseMSISDN(m.Source.Number)
	if err != nil {
		l.log.Debug("message from no number was refused", "err", err)
		return smpp.StatusPermanent, "refused", ""
	}
	text, _ := gsm.Decode(m.DataCoding, m.UserData())
	ctx, cancel := context.WithTimeout(ctx, l.ResponseTimeout)
	defer cancel()
	reply, err = l.bridge.inbox.Receive(ctx, callsign.MO{From: from, To: m.Dest.Number, Text: text, Link: l.Name})
	if err != nil {
		l.log.Warn("message was not taken: the SMSC will send it again", "from", from, "err", err)
		return smpp.StatusTemporary, "failed", ""
	}
	return smpp.StatusOK, "taken", reply
}

// reply answers a handset with an ordinary SMS, which its phone keeps: data_coding without a class.
func (l *link) reply(ctx context.Context, s *smpp.Session, to *smpp.Message, text string) {
	screen := gsm.Fit(text)
	m := &smpp.Message{Source: to.Dest, Dest: to.Source, ShortMessage: screen.Octets}
	if screen.Encoding == gsm.UCS2 {
		m.DataCoding = 0x08
	}
	if _, err := s.Submit(ctx, m, nil); err != nil {
		l.log.Warn("reply to a handset was not taken", "err", err)
	}
}
