package smpp

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
)

// Address is a number with its type and plan (SMPP 3.4 §5.2.5, §5.2.6). The zero value is "not given".
type Address struct {
	TON, NPI byte
	Number   string // at most 20 octets, 64 in a data_sm; an international one without its "+"
}

// Tag names an optional parameter (SMPP 3.4 §5.3.2).
type Tag uint16

// The optional parameters that this project reads or writes.
const (
	TagDestAddrSubunit    = Tag(pdutlv.TagDestAddrSubunit)
	TagQOSTimeToLive      = Tag(pdutlv.TagQosTimeToLive) // a data_sm's validity: four octets of seconds
	TagReceiptedMessageID = Tag(pdutlv.TagReceiptedMessageID)
	TagSARMsgRefNum       = Tag(pdutlv.TagSarMsgRefNum)
	TagSARTotalSegments   = Tag(pdutlv.TagSarTotalSegments)
	TagSARSegmentSeqnum   = Tag(pdutlv.TagSarSegmentSeqnum)
	TagInterfaceVersion   = Tag(0x0210) // sc_interface_version
	TagMessagePayload     = Tag(pdutlv.TagMessagePayload)
	TagMessageState       = Tag(pdutlv.TagMessageStateOption)
	TagUSSDServiceOp      = Tag(pdutlv.TagUssdServiceOp)
	TagITSSessionInfo     = Tag(pdutlv.TagItsSessionInfo)
)

// TLVs are a PDU's optional parameters.
type TLVs map[Tag][]byte

// Message is the body of submit_sm and deliver_sm, which have the same fields (SMPP 3.4 §4.4.1, §4.6.1), and of data_sm,
// which has fewer (SMPP 3.4 §4.7.1): no Schedule, Validity, ProtocolID, Priority, ReplaceIfPresent, DefaultMessageID.
type Message struct {
	ServiceType                          string
	Source, Dest                         Address
	ESMClass, ProtocolID, Priority       byte
	Schedule, Validity                   string // as RelativeTime gives it, or ""
	RegisteredDelivery, ReplaceIfPresent byte
	DataCoding, DefaultMessageID         byte
	ShortMessage                         []byte // at most 254 octets
	TLVs                                 TLVs
	Data                                 bool // it came as a data_sm, its text in message_payload; sending doesn't ask
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

// dataFields is a data_sm's layout, which the codec doesn't have.
var dataFields = pdufield.List{
	pdufield.ServiceType,
	pdufield.SourceAddrTON, pdufield.SourceAddrNPI, pdufield.SourceAddr,
	pdufield.DestAddrTON, pdufield.DestAddrNPI, pdufield.DestinationAddr,
	pdufield.ESMClass, pdufield.RegisteredDelivery, pdufield.DataCoding,
}

// encode writes m as this command.
func (m *Message) encode(id pdu.ID) ([]byte, error) {
	w := newWriter(header{id: id}, 160+len(m.ShortMessage)+len(m.TLVs[TagMessagePayload]))
	if id == pdu.DataSMID {
		m.writeData(&w)
	} else {
		m.write(&w)
	}
	w.tlvs(m.TLVs)
	return w.pdu()
}

func (m *Message) write(w *writer) {
	w.text(pdufield.ServiceType, m.ServiceType, 5)
	w.address(pdufield.SourceAddr, m.Source, 20)
	w.address(pdufield.DestinationAddr, m.Dest, 20)
	w.put(m.ESMClass, m.ProtocolID, m.Priority)
	w.text(pdufield.ScheduleDeliveryTime, m.Schedule, 16)
	w.text(pdufield.ValidityPeriod, m.Validity, 16)
	w.put(m.RegisteredDelivery, m.ReplaceIfPresent, m.DataCoding, m.DefaultMessageID)
	if n := len(m.ShortMessage); n > 254 {
		w.fail(fmt.Errorf("short_message has %d octets, at most 254 fit (SMPP 3.4 §4.4.1)", n))
	}
	w.put(byte(len(m.ShortMessage)))
	w.put(m.ShortMessage...)
}

func (m *Message) writeData(w *writer) {
	w.text(pdufield.ServiceType, m.ServiceType, 5)
	w.address(pdufield.SourceAddr, m.Source, 64)
	w.address(pdufield.DestinationAddr, m.Dest, 64)
	w.put(m.ESMClass, m.RegisteredDelivery, m.DataCoding)
	if len(m.ShortMessage) == 0 {
		return
	}
	if _, both := m.TLVs[TagMessagePayload]; both {
		w.fail(errors.New("both ShortMessage and message_payload are given: a data_sm has one text (SMPP 3.4 §4.7.1)"))
	}
	w.tlv(TagMessagePayload, m.ShortMessage)
}

// decodeMessage reads what encode wrote. The message keeps b.
func decodeMessage(id pdu.ID, b []byte) (*Message, Status) {
	layout := messageFields
	if id == pdu.DataSMID {
		layout = dataFields
	}
	f, t, status := decode(layout, b)
	if status != StatusOK {
		return nil, status
	}
	m := &Message{
		ServiceType: f.text(pdufield.ServiceType), Source: f.source(), Dest: f.dest(),
		ESMClass: f.octet(pdufield.ESMClass), ProtocolID: f.octet(pdufield.ProtocolID), Priority: f.octet(pdufield.PriorityFlag),
		Schedule: f.text(pdufield.ScheduleDeliveryTime), Validity: f.text(pdufield.ValidityPeriod),
		RegisteredDelivery: f.octet(pdufield.RegisteredDelivery), ReplaceIfPresent: f.octet(pdufield.ReplaceIfPresentFlag),
		DataCoding: f.octet(pdufield.DataCoding), DefaultMessageID: f.octet(pdufield.SMDefaultMsgID),
		TLVs: t, Data: id == pdu.DataSMID,
	}
	if sm := f[pdufield.ShortMessage]; sm != nil {
		m.ShortMessage = sm.Bytes()
	}
	return m, StatusOK
}

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
