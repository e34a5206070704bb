package smpp

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestOperations is what an ESME asks beside submit_sm: the octets that the SMSC reads, and what its answer becomes.
func TestOperations(t *testing.T) {
	source, dest := Address{5, 0, "Callsign"}, Address{1, 1, "8613800000000"}
	sendData := func(m Message) func(context.Context, *Session) (string, error) {
		return func(ctx context.Context, s *Session) (string, error) { return s.Data(ctx, &m, nil) }
	}
	ask := func(ctx context.Context, s *Session) (string, error) {
		state, err := s.Query(ctx, "17", source)
		return state.String(), err
	}
	cancel := func(ctx context.Context, s *Session) (string, error) {
		return "", s.Cancel(ctx, Cancel{"USSD", "17", source, dest})
	}
	const cancelBody = "USSD\x0017\x00\x05\x00Callsign\x00\x01\x018613800000000\x00"
	for name, c := range map[string]struct {
		ask    func(context.Context, *Session) (string, error)
		asked  raw // what the peer reads
		answer raw // what it says
		want   string
		err    string
	}{
		"data_sm carries its text in message_payload": {
			sendData(Message{Dest: dest, RegisteredDelivery: 1, DataCoding: 0xF0, ShortMessage: []byte("hi")}),
			raw{data, 0, 0, dataMessage},
			raw{data | resp, 0, 0, "A\x00"},
			"A", "",
		},
		"data_sm carries message_payload, transaction mode and USSD's parameters in the order of their tags": {
			sendData(Message{ServiceType: "USSD", Source: source, Dest: dest, ESMClass: 2, TLVs: TLVs{
				TagITSSessionInfo: {1, 0}, TagUSSDServiceOp: {3}, TagMessagePayload: []byte("hi"), TagQOSTimeToLive: {0, 0, 0, 30},
			}}),
			raw{data, 0, 0, "USSD\x00\x05\x00Callsign\x00\x01\x018613800000000\x00\x02\x00\x00" +
				"\x00\x17\x00\x04\x00\x00\x00\x1E" + "\x04\x24\x00\x02hi" + "\x05\x01\x00\x01\x03" + "\x13\x83\x00\x02\x01\x00"},
			raw{data | resp, 0, 0, "A\x00\x04\x23\x00\x03\x03\x00\x01"}, // with network_error_code
			"A", "",
		},
		"a data_sm of 5 kB is one PDU": {
			sendData(Message{Dest: dest, RegisteredDelivery: 1, DataCoding: 0xF0, ShortMessage: []byte(strings.Repeat("x", 5000))}),
			raw{data, 0, 0, dataMessage[:len(dataMessage)-4] + "\x13\x88" + strings.Repeat("x", 5000)},
			raw{data | resp, 0, 0, "A\x00"},
			"A", "",
		},
		"a data_sm has addresses of up to 64 octets": {
			sendData(Message{Source: Address{5, 0, strings.Repeat("s", 64)}, Dest: Address{1, 1, strings.Repeat("8", 64)}}),
			raw{data, 0, 0, "\x00\x05\x00" + strings.Repeat("s", 64) + "\x00\x01\x01" + strings.Repeat("8", 64) + "\x00\x00\x00\x00"},
			raw{data | resp, 0, 0, "A\x00"},
			"A", "",
		},
		"a data_sm without a text is one": {
			sendData(Message{Dest: dest, RegisteredDelivery: 1, DataCoding: 0xF0}),
			raw{data, 0, 0, dataMessage[:len(dataMessage)-6]},
			raw{data | resp, 0, 0, "A\x00"},
			"A", "",
		},
		"a data_sm that is refused is a StatusError": {
			sendData(Message{Dest: dest, RegisteredDelivery: 1, DataCoding: 0xF0, ShortMessage: []byte("hi")}),
			raw{data, 0, 0, dataMessage},
			raw{data | resp, 0xFE, 0, "\x00\x04\x25\x00\x01\x01"}, // with delivery_failure_reason
			"", "data_sm refused: delivery failure (used for datasmresp) (0xFE)",
		},
		"a message's state": {
			ask,
			raw{query, 0, 0, "17\x00\x05\x00Callsign\x00"},
			raw{query | resp, 0, 0, "17\x00\x00\x02\x00"},
			"DELIVRD", "",
		},
		"a message's state with a final date and an error": {
			ask,
			raw{query, 0, 0, "17\x00\x05\x00Callsign\x00"},
			raw{query | resp, 0, 0, "17\x00241123042800000+\x00\x05\x01"},
			"UNDELIV", "",
		},
		"an answer without a state is an error": {
			ask,
			raw{query, 0, 0, "17\x00\x05\x00Callsign\x00"},
			raw{query | resp, 0, 0, "17\x00\x00"},
			"UNKNOWN", "query_sm: the answer has no message_state: 31 37 00 00",
		},
		"a query that is refused": {
			ask,
			raw{query, 0, 0, "17\x00\x05\x00Callsign\x00"},
			raw{query | resp, 0x67, 0, ""},
			"UNKNOWN", "query_sm refused: querysm request failed (0x67)",
		},
		"a message is cancelled": {cancel, raw{cancelSM, 0, 0, cancelBody}, raw{cancelSM | resp, 0, 0, ""}, "", ""},
		"a message that can't be cancelled": {
			cancel,
			raw{cancelSM, 0, 0, cancelBody},
			raw{cancelSM | resp, 0x11, 0, ""},
			"", "cancel_sm refused: cancelsm failed (0x11)",
		},
		"an SMSC without cancel_sm": {
			cancel,
			raw{cancelSM, 0, 0, cancelBody},
			raw{nack, 0x03, 0, ""},
			"", "cancel_sm refused: invalid command id (0x03)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Options{}, func(t *testing.T, s *bound) {
				done := make(chan struct{})
				go func() {
					defer close(done)
					got, err := c.ask(t.Context(), s.Session)
					if got != c.want || msg(err) != c.err {
						t.Errorf("got %q, %v; want %q, %q", got, err, c.want, c.err)
					}
				}()
				p := s.peer.expect(c.asked.id, 0)
				if p.body != c.asked.body {
					t.Errorf("the peer reads\n% x, want\n% x", p.body, c.asked.body)
				}
				c.answer.seq = p.seq
				s.peer.write(c.answer)
				<-done
				s.lives(t)
			})
		})
	}
}

// TestOperationsEndAsSubmitDoes: what can't be coded, what isn't answered, and what waits for a window.
func TestOperationsEndAsSubmitDoes(t *testing.T) {
	for name, ask := range map[string]func(context.Context, *Session, string) error{
		"data_sm": func(ctx context.Context, s *Session, text string) error {
			_, err := s.Data(ctx, &Message{Source: Address{Number: text}}, nil)
			return err
		},
		"query_sm": func(ctx context.Context, s *Session, text string) error {
			_, err := s.Query(ctx, "17", Address{Number: text})
			return err
		},
		"cancel_sm": func(ctx context.Context, s *Session, text string) error {
			return s.Cancel(ctx, Cancel{Source: Address{Number: text}})
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, Options{Window: 1}, func(t *testing.T, s *bound) {
				if got, want := msg(ask(t.Context(), s.Session, "1\x00")), name+": source_addr has a NUL in it (SMPP 3.4 §3.1)"; got != want {
					t.Errorf("got %q, want %q", got, want)
				}
				a := make(chan error, 1)
				go func() { a <- ask(t.Context(), s.Session, "1") }()
				s.peer.read()
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				if err := ask(ctx, s.Session, "2"); !errors.Is(err, ErrNotSent) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want %v", err, ErrNotSent)
				}
				if err := <-a; !errors.Is(err, ErrAmbiguous) {
					t.Errorf("got %v, want %v", err, ErrAmbiguous)
				}
				s.lives(t)
			})
		})
	}
}

func TestADataSMHasOneText(t *testing.T) {
	bubble(t, Options{}, func(t *testing.T, s *bound) {
		_, err := s.Data(t.Context(), &Message{ShortMessage: []byte("a"), TLVs: TLVs{TagMessagePayload: []byte("b")}}, nil)
		const want = "data_sm: both ShortMessage and message_payload are given: a data_sm has one text (SMPP 3.4 §4.7.1)"
		if got := msg(err); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		s.lives(t)
	})
}

// TestOperationsAreAnswered is what an SMSC is asked by an ESME.
func TestOperationsAreAnswered(t *testing.T) {
	const queryBody, cancelBody = "17\x00\x05\x00Callsign\x00", "USSD\x0017\x00\x05\x00Callsign\x00\x01\x018613800000000\x00"
	full := Options{
		Handle: func(_ context.Context, _ *Session, m *Message) Answer {
			if !m.Data || string(m.UserData()) != "hi" || m.Dest.Number != "8613800000000" || m.RegisteredDelivery != 1 || m.DataCoding != 0xF0 {
				return Answer{Status: StatusSystemError}
			}
			return Answer{MessageID: "A"}
		},
		Query: func(_ context.Context, _ *Session, q Query) (MessageState, Status) {
			if q != (Query{"17", Address{5, 0, "Callsign"}}) {
				return 0, StatusSystemError
			}
			return Expired, StatusOK
		},
		Cancel: func(_ context.Context, _ *Session, c Cancel) Status {
			if c != (Cancel{"USSD", "17", Address{5, 0, "Callsign"}, Address{1, 1, "8613800000000"}}) {
				return StatusSystemError
			}
			return StatusOK
		},
	}
	for name, c := range map[string]struct {
		opt   Options
		mode  uint32
		asked raw
		want  raw
	}{
		"data_sm":                         {full, bindTRX, raw{data, 0, 7, dataMessage}, raw{data | resp, 0, 7, "A\x00"}},
		"query_sm":                        {full, bindTRX, raw{query, 0, 7, queryBody}, raw{query | resp, 0, 7, "17\x00\x00\x03\x00"}},
		"cancel_sm":                       {full, bindTRX, raw{cancelSM, 0, 7, cancelBody}, raw{cancelSM | resp, 0, 7, ""}},
		"query_sm that nobody answers":    {Options{}, bindTRX, raw{query, 0, 7, queryBody}, raw{query | resp, 0x67, 7, ""}},
		"cancel_sm that nobody answers":   {Options{}, bindTRX, raw{cancelSM, 0, 7, cancelBody}, raw{cancelSM | resp, 0x11, 7, ""}},
		"data_sm that nobody takes":       {Options{}, bindTRX, raw{data, 0, 7, dataMessage}, raw{data | resp, 0x08, 7, "\x00"}},
		"submit_sm that nobody takes":     {Options{}, bindTRX, raw{submit, 0, 7, message}, raw{submit | resp, 0x08, 7, ""}},
		"data_sm of a transmitter":        {full, 0x02, raw{data, 0, 7, dataMessage}, raw{data | resp, 0, 7, "A\x00"}},
		"data_sm of a receiver":           {full, 0x01, raw{data, 0, 7, dataMessage}, raw{data | resp, 0x04, 7, ""}},
		"query_sm of a receiver":          {full, 0x01, raw{query, 0, 7, queryBody}, raw{query | resp, 0x04, 7, ""}},
		"cancel_sm of a receiver":         {full, 0x01, raw{cancelSM, 0, 7, cancelBody}, raw{cancelSM | resp, 0x04, 7, ""}},
		"data_sm that ends early":         {full, bindTRX, raw{data, 0, 7, dataMessage[:21]}, raw{nack, 0x02, 7, ""}},
		"data_sm with a broken parameter": {full, bindTRX, raw{data, 0, 7, dataMessage[:len(dataMessage)-1]}, raw{nack, 0xC0, 7, ""}},
		"query_sm that ends early":        {full, bindTRX, raw{query, 0, 7, "17"}, raw{nack, 0x02, 7, ""}},
		"cancel_sm that ends early":       {full, bindTRX, raw{cancelSM, 0, 7, cancelBody[:9]}, raw{nack, 0x02, 7, ""}},
		"query_sm of an id that's too long": {
			Options{Query: func(context.Context, *Session, Query) (MessageState, Status) { return Delivered, StatusOK }},
			bindTRX,
			raw{query, 0, 7, strings.Repeat("1", 65) + "\x00\x00\x00\x00"},
			raw{query | resp, 0x08, 7, ""},
		},
	} {
		t.Run(name, func(t *testing.T) {
			accepted(t, c.mode, c.opt, func(t *testing.T, w wire, _ *Session) {
				for range 2 { // and the bind lives
					w.write(c.asked)
					if got := w.read(); got != c.want {
						t.Errorf("got %+v, want %+v", got, c.want)
					}
				}
			})
		})
	}
}

// TestDataToAnESME: an SMSC sends data_sm to all but transmitters; query_sm and cancel_sm are an ESME's alone to ask.
func TestDataToAnESME(t *testing.T) {
	took := make(chan *Message, 1)
	opt := Options{Handle: func(_ context.Context, _ *Session, m *Message) Answer {
		took <- m
		return Answer{MessageID: "E"}
	}}
	bubble(t, opt, func(t *testing.T, s *bound) {
		s.peer.write(raw{data, 0, 7, dataMessage})
		if got, want := s.peer.read(), (raw{data | resp, 0, 7, "E\x00"}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if m := <-took; !m.Data || string(m.UserData()) != "hi" {
			t.Errorf("got %+v, want a data_sm that says hi", m)
		}
		for _, id := range []uint32{query, cancelSM} {
			s.peer.write(raw{id, 0, 8, "\x00\x00\x00\x00\x00\x00\x00\x00"})
			s.peer.expect(id|resp, 0x04)
		}
		s.lives(t)
	})
	accepted(t, bindTRX, Options{}, func(t *testing.T, w wire, s *Session) {
		done := make(chan struct{})
		go func() {
			defer close(done)
			m := Message{Dest: Address{1, 1, "8613800000000"}, RegisteredDelivery: 1, DataCoding: 0xF0, ShortMessage: []byte("hi")}
			if id, err := s.Data(t.Context(), &m, nil); id != "E" || err != nil {
				t.Errorf("got %q, %v; want E", id, err)
			}
		}()
		p := w.expect(data, 0)
		if p.body != dataMessage {
			t.Errorf("got % x, want % x", p.body, dataMessage)
		}
		w.write(raw{data | resp, 0, p.seq, "E\x00"})
		<-done
	})
}

// accepted runs test with an SMSC's session and its ESME, bound in this mode, in a synctest bubble.
func accepted(t *testing.T, mode uint32, opt Options, test func(t *testing.T, w wire, s *Session)) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		w := wire{t, there}
		go w.write(raw{mode, 0, 1, "esme\x00pw\x00\x00\x34\x00\x00\x00"})
		read := make(chan struct{})
		go func() {
			defer close(read)
			w.expect(mode|resp, 0)
		}()
		s, err := Accept(t.Context(), here, "smsc", func(BindRequest) Status { return StatusOK }, opt)
		if err != nil {
			t.Fatal(err)
		}
		<-read
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = s.Run(t.Context())
		}()
		test(t, w, s)
		s.Close()
		<-ended
		_ = there.Close()
	})
}
