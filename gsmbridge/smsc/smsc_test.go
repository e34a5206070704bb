package smsc

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rivo/uniseg"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

const handsetNumber = callsign.MSISDN(8613900000001)

// pipes is a listener without sockets.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (pipes) Addr() net.Addr { return nil }

// running runs a server until the test ends and gives a way to bind to it.
func running(t *testing.T, o Options) (s *Server, bind func(b smpp.BindRequest, handle func(*smpp.Message)) (*smpp.Session, error)) {
	t.Helper()
	ln := pipes{make(chan net.Conn), make(chan struct{})}
	s = New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
	})
	return s, func(b smpp.BindRequest, handle func(*smpp.Message)) (*smpp.Session, error) {
		conn, there := net.Pipe()
		ln.conns <- there
		session, err := smpp.Bind(t.Context(), conn, b, smpp.Options{Handle: func(_ context.Context, _ *smpp.Session, m *smpp.Message) smpp.Answer {
			handle(m)
			return smpp.Answer{}
		}})
		if err != nil {
			return nil, err
		}
		gone := make(chan struct{})
		go func() {
			_ = session.Run(context.Background())
			close(gone)
		}()
		t.Cleanup(func() {
			session.Close()
			<-gone
		})
		return session, nil
	}
}

func TestBindIsChecked(t *testing.T) {
	_, bind := running(t, Options{SystemID: "callsign", Password: "secret"})
	for want, b := range map[string]smpp.BindRequest{
		"":  {SystemID: "callsign", Password: "secret"},
		" ": {Mode: smpp.Receiver, SystemID: "callsign", Password: "secret"},
		"bind_transceiver refused: invalid system id (0x0F)": {SystemID: "other", Password: "secret"},
		"bind_transmitter refused: invalid password (0x0E)":  {Mode: smpp.Transmitter, SystemID: "callsign", Password: "no"},
	} {
		_, err := bind(b, nil)
		if got := message(err); got != strings.TrimSpace(want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	_, bind = running(t, Options{Behaviour: Behaviour{BindStatus: smpp.StatusBindFailed}})
	if _, err := bind(smpp.BindRequest{SystemID: "any"}, nil); message(err) != "bind_transceiver refused: bind failed (0x0D)" {
		t.Errorf("got %v", err)
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestHandsetShowsWhatWasSent(t *testing.T) {
	told := make(chan Message, 1)
	s, bind := running(t, Options{OnMessage: func(m Message) { told <- m }})
	session, err := bind(smpp.BindRequest{SystemID: "x"}, func(*smpp.Message) {})
	if err != nil {
		t.Fatal(err)
	}
	to := smpp.Address{TON: 1, NPI: 1, Number: "8613900000001"}
	n := 0
	for name, c := range map[string]struct {
		m    smpp.Message
		want Message
	}{
		"GSM 7-bit of class 0": {
			smpp.Message{Dest: to, DataCoding: 0xF0, ShortMessage: []byte("a\x1b\x65")},
			Message{Text: "a€", Flash: true, Encoding: "gsm7", DataCoding: 0xF0, Units: 3},
		},
		"UCS2 of class 0": {
			smpp.Message{Dest: to, DataCoding: 0x18, ShortMessage: []byte("\x62\x11\xd8\x3d\xde\x00"), Source: smpp.Address{Number: "10086"}},
			Message{Text: "我😀", Flash: true, Encoding: "ucs2", DataCoding: 0x18, Units: 3, From: "10086"},
		},
		"UCS2 for the display": {
			smpp.Message{Dest: to, DataCoding: 0x08, ShortMessage: []byte("\x62\x11"), TLVs: smpp.TLVs{smpp.TagDestAddrSubunit: {1}}},
			Message{Text: "我", Flash: true, Encoding: "ucs2", DataCoding: 0x08, Units: 1},
		},
		"an SMS to keep": {
			smpp.Message{Dest: to, ShortMessage: []byte("a")}, Message{Text: "a", Encoding: "gsm7", Units: 1},
		},
	} {
		n++
		id, err := session.Submit(t.Context(), &c.m, nil)
		if err != nil {
			t.Fatal(err)
		}
		messages, err := s.Wait(t.Context(), handsetNumber, n)
		if err != nil {
			t.Fatal(err)
		}
		got := messages[n-1]
		if again := <-told; again != got {
			t.Errorf("%s: told %+v, shown %+v", name, again, got)
		}
		c.want.To, c.want.ID, c.want.At = handsetNumber, id, got.At
		if got != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
	var refused *smpp.StatusError
	if _, err := session.Submit(t.Context(), &smpp.Message{Dest: smpp.Address{Number: "nobody"}}, nil); !errors.As(err, &refused) || refused.Status != smpp.StatusInvalidDest {
		t.Errorf("got %v, want an invalid destination", err)
	}
}

func TestReceiptsAreSentIfAskedFor(t *testing.T) {
	for name, c := range map[string]struct {
		behaviour  Behaviour
		registered byte
		want       []string // stats
	}{
		"asked for":       {Behaviour{}, 1, []string{"DELIVRD"}},
		"not asked for":   {Behaviour{}, 0, nil},
		"for failures":    {Behaviour{}, 2, nil},
		"off":             {Behaviour{NoReceipts: true}, 1, nil},
		"twice, and late": {Behaviour{ReceiptTwice: true, ReceiptStat: "EXPIRED"}, 1, []string{"EXPIRED", "EXPIRED"}},
	} {
		test := func(t *testing.T) {
			told := make(chan Message, 4)
			_, bind := running(t, Options{Behaviour: c.behaviour, OnReceipt: func(m Message) { told <- m }})
			receipts := make(chan smpp.Receipt, 4)
			session, err := bind(smpp.BindRequest{SystemID: "x"}, func(m *smpp.Message) {
				r, ok := smpp.ReceiptOf(m)
				if !ok || m.Source.Number != "8613900000001" {
					t.Errorf("got %+v, want a receipt from the handset", m)
				}
				receipts <- r
			})
			if err != nil {
				t.Fatal(err)
			}
			m := &smpp.Message{Dest: smpp.Address{Number: "8613900000001"}, RegisteredDelivery: c.registered, ShortMessage: []byte("a")}
			id, err := session.Submit(t.Context(), m, nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if got := <-receipts; got.Stat != want || got.MessageID != id {
					t.Errorf("got %+v, want %s of %s", got, want, id)
				}
				if got := <-told; got.ID != id {
					t.Errorf("OnReceipt was told of %+v, want %s", got, id)
				}
			}
			synctest.Wait()
			if len(told) != 0 {
				t.Errorf("OnReceipt was told of %d receipts more", len(told))
			}
			if len(receipts) != 0 {
				t.Errorf("got %d receipts more", len(receipts))
			}
		}
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := New(Options{}).Wait(ctx, handsetNumber, 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

func TestHandsetsAreBounded(t *testing.T) {
	h := newHandsets()
	for i := range maxMessages + 1 {
		h.add(Message{To: 1, Units: i})
	}
	if got, _ := h.of(1); len(got) != maxMessages || got[0].Units != 1 {
		t.Errorf("got %d messages from %d on, want the last %d", len(got), got[0].Units, maxMessages)
	}
	for i := range maxHandsets {
		h.add(Message{To: callsign.MSISDN(2 + i)})
	}
	if got, _ := h.of(1); got != nil || len(h.shown) != maxHandsets {
		t.Errorf("got %d handsets, the oldest with %d messages", len(h.shown), len(got))
	}
}

func TestHandler(t *testing.T) {
	s := New(Options{})
	s.handsets.add(Message{To: handsetNumber, Text: "我", Flash: true, Encoding: "ucs2", DataCoding: 0x18, Units: 1, At: time.Unix(0, 0).UTC(), ID: "1"})
	const shown = `{"to":"+8613900000001","text":"我","flash":true,"encoding":"ucs2","data_coding":24,"units":1,"at":"1970-01-01T00:00:00Z","id":"1"}`
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/handsets":                {200, `[{"msisdn":"+8613900000001","messages":1,"last":` + shown + `}]`},
		"/handsets/+8613900000001": {200, `[` + shown + `]`},
		"/handsets/8613900000001":  {200, `[` + shown + `]`},
		"/handsets/8613900000002":  {404, "+8613900000002 has been sent nothing"},
		"/handsets/x":              {400, `number "x" is not E.164: write + and 1 to 15 digits, the first not 0, like +8613800000000`},
	} {
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if got := strings.TrimSpace(w.Body.String()); w.Code != want.status || got != want.body {
			t.Errorf("%s: got %d %s, want %d %s", path, w.Code, got, want.status, want.body)
		}
		if w.Code == 200 && !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: no JSON", path)
		}
	}
}

func TestDraw(t *testing.T) {
	var b strings.Builder
	m := Message{To: handsetNumber, From: "10086", Text: "我在开会 😀 稍后回电，有急事请发短信给我，谢谢你的理解", Flash: true, Encoding: "ucs2", Units: 28}
	if err := Draw(&b, m); err != nil {
		t.Fatal(err)
	}
	want := `
╭──────────────────────────────────────╮
│ +8613900000001             Flash SMS │
├──────────────────────────────────────┤
│                                      │
│ 我在开会 😀 稍后回电，有急事请发短信 │
│ 给我，谢谢你的理解                   │
│                                      │
├──────────────────────────────────────┤
│ from 10086 · ucs2, 28 units          │
╰──────────────────────────────────────╯
`
	if got := "\n" + b.String(); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

func TestBordersLineUp(t *testing.T) {
	for _, text := range []string{
		"", "short", strings.Repeat("word ", 20), strings.Repeat("w", 100), "a " + strings.Repeat("w", 50) + " b", strings.Repeat("我", 70),
		strings.Repeat("👨‍👩‍👧‍👦", 30), "one\n\ntwo\r\nthree", "\x1b[31mred\x07", "a\u202Eb", "أنا في اجتماع", strings.Repeat("é", 40) + strings.Repeat("́", 5),
		strings.Repeat(" ", 80), "İ" + strings.Repeat("한", 19) + "x",
	} {
		var b strings.Builder
		if err := Draw(&b, Message{To: handsetNumber, From: "a very long sender's name", Text: text, Encoding: "gsm7"}); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(b.String()) {
			line = strings.TrimSuffix(line, "\n")
			if got := uniseg.StringWidth(line); got != screenWidth+4 || strings.ContainsAny(line, "\x1b\x07\u202E") {
				t.Errorf("%q: line %q has %d columns, want %d", text, line, got, screenWidth+4)
			}
		}
	}
	if err := Draw(broken{}, Message{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want the writer's error", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }
