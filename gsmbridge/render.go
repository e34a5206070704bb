package gsmbridge

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// Rendered is one screen: what what-if shows and what is sent, from the same function.
type Rendered struct {
	Channel  string
	Encoding string // "gsm7" or "ucs2"
	Text     string // as it is shown
	Units    int    // septets or UTF-16 units taken
	MaxUnits int    // 160 or 70
	Cut      bool   // the text was longer
	Octets   []byte // short_message
	// DataCoding is that of the channel's first link.
	DataCoding byte
}

// Render is pure: text and channel in, one screen out.
func (b *Bridge) Render(d callsign.Delivery, channel string) (Rendered, error) {
	for _, l := range b.links {
		if l.Channel == channel {
			return render(d.Text, l.LinkConfig)
		}
	}
	c := DefaultLink()
	c.Channel = channel
	return render(d.Text, c)
}

func render(text string, c LinkConfig) (Rendered, error) {
	if c.Channel != Flash {
		return Rendered{}, fmt.Errorf("channel %q is not built yet: use %s", c.Channel, Flash)
	}
	if text == "" {
		return Rendered{}, errors.New("there is no text to show")
	}
	s := gsm.Fit(text)
	r := Rendered{c.Channel, s.Encoding, s.Text, s.Units, s.MaxUnits, s.Cut, s.Octets, c.DataCodingGSM7}
	if s.Encoding == gsm.UCS2 {
		r.DataCoding = c.DataCodingUCS2
	}
	return r, nil
}

// submitSM is r on its way to a handset. esm_class is 0, the SMSC's default mode: submit_sm knows no transaction mode
// (SMPP 3.4 §4.4). protocol_id is 0, for 0x40 would be silent (TS 23.040 §9.2.3.9).
func (l *link) submitSM(to callsign.MSISDN, r Rendered) *smpp.Message {
	m := &smpp.Message{
		Source: l.source, Dest: international(to),
		Validity:   smpp.RelativeTime(l.Validity),
		DataCoding: r.DataCoding, ShortMessage: r.Octets,
	}
	switch l.Receipts { // SMPP 3.4 §5.2.17
	case "final":
		m.RegisteredDelivery = 1
	case "failure":
		m.RegisteredDelivery = 2
	}
	return m
}

func international(m callsign.MSISDN) smpp.Address {
	return smpp.Address{TON: 1, NPI: 1, Number: strconv.FormatUint(uint64(m), 10)}
}
