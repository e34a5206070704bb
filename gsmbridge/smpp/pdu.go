package smpp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
	"github.com/fiorix/go-smpp/smpp/pdu/pdutlv"
)

// response is the bit that makes a request's command_id its answer's (SMPP 3.4 §5.1.2.1).
const response pdu.ID = 0x80000000

// command is a request's name in the specification.
func command(id pdu.ID) string {
	switch id &^ response {
	case pdu.BindReceiverID:
		return "bind_receiver"
	case pdu.BindTransmitterID:
		return "bind_transmitter"
	case pdu.BindTransceiverID:
		return "bind_transceiver"
	case pdu.SubmitSMID:
		return "submit_sm"
	case pdu.DeliverSMID:
		return "deliver_sm"
	case pdu.EnquireLinkID:
		return "enquire_link"
	case pdu.UnbindID:
		return "unbind"
	}
	return fmt.Sprintf("command 0x%08X", uint32(id))
}

// The layouts of the bodies that are not a Message; enquire_link, unbind and generic_nack have none.
var (
	bindFields = pdufield.List{
		pdufield.SystemID, pdufield.Password, pdufield.SystemType, pdufield.InterfaceVersion,
		pdufield.AddrTON, pdufield.AddrNPI, pdufield.AddressRange,
	}
	bindRespFields    = pdufield.List{pdufield.SystemID}
	messageRespFields = pdufield.List{pdufield.MessageID}
)

// encode writes one PDU. It serializes fields and TLVs itself: the codec's own order of TLVs is a map's.
func encode(h header, list pdufield.List, f pdufield.Map, t TLVs) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(headerLen + 256)
	if err := (&pdu.Header{ID: h.id, Status: pdu.Status(h.status), Seq: h.seq}).SerializeTo(&b); err != nil {
		return nil, err
	}
	for _, name := range list {
		if err := f[name].SerializeTo(&b); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, tag := range slices.Sorted(maps.Keys(t)) {
		if len(t[tag]) > 0xFFFF {
			return nil, fmt.Errorf("optional parameter 0x%04X has %d octets, at most 65535 fit", uint16(tag), len(t[tag]))
		}
		if err := pdutlv.NewTLV(pdutlv.Tag(tag), t[tag]).SerializeTo(&b); err != nil {
			return nil, fmt.Errorf("optional parameter 0x%04X: %w", uint16(tag), err)
		}
	}
	binary.BigEndian.PutUint32(b.Bytes(), uint32(b.Len()))
	return b.Bytes(), nil
}

// decode reads a body; what it gives keeps b. The codec takes a body that ends early for a whole one, so each field is asked for.
func decode(list pdufield.List, b []byte) (pdufield.Map, TLVs, Status) {
	r := bytes.NewBuffer(b)
	f, err := list.Decode(r)
	if err != nil || len(f) != len(list) {
		return nil, nil, StatusInvalidLength
	}
	if r.Len() < 4 { // fewer octets are no parameter; some peers pad
		return f, nil, StatusOK
	}
	read, err := pdutlv.DecodeTLV(r)
	if err != nil {
		return nil, nil, StatusInvalidTLVs
	}
	t := make(TLVs, len(read))
	for tag, v := range read {
		t[Tag(tag)] = v.Bytes()
	}
	return f, t, StatusOK
}

// messageID is what a submit_sm_resp says; a body that is missing or broken doesn't undo the SMSC's yes, so it is "".
func messageID(body []byte) string {
	f, err := messageRespFields.Decode(bytes.NewBuffer(body))
	if err != nil || f[pdufield.MessageID] == nil {
		return ""
	}
	return f[pdufield.MessageID].String()
}

// encodeReply writes an answer: a header alone, or one with a message id.
func encodeReply(h header, messageID *string) ([]byte, error) {
	if messageID == nil {
		return encode(h, nil, nil, nil)
	}
	f := pdufield.Map{}
	if err := setTexts(f, []textField{{pdufield.MessageID, *messageID, 64}}); err != nil {
		return nil, err
	}
	return encode(h, messageRespFields, f, nil)
}
