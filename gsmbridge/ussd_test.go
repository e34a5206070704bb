package gsmbridge

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// onGERAN is a delivery to a caller whom USSD reaches.
func onGERAN(text string) callsign.Delivery {
	d := delivery(text)
	d.Call.Access = "3GPP-GERAN"
	return d
}

// firstUSSD makes the first link a USSD gateway's.
func firstUSSD(c *LinkConfig, _ *Options) {
	if c.Name == "a" {
		c.Channel = USSD
	}
}

func TestUSSDForm(t *testing.T) {
	for name, c := range map[string]struct {
		change      func(*LinkConfig)
		text        string
		serviceType string
		op, info    []byte
		dataCoding  byte
	}{
		"a notification, which we end":        {func(*LinkConfig) {}, "hi", "USSD", []byte{3}, []byte{1, 1}, 0x0F},
		"in Chinese":                          {func(*LinkConfig) {}, "忙", "USSD", []byte{3}, []byte{1, 1}, 0x48},
		"a request, which the gateway ends":   {func(c *LinkConfig) { c.USSD.Operation, c.USSD.Ends = "ussr", "gateway" }, "hi", "USSD", []byte{2}, []byte{1, 0}, 0x0F},
		"without session, of another service": {func(c *LinkConfig) { c.USSD.Session, c.USSD.ServiceType = "none", "PUSH" }, "hi", "PUSH", []byte{3}, nil, 0x0F},
		"with SMS data codings":               {func(c *LinkConfig) { c.DataCodingUCS2 = 8 }, "忙", "USSD", []byte{3}, []byte{1, 1}, 8},
	} {
		t.Run(name, func(t *testing.T) {
			inGateways(t, 1, func(l *LinkConfig, o *Options) { firstUSSD(l, o); c.change(l) }, func(t *testing.T, l *lab, g []*gateway) {
				if o := l.Deliver(t.Context(), onGERAN(c.text)); o.State != callsign.Accepted || o.Channel != USSD {
					t.Fatalf("got %+v", o)
				}
				m := g[0].taken()[0]
				if m.ServiceType != c.serviceType || m.DataCoding != c.dataCoding ||
					!bytes.Equal(m.TLVs[smpp.TagUSSDServiceOp], c.op) || !bytes.Equal(m.TLVs[smpp.TagITSSessionInfo], c.info) {
					t.Errorf("got %q 0x%02X %v", m.ServiceType, m.DataCoding, m.TLVs)
				}
			})
		})
	}
}

func TestPackedUSSD(t *testing.T) {
	inGateways(t, 1, func(l *LinkConfig, o *Options) { firstUSSD(l, o); l.USSD.Packed = true }, func(t *testing.T, l *lab, g []*gateway) {
		for _, text := range []string{"1234567", "忙"} {
			l.Deliver(t.Context(), onGERAN(text))
		}
		if m := g[0].taken(); string(m[0].ShortMessage) != "\x31\xD9\x8C\x56\xB3\xDD\x1A" || string(m[1].ShortMessage) != "\x5F\xD9" {
			t.Errorf("got % X and % X", m[0].ShortMessage, m[1].ShortMessage)
		}
	})
}

func TestBusyUSSDFallsToFlash(t *testing.T) {
	for name, c := range map[string]struct {
		status   smpp.Status
		errors   map[string]string
		timeline string
	}{
		"with the gateway's own status": {
			0x40A, nil,
			"submitted a hi | failed a submit_sm refused: the SMSC's own status (0x40A) | submitted c hi | accepted c 1",
		},
		"with a permanent one that is configured so": {
			0x0B,
			map[string]string{"0x0B": "busy"},
			"submitted a hi | failed a submit_sm refused: invalid destination address (0x0B) | submitted c hi | accepted c 1",
		},
		"but not where the number is no number": {
			0x0B, nil,
			"submitted a hi | failed a submit_sm refused: invalid destination address (0x0B)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(l *LinkConfig, _ *Options) {
				if l.Name != "c" { // another gateway would find the same phone busy
					l.Channel, l.Errors = USSD, c.errors
				}
			}
			inGateways(t, 3, change, func(t *testing.T, l *lab, g []*gateway) {
				g[0].answer = func(int, *smpp.Message) smpp.Answer { return smpp.Answer{Status: c.status} }
				l.Deliver(t.Context(), onGERAN("hi"))
				if got := l.timeline.String(); got != c.timeline {
					t.Errorf("\ngot  %s\nwant %s", got, c.timeline)
				}
			})
		})
	}
}

func TestThePhonesAnswerToUSSD(t *testing.T) {
	confirm := func(op byte, text string) *smpp.Message {
		return &smpp.Message{
			Source: smpp.Address{TON: 1, NPI: 1, Number: number(caller)}, ServiceType: "USSD", ShortMessage: []byte(text),
			TLVs: smpp.TLVs{smpp.TagUSSDServiceOp: {op}},
		}
	}
	const taken = "submitted a hi | accepted a 1"
	for name, c := range map[string]struct {
		say  []*smpp.Message
		want string
		mo   string
	}{
		"a notification's is a receipt": {[]*smpp.Message{confirm(19, "")}, taken + " | receipt a 1 CONFIRMED", ""},
		"once":                          {[]*smpp.Message{confirm(19, ""), confirm(19, "")}, taken + " | receipt a 1 CONFIRMED", ""},
		"a request's may have words":    {[]*smpp.Message{confirm(18, "STOP")}, taken + " | receipt a 1 CONFIRMED", "STOP"},
		"what the user asks for is no answer to a text ": {[]*smpp.Message{confirm(1, "*100#")}, taken, "*100#"},
	} {
		t.Run(name, func(t *testing.T) {
			var mo words
			inGateways(t, 1, func(l *LinkConfig, o *Options) { firstUSSD(l, o); o.Inbox = &mo }, func(t *testing.T, l *lab, g []*gateway) {
				l.Deliver(t.Context(), onGERAN("hi"))
				for _, m := range c.say {
					g[0].says(t, m)
				}
				synctest.Wait()
				if got := l.timeline.String(); got != c.want {
					t.Errorf("\ngot  %s\nwant %s", got, c.want)
				}
				if string(mo) != c.mo {
					t.Errorf("the inbox has %q, want %q", mo, c.mo)
				}
			})
		})
	}
}

// words are what handsets said.
type words string

func (w *words) Receive(_ context.Context, m callsign.MO) (string, error) {
	*w += words(m.Text)
	return "", nil
}
