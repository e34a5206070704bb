package smpp

import (
	"bytes"
	"encoding/hex"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// flash is a submit_sm as a handset's network wants it, and as SMPP 3.4 §4.4.1 lays it out.
var flash = Message{
	Source: Address{5, 0, "Callsign"}, Dest: Address{1, 1, "8613800000000"},
	Validity: RelativeTime(30 * time.Second), RegisteredDelivery: 1, DataCoding: 0x18, ShortMessage: []byte("\x62\x11\xd8\x3d\xde\x00"),
	TLVs: TLVs{TagDestAddrSubunit: {1}, TagMessagePayload: nil},
}

const flashWire = "" +
	"00000055 00000004 00000000 00000000" + // command_length, command_id, command_status, sequence_number
	"00" + // service_type
	"05 00 43616c6c7369676e00" + // source
	"01 01 3836313338303030303030303000" + // destination
	"00 00 00" + // esm_class, protocol_id, priority_flag
	"00" + // schedule_delivery_time
	"30303030303030303030333030303052 00" + // validity_period 000000000030000R
	"01 00 18 00" + // registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id
	"06 6211d83dde00" + // sm_length, short_message
	"0005 0001 01" + "0424 0000" // dest_addr_subunit, message_payload

func TestMessageOctets(t *testing.T) {
	want, err := hex.DecodeString(strings.ReplaceAll(flashWire, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	// A deliver_sm has the same layout; fiorix's own constructor would put an octet before its text.
	for id, name := range map[pdu.ID]string{pdu.SubmitSMID: "submit_sm", pdu.DeliverSMID: "deliver_sm"} {
		got, err := flash.encode(id)
		if err != nil {
			t.Fatal(err)
		}
		want[7] = byte(id)
		if !bytes.Equal(got, want) {
			t.Errorf("%s\ngot  % x\nwant % x", name, got, want)
		}
	}
}

func TestWhatCannotBeCodedIsNotSent(t *testing.T) {
	for want, m := range map[string]Message{
		"submit_sm: short_message has 255 octets, at most 254 fit (SMPP 3.4 §4.4.1)":          {ShortMessage: make([]byte, 255)},
		"submit_sm: destination_addr has a NUL in it (SMPP 3.4 §3.1)":                         {Dest: Address{1, 1, "86\x00138"}},
		"submit_sm: source_addr has 21 octets, at most 20 fit (SMPP 3.4 §5.2)":                {Source: Address{Number: strings.Repeat("1", 21)}},
		"submit_sm: service_type has 6 octets, at most 5 fit (SMPP 3.4 §5.2)":                 {ServiceType: "TOOBIG"},
		"submit_sm: validity_period has 17 octets, at most 16 fit (SMPP 3.4 §5.2)":            {Validity: "0000000000300000R"},
		"submit_sm: optional parameter 0x0424 has 65536 octets, at most 65535 fit":            {TLVs: TLVs{TagMessagePayload: make([]byte, 65536)}},
		"submit_sm: schedule_delivery_time has 20 octets, at most 16 fit (SMPP 3.4 §5.2)":     {Schedule: strings.Repeat("0", 20)},
		"submit_sm: destination_addr has " + "30" + " octets, at most 20 fit (SMPP 3.4 §5.2)": {Dest: Address{Number: strings.Repeat("1", 30)}},
		"submit_sm: source_addr has a NUL in it (SMPP 3.4 §3.1)":                              {Source: Address{Number: "\x00"}},
	} {
		bubble(t, Options{}, func(t *testing.T, s *bound) {
			_, err := s.Submit(t.Context(), &m, nil)
			if got := msg(err); got != want {
				t.Errorf("got %q, want %q", got, want)
			}
			s.lives(t)
		})
	}
}

func TestBindFieldsAreChecked(t *testing.T) {
	for want, b := range map[string]BindRequest{
		"bind_transceiver: password has 9 octets, at most 8 fit (SMPP 3.4 §5.2)": {SystemID: "x", Password: "123456789"},
		"bind_transmitter: system_id has a NUL in it (SMPP 3.4 §3.1)":            {Mode: Transmitter, SystemID: "x\x00"},
	} {
		here, there := net.Pipe()
		_, err := Bind(t.Context(), here, b, Options{})
		if got := msg(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		_ = there.Close()
	}
}

func TestSentIsToldTheOctets(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *bound) {
		var told []byte
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = s.Submit(t.Context(), &flash, func(octets []byte) { told = bytes.Clone(octets) })
		}()
		p := s.peer.expect(submit, 0)
		s.peer.write(raw{submit | resp, 0, p.seq, "1\x00"})
		<-done
		if got := string(told[16:]); got != p.body || told[15] != byte(p.seq) {
			t.Errorf("told % x, the peer read % x", told, p.body)
		}
	})
}

func TestRelativeTime(t *testing.T) {
	for d, want := range map[time.Duration]string{
		30 * time.Second: "000000000030000R",
		26*time.Hour + 3*time.Minute + 4*time.Second: "000001020304000R",
	} {
		if got := RelativeTime(d); got != want {
			t.Errorf("%v: got %s, want %s", d, got, want)
		}
	}
}

func TestUserData(t *testing.T) {
	for name, c := range map[string]struct {
		m    Message
		want string
	}{
		"short_message":                      {Message{ShortMessage: []byte("hi")}, "hi"},
		"message_payload where that's empty": {Message{TLVs: TLVs{TagMessagePayload: []byte("long")}}, "long"},
		"without the header of a part":       {Message{ESMClass: 0x40, ShortMessage: []byte("\x05\x00\x03\x01\x02\x01hi")}, "hi"},
		"a header that claims too much":      {Message{ESMClass: 0x40, ShortMessage: []byte("\xFFhi")}, ""},
	} {
		if got := string(c.m.UserData()); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestReceiptOf(t *testing.T) {
	const text = "id:0000001A2b sub:001 dlvrd:001 submit date:2411230428 done date:2411230428 stat:DELIVRD err:000 Text:stat:EXPIRED id:9"
	at := time.Date(2024, 11, 23, 4, 28, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		m    Message
		want Receipt
		ok   bool
	}{
		"a receipt's text": {Message{ESMClass: 0x04, ShortMessage: []byte(text)}, Receipt{"0000001A2b", "DELIVRD", "000"}, true},
		"our own text": {
			Message{ESMClass: 0x04, ShortMessage: []byte(Receipt{"77", "EXPIRED", "001"}.Text(at, at))},
			Receipt{"77", "EXPIRED", "001"},
			true,
		},
		"words in another order and case": {
			Message{ESMClass: 0x04, ShortMessage: []byte("STAT:undeliv ID:7")},
			Receipt{"7", "UNDELIV", ""},
			true,
		},
		"optional parameters alone": {
			Message{ESMClass: 0x04, TLVs: TLVs{TagReceiptedMessageID: []byte("7\x00"), TagMessageState: {2}}},
			Receipt{"7", "DELIVRD", ""},
			true,
		},
		"the parameter's id before the text's": {
			Message{ESMClass: 0x04, ShortMessage: []byte(text), TLVs: TLVs{TagReceiptedMessageID: []byte("8")}},
			Receipt{"8", "DELIVRD", "000"},
			true,
		},
		"word on the way":                      {Message{ESMClass: 0x20, ShortMessage: []byte("id:7 stat:ENROUTE")}, Receipt{"7", "ENROUTE", ""}, true},
		"a person may write the same":          {Message{ShortMessage: []byte(text)}, Receipt{}, false},
		"a delivery acknowledgement by a user": {Message{ESMClass: 0x08, ShortMessage: []byte("ok")}, Receipt{}, false},
	} {
		if got, ok := ReceiptOf(&c.m); got != c.want || ok != c.ok {
			t.Errorf("%s: got %+v %t, want %+v %t", name, got, ok, c.want, c.ok)
		}
	}
}
