package smpp

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// The command ids as SMPP 3.4 §5.1.2.1 has them, so that these tests don't lean on the codec.
const (
	nack, bindTRX, submit, deliver, unbind, enquire = 0x80000000, 0x09, 0x04, 0x05, 0x06, 0x15
	query, cancelSM, data                           = 0x03, 0x08, 0x0103
	resp                                            = 0x80000000
)

// message is the body of a submit_sm or deliver_sm, written by hand: to 8613800000000 "hi".
const message = "\x00" + "\x00\x00\x00" + "\x01\x018613800000000\x00" + "\x00\x00\x00" + "\x00\x00" + "\x01\x00\xF0\x00" + "\x02hi"

// dataMessage is the body of a data_sm with the same.
const dataMessage = "\x00" + "\x00\x00\x00" + "\x01\x018613800000000\x00" + "\x00\x01\xF0" + "\x04\x24\x00\x02hi"

// wire is the other end of a session: it writes and reads PDUs without any of the session's code.
type wire struct {
	t    *testing.T
	conn net.Conn
}

type raw struct {
	id, status, seq uint32
	body            string
}

func (p raw) octets() []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(16+len(p.body)))
	for _, n := range []uint32{p.id, p.status, p.seq} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return append(b, p.body...)
}

func (w wire) write(pdus ...raw) {
	w.t.Helper()
	for _, p := range pdus {
		w.octets(string(p.octets()))
	}
}

func (w wire) octets(s string) {
	w.t.Helper()
	if _, err := io.WriteString(w.conn, s); err != nil {
		w.t.Errorf("the peer can't write: %v", err)
	}
}

func (w wire) read() raw {
	w.t.Helper()
	b := make([]byte, 16)
	if _, err := io.ReadFull(w.conn, b); err != nil {
		w.t.Errorf("the peer can't read: %v", err)
		return raw{}
	}
	n := func(i int) uint32 { return binary.BigEndian.Uint32(b[i:]) }
	body := make([]byte, n(0)-16)
	if _, err := io.ReadFull(w.conn, body); err != nil {
		w.t.Errorf("the peer can't read a body: %v", err)
	}
	return raw{n(4), n(8), n(12), string(body)}
}

// expect reads one PDU and wants it to be this command with this status.
func (w wire) expect(id, status uint32) raw {
	w.t.Helper()
	p := w.read()
	if p.id != id || p.status != status {
		w.t.Errorf("the peer reads command %#x with status %#x, want %#x with %#x", p.id, p.status, id, status)
	}
	return p
}

// bound is a bound ESME session with its peer, in a synctest bubble.
type bound struct {
	*Session
	peer   wire
	cancel context.CancelFunc
	ended  chan struct{}
	err    error // of Run, after ended

	mu   sync.Mutex
	odds map[Oddity]int
}

func (b *bound) odd(o Oddity) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.odds[o]
}

// bubble runs test with a bound session; synctest fails it if a goroutine is left.
func bubble(t *testing.T, opt Options, test func(t *testing.T, s *bound)) {
	synctest.Test(t, func(t *testing.T) {
		here, there := net.Pipe()
		b := &bound{peer: wire{t, there}, ended: make(chan struct{}), odds: map[Oddity]int{}}
		opt.Observe = func(o Oddity) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.odds[o]++
		}
		go func() {
			p := b.peer.expect(bindTRX, 0)
			b.peer.write(raw{bindTRX | resp, 0, p.seq, "smsc\x00"})
		}()
		s, err := Bind(t.Context(), here, BindRequest{SystemID: "esme", Password: "pw"}, opt)
		if err != nil {
			t.Fatal(err)
		}
		b.Session = s
		ctx, cancel := context.WithCancel(t.Context())
		b.cancel = cancel
		go func() {
			b.err = s.Run(ctx)
			close(b.ended)
		}()
		test(t, b)
		s.Close()
		cancel()
		<-b.ended
		_ = there.Close()
	})
}

type result struct {
	id  string
	err error
}

// submit sends a message from a goroutine of its own.
func (b *bound) submit(ctx context.Context) <-chan result {
	c := make(chan result, 1)
	go func() {
		id, err := b.Submit(ctx, &Message{Dest: Address{1, 1, "8613800000000"}, ShortMessage: []byte("hi")}, nil)
		c <- result{id, err}
	}()
	return c
}

// lives proves that the session still submits.
func (b *bound) lives(t *testing.T) {
	t.Helper()
	r := b.submit(t.Context())
	p := b.peer.expect(submit, 0)
	b.peer.write(raw{submit | resp, 0, p.seq, "alive\x00"})
	if got := <-r; got.id != "alive" || got.err != nil {
		t.Errorf("the session does not live: %q, %v", got.id, got.err)
	}
}

// ends waits for Run's end and wants this reason.
func (b *bound) ends(t *testing.T, want error) {
	t.Helper()
	<-b.ended
	if !errors.Is(b.err, want) {
		t.Errorf("Run ended with %v, want %v", b.err, want)
	}
}

// within fails the test if since is longer ago than d: time in a bubble is exact.
func within(t *testing.T, since time.Time, d time.Duration) {
	t.Helper()
	if took := time.Since(since); took > d {
		t.Errorf("took %v, want at most %v", took, d)
	}
}
