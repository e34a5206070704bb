package gsmbridge

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

func TestConfigValidate(t *testing.T) {
	good := LinkConfig{Name: "a", Address: "127.0.0.1:2775", SystemID: "x", Password: "y"}
	for want, change := range map[string]func(*LinkConfig){
		"": func(*LinkConfig) {},
		`smpp.links[0].name: "" is no name: use 1 to 32 letters, digits, - and _`:                                                                       func(l *LinkConfig) { l.Name = "" },
		`smpp.links[0].address: "smsc" is not host:port: write it like smsc.example.net:2775`:                                                           func(l *LinkConfig) { l.Address = "smsc" },
		`smpp.links[0].system_id: it is empty: write the one that the SMSC's operator gave you`:                                                         func(l *LinkConfig) { l.SystemID = "" },
		`smpp.links[0].password: it has 9 octets, SMPP carries at most 8: ask the SMSC's operator for a shorter one`:                                    func(l *LinkConfig) { l.Password = "123456789" },
		`smpp.links[0].password: it has a NUL in it: remove that`:                                                                                       func(l *LinkConfig) { l.Password = "1\x00" },
		`smpp.links[0].channel: "sms" is none: use flash or ussd`:                                                                                       func(l *LinkConfig) { l.Channel = "sms" },
		`smpp.links[0].window: -1 is out of range: use 1 to 1000`:                                                                                       func(l *LinkConfig) { l.Window = -1 },
		`smpp.links[0].rate: -2 is out of range: use 0 (no limit) to 1000000`:                                                                           func(l *LinkConfig) { l.Rate = -2 },
		`smpp.links[0].receipts: "true" is none: use final, failure or none`:                                                                            func(l *LinkConfig) { l.Receipts = "true" },
		`smpp.links[0].validity: 100ms is out of range: use 1s to 24h0m0s`:                                                                              func(l *LinkConfig) { l.Validity = 100 * time.Millisecond },
		`smpp.links[0].enquire_link: 2h0m0s is out of range: use 1s to 1h0m0s`:                                                                          func(l *LinkConfig) { l.EnquireLink = 2 * time.Hour },
		`smpp.links[0].data_coding_gsm7: 0xF1 is not GSM 7-bit of message class 0, so phones would store the text: use 0xF0 or 0x10, or 0 with display`: func(l *LinkConfig) { l.DataCodingGSM7 = 0xF1 },
		`smpp.links[0].data_coding_ucs2: 0x08 is not UCS2 of message class 0, so phones would store the text: use 0x18, or 8 with display`:              func(l *LinkConfig) { l.DataCodingUCS2 = 0x08 },
		`smpp.links[0].sender: "Callsign Service" is neither a number nor a name: write + and digits, a short code, or at most 11 letters and digits`:   func(l *LinkConfig) { l.Sender = "Callsign Service" },
		`smpp.links[0].bind: "trx" is none: use transceiver, transmitter or receiver`:                                                                   func(l *LinkConfig) { l.Bind = "trx" },
		`smpp.links[0].mode: submit_sm has no transaction mode: use operation data_sm, or another mode`:                                                 func(l *LinkConfig) { l.Mode = "transaction" },
		`smpp.links[0].weight: 1001 is out of range: use 0 to 1000`:                                                                                     func(l *LinkConfig) { l.Weight = 1001 },
		`smpp.links[0].parts: 11 is out of range: use 1 to 10`:                                                                                          func(l *LinkConfig) { l.Parts = 11 },
		`smpp.links[0].max_pdu: 100 is out of range: use 1024 to 1048576`:                                                                               func(l *LinkConfig) { l.MaxPDU = 100 },
		`smpp.links[0].max_units: 5 of any is out of range: use 0 (all of the screen), or 10 and more`:                                                  func(l *LinkConfig) { l.MaxUnits = map[string]int{"any": 5} },
		`smpp.links[0].sender: "5/x" is no TON/NPI: write it like 1/1`:                                                                                  func(l *LinkConfig) { l.Sender, l.SenderType = "x", "5/x" },
		`smpp.links[0].destination.type: "1" is no TON/NPI: write it like 1/1`:                                                                          func(l *LinkConfig) { l.Destination.Type = "1" },
		`smpp.links[0].destination.strip: "+86": write digits`:                                                                                          func(l *LinkConfig) { l.Destination.Strip = "+86" },
		`smpp.links[0].destination.prefix: "tel:": write digits, +, * and #`:                                                                            func(l *LinkConfig) { l.Destination.Prefix = "tel:" },
		`smpp.links[0].errors: "ESME_RTHROTTLED" is no command_status: write it like 0x45`:                                                              func(l *LinkConfig) { l.Errors = map[string]string{"ESME_RTHROTTLED": "throttled"} },
		`smpp.links[0].errors: "retry" of 0x45 is no class: use throttled, elsewhere, permanent, rebind or busy`:                                        func(l *LinkConfig) { l.Errors = map[string]string{"0x45": "retry"} },
		`smpp.links[0].ussd.operation: "ussd" is none: use ussn or ussr`:                                                                                func(l *LinkConfig) { l.USSD.Operation = "ussd" },
		`smpp.links[0].ussd.service_type: it has 6 octets, SMPP carries at most 5: ask the SMSC's operator for a shorter one`:                           func(l *LinkConfig) { l.USSD.ServiceType = "USSD01" },
		`smpp.links[0].data_coding_ucs2: 0x04 is not UCS2: use 0x48 or 8`:                                                                               func(l *LinkConfig) { l.Channel, l.DataCodingUCS2 = USSD, 4 },
	} {
		l := good
		change(&l)
		got := ""
		if err := (Config{Links: []LinkConfig{l}}).Validate(); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("\ngot  %s\nwant %s", got, want)
		}
	}
	twice := Config{Links: []LinkConfig{good, good}}
	want := `smpp.links[1].name: "a" is the name of smpp.links[0] too: give each link its own`
	if err := twice.Validate(); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if _, err := New(Options{Config: twice}); err == nil {
		t.Error("New takes what Validate refuses")
	}
}

func TestConfigOfYAMLHasDefaults(t *testing.T) {
	var c Config
	err := yaml.Unmarshal([]byte("links: [{name: a, address: 'h:1', system_id: x, password: y, window: 3, enquire_link: 5s, data_coding_gsm7: 0x10}]"), &c)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultLink()
	want.Name, want.Address, want.SystemID, want.Password = "a", "h:1", "x", "y"
	want.Window, want.EnquireLink, want.DataCodingGSM7 = 3, 5*time.Second, 0x10
	if !reflect.DeepEqual(c.Links[0], want) {
		t.Errorf("got %+v, want %+v", c.Links[0], want)
	}
	if got := (LinkConfig{}).withDefaults(); !reflect.DeepEqual(got, DefaultLink()) {
		t.Errorf("zero fields become %+v, want %+v", got, DefaultLink())
	}
	err = yaml.Unmarshal([]byte("links: [{name: g, address: 'h:1', system_id: x, channel: ussd, data_coding_gsm7: 0, errors: {0x45: throttled}}]"), &c)
	if err != nil {
		t.Fatal(err)
	}
	if g := c.Links[0].withDefaults(); g.DataCodingGSM7 != 0 || g.DataCodingUCS2 != 0x48 || g.Errors["0x45"] != "throttled" || c.Validate() != nil {
		t.Errorf("got %+v, %v, want a zero that was written, and USSD's other data coding", g, c.Validate())
	}
	decoder := yaml.NewDecoder(strings.NewReader("links:\n  - name: a\n    adress: x\n"))
	decoder.KnownFields(true)
	if err := decoder.Decode(&c); err == nil || !strings.Contains(err.Error(), "line 3: field adress not found") {
		t.Errorf("an unknown key gives %v, want its line", err)
	}
}

func TestSenderAddress(t *testing.T) {
	for sender, want := range map[string]smpp.Address{
		"":               {},
		"+8613800000000": {TON: 1, NPI: 1, Number: "8613800000000"},
		"8613800000000":  {TON: 1, NPI: 1, Number: "8613800000000"},
		"+4912345":       {TON: 1, NPI: 1, Number: "4912345"},
		"10086":          {TON: 3, NPI: 0, Number: "10086"},
		"Callsign 1":     {TON: 5, NPI: 0, Number: "Callsign 1"},
	} {
		if got, err := senderAddress(sender, ""); got != want || err != nil {
			t.Errorf("%q: got %+v, %v, want %+v", sender, got, err, want)
		}
	}
	for _, sender := range []string{"Grüße", "a_b", "123456789012345678901", "twelve chars"} {
		if got, err := senderAddress(sender, ""); err == nil {
			t.Errorf("%q: got %+v, want an error", sender, got)
		}
	}
}

func TestRender(t *testing.T) {
	b, err := New(Options{Config: Config{Links: []LinkConfig{{Name: "a", Address: "h:1", SystemID: "x", DataCodingGSM7: 0x10}}}})
	if err != nil {
		t.Fatal(err)
	}
	got, err := b.Render(delivery("[hi]"), Flash)
	if err != nil || got.Encoding != "gsm7" || got.DataCoding != 0x10 || got.Units != 6 || got.MaxUnits != 160 || got.Cut || string(got.screen.Octets) != "\x1b<hi\x1b>" {
		t.Errorf("got %+v, %v", got, err)
	}
	got, err = b.Render(delivery(strings.Repeat("忙", 71)), Flash)
	if err != nil || got.Encoding != "ucs2" || got.DataCoding != 0x18 || got.Units != 70 || got.MaxUnits != 70 || !got.Cut || len(got.screen.Octets) != 140 {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := b.Render(delivery(""), Flash); err == nil {
		t.Error("got no error for no text")
	}
}
