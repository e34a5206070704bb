package smpp

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// defects are those of fiorix/go-smpp's session and codecs that were met, with the tests, by their names, that would catch them here.
// Those of its text and splitting code are for gsmbridge/gsm to catch, which doesn't use it either.
var defects = map[string][]string{
	"an answer is matched by its sequence number alone": {
		"a deliver_sm with the number of a waiting submit is a deliver_sm", "an answer of another command with the same number is no answer",
		"answers out of order reach their own submits",
	},
	"data_sm drops the bind":                                 {"TestOperationsAreAnswered", "TestDataToAnESME"},
	"alert_notification and outbind drop the bind":           {"alert_notification and outbind have no answer, and the bind lives"},
	"an unknown id drops the bind":                           {"unknown commands get a generic_nack, and the bind lives"},
	"a malformed TLV drops the bind":                         {"a broken optional parameter gets a generic_nack, and the bind lives"},
	"a PDU over 4096 octets drops the bind":                  {"a PDU of 5 kB is an ordinary one", "a PDU beyond the limit gets a generic_nack, and the bind lives"},
	"query_sm_resp's octets are read as strings":             {"a message's state", "a message's state with a final date and an error"},
	"without a write deadline a stalled peer hangs Submit":   {"a peer that reads nothing holds up neither submit nor the end"},
	"… and Close":                                            {"Close does not wait for a peer that reads nothing"},
	"… and enquire_link":                                     {"an enquire_link that can't be written ends the session"},
	"there is no bind time-out":                              {"an SMSC that says nothing", "an SMSC that doesn't even read", "silence ends"},
	"a submit goes out before bind_resp":                     {"TestNothingIsSubmittedBeforeTheBindIsAnswered"},
	"a second answer is a deadlock":                          {"a second answer is counted and dropped"},
	"a reconnect is a race and leaves a goroutine":           {"TestReconnectsLeaveNothing"},
	"an unbind is not answered":                              {"the peer's unbind is answered and ends the session"},
	"a full window is an error":                              {"TestWindowWaits"},
	"enquire_link goes out every ten seconds at the most":    {"TestEnquireLinkAtAnyInterval"},
	"over 255 octets sm_length wraps":                        {"TestWhatCannotBeCodedIsNotSent", "FuzzSubmitSM"},
	"a NUL in an address shifts the fields after it":         {"TestWhatCannotBeCodedIsNotSent", "FuzzSubmitSM"},
	"a deliver_sm has a stray octet before its text":         {"TestMessageOctets"},
	"a TLV of two octets is dropped, an int cut to one":      {"TestATLVIsWrittenAsItsOctets"},
	"a body that ends early is read as a whole one":          {"a body that ends early gets a generic_nack, and the bind lives", "half a bind is refused"},
	"a peer that stops in mid-PDU holds the reader for good": {"a PDU that stops in its middle ends the session", "nor may it stop behind its header"},
}

func TestEveryDefectHasItsTests(t *testing.T) {
	files, err := filepath.Glob("*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	var tests bytes.Buffer
	for _, file := range files {
		if file == "defects_test.go" {
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tests.Write(b)
	}
	own, err := os.ReadFile("defects_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, functions, _ := bytes.Cut(own, []byte("\nfunc "))
	tests.Write(functions)
	for defect, names := range defects {
		for _, name := range names {
			if !bytes.Contains(tests.Bytes(), []byte(name)) {
				t.Errorf("%s: there is no test %q", defect, name)
			}
		}
	}
}

// TestStalledPeer is what must not wait for a peer that no longer reads.
func TestStalledPeer(t *testing.T) {
	for name, c := range map[string]struct {
		opt  Options
		test func(t *testing.T, s *bound)
	}{
		"Close does not wait for a peer that reads nothing": {Options{Window: 40}, func(t *testing.T, s *bound) {
			var results []<-chan result
			for range 40 {
				results = append(results, s.submit(t.Context()))
			}
			synctest.Wait() // the writer is in the middle of them
			start := time.Now()
			s.Close()
			s.ends(t, ErrClosed)
			for _, r := range results {
				if got := <-r; !errors.Is(got.err, ErrAmbiguous) && !errors.Is(got.err, ErrNotSent) || !errors.Is(got.err, ErrClosed) {
					t.Errorf("got %v, want %v", got.err, ErrClosed)
				}
			}
			within(t, start, 0)
		}},
		"an enquire_link that can't be written ends the session": {
			Options{EnquireLink: time.Second, WriteTimeout: 2 * time.Second},
			func(t *testing.T, s *bound) {
				start := time.Now()
				s.ends(t, os.ErrDeadlineExceeded)
				within(t, start, 3*time.Second)
			},
		},
		"an answer that can't be written ends the session": {Options{WriteTimeout: 2 * time.Second}, func(t *testing.T, s *bound) {
			start := time.Now()
			for seq := range uint32(100) { // more than the line before the writer holds: the reader waits with it
				if _, err := s.peer.conn.Write(raw{enquire, 0, seq, ""}.octets()); err != nil {
					break
				}
			}
			s.ends(t, os.ErrDeadlineExceeded)
			within(t, start, 2*time.Second)
		}},
	} {
		t.Run(name, func(t *testing.T) { bubble(t, c.opt, c.test) })
	}
}

func TestNothingIsSubmittedBeforeTheBindIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		w := wire{t, there}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s, err := Bind(t.Context(), here, BindRequest{SystemID: "esme"}, Options{})
			if err != nil {
				t.Error(err)
				return
			}
			go func() { _, _ = s.Submit(t.Context(), &flash, nil) }()
			_ = s.Run(t.Context())
		}()
		p := w.expect(bindTRX, 0)
		_ = there.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := there.Read(make([]byte, 1)); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("something is written before the bind is answered: %d octets, %v", n, err)
		}
		_ = there.SetReadDeadline(time.Time{})
		w.write(raw{bindTRX | resp, 0, p.seq, "smsc\x00"})
		w.expect(submit, 0)
		_ = there.Close()
		<-ended
	})
}

func TestEnquireLinkAtAnyInterval(t *testing.T) {
	for _, every := range []time.Duration{50 * time.Millisecond, time.Second, 7 * time.Minute} {
		bubble(t, Options{EnquireLink: every}, func(t *testing.T, s *bound) {
			for start := time.Now(); time.Since(start) < 10*every; {
				before := time.Now()
				p := s.peer.expect(enquire, 0)
				if got := time.Since(before); got != every {
					t.Errorf("an enquire_link after %v, want %v", got, every)
				}
				s.peer.write(raw{enquire | resp, 0, p.seq, ""})
			}
		})
	}
	bubble(t, Options{EnquireLink: -1}, func(t *testing.T, s *bound) {
		_ = s.peer.conn.SetReadDeadline(time.Now().Add(time.Hour))
		if n, err := s.peer.conn.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("something is written though there are no enquire_links: %d octets, %v", n, err)
		}
		_ = s.peer.conn.SetReadDeadline(time.Time{})
		s.lives(t)
	})
}

// TestReconnectsLeaveNothing: one session after the other, under load, ends in each way that there is. The bubble fails if a
// goroutine is left, the race detector if two sessions share what they shouldn't.
func TestReconnectsLeaveNothing(t *testing.T) {
	ways := map[string]func(w wire, s *bound, p raw){
		"the peer closes":              func(w wire, _ *bound, _ raw) { _ = w.conn.Close() },
		"the peer unbinds":             func(w wire, _ *bound, _ raw) { w.write(raw{unbind, 0, 1, ""}) },
		"the peer closes within a PDU": func(w wire, _ *bound, _ raw) { w.octets("\x00\x00"); _ = w.conn.Close() },
		"the peer answers twice": func(w wire, s *bound, p raw) {
			w.write(raw{p.id | resp, 0, p.seq, "\x00"}, raw{p.id | resp, 0, p.seq, "\x00"})
			s.Close()
		},
		"the peer makes no sense":              func(w wire, _ *bound, _ raw) { w.octets(strings.Repeat("\xFF", 16)) },
		"we close":                             func(_ wire, s *bound, _ raw) { s.Close() },
		"we are cancelled":                     func(_ wire, s *bound, _ raw) { s.cancel() },
		"we are cancelled and the peer closes": func(w wire, s *bound, _ raw) { s.cancel(); _ = w.conn.Close() },
	}
	for name, end := range ways {
		t.Run(name, func(t *testing.T) {
			for range 10 {
				bubble(t, Options{Window: 8, EnquireLink: time.Millisecond}, func(t *testing.T, s *bound) {
					var submits sync.WaitGroup
					for range 16 { // half of them wait for the window
						submits.Go(func() {
							if got := <-s.submit(t.Context()); got.err != nil && !errors.Is(got.err, ErrAmbiguous) && !errors.Is(got.err, ErrNotSent) {
								t.Errorf("got %v", got.err)
							}
						})
					}
					p := s.peer.read() // one is under way
					gone := make(chan struct{})
					go func() { // and the rest goes nowhere
						defer close(gone)
						_, _ = io.Copy(io.Discard, s.peer.conn)
					}()
					end(s.peer, s, p)
					submits.Wait()
					<-s.ended
					_ = s.peer.conn.Close()
					<-gone
				})
			}
		})
	}
}

func TestATLVIsWrittenAsItsOctets(t *testing.T) {
	m := Message{TLVs: TLVs{TagUSSDServiceOp: {3}, TagITSSessionInfo: {1, 0}, TagDestAddrSubunit: {1}, TagSARMsgRefNum: {1, 2}, 0x1400: []byte("own\x00")}}
	const want = "\x00\x05\x00\x01\x01" + "\x02\x0C\x00\x02\x01\x02" + "\x05\x01\x00\x01\x03" + "\x13\x83\x00\x02\x01\x00" + "\x14\x00\x00\x04own\x00"
	for _, id := range []pdu.ID{pdu.SubmitSMID, pdu.DeliverSMID, pdu.DataSMID} {
		got, err := m.encode(id)
		if err != nil || !strings.HasSuffix(string(got), want) {
			t.Errorf("%s: got % x, %v; want % x at its end", command(id), got, err, want)
		}
	}
}

// TestTLS: a session over TLS is given a connection as any other.
func TestTLS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		certificate, pool := certificate(t)
		a, b := net.Pipe()
		// Session tickets would be written while the client writes too, which a pipe does not buffer.
		server := tls.Server(a, &tls.Config{Certificates: []tls.Certificate{certificate}, SessionTicketsDisabled: true})
		client := tls.Client(b, &tls.Config{RootCAs: pool, ServerName: "smsc.test"})
		smsc := make(chan error, 1)
		go func() {
			s, err := Accept(t.Context(), server, "smsc", func(BindRequest) Status { return StatusOK }, Options{
				Handle: func(ctx context.Context, s *Session, m *Message) Answer {
					return Answer{MessageID: "A", Then: func() { _ = s.Deliver(ctx, m) }}
				},
			})
			if err == nil {
				err = s.Run(t.Context())
			}
			smsc <- err
		}()
		delivered := make(chan string, 1)
		s, err := Bind(t.Context(), client, BindRequest{SystemID: "esme"}, Options{Handle: func(_ context.Context, _ *Session, m *Message) Answer {
			delivered <- string(m.UserData())
			return Answer{}
		}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		text := strings.Repeat("x", 40_000) // three of TLS's records
		if id, err := s.Submit(t.Context(), &Message{TLVs: TLVs{TagMessagePayload: []byte(text)}}, nil); id != "A" || err != nil {
			t.Errorf("got %q, %v; want A", id, err)
		}
		if got := <-delivered; got != text {
			t.Errorf("%d octets were delivered, want %d", len(got), len(text))
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("our end: %v", err)
		}
		if err := <-smsc; !errors.Is(err, ErrUnbound) {
			t.Errorf("the SMSC's end: got %v, want %v", err, ErrUnbound)
		}
	})
}

// TestATLSPeerThatIsSilent: the handshake is within the bind's time.
func TestATLSPeerThatIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, a) }()
		start := time.Now()
		_, err := Bind(t.Context(), tls.Client(b, &tls.Config{ServerName: "smsc.test"}), BindRequest{SystemID: "esme"}, Options{BindTimeout: 5 * time.Second})
		if got, want := msg(err), "bind_transceiver: no answer within 5s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		within(t, start, 5*time.Second)
		_ = a.Close()
	})
}

// certificate is for smsc.test, valid now by the clock of a bubble.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"smsc.test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}
