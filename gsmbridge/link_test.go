package gsmbridge

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

func TestLinkIsBoundAgainAfterARestart(t *testing.T) {
	inLab(t, []*smsc.Options{{}}, nil, func(t *testing.T, l *lab) {
		if got := l.Links()[0]; !got.Bound || got.LastError != "" || got.Name != "a" || got.Address != "smsc.example:2775" || got.Channel != Flash {
			t.Errorf("got %+v, want it bound", got)
		}
		time.Sleep(time.Minute)
		l.stops[0]()
		synctest.Wait()
		want := "the session with smsc.example:2775 ended: the peer unbound: it is bound again by itself"
		if got := l.Links()[0]; got.Bound || got.LastError != want || !got.Since.Equal(time.Now()) {
			t.Errorf("got %+v, want %s", got, want)
		}
		time.Sleep(time.Second)
		want = "can't connect: connection refused: see that the SMSC is up and that smpp.links[a].address is right"
		if got := l.Links()[0]; got.Bound || got.LastError != want {
			t.Errorf("got %+v, want %s", got, want)
		}
		time.Sleep(10 * time.Minute)
		l.start(0, smsc.Options{})
		time.Sleep(38 * time.Second) // the longest wait and its jitter
		synctest.Wait()
		if got := l.Deliver(t.Context(), delivery("hi")); got.State != callsign.Accepted {
			t.Errorf("got %+v, want accepted", got)
		}
	})
}

func TestRefusedBindSaysWhatToDo(t *testing.T) {
	for status, want := range map[smpp.Status]string{
		smpp.StatusInvalidPassword: `the SMSC refused the bind as system_id "callsign": invalid password (0x0E): check smpp.links[a].password`,
		smpp.StatusInvalidSystemID: `the SMSC refused the bind as system_id "callsign": invalid system id (0x0F): check smpp.links[a].system_id`,
		smpp.StatusBindFailed: `the SMSC refused the bind as system_id "callsign": bind failed (0x0D): ` +
			`check smpp.links[a].system_id and smpp.links[a].password, and that this node's address may bind`,
		smpp.StatusAlreadyBound: `the SMSC refused the bind as system_id "callsign": already in bound state (0x05): ` +
			`see that no other node has this system_id, or ask the SMSC's operator for more sessions`,
		0x400: `the SMSC refused the bind as system_id "callsign": the SMSC's own status (0x400): ask the SMSC's operator why`,
	} {
		inLab(t, []*smsc.Options{{Behaviour: smsc.Behaviour{BindStatus: status}}}, nil, func(t *testing.T, l *lab) {
			time.Sleep(5 * time.Minute)
			synctest.Wait()
			if got := l.Links()[0]; got.Bound || got.LastError != want {
				t.Errorf("got %+v, want %s", got, want)
			}
			if got, want := l.log.lines, []string{"link is not bound why=" + want}; !slices.Equal(got, want) {
				t.Errorf("logged %q, want %q once", got, want)
			}
		})
	}
}

func TestSilentSMSCSaysWhatToDo(t *testing.T) {
	inLab(t, []*smsc.Options{nil}, nil, func(t *testing.T, l *lab) {
		ln := l.hosts[0].listen()
		defer ln.Close()
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, conn)
		synctest.Wait()
		want := "no bind: bind_transceiver: no answer within 5s: see that smpp.links[a].address is an SMSC's, and that it lets this node in"
		if got := l.Links()[0]; got.Bound || got.LastError != want {
			t.Errorf("got %+v, want %s", got, want)
		}
	})
}

// inbox answers every message alike.
type inbox struct {
	got   []callsign.MO
	reply string
	err   error
	hangs bool
}

func (i *inbox) Receive(ctx context.Context, m callsign.MO) (string, error) {
	i.got = append(i.got, m)
	if i.hangs {
		<-ctx.Done()
	}
	return i.reply, errors.Join(i.err, ctx.Err())
}

func TestWhoseMessageItIs(t *testing.T) {
	address := func(ton byte, number string) smpp.Address { return smpp.Address{TON: ton, NPI: 1, Number: number} }
	for sentence, c := range map[string]struct {
		to   DestinationConfig
		from smpp.Address
		want callsign.MSISDN
	}{
		"an international number":                                    {DestinationConfig{}, address(1, "8613900000001"), 8613900000001},
		"one with a plus, of a type that says nothing":               {DestinationConfig{Strip: "86"}, address(0, "+8613900000001"), 8613900000001},
		"a national one":                                             {DestinationConfig{Strip: "86"}, address(2, "13900000001"), 8613900000001},
		"a national one that begins as its country's code":           {DestinationConfig{Strip: "91"}, address(2, "9123456789"), 919123456789},
		"one with the country's trunk prefix, that begins as it too": {DestinationConfig{Strip: "7", Prefix: "8"}, address(0, "87012345678"), 77012345678},
		"one of another type with its country code":                  {DestinationConfig{Strip: "86"}, address(0, "8613900000001"), 8613900000001},
		"and without": {DestinationConfig{Strip: "86"}, address(0, "13900000001"), 8613900000001},
		"an international one of another country": {DestinationConfig{Strip: "91"}, address(1, "6581234567"), 6581234567},
		"a link that writes a plus":               {DestinationConfig{Prefix: "+"}, address(0, "+8613900000001"), 8613900000001},
	} {
		l := &link{LinkConfig: LinkConfig{Destination: c.to}}
		if got, err := l.msisdn(c.from); got != c.want || err != nil {
			t.Errorf("%s: %v, %v, want %v", sentence, got, err, c.want)
		}
	}
}

func TestInbox(t *testing.T) {
	stop := smpp.Message{Source: smpp.Address{TON: 1, NPI: 1, Number: "8613900000001"}, Dest: smpp.Address{TON: 3, Number: "10086"}, DataCoding: 0x08, ShortMessage: []byte("\x90\x00\x8B\xA2")}
	nobody := stop
	nobody.Source.Number = "CallSign"
	taken := callsign.MO{From: caller, To: "10086", Text: "退订", Link: "a"}
	for name, c := range map[string]struct {
		inbox   *inbox
		message smpp.Message
		status  smpp.Status
		got     []callsign.MO
		reply   string
	}{
		"a message that was kept is answered yes":       {&inbox{}, stop, smpp.StatusOK, []callsign.MO{taken}, ""},
		"one that was not comes again":                  {&inbox{err: errors.New("store is away"), reply: "no"}, stop, smpp.StatusTemporary, []callsign.MO{taken}, ""},
		"nor one that takes too long":                   {&inbox{hangs: true}, stop, smpp.StatusTemporary, []callsign.MO{taken}, ""},
		"without an inbox it doesn't":                   {nil, stop, smpp.StatusPermanent, nil, ""},
		"nor from what is no number":                    {&inbox{}, nobody, smpp.StatusPermanent, nil, ""},
		"a reply goes back after the answer, as an SMS": {&inbox{reply: "已退订"}, stop, smpp.StatusOK, []callsign.MO{taken}, "已退订"},
	} {
		t.Run(name, func(t *testing.T) {
			change := func(_ *LinkConfig, o *Options) {
				if c.inbox != nil {
					o.Inbox = c.inbox
				}
			}
			inLab(t, []*smsc.Options{nil}, change, func(t *testing.T, l *lab) {
				ln := l.hosts[0].listen()
				defer ln.Close()
				conn, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				replies := make(chan *smpp.Message, 1)
				s, err := smpp.Accept(t.Context(), conn, "", func(smpp.BindRequest) smpp.Status { return smpp.StatusOK },
					smpp.Options{ResponseTimeout: time.Minute, Handle: func(_ context.Context, _ *smpp.Session, m *smpp.Message) smpp.Answer {
						replies <- m
						return smpp.Answer{}
					}})
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan struct{})
				go func() {
					_ = s.Run(t.Context())
					close(ended)
				}()
				var refused *smpp.StatusError
				if err := s.Deliver(t.Context(), &c.message); !errors.As(err, &refused) && c.status != smpp.StatusOK || refused != nil && refused.Status != c.status {
					t.Errorf("got %v, want status %v", err, c.status)
				}
				synctest.Wait()
				if c.inbox != nil && !slices.Equal(c.inbox.got, c.got) {
					t.Errorf("got %+v, want %+v", c.inbox.got, c.got)
				}
				select {
				case m := <-replies:
					if got := string(m.ShortMessage); got != "\x5D\xF2\x90\x00\x8B\xA2" || m.DataCoding != 0x08 || m.Dest != stop.Source || m.Source != stop.Dest {
						t.Errorf("got reply %+v", m)
					}
					if c.reply == "" {
						t.Error("got a reply, want none")
					}
				default:
					if c.reply != "" {
						t.Error("got no reply")
					}
				}
				s.Close()
				<-ended
			})
		})
	}
}
