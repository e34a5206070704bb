package gsmbridge

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/gsm"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// Rendered is what a handset shows: what what-if tells and what is sent, from the same function.
type Rendered struct {
	Channel    string
	Encoding   string // "gsm7" or "ucs2"
	Text       string // as it is shown
	Units      int    // septets or UTF-16 units taken
	MaxUnits   int    // and to be had
	Cut        bool   // the text was longer
	Parts      int    // messages that it takes
	DataCoding byte
	screen     gsm.Screen
}

// form says how part i was coded and cut, as a timeline tells it: "flash ucs2 70/70 cut, part 1 of 2". Who draws the phone reads it.
func (r Rendered) form(i int) string {
	form := fmt.Sprintf("%s %s %d/%d", r.Channel, r.Encoding, r.Units, r.MaxUnits)
	if r.Cut {
		form += " cut"
	}
	if r.Parts > 1 {
		form += fmt.Sprintf(", part %d of %d", i+1, r.Parts)
	}
	return form
}

// Render is pure: a delivery and a channel in, what is shown out, by that channel's first link. An empty channel is the one
// that is tried first.
func (b *Bridge) Render(d callsign.Delivery, channel string) (Rendered, error) {
	if channel == "" {
		channel = cmp.Or(d.Channel, Flash)
		if links := b.route(d); len(links) > 0 {
			channel = links[0].Channel
		}
	}
	for _, l := range b.links {
		if l.Channel == channel {
			return render(d, l.LinkConfig, b.templates)
		}
	}
	return render(d, defaultLink(channel), b.templates)
}

func render(d callsign.Delivery, c LinkConfig, templates []Template) (Rendered, error) {
	if d.Text == "" {
		return Rendered{}, errors.New("there is no text to show")
	}
	most, ok := c.MaxUnits[d.Call.Access]
	if !ok {
		most = c.MaxUnits["any"]
	}
	form := gsm.Form{USSD: c.Channel == USSD, MaxUnits: most, Parts: c.Parts, Transliterate: c.Transliterate}
	s := form.Fit(put(d, c.Channel, templates))
	r := Rendered{c.Channel, s.Encoding, s.Text, s.Units, s.MaxUnits, s.Cut, s.Parts, c.DataCodingGSM7, s}
	if s.Encoding == gsm.UCS2 {
		r.DataCoding = c.DataCodingUCS2
	}
	return r, nil
}

var placeholder = regexp.MustCompile(`\{[a-z]*\}`)

// put writes d's text into the template that fits it best.
func put(d callsign.Delivery, channel string, templates []Template) string {
	values := map[string]string{"{signature}": d.Text, "{name}": d.Profile.Name, "{number}": d.Profile.MSISDN.E164()}
	best, text := 0, d.Text
	for _, t := range templates {
		fit := 1
		switch language := d.Profile.Signature.Lang; {
		case t.Language == "":
		case strings.EqualFold(t.Language, language):
			fit += 4
		case len(language) > len(t.Language) && strings.EqualFold(t.Language+"-", language[:len(t.Language)+1]): // zh for zh-TW
			fit += 2
		default:
			continue
		}
		switch t.Channel {
		case "":
		case channel:
			fit++
		default:
			continue
		}
		empty := false
		filled := placeholder.ReplaceAllStringFunc(t.Text, func(word string) string {
			empty = empty || values[word] == ""
			return values[word]
		})
		if fit > best && !empty {
			best, text = fit, filled
		}
	}
	return text
}

// messages are r on its way to a handset. protocol_id is 0, for 0x40 would be silent (TS 23.040 §9.2.3.9). Only the last part
// asks for a receipt: the handset shows nothing before it has all.
func (l *link) messages(ctx context.Context, d callsign.Delivery, r Rendered) []*smpp.Message {
	validity := l.validity(ctx)
	var messages []*smpp.Message
	parts := r.screen.UserData(byte(rand.Uint32()))
	for i, data := range parts {
		m := &smpp.Message{
			Source: l.sender(d.Call), Dest: l.destination(d.Call.Caller),
			ESMClass: l.esmClass, Validity: smpp.RelativeTime(validity),
			DataCoding: r.DataCoding, ShortMessage: data, TLVs: smpp.TLVs{},
		}
		if len(parts) > 1 {
			m.ESMClass |= 0x40 // a user data header (SMPP 3.4 §5.2.12)
		}
		if i == len(parts)-1 {
			switch l.Receipts { // SMPP 3.4 §5.2.17
			case "final":
				m.RegisteredDelivery = 1
			case "failure":
				m.RegisteredDelivery = 2
			}
		}
		if l.Display {
			m.TLVs[smpp.TagDestAddrSubunit] = []byte{1}
		}
		if l.Operation == "data_sm" { // which has no validity_period: qos_time_to_live (SMPP 3.4 §5.3.2.30) is in seconds
			m.TLVs[smpp.TagQOSTimeToLive] = binary.BigEndian.AppendUint32(nil, uint32(validity/time.Second))
		}
		if l.Channel == USSD {
			l.ussd(m, r)
		}
		messages = append(messages, m)
	}
	return messages
}

// validity is how long the SMSC may try: what is left of the call's time, in whole seconds, as far as the link takes it.
func (l *link) validity(ctx context.Context) time.Duration {
	v := l.Validity
	if end, ok := ctx.Deadline(); ok {
		v = min(v, time.Until(end)+time.Second-1)
	}
	return max(v, l.ValidityMin).Truncate(time.Second)
}

// sender is the source address of a text of c.
func (l *link) sender(c callsign.Call) smpp.Address {
	a := l.source
	if l.Sender == callee {
		a.Number = number(c.Callee)
	}
	return a
}

// destination is m as the link writes numbers.
func (l *link) destination(m callsign.MSISDN) smpp.Address {
	a := l.to
	a.Number = l.Destination.Prefix + strings.TrimPrefix(number(m), l.Destination.Strip)
	return a
}

func number(m callsign.MSISDN) string { return strconv.FormatUint(uint64(m), 10) }

// esmClass are the messaging modes (SMPP 3.4 §5.2.12). submit_sm knows no transaction mode (SMPP 3.4 §4.4).
func esmClass(mode string) byte {
	switch mode {
	case "datagram":
		return 1
	case "transaction":
		return 2
	case "store":
		return 3
	}
	return 0
}
