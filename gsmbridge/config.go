package gsmbridge

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// The channels to a handset.
const (
	Flash = "flash" // an SMS of message class 0, shown at once and not stored (TS 23.038 §4)
	USSD  = "ussd"
)

// Config is the section smpp of the configuration.
type Config struct {
	Links []LinkConfig `yaml:"links" doc:"SMSCs and USSD gateways, tried in this order"`
}

// LinkConfig is one SMPP session with one SMSC. Zero fields have DefaultLink's values.
type LinkConfig struct {
	Name            string        `yaml:"name" doc:"the link's name in log, metrics and timelines: letters, digits, - and _"`
	Address         string        `yaml:"address" doc:"host:port of the SMSC"`
	SystemID        string        `yaml:"system_id" doc:"who we are to the SMSC; at most 15 octets"`
	Password        string        `yaml:"password" secret:"true" doc:"at most 8 octets"`
	SystemType      string        `yaml:"system_type" doc:"if the SMSC asks for one; at most 12 octets"`
	Channel         string        `yaml:"channel" doc:"flash"`
	Window          int           `yaml:"window" doc:"submit_sm that wait for their answer at once; 1 to 1000"`
	Rate            float64       `yaml:"rate" doc:"submit_sm per second; 0: no limit"`
	Sender          string        `yaml:"sender" doc:"whom texts come from: a number with +, a short code, a name of at most 11 characters; empty: the SMSC's own"`
	DataCodingGSM7  byte          `yaml:"data_coding_gsm7" doc:"data_coding of GSM 7-bit texts, message class 0: 0xF0 (240) or 0x10 (16)"`
	DataCodingUCS2  byte          `yaml:"data_coding_ucs2" doc:"data_coding of all other texts, message class 0: 0x18 (24)"`
	Validity        time.Duration `yaml:"validity" doc:"how long the SMSC may try; 1s to 24h"`
	Receipts        string        `yaml:"receipts" doc:"which delivery receipts to ask for: final, failure or none"`
	EnquireLink     time.Duration `yaml:"enquire_link" doc:"between two enquire_link"`
	ConnectTimeout  time.Duration `yaml:"connect_timeout" doc:"for the TCP connection"`
	BindTimeout     time.Duration `yaml:"bind_timeout" doc:"for the bind's answer"`
	ResponseTimeout time.Duration `yaml:"response_timeout" doc:"for any other answer; a text without one may have been shown, and is not sent again"`
}

// DefaultConfig has no link: nothing can be sent.
func DefaultConfig() Config { return Config{} }

// DefaultLink is what a link is if only its name, address, system_id and password are given.
func DefaultLink() LinkConfig {
	return LinkConfig{
		Channel: Flash, Window: 10, DataCodingGSM7: 0xF0, DataCodingUCS2: 0x18, Validity: 30 * time.Second, Receipts: "final",
		EnquireLink: 30 * time.Second, ConnectTimeout: 5 * time.Second, BindTimeout: 5 * time.Second, ResponseTimeout: 10 * time.Second,
	}
}

// withDefaults is l with DefaultLink's values in its zero fields.
func (l LinkConfig) withDefaults() LinkConfig {
	d := DefaultLink()
	l.Channel = cmp.Or(l.Channel, d.Channel)
	l.Window = cmp.Or(l.Window, d.Window)
	l.DataCodingGSM7 = cmp.Or(l.DataCodingGSM7, d.DataCodingGSM7)
	l.DataCodingUCS2 = cmp.Or(l.DataCodingUCS2, d.DataCodingUCS2)
	l.Validity = cmp.Or(l.Validity, d.Validity)
	l.Receipts = cmp.Or(l.Receipts, d.Receipts)
	l.EnquireLink = cmp.Or(l.EnquireLink, d.EnquireLink)
	l.ConnectTimeout = cmp.Or(l.ConnectTimeout, d.ConnectTimeout)
	l.BindTimeout = cmp.Or(l.BindTimeout, d.BindTimeout)
	l.ResponseTimeout = cmp.Or(l.ResponseTimeout, d.ResponseTimeout)
	return l
}

// UnmarshalYAML fills in DefaultLink's values. It is of the form that keeps the decoder's KnownFields.
func (l *LinkConfig) UnmarshalYAML(unmarshal func(any) error) error {
	type plain LinkConfig
	*l = DefaultLink()
	return unmarshal((*plain)(l))
}

var linkName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// Validate reports everything that can't work, each with its key.
func (c Config) Validate() error {
	var problems []error
	names := map[string]int{}
	for i, l := range c.Links {
		for _, p := range l.withDefaults().problems() {
			problems = append(problems, fmt.Errorf("smpp.links[%d].%s", i, p))
		}
		if first, ok := names[l.Name]; ok && l.Name != "" {
			problems = append(problems, fmt.Errorf("smpp.links[%d].name: %q is the name of smpp.links[%d] too: give each link its own", i, l.Name, first))
		} else {
			names[l.Name] = i
		}
	}
	return errors.Join(problems...)
}

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
	}{{"system_id", l.SystemID, 15}, {"password", l.Password, 8}, {"system_type", l.SystemType, 12}} {
		refuse(len(t.value) > t.limit, "%s: it has %d octets, SMPP carries at most %d: ask the SMSC's operator for a shorter one", t.key, len(t.value), t.limit)
		refuse(strings.ContainsRune(t.value, 0), "%s: it has a NUL in it: remove that", t.key)
	}
	refuse(l.SystemID == "", "system_id: it is empty: write the one that the SMSC's operator gave you")
	if l.Channel == USSD {
		refuse(true, "channel: ussd is not built yet: use flash")
	} else {
		refuse(l.Channel != Flash, "channel: %q is none: use flash", l.Channel)
	}
	refuse(l.Window < 1 || l.Window > 1000, "window: %d is out of range: use 1 to 1000", l.Window)
	refuse(!(l.Rate >= 0 && l.Rate <= 1e6), "rate: %v is out of range: use 0 (no limit) to 1000000", l.Rate)
	_, err = senderAddress(l.Sender)
	refuse(err != nil, "sender: %v", err)
	refuse(!gsm.Class0(l.DataCodingGSM7) || !gsm.Codes(l.DataCodingGSM7, gsm.GSM7),
		"data_coding_gsm7: 0x%02X is not GSM 7-bit of message class 0, so phones would store the text: use 0xF0 or 0x10", l.DataCodingGSM7)
	refuse(!gsm.Class0(l.DataCodingUCS2) || !gsm.Codes(l.DataCodingUCS2, gsm.UCS2),
		"data_coding_ucs2: 0x%02X is not UCS2 of message class 0, so phones would store the text: use 0x18", l.DataCodingUCS2)
	refuse(!slices.Contains([]string{"final", "failure", "none"}, l.Receipts), "receipts: %q is none: use final, failure or none", l.Receipts)
	for _, t := range []struct {
		key     string
		d       time.Duration
		longest time.Duration
	}{
		{"validity", l.Validity, 24 * time.Hour},
		{"enquire_link", l.EnquireLink, time.Hour},
		{"connect_timeout", l.ConnectTimeout, time.Minute},
		{"bind_timeout", l.BindTimeout, time.Minute},
		{"response_timeout", l.ResponseTimeout, time.Minute},
	} {
		refuse(t.d < time.Second || t.d > t.longest, "%s: %v is out of range: use 1s to %v", t.key, t.d, t.longest)
	}
	return p
}

// senderAddress is the source_addr of a configured sender. An empty one is "not known" (SMPP 3.4 §5.2.8), for which the
// SMSC puts in its own.
func senderAddress(sender string) (smpp.Address, error) {
	digits := strings.TrimPrefix(sender, "+")
	numeric := digits != "" && strings.Trim(digits, "0123456789") == ""
	switch {
	case sender == "":
		return smpp.Address{}, nil
	case numeric && len(digits) <= 8 && digits == sender: // a short code is the network's own: TON 3
		return smpp.Address{TON: 3, NPI: 0, Number: digits}, nil
	case numeric && len(digits) <= 20:
		return smpp.Address{TON: 1, NPI: 1, Number: digits}, nil
	}
	// Eleven characters of the default alphabet are what an alphanumeric address holds (TS 23.040 §9.1.2.5). SMSCs read it as
	// ASCII, where both agree.
	if len(sender) > 11 || strings.ContainsFunc(sender, func(r rune) bool { return r < ' ' || r > 'z' || strings.ContainsRune("@$[\\]^_`", r) }) {
		return smpp.Address{}, fmt.Errorf("%q is neither a number nor a name: write + and digits, a short code, or at most 11 letters and digits", sender)
	}
	return smpp.Address{TON: 5, NPI: 0, Number: sender}, nil
}
