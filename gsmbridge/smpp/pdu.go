package smpp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

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
	case pdu.DataSMID:
		return "data_sm"
	case pdu.DeliverSMID:
		return "deliver_sm"
	case pdu.QuerySMID:
		return "query_sm"
	case pdu.CancelSMID:
		return "cancel_sm"
	case pdu.EnquireLinkID:
		return "enquire_link"
	case pdu.UnbindID:
		return "unbind"
	}
	return fmt.Sprintf("command 0x%08X", uint32(id))
}

// The layouts of the bodies that are read; enquire_link, unbind and generic_nack have none.
var (
	bindFields = pdufield.List{
		pdufield.SystemID, pdufield.Password, pdufield.SystemType, pdufield.InterfaceVersion,
		pdufield.AddrTON, pdufield.AddrNPI, pdufield.AddressRange,
	}
	queryFields  = pdufield.List{pdufield.MessageID, pdufield.SourceAddrTON, pdufield.SourceAddrNPI, pdufield.SourceAddr}
	cancelFields = pdufield.List{
		pdufield.ServiceType, pdufield.MessageID,
		pdufield.SourceAddrTON, pdufield.SourceAddrNPI, pdufield.SourceAddr,
		pdufield.DestAddrTON, pdufield.DestAddrNPI, pdufield.DestinationAddr,
	}
)

// writer writes one PDU, and keeps why it can't be coded. The codec's own writing takes a map of fields, three times the
// time, and lets a NUL shift the fields after it and sm_length wrap.
type writer struct {
	octets []byte
	err    error
}

func newWriter(h header, size int) writer {
	b := make([]byte, headerLen, headerLen+size)
	binary.BigEndian.PutUint32(b[4:], uint32(h.id))
	binary.BigEndian.PutUint32(b[8:], uint32(h.status))
	binary.BigEndian.PutUint32(b[12:], h.seq)
	return writer{octets: b}
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func (w *writer) put(octets ...byte) { w.octets = append(w.octets, octets...) }

// text writes a C-octet string that may have limit octets before its NUL.
func (w *writer) text(name pdufield.Name, text string, limit int) {
	switch {
	case len(text) > limit:
		w.fail(fmt.Errorf("%s has %d octets, at most %d fit (SMPP 3.4 §5.2)", name, len(text), limit))
	case strings.IndexByte(text, 0) >= 0:
		w.fail(fmt.Errorf("%s has a NUL in it (SMPP 3.4 §3.1)", name))
	default:
		w.octets = append(append(w.octets, text...), 0)
	}
}

func (w *writer) address(name pdufield.Name, a Address, limit int) {
	w.put(a.TON, a.NPI)
	w.text(name, a.Number, limit)
}

// tlvs writes optional parameters in the order of their tags, which the codec's would not keep.
func (w *writer) tlvs(t TLVs) {
	tags := make([]Tag, 0, 8)
	for tag := range t {
		tags = append(tags, tag)
	}
	slices.Sort(tags)
	for _, tag := range tags {
		w.tlv(tag, t[tag])
	}
}

func (w *writer) tlv(tag Tag, value []byte) {
	if len(value) > 0xFFFF {
		w.fail(fmt.Errorf("optional parameter 0x%04X has %d octets, at most 65535 fit", uint16(tag), len(value)))
		return
	}
	w.octets = binary.BigEndian.AppendUint16(w.octets, uint16(tag))
	w.octets = binary.BigEndian.AppendUint16(w.octets, uint16(len(value)))
	w.octets = append(w.octets, value...)
}

// pdu is what was written.
func (w *writer) pdu() ([]byte, error) {
	if w.err != nil {
		return nil, w.err
	}
	binary.BigEndian.PutUint32(w.octets, uint32(len(w.octets)))
	return w.octets, nil
}

// decode reads a body; what it gives keeps b. The codec takes a body that ends early for a whole one, so each field is asked for.
func decode(list pdufield.List, b []byte) (fields, TLVs, Status) {
	r := bytes.NewBuffer(b)
	f, err := list.Decode(r)
	if err != nil || len(f) != len(list) {
		return nil, nil, StatusInvalidLength
	}
	if r.Len() < 4 { // fewer octets are no parameter; some peers pad
		return fields(f), nil, StatusOK
	}
	read, err := pdutlv.DecodeTLV(r)
	if err != nil {
		return nil, nil, StatusInvalidTLVs
	}
	t := make(TLVs, len(read))
	for tag, v := range read {
		t[Tag(tag)] = v.Bytes()
	}
	return fields(f), t, StatusOK
}

// fields are what was read; one that the PDU doesn't have is empty.
type fields pdufield.Map

func (f fields) text(name pdufield.Name) string {
	if v := f[name]; v != nil {
		return v.String()
	}
	return ""
}

func (f fields) octet(name pdufield.Name) byte {
	if v, ok := f[name].(*pdufield.Fixed); ok {
		return v.Data
	}
	return 0
}

func (f fields) source() Address {
	return Address{f.octet(pdufield.SourceAddrTON), f.octet(pdufield.SourceAddrNPI), f.text(pdufield.SourceAddr)}
}

func (f fields) dest() Address {
	return Address{f.octet(pdufield.DestAddrTON), f.octet(pdufield.DestAddrNPI), f.text(pdufield.DestinationAddr)}
}

// messageID is what a submit_sm_resp says; a body that is missing or broken doesn't undo the SMSC's yes, so it is "".
func messageID(body []byte) string {
	id, _, _ := bytes.Cut(body, []byte{0})
	if len(id) == len(body) {
		return ""
	}
	return string(id)
}

// empty is a PDU without a body.
func empty(h header) []byte {
	w := newWriter(h, 0)
	octets, _ := w.pdu()
	return octets
}
