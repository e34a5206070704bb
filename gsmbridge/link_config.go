package gsmbridge

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// LinkConfig is one SMPP session with one SMSC or USSD gateway. In Go, fields that are zero have DefaultLink's values; in a
// file a zero that is written counts.
type LinkConfig struct {
	Name         string    `yaml:"name" doc:"the link's name in log, metrics and timelines: letters, digits, - and _"`
	Address      string    `yaml:"address" doc:"host:port of the SMSC"`
	SystemID     string    `yaml:"system_id" doc:"who we are to the SMSC; at most 15 octets"`
	Password     string    `yaml:"password" secret:"true" doc:"at most 8 octets"`
	SystemType   string    `yaml:"system_type" doc:"if the SMSC asks for one; at most 12 octets"`
	Bind         string    `yaml:"bind" doc:"transceiver, transmitter or receiver; receipts may come on another link than their text"`
	AddressRange string    `yaml:"address_range" doc:"whose messages this bind takes, if the SMSC asks for it; at most 40 octets"`
	AddressType  string    `yaml:"address_type" doc:"TON/NPI of address_range, like 1/1"`
	TLS          TLSConfig `yaml:"tls" doc:"SMPP over TLS; files are read again at each connection"`
	MaxPDU       int       `yaml:"max_pdu" doc:"octets of a PDU that is read; 1024 to 1048576"`

	Channel  string  `yaml:"channel" doc:"flash or ussd"`
	Priority int     `yaml:"priority" doc:"of a channel's links those with the least are tried first; 0 to 100"`
	Weight   int     `yaml:"weight" doc:"how often it comes before others of its priority; 0 to 1000. Those of 0 come last, in their order here"`
	Window   int     `yaml:"window" doc:"submit_sm that wait for their answer at once; 1 to 1000"`
	Rate     float64 `yaml:"rate" doc:"submit_sm per second; 0: no limit. A link that throttles is used less until it takes it again"`

	Sender      string            `yaml:"sender" doc:"whom texts come from: a number with +, a short code, a name of at most 11 characters; callee: the number that is called, whom STOP doesn't reach; empty: the SMSC's own"`
	SenderType  string            `yaml:"sender_type" doc:"TON/NPI of sender, like 5/0; empty: as its form tells"`
	Destination DestinationConfig `yaml:"destination" doc:"how the caller's number is written"`
	Operation   string            `yaml:"operation" doc:"submit_sm or data_sm"`
	Mode        string            `yaml:"mode" doc:"esm_class: default, datagram, store, or with data_sm transaction"`

	DataCodingGSM7 byte           `yaml:"data_coding_gsm7" doc:"data_coding of GSM 7-bit texts: flash 0xF0 (240) or 0x10 (16), message class 0; ussd 0x0F (15) or 0"`
	DataCodingUCS2 byte           `yaml:"data_coding_ucs2" doc:"data_coding of all other texts: flash 0x18 (24), or 8 with display; ussd 0x48 (72) or 8"`
	Display        bool           `yaml:"display" doc:"dest_addr_subunit says display: SMPP's own way to a flash SMS"`
	USSD           USSDConfig     `yaml:"ussd" doc:"of ussd links"`
	Parts          int            `yaml:"parts" doc:"concatenated SMS that one text may take; 1 to 10. Few phones show flash SMS of more than one"`
	MaxUnits       map[string]int `yaml:"max_units" doc:"septets or UTF-16 units of a text by the caller's access, like {3GPP-GERAN: 70, any: 160}: shorter ones arrive earlier during a call; 0: all of the screen"`
	Transliterate  bool           `yaml:"transliterate" doc:"typographic quotes, dashes and accents that GSM 7-bit lacks become its nearest, if all of the text fits then"`

	Validity    time.Duration     `yaml:"validity" doc:"how long the SMSC may try at most; 1s to 24h. It is told what is left of the call's time, if that is less"`
	ValidityMin time.Duration     `yaml:"validity_min" doc:"the least that the SMSC takes"`
	Receipts    string            `yaml:"receipts" doc:"which delivery receipts to ask for: final, failure or none"`
	Cancel      bool              `yaml:"cancel" doc:"cancel_sm takes a text back whose call ends before its receipt came"`
	Errors      map[string]string `yaml:"errors" doc:"what a command_status means here, like {0x45: throttled}: throttled, elsewhere, permanent, rebind or busy (the handset; another channel is tried)"`

	EnquireLink     time.Duration `yaml:"enquire_link" doc:"between two enquire_link"`
	ConnectTimeout  time.Duration `yaml:"connect_timeout" doc:"for the TCP connection, and TLS"`
	BindTimeout     time.Duration `yaml:"bind_timeout" doc:"for the bind's answer"`
	ResponseTimeout time.Duration `yaml:"response_timeout" doc:"for any other answer; a text without one may have been shown, and is not sent again"`

	complete bool // zeros are meant
}

// TLSConfig is how a link is encrypted.
type TLSConfig struct {
	On         bool   `yaml:"on" doc:"whether it is"`
	CA         string `yaml:"ca" doc:"PEM file of who may sign the SMSC's certificate; empty: the system's"`
	Cert       string `yaml:"cert" doc:"PEM file of our certificate, if the SMSC asks for one"`
	Key        string `yaml:"key" doc:"PEM file of its key"`
	ServerName string `yaml:"server_name" doc:"name in the SMSC's certificate; empty: address's host"`
}

// DestinationConfig is how a number is written for an SMSC.
type DestinationConfig struct {
	Strip  string `yaml:"strip" doc:"digits to leave away from the beginning, like a country code"`
	Prefix string `yaml:"prefix" doc:"what to write before the number, like + or 00"`
	Type   string `yaml:"type" doc:"TON/NPI"`
}

// USSDConfig is in what form a gateway takes a notification: gateways differ.
type USSDConfig struct {
	ServiceType string `yaml:"service_type" doc:"at most 5 octets"`
	Operation   string `yaml:"operation" doc:"ussn, a notification, or ussr, a request, which the phone answers"`
	Session     string `yaml:"session" doc:"its_session_info: none, or numbered"`
	Ends        string `yaml:"ends" doc:"who ends the session: we, in its_session_info, or the gateway"`
	Packed      bool   `yaml:"packed" doc:"GSM 7-bit strings go as septets packed into octets, padded with CR, for gateways that hand them on as they are"`
}

// DefaultLink is what a flash link is if only its name, address, system_id and password are given.
func DefaultLink() LinkConfig { return defaultLink(Flash) }

func defaultLink(channel string) LinkConfig {
	l := LinkConfig{
		Bind: "transceiver", AddressType: "0/0", MaxPDU: 64 << 10, Channel: channel, Window: 10,
		Destination: DestinationConfig{Type: "1/1"}, Operation: "submit_sm", Mode: "default",
		DataCodingGSM7: 0xF0, DataCodingUCS2: 0x18, Parts: 1, MaxUnits: map[string]int{},
		Validity: 30 * time.Second, ValidityMin: time.Second, Receipts: "final", Errors: map[string]string{},
		USSD:        USSDConfig{ServiceType: "USSD", Operation: "ussn", Session: "numbered", Ends: "we"},
		EnquireLink: 30 * time.Second, ConnectTimeout: 5 * time.Second, BindTimeout: 5 * time.Second, ResponseTimeout: 10 * time.Second,
		complete: true,
	}
	if channel == USSD {
		l.DataCodingGSM7, l.DataCodingUCS2 = 0x0F, 0x48
	}
	return l
}

// withDefaults is l with its channel's default in each zero field that may not have been meant.
func (l LinkConfig) withDefaults() LinkConfig {
	if l.complete {
		return l
	}
	d := defaultLink(cmp.Or(l.Channel, Flash))
	l.Bind, l.AddressType, l.MaxPDU = cmp.Or(l.Bind, d.Bind), cmp.Or(l.AddressType, d.AddressType), cmp.Or(l.MaxPDU, d.MaxPDU)
	l.Channel, l.Window = d.Channel, cmp.Or(l.Window, d.Window)
	l.Destination.Type = cmp.Or(l.Destination.Type, d.Destination.Type)
	l.Operation, l.Mode, l.Parts = cmp.Or(l.Operation, d.Operation), cmp.Or(l.Mode, d.Mode), cmp.Or(l.Parts, d.Parts)
	l.DataCodingGSM7, l.DataCodingUCS2 = cmp.Or(l.DataCodingGSM7, d.DataCodingGSM7), cmp.Or(l.DataCodingUCS2, d.DataCodingUCS2)
	l.USSD.ServiceType, l.USSD.Operation = cmp.Or(l.USSD.ServiceType, d.USSD.ServiceType), cmp.Or(l.USSD.Operation, d.USSD.Operation)
	l.USSD.Session, l.USSD.Ends = cmp.Or(l.USSD.Session, d.USSD.Session), cmp.Or(l.USSD.Ends, d.USSD.Ends)
	l.Validity, l.ValidityMin, l.Receipts = cmp.Or(l.Validity, d.Validity), cmp.Or(l.ValidityMin, d.ValidityMin), cmp.Or(l.Receipts, d.Receipts)
	l.EnquireLink, l.ConnectTimeout = cmp.Or(l.EnquireLink, d.EnquireLink), cmp.Or(l.ConnectTimeout, d.ConnectTimeout)
	l.BindTimeout, l.ResponseTimeout = cmp.Or(l.BindTimeout, d.BindTimeout), cmp.Or(l.ResponseTimeout, d.ResponseTimeout)
	if l.MaxUnits == nil {
		l.MaxUnits = d.MaxUnits
	}
	if l.Errors == nil {
		l.Errors = d.Errors
	}
	l.complete = true
	return l
}

// UnmarshalYAML fills in the channel's defaults. It is of the form that keeps the decoder's KnownFields.
func (l *LinkConfig) UnmarshalYAML(unmarshal func(any) error) error {
	type plain LinkConfig
	*l = defaultLink(Flash)
	if err := unmarshal((*plain)(l)); err != nil || l.Channel != USSD {
		return err
	}
	*l = defaultLink(USSD)
	return unmarshal((*plain)(l))
}

var linkName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// problems are "key: what is wrong: what to do".
func (l LinkConfig) problems() (p []string) {
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			p = append(p, fmt.Sprintf(format, args...))
		}
	}
	refuse(!linkName.MatchString(l.Name), "name: %q is no name: use 1 to 32 letters, digits, - and _", l.Name)
	host, port, err := net.SplitHostPort(l.Address)
	refuse(err != nil || host == "" || port == "", "address: %q is not host:port: write it like smsc.example.net:2775", l.Address)
	for _, t := range []struct {
		key, value string
		limit      int
	}{
		{"system_id", l.SystemID, 15},
		{"password", l.Password, 8},
		{"system_type", l.SystemType, 12},
		{"address_range", l.AddressRange, 40},
		{"ussd.service_type", l.USSD.ServiceType, 5},
	} {
		refuse(len(t.value) > t.limit, "%s: it has %d octets, SMPP carries at most %d: ask the SMSC's operator for a shorter one", t.key, len(t.value), t.limit)
		refuse(strings.ContainsRune(t.value, 0), "%s: it has a NUL in it: remove that", t.key)
	}
	refuse(l.SystemID == "", "system_id: it is empty: write the one that the SMSC's operator gave you")
	for _, w := range []struct {
		key, value string
		words      []string
	}{
		{"channel", l.Channel, []string{Flash, USSD}},
		{"bind", l.Bind, []string{"transceiver", "transmitter", "receiver"}},
		{"operation", l.Operation, []string{"submit_sm", "data_sm"}},
		{"mode", l.Mode, []string{"default", "datagram", "transaction", "store"}},
		{"receipts", l.Receipts, []string{"final", "failure", "none"}},
		{"ussd.operation", l.USSD.Operation, []string{"ussn", "ussr"}},
		{"ussd.session", l.USSD.Session, []string{"none", "numbered"}},
		{"ussd.ends", l.USSD.Ends, []string{"we", "gateway"}},
	} {
		last := len(w.words) - 1
		refuse(!slices.Contains(w.words, w.value), "%s: %q is none: use %s or %s", w.key, w.value, strings.Join(w.words[:last], ", "), w.words[last])
	}
	refuse(l.Mode == "transaction" && l.Operation != "data_sm", "mode: submit_sm has no transaction mode: use operation data_sm, or another mode")
	for _, n := range []struct {
		key                string
		n, least, greatest int
	}{
		{"priority", l.Priority, 0, 100},
		{"weight", l.Weight, 0, 1000},
		{"window", l.Window, 1, 1000},
		{"parts", l.Parts, 1, 10},
		{"max_pdu", l.MaxPDU, 1 << 10, 1 << 20},
	} {
		refuse(n.n < n.least || n.n > n.greatest, "%s: %d is out of range: use %d to %d", n.key, n.n, n.least, n.greatest)
	}
	refuse(!(l.Rate >= 0 && l.Rate <= 1e6), "rate: %v is out of range: use 0 (no limit) to 1000000", l.Rate)
	for access, n := range l.MaxUnits {
		refuse(n < 0 || n > 0 && n < 10, "max_units: %d of %s is out of range: use 0 (all of the screen), or 10 and more", n, access)
	}
	_, err = senderAddress(l.Sender, l.SenderType)
	refuse(err != nil, "sender: %v", err)
	for _, t := range []struct{ key, value string }{{"destination.type", l.Destination.Type}, {"address_type", l.AddressType}} {
		_, _, err := numberType(t.value)
		refuse(err != nil, "%s: %v", t.key, err)
	}
	refuse(strings.Trim(l.Destination.Strip, "0123456789") != "", "destination.strip: %q: write digits", l.Destination.Strip)
	refuse(strings.Trim(l.Destination.Prefix, "+0123456789*#") != "", "destination.prefix: %q: write digits, +, * and #", l.Destination.Prefix)
	p = append(p, l.codingProblems()...)
	for status, c := range l.Errors {
		_, err := strconv.ParseUint(status, 0, 32)
		refuse(err != nil, "errors: %q is no command_status: write it like 0x45", status)
		refuse(!slices.Contains(classes, class(c)), "errors: %q of %s is no class: use throttled, elsewhere, permanent, rebind or busy", c, status)
	}
	_, err = l.tls()
	refuse(err != nil, "tls: %v", err)
	for _, t := range []struct {
		key     string
		d       time.Duration
		longest time.Duration
	}{
		{"validity", l.Validity, 24 * time.Hour},
		{"validity_min", l.ValidityMin, 24 * time.Hour},
		{"enquire_link", l.EnquireLink, time.Hour},
		{"connect_timeout", l.ConnectTimeout, time.Minute},
		{"bind_timeout", l.BindTimeout, time.Minute},
		{"response_timeout", l.ResponseTimeout, time.Minute},
	} {
		refuse(t.d < time.Second || t.d > t.longest, "%s: %v is out of range: use 1s to %v", t.key, t.d, t.longest)
	}
	return p
}

// codingProblems are those of data codings: a wrong one shows nonsense, or stores what should only be shown.
func (l LinkConfig) codingProblems() (p []string) {
	if l.Channel == USSD {
		if !gsm.CodesUSSD(l.DataCodingGSM7, gsm.GSM7) {
			p = append(p, fmt.Sprintf("data_coding_gsm7: 0x%02X is not GSM 7-bit: use 0x0F or 0", l.DataCodingGSM7))
		}
		if !gsm.CodesUSSD(l.DataCodingUCS2, gsm.UCS2) {
			p = append(p, fmt.Sprintf("data_coding_ucs2: 0x%02X is not UCS2: use 0x48 or 8", l.DataCodingUCS2))
		}
		return p
	}
	class0 := func(dataCoding byte) bool { return gsm.Class0(dataCoding) || l.Display }
	if !class0(l.DataCodingGSM7) || !gsm.Codes(l.DataCodingGSM7, gsm.GSM7) {
		p = append(p, fmt.Sprintf("data_coding_gsm7: 0x%02X is not GSM 7-bit of message class 0, so phones would store the text: use 0xF0 or 0x10, or 0 with display", l.DataCodingGSM7))
	}
	if !class0(l.DataCodingUCS2) || !gsm.Codes(l.DataCodingUCS2, gsm.UCS2) {
		p = append(p, fmt.Sprintf("data_coding_ucs2: 0x%02X is not UCS2 of message class 0, so phones would store the text: use 0x18, or 8 with display", l.DataCodingUCS2))
	}
	return p
}

// tls is what a connection is encrypted with, nil if it isn't.
func (l LinkConfig) tls() (*tls.Config, error) {
	if !l.TLS.On {
		return nil, nil
	}
	host, _, _ := net.SplitHostPort(l.Address)
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: cmp.Or(l.TLS.ServerName, host)}
	if l.TLS.CA != "" {
		pem, err := os.ReadFile(l.TLS.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s has no certificate in it: write a PEM file's name", l.TLS.CA)
		}
	}
	if l.TLS.Cert != "" || l.TLS.Key != "" {
		pair, err := tls.LoadX509KeyPair(l.TLS.Cert, l.TLS.Key)
		if err != nil {
			return nil, fmt.Errorf("cert and key: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// numberType reads "TON/NPI".
func numberType(s string) (ton, npi byte, err error) {
	if n, err := fmt.Sscanf(s, "%d/%d", &ton, &npi); err != nil || n != 2 || fmt.Sprintf("%d/%d", ton, npi) != s {
		return 0, 0, fmt.Errorf("%q is no TON/NPI: write it like 1/1", s)
	}
	return ton, npi, nil
}

// callee is the sender that stands for the number that is called.
const callee = "callee"

// senderAddress is the source_addr of a configured sender. An empty one is "not known" (SMPP 3.4 §5.2.8), for which the
// SMSC puts in its own.
func senderAddress(sender, kind string) (a smpp.Address, err error) {
	digits := strings.TrimPrefix(sender, "+")
	numeric := digits != "" && strings.Trim(digits, "0123456789") == ""
	switch {
	case sender == "":
	case sender == callee:
		a = smpp.Address{TON: 1, NPI: 1}
	case numeric && len(digits) <= 8 && digits == sender: // a short code is the network's own: TON 3
		a = smpp.Address{TON: 3, NPI: 0, Number: digits}
	case numeric && len(digits) <= 20:
		a = smpp.Address{TON: 1, NPI: 1, Number: digits}
	// Eleven characters of the default alphabet are what an alphanumeric address holds (TS 23.040 §9.1.2.5). SMSCs read it as
	// ASCII, where both agree.
	case len(sender) > 11 || strings.ContainsFunc(sender, func(r rune) bool { return r < ' ' || r > 'z' || strings.ContainsRune("@$[\\]^_`", r) }):
		return a, fmt.Errorf("%q is neither a number nor a name: write + and digits, a short code, or at most 11 letters and digits", sender)
	default:
		a = smpp.Address{TON: 5, NPI: 0, Number: sender}
	}
	if kind != "" {
		a.TON, a.NPI, err = numberType(kind)
	}
	return a, err
}
