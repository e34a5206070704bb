package smpp

import (
	"fmt"
	"strings"
	"time"
)

// Receipt is what an SMSC says became of a message (SMPP 3.4 Appendix B).
type Receipt struct {
	MessageID string // as the SMSC writes it here, which may differ from the submit_sm_resp's form
	Stat      string // DELIVRD, EXPIRED, DELETED, UNDELIV, ACCEPTD, UNKNOWN, REJECTD, ENROUTE, or the SMSC's own
	Err       string // the network's error code, "" if not said
}

// Final reports whether nothing more will be said of the message.
func (r Receipt) Final() bool { return r.Stat != "ENROUTE" && r.Stat != "ACCEPTD" }

// ReceiptOf reads the receipt in a deliver_sm, from its optional parameters before its text, which SMSCs vary. It is false
// for a message that a handset sent.
func ReceiptOf(m *Message) (r Receipt, ok bool) {
	// The message types of esm_class (SMPP 3.4 §5.2.12): a receipt, or word on the way to one.
	if kind := m.ESMClass & 0x3C; kind != 0x04 && kind != 0x20 {
		return r, false
	}
	r = parseReceipt(string(m.UserData()))
	if id := m.TLVs.text(TagReceiptedMessageID); id != "" {
		r.MessageID = id
	}
	if state := m.TLVs[TagMessageState]; len(state) == 1 && r.Stat == "" {
		r.Stat = MessageState(state[0]).String()
	}
	return r, true
}

// parseReceipt reads "id:… stat:… err:…" in any order and case; what is behind "text:" is the message's own.
func parseReceipt(text string) (r Receipt) {
	for word := range strings.FieldsSeq(text) {
		key, value, _ := strings.Cut(word, ":")
		switch {
		case strings.EqualFold(key, "text"):
			return r
		case strings.EqualFold(key, "id"):
			r.MessageID = value
		case strings.EqualFold(key, "stat"):
			r.Stat = strings.ToUpper(value)
		case strings.EqualFold(key, "err"):
			r.Err = value
		}
	}
	return r
}

// Text is the receipt as a deliver_sm's short_message carries it (SMPP 3.4 Appendix B).
func (r Receipt) Text(submitted, done time.Time) string {
	const layout = "0601021504"
	delivered := 0
	if r.Stat == "DELIVRD" {
		delivered = 1
	}
	return fmt.Sprintf("id:%s sub:001 dlvrd:%03d submit date:%s done date:%s stat:%s err:%s text:",
		r.MessageID, delivered, submitted.UTC().Format(layout), done.UTC().Format(layout), r.Stat, r.Err)
}
