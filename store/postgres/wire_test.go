package postgres_test

import (
	"io"
	"net"
	"net/url"
	"sync"
	"testing"

	"github.com/callsign-as/callsign/deploy/peer"
)

// wire is a way to a server that the test cuts.
type wire struct {
	mu    sync.Mutex
	isCut bool
	ends  map[net.Conn]struct{}
}

// wireTo gives a wire to a database, and the database's URL through it.
func wireTo(t *testing.T, database string) (w *wire, through string) {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	l, err := net.Listen("tcp", net.JoinHostPort(peer.Host(), "5432"))
	if err != nil {
		t.Fatal(err)
	}
	u.Host = l.Addr().String()
	w = &wire{ends: map[net.Conn]struct{}{}}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { w.join(near, server) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.cut()
		running.Wait()
	})
	return w, u.String()
}

// join carries what either end says until one of them or the wire is cut.
func (w *wire) join(near net.Conn, server string) {
	defer near.Close()
	far, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer far.Close()
	w.mu.Lock()
	w.ends[near], w.ends[far] = struct{}{}, struct{}{}
	if w.isCut {
		near.Close()
	}
	w.mu.Unlock()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(near, far)
		_ = near.Close()
	})
	_, _ = io.Copy(far, near)
	_ = far.Close()
	back.Wait()
	w.mu.Lock()
	delete(w.ends, near)
	delete(w.ends, far)
	w.mu.Unlock()
}

// cut ends what is connected, and what connects until the wire is mended.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = true
	for end := range w.ends {
		_ = end.Close()
	}
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isCut = false
}
