package smpp

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
	"github.com/fiorix/go-smpp/smpp/pdu/pdufield"
)

// reading gives a framer octets and nothing else.
type reading struct {
	net.Conn
	io.Reader
}

func (r reading) Read(b []byte) (int, error)    { return r.Reader.Read(b) }
func (reading) SetReadDeadline(time.Time) error { return nil }

// FuzzFrames reads anything as PDUs: nothing panics, every PDU is given whole or refused, and each body that can be read is
// written as it was.
func FuzzFrames(f *testing.F) {
	wire, _ := hex.DecodeString(strings.ReplaceAll(flashWire, " ", ""))
	f.Add(wire)
	f.Add(append(bytes.Clone(wire), wire...))
	f.Add([]byte("\x00\x00\x00\x10\x80\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x01"))
	for _, p := range []raw{
		{bindTRX, 0, 1, "esme\x00pw\x00\x00\x34\x01\x01861\x00"},
		{deliver, 0, 1, message + "\x04\x24\x00\x02hi"},
		{data, 0, 1, dataMessage},
		{query, 0, 1, "17\x00\x01\x01861380\x00"},
		{query | resp, 0, 1, "17\x00\x00\x02\x00"},
		{cancelSM, 0, 1, "\x0017\x00\x01\x01861380\x00\x01\x01861381\x00"},
	} {
		f.Add(p.octets())
	}
	f.Fuzz(func(t *testing.T, octets []byte) {
		const limit = 1 << 10
		r := reading{Reader: bytes.NewReader(octets)}
		framer := framer{r, bufio.NewReader(r), limit, time.Second}
		for at := 0; ; {
			h, body, err := framer.next()
			if err != nil && !errors.Is(err, errTooLong) {
				return
			}
			length := int(binary.BigEndian.Uint32(octets[at:]))
			if long := length > limit; long != (err != nil) || !long && string(body) != string(octets[at+headerLen:at+length]) {
				t.Fatalf("got %v and % x of % x", err, body, octets[at:])
			}
			at += length
			everyBody(t, h, body)
		}
	})
}

// everyBody reads a body as each that the session reads.
func everyBody(t *testing.T, h header, body []byte) {
	messageID(body)
	roundTrip(t, body, func(b []byte) (BindRequest, Status) { return decodeBind(h.id, b) }, func(b BindRequest) ([]byte, error) { return b.encode(1) })
	roundTrip(t, body, decodeQuery, Query.encode)
	roundTrip(t, body, decodeCancel, Cancel.encode)
	roundTrip(t, body, func(b []byte) (MessageState, Status) {
		if state, ok := decodeState(b); ok {
			return state, StatusOK
		}
		return 0, StatusInvalidLength
	}, func(state MessageState) ([]byte, error) {
		w := newWriter(header{}, 0)
		Query{}.writeState(&w, state)
		return w.pdu()
	})
	for _, id := range []pdu.ID{pdu.SubmitSMID, pdu.DataSMID} {
		roundTrip(t, body, func(b []byte) (*Message, Status) { return decodeMessage(id, b) }, func(m *Message) ([]byte, error) {
			ReceiptOf(m)
			return m.encode(id)
		})
	}
}

// roundTrip wants what is read to be read again once it is written; what is longer than the specification allows is not.
func roundTrip[T any](t *testing.T, body []byte, decode func([]byte) (T, Status), encode func(T) ([]byte, error)) {
	t.Helper()
	want, status := decode(body)
	if status != StatusOK {
		return
	}
	written, err := encode(want)
	if err != nil {
		return
	}
	if got, status := decode(written[headerLen:]); status != StatusOK || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v and %v, want %+v", got, status, want)
	}
}

// FuzzSubmitSM holds a submit_sm against the one that fiorix's codec writes of the same fields.
func FuzzSubmitSM(f *testing.F) {
	f.Add("", "Callsign", "8613800000000", "", "000000000030000R", byte(0x18), []byte("\x62\x11\xd8\x3d\xde\x00"))
	f.Add("USSD", "1\x00", "8613800000000", "", "", byte(0), bytes.Repeat([]byte("x"), 255))
	f.Fuzz(func(t *testing.T, service, source, dest, schedule, validity string, octet byte, text []byte) {
		m := Message{
			ServiceType: service, Source: Address{octet, 1, source}, Dest: Address{1, octet, dest}, ESMClass: octet, ProtocolID: 2,
			Priority: 3, Schedule: schedule, Validity: validity, RegisteredDelivery: 4, ReplaceIfPresent: 5, DataCoding: octet,
			DefaultMessageID: 6, ShortMessage: text,
		}
		got, err := m.encode(pdu.SubmitSMID)
		fits := len(text) <= 254
		for name, s := range map[string]string{service: "12345", source: strings.Repeat("1", 20), dest: strings.Repeat("1", 20), schedule: strings.Repeat("1", 16), validity: strings.Repeat("1", 16)} {
			fits = fits && len(name) <= len(s) && !strings.Contains(name, "\x00")
		}
		if fits != (err == nil) {
			t.Fatalf("got %v, fits is %t", err, fits)
		}
		if err != nil {
			return
		}
		p := pdu.NewSubmitSM(nil)
		p.Header().Seq = 0
		for name, v := range map[pdufield.Name]any{
			pdufield.ServiceType: service, pdufield.SourceAddrTON: octet, pdufield.SourceAddrNPI: uint8(1), pdufield.SourceAddr: source,
			pdufield.DestAddrTON: uint8(1), pdufield.DestAddrNPI: octet, pdufield.DestinationAddr: dest, pdufield.ESMClass: octet,
			pdufield.ProtocolID: uint8(2), pdufield.PriorityFlag: uint8(3), pdufield.ScheduleDeliveryTime: schedule,
			pdufield.ValidityPeriod: validity, pdufield.RegisteredDelivery: uint8(4), pdufield.ReplaceIfPresentFlag: uint8(5),
			pdufield.DataCoding: octet, pdufield.SMDefaultMsgID: uint8(6), pdufield.ShortMessage: text,
		} {
			if err := p.Fields().Set(name, v); err != nil {
				t.Fatal(err)
			}
		}
		var want bytes.Buffer
		if err := p.SerializeTo(&want); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("got  % x\nwant % x", got, want.Bytes())
		}
	})
}

// FuzzReceipt reads anything as a receipt's text, and what it read again once it is written.
func FuzzReceipt(f *testing.F) {
	f.Add("id:0000001A2b sub:001 dlvrd:001 submit date:2411230428 done date:2411230428 stat:DELIVRD err:000 Text:stat:EXPIRED id:9")
	f.Add("STAT:undeliv ID:7")
	f.Add("id:7 " + strings.Repeat("\u023a", 9) + " text:") // lower case may be longer: its positions are not the text's
	f.Fuzz(func(t *testing.T, text string) {
		want := parseReceipt(text)
		at := time.Date(2024, 11, 23, 4, 28, 0, 0, time.UTC)
		if got := parseReceipt(want.Text(at, at)); got != want {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}
