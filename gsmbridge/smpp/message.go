package smpp

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
)

// Address is a number with its type and plan (SMPP 3.4 §5.2.5, §5.2.6). The zero value is "not given".
type Address struct {
	TON, NPI byte
	Number   string // at most 20 octets; an international one without its "+"
}

// Tag names an optional parameter (SMPP 3.4 §5.3.2).
type Tag uint16

// The optional parameters that this project reads or writes.
const (
	TagDestAddrSubunit    = Tag(pdutlv.TagDestAddrSubunit)
	TagReceiptedMessageID = Tag(pdutlv.TagReceiptedMessageID)
	TagInterfaceVersion   = Tag(0x0210) // sc_interface_version
	TagMessagePayload     = Tag(pdutlv.TagMessagePayload)
	TagMessageState       = Tag(pdutlv.TagMessageStateOption)
)

// TLVs are a PDU's optional parameters.
type TLVs map[Tag][]byte

// Message is the body of submit_sm and deliver_sm, which have the same fields (SMPP 3.4 §4.4.1, §4.6.1).
type Message struct {
	ServiceType                          string
	Source, Dest                         Address
	ESMClass, ProtocolID, Priority       byte
	Schedule, Validity                   string // as RelativeTime gives it, or ""
	RegisteredDelivery, ReplaceIfPresent byte
	DataCoding, DefaultMessageID         byte
	ShortMessage                         []byte // at most 254 octets
	TLVs                                 TLVs
}

// messageFields is a Message's layout. It is pdu.NewSubmitSM's; pdu.NewDeliverSM's has a stray octet before the text.
var messageFields = pdufield.List{
	pdufield.ServiceType,
	pdufield.SourceAddrTON, pdufield.SourceAddrNPI, pdufield.SourceAddr,
	pdufield.DestAddrTON, pdufield.DestAddrNPI, pdufield.DestinationAddr,
	pdufield.ESMClass, pdufield.ProtocolID, pdufield.PriorityFlag,
	pdufield.ScheduleDeliveryTime, pdufield.ValidityPeriod,
	pdufield.RegisteredDelivery, pdufield.ReplaceIfPresentFlag,
	pdufield.DataCoding, pdufield.SMDefaultMsgID,
	pdufield.SMLength, pdufield.ShortMessage,
}

// fields checks m and gives it to the codec, which would let a NUL shift the fields after it and sm_length wrap.
func (m *Message) fields() (pdufield.Map, error) {
	if n := len(m.ShortMessage); n > 254 {
		return nil, fmt.Errorf("short_message has %d octets, at most 254 fit (SMPP 3.4 §4.4.1)", n)
	}
	f := pdufield.Map{
		pdufield.SourceAddrTON:        &pdufield.Fixed{Data: m.Source.TON},
		pdufield.SourceAddrNPI:        &pdufield.Fixed{Data: m.Source.NPI},
		pdufield.DestAddrTON:          &pdufield.Fixed{Data: m.Dest.TON},
		pdufield.DestAddrNPI:          &pdufield.Fixed{Data: m.Dest.NPI},
		pdufield.ESMClass:             &pdufield.Fixed{Data: m.ESMClass},
		pdufield.ProtocolID:           &pdufield.Fixed{Data: m.ProtocolID},
		pdufield.PriorityFlag:         &pdufield.Fixed{Data: m.Priority},
		pdufield.RegisteredDelivery:   &pdufield.Fixed{Data: m.RegisteredDelivery},
		pdufield.ReplaceIfPresentFlag: &pdufield.Fixed{Data: m.ReplaceIfPresent},
		pdufield.DataCoding:           &pdufield.Fixed{Data: m.DataCoding},
		pdufield.SMDefaultMsgID:       &pdufield.Fixed{Data: m.DefaultMessageID},
		pdufield.SMLength:             &pdufield.Fixed{Data: byte(len(m.ShortMessage))},
		pdufield.ShortMessage:         &pdufield.SM{Data: m.ShortMessage},
	}
	return f, setTexts(f, []textField{
		{pdufield.ServiceType, m.ServiceType, 5},
		{pdufield.SourceAddr, m.Source.Number, 20},
		{pdufield.DestinationAddr, m.Dest.Number, 20},
		{pdufield.ScheduleDeliveryTime, m.Schedule, 16},
		{pdufield.ValidityPeriod, m.Validity, 16},
	})
}

// textField is a C-octet string and how many octets it may have before its NUL.
type textField struct {
	name pdufield.Name
	text string
	max  int
}

// setTexts checks each text and puts it into f.
func setTexts(f pdufield.Map, texts []textField) error {
	for _, t := range texts {
		if len(t.text) > t.max {
			return fmt.Errorf("%s has %d octets, at most %d fit (SMPP 3.4 §5.2)", t.name, len(t.text), t.max)
		}
		if strings.ContainsRune(t.text, 0) {
			return fmt.Errorf("%s has a NUL in it (SMPP 3.4 §3.1)", t.name)
		}
		f[t.name] = &pdufield.Variable{Data: []byte(t.text)}
	}
	return nil
}

// messageOf reads what fields wrote. It keeps the octets that f and t hold.
func messageOf(f pdufield.Map, t TLVs) *Message {
	return &Message{
		ServiceType: f[pdufield.ServiceType].String(),
		Source:      Address{octet(f, pdufield.SourceAddrTON), octet(f, pdufield.SourceAddrNPI), f[pdufield.SourceAddr].String()},
		Dest:        Address{octet(f, pdufield.DestAddrTON), octet(f, pdufield.DestAddrNPI), f[pdufield.DestinationAddr].String()},
		ESMClass:    octet(f, pdufield.ESMClass), ProtocolID: octet(f, pdufield.ProtocolID), Priority: octet(f, pdufield.PriorityFlag),
		Schedule: f[pdufield.ScheduleDeliveryTime].String(), Validity: f[pdufield.ValidityPeriod].String(),
		RegisteredDelivery: octet(f, pdufield.RegisteredDelivery), ReplaceIfPresent: octet(f, pdufield.ReplaceIfPresentFlag),
		DataCoding: octet(f, pdufield.DataCoding), DefaultMessageID: octet(f, pdufield.SMDefaultMsgID),
		ShortMessage: f[pdufield.ShortMessage].Bytes(),
		TLVs:         t,
	}
}

func octet(f pdufield.Map, name pdufield.Name) byte { return f[name].Bytes()[0] }

// UserData is the text's octets, from short_message or message_payload (SMPP 3.4 §5.3.2.32), without a user data header
// (TS 23.040 §9.2.3.24), which esm_class announces.
func (m *Message) UserData() []byte {
	data := m.ShortMessage
	if payload, ok := m.TLVs[TagMessagePayload]; ok && len(data) == 0 {
		data = payload
	}
	if m.ESMClass&0x40 != 0 && len(data) > 0 {
		data = data[min(1+int(data[0]), len(data)):]
	}
	return data
}

// RelativeTime writes d in SMPP's relative form (SMPP 3.4 §7.1.1.2), so that clocks don't matter: whole seconds, below 28 days.
func RelativeTime(d time.Duration) string {
	s := int(d / time.Second)
	return fmt.Sprintf("0000%02d%02d%02d%02d000R", s/86400, s/3600%24, s/60%60, s%60)
}

// text reads a C-octet string parameter, with or without the NUL that some peers leave out.
func (t TLVs) text(tag Tag) string { return string(bytes.TrimRight(t[tag], "\x00")) }
