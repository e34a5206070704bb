package smpp

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFaults is what an SMSC may do to a bound ESME.
func TestFaults(t *testing.T) {
	for name, test := range map[string]func(t *testing.T, s *bound){
		"no answer to a submit is ambiguous, and the answer that comes late is counted": func(t *testing.T, s *bound) {
			start, r := time.Now(), s.submit(t.Context())
			p := s.peer.expect(submit, 0)
			if got := <-r; !errors.Is(got.err, ErrAmbiguous) || errors.Is(got.err, ErrNotSent) {
				t.Errorf("got %v, want %v", got.err, ErrAmbiguous)
			}
			within(t, start, 10*time.Second)
			s.peer.write(raw{submit | resp, 0, p.seq, "1\x00"})
			s.lives(t)
			if s.odd(OddLate) != 1 {
				t.Errorf("got %d late answers, want 1", s.odd(OddLate))
			}
		},
		"a connection closed within a PDU leaves the submit ambiguous": func(t *testing.T, s *bound) {
			r := s.submit(t.Context())
			s.peer.expect(submit, 0)
			s.peer.octets("\x00\x00\x00\x20\x80\x00")
			_ = s.peer.conn.Close()
			if got := <-r; !errors.Is(got.err, ErrAmbiguous) {
				t.Errorf("got %v, want %v", got.err, ErrAmbiguous)
			}
			s.ends(t, io.ErrUnexpectedEOF)
		},
		"a PDU that stops in its middle ends the session": func(t *testing.T, s *bound) {
			start := time.Now()
			s.peer.octets("\x00\x00\x00\x20\x80\x00")
			s.ends(t, os.ErrDeadlineExceeded)
			within(t, start, 10*time.Second)
		},
		"nor may it stop behind its header": func(t *testing.T, s *bound) {
			start := time.Now()
			s.peer.octets("\x00\x00\x00\x20\x80\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x02abc")
			s.ends(t, os.ErrDeadlineExceeded)
			within(t, start, 10*time.Second)
		},
		"silence between PDUs is no fault": func(t *testing.T, s *bound) {
			time.Sleep(29 * time.Second)
			s.lives(t)
		},
		"answers out of order reach their own submits": func(t *testing.T, s *bound) {
			a := s.submit(t.Context())
			pa := s.peer.expect(submit, 0)
			b := s.submit(t.Context())
			pb := s.peer.expect(submit, 0)
			s.peer.write(raw{submit | resp, 0, pb.seq, "B\x00"}, raw{submit | resp, 0, pa.seq, "A\x00"})
			if ra, rb := <-a, <-b; ra.id != "A" || rb.id != "B" {
				t.Errorf("got %+v and %+v, want A and B", ra, rb)
			}
		},
		"a second answer is counted and dropped": func(t *testing.T, s *bound) {
			r := s.submit(t.Context())
			p := s.peer.expect(submit, 0)
			a, b := raw{submit | resp, 0, p.seq, "A\x00"}, raw{submit | resp, 0x58, p.seq, ""}
			s.peer.octets(string(a.octets()) + strings.Repeat(string(b.octets()), 9)) // at once: before the first is taken
			if got := <-r; got.id != "A" || got.err != nil {
				t.Errorf("got %+v, want A", got)
			}
			s.lives(t)
			if s.odd(OddLate) != 9 {
				t.Errorf("got %d late answers, want 9", s.odd(OddLate))
			}
		},
		"an answer of another command with the same number is no answer": func(t *testing.T, s *bound) {
			r := s.submit(t.Context())
			p := s.peer.expect(submit, 0)
			s.peer.write(raw{enquire | resp, 0, p.seq, ""}, raw{submit | resp, 0, p.seq, "A\x00"})
			if got := <-r; got.id != "A" || s.odd(OddMismatched) != 1 {
				t.Errorf("got %+v and %d mismatched, want A and 1", got, s.odd(OddMismatched))
			}
		},
		"a deliver_sm with the number of a waiting submit is a deliver_sm": func(t *testing.T, s *bound) {
			r := s.submit(t.Context())
			p := s.peer.expect(submit, 0)
			s.peer.write(raw{deliver, 0, p.seq, message})
			if got := s.peer.expect(deliver|resp, 0); got.seq != p.seq || got.body != "\x00" {
				t.Errorf("got %+v", got)
			}
			s.peer.write(raw{submit | resp, 0, p.seq, "A\x00"})
			if got := <-r; got.id != "A" {
				t.Errorf("got %+v, want A", got)
			}
		},
		"a refusal is a StatusError": func(t *testing.T, s *bound) {
			r := s.submit(t.Context())
			p := s.peer.expect(submit, 0)
			s.peer.write(raw{submit | resp, 0x58, p.seq, ""})
			var refused *StatusError
			if got := <-r; !errors.As(got.err, &refused) || refused.Error() != "submit_sm refused: throttling error (0x58)" {
				t.Errorf("got %v", got.err)
			}
		},
		"a generic_nack is a refusal too": func(t *testing.T, s *bound) {
			r := s.submit(t.Context())
			p := s.peer.expect(submit, 0)
			s.peer.write(raw{nack, 0x03, p.seq, ""})
			var refused *StatusError
			if got := <-r; !errors.As(got.err, &refused) || refused.Status != StatusInvalidCommand {
				t.Errorf("got %v", got.err)
			}
		},
		"a yes without its message id is a yes": func(t *testing.T, s *bound) {
			r := s.submit(t.Context())
			p := s.peer.expect(submit, 0)
			s.peer.write(raw{submit | resp, 0, p.seq, ""})
			if got := <-r; got.id != "" || got.err != nil {
				t.Errorf("got %+v, want no error", got)
			}
		},
		"unknown commands get a generic_nack, and the bind lives": func(t *testing.T, s *bound) {
			for seq, id := range []uint32{0x77, 0x07, 0x21, 0x7FFFFFFF} {
				s.peer.write(raw{id, 0, uint32(seq), "whatever"})
				if got := s.peer.expect(nack, 0x03); got.seq != uint32(seq) {
					t.Errorf("got number %d, want %d", got.seq, seq)
				}
			}
			s.lives(t)
		},
		"alert_notification and outbind have no answer, and the bind lives": func(t *testing.T, s *bound) {
			s.peer.write(raw{0x0102, 0, 1, "\x01\x01861380\x00\x01\x01861381\x00"}, raw{0x0B, 0, 2, "smsc\x00pw\x00"})
			s.lives(t)
			if got := s.odd(OddNotice); got != 2 {
				t.Errorf("got %d notices, want 2", got)
			}
		},
		"a PDU beyond the limit gets a generic_nack, and the bind lives": func(t *testing.T, s *bound) {
			s.peer.write(raw{deliver, 0, 7, strings.Repeat("x", 70000)})
			if got := s.peer.expect(nack, 0x02); got.seq != 7 {
				t.Errorf("got number %d, want 7", got.seq)
			}
			s.lives(t)
		},
		"a PDU of 5 kB is an ordinary one": func(t *testing.T, s *bound) {
			s.peer.write(raw{deliver, 0, 7, message + "\x04\x24\x13\x88" + strings.Repeat("x", 5000)})
			s.peer.expect(deliver|resp, 0)
		},
		"a length that makes no sense gets a generic_nack and ends the session": func(t *testing.T, s *bound) {
			s.peer.octets("GET / HTTP/1.1\r\n\r\n"[:16])
			s.peer.expect(nack, 0x02)
			s.ends(t, errFraming)
		},
		"nor does one beyond sixteen times the limit": func(t *testing.T, s *bound) {
			s.peer.octets("\x00\x10\x00\x01" + "\x00\x00\x00\x05" + "\x00\x00\x00\x00" + "\x00\x00\x00\x01")
			s.peer.expect(nack, 0x02)
			s.ends(t, errFraming)
		},
		"a body that ends early gets a generic_nack, and the bind lives": func(t *testing.T, s *bound) {
			s.peer.write(raw{deliver, 0, 8, message[:20]})
			s.peer.expect(nack, 0x02)
			s.lives(t)
		},
		"a broken optional parameter gets a generic_nack, and the bind lives": func(t *testing.T, s *bound) {
			s.peer.write(raw{deliver, 0, 8, message + "\x00\x1E\x00\x09abc"})
			s.peer.expect(nack, 0xC0)
			s.lives(t)
		},
		"a submit_sm to an ESME and a second bind are refused": func(t *testing.T, s *bound) {
			s.peer.write(raw{submit, 0, 1, message})
			s.peer.expect(submit|resp, 0x04)
			s.peer.write(raw{bindTRX, 0, 2, ""})
			s.peer.expect(bindTRX|resp, 0x05)
			s.lives(t)
		},
		"the peer's enquire_link is answered": func(t *testing.T, s *bound) {
			s.peer.write(raw{enquire, 0, 9, ""})
			if got := s.peer.expect(enquire|resp, 0); got.seq != 9 {
				t.Errorf("got number %d, want 9", got.seq)
			}
		},
		"the peer's unbind is answered and ends the session": func(t *testing.T, s *bound) {
			r := s.submit(t.Context())
			s.peer.expect(submit, 0)
			s.peer.write(raw{unbind, 0, 9, ""})
			s.peer.expect(unbind|resp, 0)
			s.ends(t, ErrUnbound)
			if got := <-r; !errors.Is(got.err, ErrAmbiguous) {
				t.Errorf("got %v, want %v", got.err, ErrAmbiguous)
			}
			if got := <-s.submit(t.Context()); !errors.Is(got.err, ErrNotSent) {
				t.Errorf("got %v, want %v", got.err, ErrNotSent)
			}
		},
		"an enquire_link without answer ends the session": func(t *testing.T, s *bound) {
			start := time.Now()
			s.peer.expect(enquire, 0)
			s.ends(t, ErrAmbiguous)
			within(t, start, 40*time.Second)
		},
		"a peer that reads nothing holds up neither submit nor the end": func(t *testing.T, s *bound) {
			start, a := time.Now(), s.submit(t.Context())
			synctest.Wait()
			b := s.submit(t.Context())
			if got := <-a; !errors.Is(got.err, ErrAmbiguous) {
				t.Errorf("got %v, want %v", got.err, ErrAmbiguous)
			}
			if got := <-b; !errors.Is(got.err, ErrNotSent) {
				t.Errorf("got %v, want %v", got.err, ErrNotSent)
			}
			<-s.ended
			within(t, start, 10*time.Second)
		},
		"nothing is written after its context ended": func(t *testing.T, s *bound) {
			a := s.submit(t.Context())
			synctest.Wait() // the writer is in the middle of it, for the peer doesn't read
			ctx, cancel := context.WithCancelCause(t.Context())
			b := s.submit(ctx)
			synctest.Wait()
			answered := errors.New("the call was answered")
			cancel(answered)
			pa := s.peer.expect(submit, 0)
			if got := <-b; !errors.Is(got.err, ErrNotSent) || !errors.Is(got.err, answered) {
				t.Errorf("got %v, want %v because %v", got.err, ErrNotSent, answered)
			}
			s.peer.write(raw{enquire, 0, 1, ""}, raw{submit | resp, 0, pa.seq, "A\x00"})
			s.peer.expect(enquire|resp, 0) // and not the second submit
			if got := <-a; got.id != "A" {
				t.Errorf("got %+v, want A", got)
			}
		},
		"a context that ended before sends nothing": func(t *testing.T, s *bound) {
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if got := <-s.submit(ctx); !errors.Is(got.err, ErrNotSent) || !errors.Is(got.err, context.Canceled) {
				t.Errorf("got %v", got.err)
			}
			s.lives(t)
		},
		"what is written is awaited though its context ends": func(t *testing.T, s *bound) {
			ctx, cancel := context.WithCancel(t.Context())
			r := s.submit(ctx)
			p := s.peer.expect(submit, 0)
			cancel()
			synctest.Wait()
			s.peer.write(raw{submit | resp, 0, p.seq, "A\x00"})
			if got := <-r; got.id != "A" || got.err != nil {
				t.Errorf("got %+v, want A", got)
			}
		},
		"a cancelled Run unbinds, waits for the answer and returns nil": func(t *testing.T, s *bound) {
			s.cancel()
			p := s.peer.expect(unbind, 0)
			if got := <-s.submit(t.Context()); !errors.Is(got.err, ErrNotSent) {
				t.Errorf("got %v, want %v", got.err, ErrNotSent)
			}
			s.peer.write(raw{unbind | resp, 0, p.seq, ""})
			s.ends(t, nil)
		},
		"a cancelled Run waits no longer for a peer that reads nothing": func(t *testing.T, s *bound) {
			var results []<-chan result
			for range 40 {
				results = append(results, s.submit(t.Context()))
				synctest.Wait() // the writer has the first, and can't take more
			}
			start := time.Now()
			s.cancel()
			s.ends(t, nil)
			within(t, start, time.Second)
			ambiguous := 0
			for _, r := range results {
				if got := <-r; errors.Is(got.err, ErrAmbiguous) {
					ambiguous++
				} else if !errors.Is(got.err, ErrNotSent) {
					t.Errorf("got %v, want %v", got.err, ErrNotSent)
				}
			}
			if ambiguous != 1 {
				t.Errorf("got %d ambiguous submits of 40, want 1", ambiguous)
			}
		},
		"a cancelled Run waits for no more than a second": func(t *testing.T, s *bound) {
			start := time.Now()
			s.cancel()
			s.ends(t, nil)
			within(t, start, time.Second)
		},
	} {
		t.Run(name, func(t *testing.T) {
			opt := Options{Window: 40, Handle: func(context.Context, *Session, *Message) Answer { return Answer{} }}
			bubble(t, opt, test)
		})
	}
}

func TestWindowWaits(t *testing.T) {
	bubble(t, Options{Window: 1}, func(t *testing.T, s *bound) {
		a := s.submit(t.Context())
		pa := s.peer.expect(submit, 0)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if got := <-s.submit(ctx); !errors.Is(got.err, ErrNotSent) || !errors.Is(got.err, context.DeadlineExceeded) {
			t.Errorf("got %v, want %v", got.err, ErrNotSent)
		}
		b := s.submit(t.Context())
		synctest.Wait()
		s.peer.write(raw{submit | resp, 0, pa.seq, "A\x00"})
		pb := s.peer.expect(submit, 0)
		s.peer.write(raw{submit | resp, 0, pb.seq, "B\x00"})
		if ra, rb := <-a, <-b; ra.id != "A" || rb.id != "B" {
			t.Errorf("got %+v and %+v, want A and B", ra, rb)
		}
	})
}

func TestWhatTimedOutUnwrittenIsNotWritten(t *testing.T) {
	bubble(t, Options{ResponseTimeout: 2 * time.Second}, func(t *testing.T, s *bound) {
		a := s.submit(t.Context())
		synctest.Wait() // the writer is in the middle of it
		b := s.submit(t.Context())
		if got := <-a; !errors.Is(got.err, ErrAmbiguous) {
			t.Errorf("got %v, want %v", got.err, ErrAmbiguous)
		}
		if got := <-b; !errors.Is(got.err, ErrNotSent) {
			t.Errorf("got %v, want %v", got.err, ErrNotSent)
		}
		s.peer.expect(submit, 0)
		s.peer.write(raw{enquire, 0, 1, ""})
		s.peer.expect(enquire|resp, 0) // and not the second submit
	})
}

func TestRunReturnsAfterItsHandlers(t *testing.T) {
	opt := Options{Handle: func(ctx context.Context, _ *Session, _ *Message) Answer {
		<-ctx.Done()
		time.Sleep(time.Minute) // a store's commit
		return Answer{}
	}}
	bubble(t, opt, func(t *testing.T, s *bound) {
		s.peer.write(raw{deliver, 0, 1, message})
		synctest.Wait()
		start := time.Now()
		s.Close()
		s.ends(t, ErrClosed)
		if got := time.Since(start); got != time.Minute {
			t.Errorf("Run returned after %v, Handle after %v", got, time.Minute)
		}
	})
}

func TestATransmitterIsDeliveredNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		w := wire{t, there}
		go func() {
			p := w.expect(0x02, 0)
			w.write(raw{0x02 | resp, 0, p.seq, "smsc\x00"})
		}()
		s, err := Bind(t.Context(), here, BindRequest{Mode: Transmitter, SystemID: "esme"}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = s.Run(t.Context())
		}()
		w.write(raw{deliver, 0, 1, message})
		w.expect(deliver|resp, 0x04)
		w.write(raw{data, 0, 2, dataMessage})
		w.expect(data|resp, 0x04)
		s.Close()
		<-ended
		_ = there.Close()
	})
}

func TestBacklogIsBounded(t *testing.T) {
	opt := Options{Backlog: 1, Handle: func(ctx context.Context, _ *Session, _ *Message) Answer {
		<-ctx.Done()
		return Answer{}
	}}
	bubble(t, opt, func(t *testing.T, s *bound) {
		s.peer.write(raw{deliver, 0, 1, message})
		synctest.Wait() // in Handle
		s.peer.write(raw{deliver, 0, 2, message}, raw{deliver, 0, 3, message})
		if got := s.peer.expect(deliver|resp, 0x14); got.seq != 3 || s.odd(OddOverflow) != 1 {
			t.Errorf("got number %d and %d overflows, want 3 and 1", got.seq, s.odd(OddOverflow))
		}
		s.lives(t)
	})
}

// TestBind is what may happen before an ESME is bound.
func TestBind(t *testing.T) {
	for name, c := range map[string]struct {
		peer func(w wire)
		want string
		took time.Duration
	}{
		"an SMSC that says nothing": {
			func(w wire) { w.read() }, "bind_transceiver: no answer within 5s", 5 * time.Second,
		},
		"an SMSC that doesn't even read": {
			func(wire) {}, "bind_transceiver: no answer within 5s", 5 * time.Second,
		},
		"a refusal": {
			func(w wire) { w.write(raw{bindTRX | resp, 0x0E, w.read().seq, ""}) }, "bind_transceiver refused: invalid password (0x0E)", 0,
		},
		"a generic_nack": {
			func(w wire) { w.write(raw{nack, 0x03, w.read().seq, ""}) }, "bind_transceiver refused: invalid command id (0x03)", 0,
		},
		"a closed connection": {
			func(w wire) { w.read(); _ = w.conn.Close() }, "bind_transceiver: EOF", 0,
		},
		"an outbind, another command's answer, an enquire_link and a deliver_sm before the answer": {
			func(w wire) {
				p := w.read()
				w.write(raw{0x0B, 0, 4, "smsc\x00pw\x00"}, raw{submit | resp, 0, p.seq, "x\x00"}, raw{enquire, 0, 5, ""})
				w.expect(enquire|resp, 0)
				w.write(raw{deliver, 0, 6, message})
				w.expect(deliver|resp, 0x04)
				w.write(raw{0x77, 0, 6, message})
				w.expect(nack, 0x03)
				w.write(raw{bindTRX | resp, 0, p.seq, ""})
			}, "", 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				start := time.Now()
				go c.peer(wire{t, there})
				s, err := Bind(t.Context(), here, BindRequest{SystemID: "esme"}, Options{BindTimeout: 5 * time.Second})
				if got := msg(err); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				within(t, start, c.took)
				if s != nil {
					s.Close()
				}
				if _, err := here.Write([]byte{0}); !errors.Is(err, io.ErrClosedPipe) {
					t.Errorf("the connection is left open: %v", err)
				}
				_ = there.Close()
			})
		})
	}
}

// TestAccept is what may happen at an SMSC's end.
func TestAccept(t *testing.T) {
	const credentials = "esme\x00pw\x00\x00\x34\x00\x00\x00"
	for name, c := range map[string]struct {
		peer func(w wire)
		want string // Accept's error
	}{
		"a transceiver submits, is delivered to, and unbinds": {func(w wire) {
			w.write(raw{bindTRX, 0, 1, credentials})
			if p := w.expect(bindTRX|resp, 0); p.body != "smsc\x00\x02\x10\x00\x01\x34" {
				w.t.Errorf("got bind_resp %q", p.body)
			}
			w.write(raw{submit, 0, 2, message})
			if p := w.expect(submit|resp, 0); p.seq != 2 || p.body != "id-hi\x00" {
				w.t.Errorf("got %+v", p)
			}
			p := w.expect(deliver, 0)
			w.write(raw{deliver | resp, 0, p.seq, "\x00"}, raw{unbind, 0, 3, ""})
			w.expect(unbind|resp, 0)
		}, ""},
		"a receiver may not submit": {func(w wire) {
			w.write(raw{0x01, 0, 1, credentials})
			w.expect(0x01|resp, 0)
			w.write(raw{submit, 0, 2, message})
			w.expect(submit|resp, 0x04)
			w.write(raw{unbind, 0, 3, ""})
			w.expect(unbind|resp, 0)
		}, ""},
		"a deliver_sm from an ESME is refused": {func(w wire) {
			w.write(raw{0x02, 0, 1, credentials})
			w.expect(0x02|resp, 0)
			w.write(raw{deliver, 0, 2, message})
			w.expect(deliver|resp, 0x04)
			w.write(raw{unbind, 0, 3, ""})
			w.expect(unbind|resp, 0)
		}, ""},
		"a submit_sm before the bind is refused": {func(w wire) {
			w.write(raw{submit, 0, 1, message})
			w.expect(submit|resp, 0x04)
			w.write(raw{unbind, 0, 2, ""})
			w.expect(unbind|resp, 0)
		}, "waiting for a bind: the peer unbound"},
		"wrong credentials are refused": {func(w wire) {
			w.write(raw{bindTRX, 0, 1, "esme\x00no\x00\x00\x34\x00\x00\x00"})
			w.expect(bindTRX|resp, 0x0E)
		}, "waiting for a bind: bind_transceiver refused: invalid password (0x0E)"},
		"half a bind is refused": {func(w wire) {
			w.write(raw{bindTRX, 0, 1, "esme\x00no\x00"})
			w.expect(bindTRX|resp, 0x02)
		}, "waiting for a bind: bind_transceiver refused: invalid command length (0x02)"},
		"silence ends": {func(wire) {}, "waiting for a bind: no answer within 10s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				peer := make(chan struct{})
				go func() {
					defer close(peer)
					c.peer(wire{t, there})
				}()
				check := func(b BindRequest) Status {
					if b.SystemID != "esme" || b.Password != "pw" {
						return StatusInvalidPassword
					}
					return StatusOK
				}
				s, err := Accept(t.Context(), here, "smsc", check, Options{Handle: func(ctx context.Context, s *Session, m *Message) Answer {
					return Answer{MessageID: "id-" + string(m.ShortMessage), Then: func() { _ = s.Deliver(ctx, m) }}
				}})
				if got := msg(err); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
				if s != nil {
					if err := s.Run(t.Context()); !errors.Is(err, ErrUnbound) {
						t.Errorf("Run ended with %v, want %v", err, ErrUnbound)
					}
				}
				<-peer
				_ = there.Close()
			})
		})
	}
}

func msg(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// BenchmarkSubmit is a session against one of our own over loopback TCP, at a window of 100.
func BenchmarkSubmit(b *testing.B) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		s, err := Accept(ctx, conn, "smsc", func(BindRequest) Status { return StatusOK },
			Options{Handle: func(context.Context, *Session, *Message) Answer { return Answer{MessageID: "1"} }})
		if err == nil {
			_ = s.Run(ctx)
		}
	}()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	s, err := Bind(ctx, conn, BindRequest{SystemID: "esme"}, Options{Window: 100})
	if err != nil {
		b.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = s.Run(ctx)
	}()
	b.SetParallelism(100)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := s.Submit(ctx, &flash, nil); err != nil {
				b.Error(err)
			}
		}
	})
	cancel()
	<-gone
	<-ended
}
