package gsmbridge

import (
	"context"
	"time"

	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// What ussd_service_op says (SMPP 3.4 §5.3.2.44).
const (
	ussrRequest = 2
	ussnRequest = 3
	ussrConfirm = 18
	ussnConfirm = 19
)

// ussd makes m a notification, or a request, of the network's side in the gateway's form.
func (l *link) ussd(m *smpp.Message, r Rendered) {
	m.ServiceType = l.USSD.ServiceType
	if l.USSD.Packed && r.Encoding == gsm.GSM7 {
		m.ShortMessage = gsm.PackUSSD(m.ShortMessage)
	}
	operation := byte(ussnRequest)
	if l.USSD.Operation == "ussr" {
		operation = ussrRequest
	}
	m.TLVs[smpp.TagUSSDServiceOp] = []byte{operation}
	if l.USSD.Session == "numbered" { // session number, then sequence number and the end indicator (SMPP 3.4 §5.3.2.43)
		info := []byte{byte(l.dialogues.Add(1)), 0}
		if l.USSD.Ends == "we" {
			info[1] = 1
		}
		m.TLVs[smpp.TagITSSessionInfo] = info
	}
}

// confirmation takes what a phone answers to USSD. A notification's is a receipt; a request's may have words of its user,
// which are theirs as in a message.
func (l *link) confirmation(ctx context.Context, m *smpp.Message) (taken bool, status smpp.Status) {
	op := m.TLVs[smpp.TagUSSDServiceOp]
	if len(op) != 1 || op[0] != ussrConfirm && op[0] != ussnConfirm {
		return false, smpp.StatusOK
	}
	if from, err := l.msisdn(m.Source); err == nil {
		l.bridge.confirmed(l, from, time.Now())
	}
	if op[0] == ussrConfirm && len(m.UserData()) > 0 {
		status, _ = l.receive(ctx, m)
	}
	return true, status
}
