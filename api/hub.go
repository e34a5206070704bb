package api

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

// sourceID is whose events are numbered together; it has one connection. A network stands before the name, so that no two
// networks ever share a numbering.
type sourceID struct{ tenant, source string }

func sourceOf(scope callsign.Scope) sourceID {
	source := scope.Network
	if scope.Source != "" {
		source += "/" + scope.Source // network names have no slash
	}
	return sourceID{scope.Tenant, source}
}

// hub knows the node's push connections.
type hub struct {
	limit int
	open  prometheus.Gauge

	mu       sync.Mutex
	sessions map[sourceID]*session
	inside   int           // connections, also those that are only being closed
	stopping time.Time     // when the last of them must go; zero: not stopping
	idle     chan struct{} // closed when it is stopping and none is inside
}

// replaceWait is how long a new connection waits for the older one's last commit.
const replaceWait = 5 * time.Second

var (
	errFull     = errors.New("this node has no room: connect to another one, or later")
	errStopping = errors.New("this node is stopping: connect again, to another one")
)

// enter counts a connection in; unless it gives errStopping, the connection must leave. With errFull it is in to be told so;
// one that replaces another always has room.
func (h *hub) enter(source sourceID) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.stopping.IsZero() {
		return errStopping
	}
	h.inside++
	h.open.Inc()
	if h.inside > h.limit && h.sessions[source] == nil {
		return errFull
	}
	return nil
}

func (h *hub) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inside--
	h.open.Dec()
	if h.inside == 0 && !h.stopping.IsZero() {
		close(h.idle)
	}
}

// claim makes s the one session of its source. It ends an older one and waits until that can acknowledge nothing more, so
// that all it acknowledged is below the cursor from which s resumes.
func (h *hub) claim(ctx context.Context, s *session) error {
	ctx, cancel := context.WithTimeout(ctx, replaceWait)
	defer cancel()
	for {
		older := h.tryClaim(s)
		if older == nil {
			return nil
		}
		older.stop(&ending{closeReplaced, "a newer connection of this source took over"})
		select {
		case <-older.quiet:
		case <-ctx.Done():
			return unavailable("the older connection of this source is still writing: connect again")
		}
	}
}

func (h *hub) tryClaim(s *session) (older *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if older = h.sessions[s.source]; older == nil {
		h.sessions[s.source] = s
		if !h.stopping.IsZero() {
			s.drain(h.stopping)
		}
	}
	return older
}

// release ends a claim: s acknowledges nothing more, and the hub forgets it.
func (h *hub) release(s *session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.sessions, s.source)
	close(s.quiet)
}

// each calls f for every session; f must not block.
func (h *hub) each(f func(*session)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.sessions {
		f(s)
	}
}

func (h *hub) draining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.stopping.IsZero()
}

// drain asks every session to go, ends those that stay longer than grace, and returns when none is left.
func (h *hub) drain(grace time.Duration) {
	until := time.Now().Add(grace)
	h.mu.Lock()
	h.stopping = until
	if h.inside == 0 {
		close(h.idle)
	}
	h.mu.Unlock()
	h.each(func(s *session) { s.drain(until) })
	timer := time.AfterFunc(grace, func() {
		h.each(func(s *session) { s.stop(&ending{websocket.CloseServiceRestart, errStopping.Error()}) })
	})
	defer timer.Stop()
	<-h.idle
}
