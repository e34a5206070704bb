package gsmbridge

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// TestWhatALinkIsSent is how a link's configuration makes the PDU.
func TestWhatALinkIsSent(t *testing.T) {
	number := func(ton, npi byte, n string) smpp.Address { return smpp.Address{TON: ton, NPI: npi, Number: n} }
	for name, c := range map[string]struct {
		change func(*LinkConfig)
		ctx    time.Duration // left of the call; 0: no end
		want   func(m *smpp.Message) bool
	}{
		"by itself": {func(*LinkConfig) {}, 0, func(m *smpp.Message) bool {
			return m.Source == smpp.Address{} && m.Dest == number(1, 1, "8613900000001") && m.ESMClass == 0 && m.ProtocolID == 0 &&
				m.DataCoding == 0xF0 && m.Validity == "000000000030000R" && m.RegisteredDelivery == 1 && len(m.TLVs) == 0 && m.ServiceType == ""
		}},
		"from a name": {
			func(l *LinkConfig) { l.Sender = "Callsign" }, 0,
			func(m *smpp.Message) bool { return m.Source == number(5, 0, "Callsign") },
		},
		"from a short code of another type": {
			func(l *LinkConfig) { l.Sender, l.SenderType = "10086", "0/1" }, 0,
			func(m *smpp.Message) bool { return m.Source == number(0, 1, "10086") },
		},
		"from the number that is called": {
			func(l *LinkConfig) { l.Sender = "callee" }, 0,
			func(m *smpp.Message) bool { return m.Source == number(1, 1, "8613800000000") },
		},
		"to a national number": {
			func(l *LinkConfig) { l.Destination = DestinationConfig{Strip: "86", Prefix: "0", Type: "2/1"} }, 0,
			func(m *smpp.Message) bool { return m.Dest == number(2, 1, "013900000001") },
		},
		"to a number with a plus": {
			func(l *LinkConfig) { l.Destination = DestinationConfig{Prefix: "+", Type: "1/1"} }, 0,
			func(m *smpp.Message) bool { return m.Dest == number(1, 1, "+8613900000001") },
		},
		"in datagram mode": {func(l *LinkConfig) { l.Mode = "datagram" }, 0, func(m *smpp.Message) bool { return m.ESMClass == 1 }},
		"in store mode":    {func(l *LinkConfig) { l.Mode = "store" }, 0, func(m *smpp.Message) bool { return m.ESMClass == 3 }},
		"by data_sm, in transaction mode": {
			func(l *LinkConfig) { l.Operation, l.Mode = "data_sm", "transaction" }, 0,
			func(m *smpp.Message) bool {
				return m.Data && m.ESMClass == 2 && string(m.UserData()) == "hi" && bytes.Equal(m.TLVs[smpp.TagQOSTimeToLive], []byte{0, 0, 0, 30})
			},
		},
		"to the display": {
			func(l *LinkConfig) { l.Display, l.DataCodingGSM7, l.complete = true, 0, true }, 0,
			func(m *smpp.Message) bool {
				return m.DataCoding == 0 && bytes.Equal(m.TLVs[smpp.TagDestAddrSubunit], []byte{1})
			},
		},
		"no longer than the call lasts":        {func(*LinkConfig) {}, 7 * time.Second, func(m *smpp.Message) bool { return m.Validity == "000000000007000R" }},
		"but as long as the SMSC takes":        {func(l *LinkConfig) { l.ValidityMin = time.Minute }, 7 * time.Second, func(m *smpp.Message) bool { return m.Validity == "000000000100000R" }},
		"asking only to be told of a failure":  {func(l *LinkConfig) { l.Receipts = "failure" }, 0, func(m *smpp.Message) bool { return m.RegisteredDelivery == 2 }},
		"asking for nothing to be told at all": {func(l *LinkConfig) { l.Receipts = "none" }, 0, func(m *smpp.Message) bool { return m.RegisteredDelivery == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(l *LinkConfig, _ *Options) {
				if *l = l.withDefaults(); true {
					c.change(l)
				}
			}
			inGateways(t, 1, change, func(t *testing.T, l *lab, g []*gateway) {
				ctx := t.Context()
				if c.ctx > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, c.ctx)
					defer cancel()
				}
				if o := l.Deliver(ctx, delivery("hi")); o.State != callsign.Accepted {
					t.Fatalf("got %+v", o)
				}
				if m := g[0].taken()[0]; !c.want(m) {
					t.Errorf("got %+v", m)
				}
			})
		})
	}
}

func TestTheBindIsTheLinks(t *testing.T) {
	change := func(l *LinkConfig, _ *Options) {
		l.SystemType, l.AddressRange, l.AddressType = "ESME", "^10086", "1/1"
		if l.Name == "b" {
			l.Bind = "receiver"
		} else {
			l.Bind = "transmitter"
		}
	}
	inGateways(t, 2, change, func(t *testing.T, l *lab, g []*gateway) {
		for i, mode := range []smpp.Mode{smpp.Transmitter, smpp.Receiver} {
			want := smpp.BindRequest{
				Mode: mode, SystemID: "callsign", Password: "secret", SystemType: "ESME", InterfaceVersion: 0x34,
				AddressRange: smpp.Address{TON: 1, NPI: 1, Number: "^10086"},
			}
			if got := g[i].session.Peer(); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		}
		l.Deliver(t.Context(), delivery("hi"))
		g[1].says(t, &smpp.Message{ESMClass: 0x04, ShortMessage: []byte("id:1 stat:DELIVRD err:000 text:")})
		if got, want := l.timeline.String(), "submitted a hi | accepted a 1 | receipt a 1 DELIVRD"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}

func TestAReplyGoesOverALinkThatMaySubmit(t *testing.T) {
	stop := &smpp.Message{Source: smpp.Address{TON: 1, NPI: 1, Number: "8613900000001"}, Dest: smpp.Address{Number: "10086"}, ShortMessage: []byte("STOP")}
	for sentence, c := range map[string]struct {
		binds   []string
		second  string // the second link's channel
		replies []int  // over each link
	}{
		"over the same, if it may":              {[]string{"transceiver", "transceiver"}, Flash, []int{1, 0}},
		"over another, if it only listens":      {[]string{"receiver", "transmitter"}, Flash, []int{0, 1}},
		"over none, if all only listen":         {[]string{"receiver", "receiver"}, Flash, []int{0, 0}},
		"over no USSD gateway, for it's an SMS": {[]string{"receiver", "transmitter"}, USSD, []int{0, 0}},
	} {
		t.Run(sentence, func(t *testing.T) {
			change := func(l *LinkConfig, o *Options) {
				if l.Bind = c.binds[l.Name[0]-'a']; l.Name == "b" {
					l.Channel = c.second
				}
				o.Inbox = &inbox{reply: "You get no more texts."}
			}
			inGateways(t, 2, change, func(t *testing.T, _ *lab, g []*gateway) {
				g[0].says(t, stop)
				synctest.Wait()
				if got := []int{len(g[0].taken()), len(g[1].taken())}; !slices.Equal(got, c.replies) {
					t.Errorf("replies went over %v, want %v", got, c.replies)
				}
			})
		})
	}
}

func TestTemplates(t *testing.T) {
	templates := []Template{
		{Text: "{name}: {signature}"},
		{Channel: USSD, Text: "{number} {signature}"},
		{Language: "zh", Text: "{name}说：{signature}"},
		{Language: "zh-TW", Text: "{name}說：{signature}"},
		{Language: "zh", Channel: USSD, Text: "{signature}"},
	}
	for name, c := range map[string]struct{ who, lang, channel, want string }{
		"the one for all":                       {"Ann", "", Flash, "Ann: hi"},
		"the channel's":                         {"Ann", "en", USSD, "+8613800000000 hi"},
		"the language's":                        {"Ann", "zh", Flash, "Ann说：hi"},
		"the language's for its regions":        {"Ann", "zh-CN", Flash, "Ann说：hi"},
		"the region's before the language's":    {"Ann", "zh-tw", Flash, "Ann說：hi"},
		"the language's on the channel":         {"Ann", "zh", USSD, "hi"},
		"another language is another":           {"Ann", "zhx", Flash, "Ann: hi"},
		"without a name none that has one fits": {"", "zh", Flash, "hi"},
	} {
		d := delivery("hi")
		d.Profile.Name, d.Profile.Signature.Lang = c.who, c.lang
		if got := put(d, c.channel, templates); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
	d := delivery("{name}")
	d.Profile.Name = "{signature}"
	if got := put(d, Flash, templates); got != "{signature}: {name}" {
		t.Errorf("what was filled in is filled in again: %q", got)
	}
	for text, want := range map[string]string{
		"hello {name}":           `smpp.templates[0].text: "hello {name}" has no {signature} in it: write it where the text belongs`,
		"{signature} by {naame}": "smpp.templates[0].text: {naame} is none: use {signature}, {name} and {number}",
	} {
		if err := (Config{Templates: []Template{{Text: text}}}).Validate(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

func TestShorterTextsByAccess(t *testing.T) {
	b := newBridge(t, Config{Links: []LinkConfig{{Name: "a", MaxUnits: map[string]int{"3GPP-GERAN": 20, "any": 40}}}})
	for access, want := range map[string]int{"3GPP-GERAN": 20, "3GPP-NR-FDD": 40, "": 40} {
		d := delivery(strings.Repeat("a", 100))
		d.Call.Access = access
		if r, err := b.Render(d, Flash); err != nil || r.Units != want || !r.Cut {
			t.Errorf("over %q: got %d units, %v, want %d", access, r.Units, err, want)
		}
	}
}

func TestTheTimelineTellsTheForm(t *testing.T) {
	for sentence, c := range map[string]struct {
		text, want string
		change     func(*LinkConfig, *Options)
	}{
		"the default alphabet":    {"hi", "flash gsm7 2/160", nil},
		"another one":             {"你好", "flash ucs2 2/70", nil},
		"what was cut":            {strings.Repeat("我", 100), "flash ucs2 70/70 cut", nil},
		"which of several parts":  {strings.Repeat("我", 100), "flash ucs2 100/201, part 1 of 2", func(l *LinkConfig, _ *Options) { l.Parts = 3 }},
		"the channel, if another": {"hi", "ussd gsm7 2/182", func(l *LinkConfig, _ *Options) { l.Channel = USSD }},
	} {
		t.Run(sentence, func(t *testing.T) {
			inGateways(t, 1, c.change, func(t *testing.T, l *lab, _ []*gateway) {
				d := delivery(c.text)
				d.Call.Access = "3GPP-UTRAN-FDD"
				l.Deliver(t.Context(), d)
				l.timeline.mu.Lock()
				defer l.timeline.mu.Unlock()
				if got := l.timeline.events[0].Reason; got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

func TestConcatenation(t *testing.T) {
	long := strings.Repeat("我", 100)
	three := func(l *LinkConfig, _ *Options) { l.Parts = 3 }
	t.Run("its parts are one text with one receipt", func(t *testing.T) {
		inGateways(t, 1, three, func(t *testing.T, l *lab, g []*gateway) {
			l.Deliver(t.Context(), delivery(long))
			m := g[0].taken()
			if len(m) != 2 || m[0].ESMClass != 0x40 || m[1].ESMClass != 0x40 || m[0].RegisteredDelivery != 0 || m[1].RegisteredDelivery != 1 {
				t.Fatalf("got %+v", m)
			}
			if h := m[0].ShortMessage; !bytes.Equal(h[:3], []byte{5, 0, 3}) || h[4] != 2 || h[5] != 1 || h[3] != m[1].ShortMessage[3] {
				t.Errorf("headers are % X and % X", h[:6], m[1].ShortMessage[:6])
			}
			want := "submitted a " + long + " part 1 of 2 | submitted a " + long + " part 2 of 2 | accepted a 2"
			if got := l.timeline.String(); got != want {
				t.Errorf("\ngot  %s\nwant %s", got, want)
			}
		})
	})
	t.Run("once a part was taken the rest goes nowhere else", func(t *testing.T) {
		inGateways(t, 2, three, func(t *testing.T, l *lab, g []*gateway) {
			g[0].answer = func(n int, _ *smpp.Message) smpp.Answer {
				return smpp.Answer{MessageID: "1", Status: []smpp.Status{smpp.StatusOK, smpp.StatusThrottled}[n]}
			}
			if o := l.Deliver(t.Context(), delivery(long)); o.State != callsign.Failed || len(g[1].taken()) != 0 {
				t.Errorf("got %+v, and %d messages elsewhere", o, len(g[1].taken()))
			}
		})
	})
	t.Run("that the call ended between its parts is told", func(t *testing.T) {
		inGateways(t, 1, three, func(t *testing.T, l *lab, g []*gateway) {
			ctx, over := context.WithCancelCause(t.Context())
			defer over(nil)
			g[0].answer = func(int, *smpp.Message) smpp.Answer {
				over(errors.New("the call was answered"))
				return smpp.Answer{MessageID: "1"}
			}
			o := l.Deliver(ctx, delivery(long))
			if want := "submitted a " + long + " part 1 of 2 | failed a the call was answered"; o.State != callsign.Dropped || l.timeline.String() != want {
				t.Errorf("got %+v,\n%s\nwant\n%s", o, l.timeline.String(), want)
			}
		})
	})
	t.Run("a short text is one", func(t *testing.T) {
		inGateways(t, 1, three, func(t *testing.T, l *lab, g []*gateway) {
			l.Deliver(t.Context(), delivery("hi"))
			if m := g[0].taken(); len(m) != 1 || m[0].ESMClass != 0 {
				t.Errorf("got %+v", m)
			}
		})
	})
}
