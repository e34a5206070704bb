package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
)

const (
	// outQueue is how many frames wait for a source that reads slowly; then its batches and commits wait too.
	outQueue = 64
	// inQueue is how many batches wait for their commit.
	inQueue = 64
	// writeWait cuts off a source that doesn't read.
	writeWait = 10 * time.Second
	// drainQuiet ends a draining session whose source has sent nothing for so long.
	drainQuiet = time.Second
)

// session is one push connection: read takes batches, commit puts them into the intake, write sends the answers, watch
// pings. The queues between them are bounded, and the first to end ends them all.
type session struct {
	server *Server
	id     string // in the hello and the log
	key    callsign.Key
	source sourceID
	stop   context.CancelCauseFunc // with an *ending
	ledger ledger

	overdrawn bool // over the credit once; read's own

	batches chan *batch   // full: the source isn't read from until a commit ends
	out     chan any      // frames to send
	quiet   chan struct{} // closed when nothing more can be acknowledged

	conn    *websocket.Conn
	mu      sync.Mutex // guards the read deadline of conn
	armed   bool       // serve runs
	leaving time.Time  // when draining ends; zero: not draining
}

func newSession(s *Server, key callsign.Key, stop context.CancelCauseFunc) *session {
	return &session{
		server: s, id: newID(), key: key, stop: stop, source: sourceOf(key.Scope),
		ledger: ledger{credit: s.o.Config.Credit}, batches: make(chan *batch, min(inQueue, s.o.Config.Credit)),
		out: make(chan any, outQueue), quiet: make(chan struct{}),
	}
}

// serve runs the session to its end, resuming after cursor.
func (s *session) serve(ctx context.Context, conn *websocket.Conn, cursor int64) {
	if !s.key.Expires.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, s.key.Expires, &ending{closeKey, "the key expired"})
		defer cancel()
	}
	g, ctx := errgroup.WithContext(ctx)
	conn.SetReadLimit(int64(s.server.o.Config.MaxBytes))
	conn.SetPongHandler(func(string) error { return s.arm(ctx) })
	pong := conn.PingHandler()
	conn.SetPingHandler(func(data string) error { return errors.Join(s.arm(ctx), pong(data)) })
	s.conn = conn
	s.ledger.resume(cursor)
	s.setArmed(true)
	defer context.AfterFunc(ctx, func() { _ = s.arm(ctx) })() // a read that blocks ends by its deadline

	g.Go(func() error { return s.read(ctx) })
	g.Go(func() error { return s.commit(ctx) })
	g.Go(func() error { return s.watch(ctx) })
	ended := make(chan error, 1)
	go func() {
		err := g.Wait()
		s.server.push.release(s) // from here on nobody sends to out
		close(s.out)
		ended <- err
	}()
	s.write(cursor)
	e := endingOf(<-ended)
	s.setArmed(false)
	level := slog.LevelDebug
	if e.code >= closeProtocol {
		level = slog.LevelInfo
	}
	s.server.log.Log(ctx, level, "push connection closed", "session", s.id, "tenant", s.source.tenant, "source", s.source.source,
		"key_id", s.key.ID, "code", e.label(), "reason", e.reason)
	s.server.closePush(conn, e)
}

func (s *session) setArmed(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed = on
}

// arm sets how long to wait for a sign of life. Its error is why the session ended, if it did.
func (s *session) arm(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	deadline := now.Add(2 * s.server.o.Config.Heartbeat)
	switch {
	case ctx.Err() != nil:
		deadline = now
	case !s.leaving.IsZero():
		deadline = now.Add(min(drainQuiet, s.leaving.Sub(now)))
	}
	if s.armed {
		_ = s.conn.SetReadDeadline(deadline) // fails on a closed connection only, as the read will
	}
	return context.Cause(ctx)
}

// drain tells the source to go and gives it until then. What it sends meanwhile is taken and acknowledged. The hub calls it,
// for sessions that it knows.
func (s *session) drain(until time.Time) {
	select {
	case s.out <- goawayFrame{"goaway", max(0, time.Until(until).Milliseconds()), errStopping.Error()}:
	default: // it doesn't read its answers, and wouldn't read this one
	}
	s.mu.Lock()
	s.leaving = until
	s.mu.Unlock()
	_ = s.arm(context.Background())
}

func (s *session) draining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.leaving.IsZero()
}

// send hands a frame to write, unless the session ends meanwhile.
func (s *session) send(ctx context.Context, frame any) error {
	select {
	case s.out <- frame:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// write sends the hello, then what comes, until out is closed; after a failure, which ends the session, it only empties out.
func (s *session) write(cursor int64) {
	c := s.server.o.Config
	sent := s.writeFrame(helloFrame{"hello", s.id, cursor, c.Credit, c.Heartbeat.Milliseconds(), c.MaxBatch, c.MaxBytes})
	for frame := range s.out {
		frames := []any{frame}
		if asked, ok := frame.(resyncs); ok {
			frames = asked.frames()
		}
		for _, f := range frames {
			sent = sent && s.writeFrame(f)
		}
	}
}

func (s *session) writeFrame(frame any) (sent bool) {
	data, err := json.Marshal(frame)
	if err == nil {
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeWait)) // never fails: it is only noted
		err = s.conn.WriteMessage(websocket.TextMessage, data)
	}
	if err != nil {
		s.stop(&ending{lost, "write: " + err.Error()})
	}
	return err == nil
}

// watch pings, and asks whether an idle session's key still holds.
func (s *session) watch(ctx context.Context) error {
	beat := time.NewTicker(s.server.o.Config.Heartbeat)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-beat.C:
		}
		if err := s.conn.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeWait)); err != nil {
			return &ending{lost, "ping: " + err.Error()}
		}
		if err := s.keyHolds(ctx); err != nil {
			return err
		}
	}
}

// keyHolds asks for the key again. A store that is away doesn't end a session: nothing can be written without it either.
func (s *session) keyHolds(ctx context.Context) error {
	_, err := s.server.keys.byHash(ctx, s.key.Hash, netip.Prefix{})
	var refused *problemDetails
	if errors.As(err, &refused) {
		return &ending{closeKey, refused.Detail}
	}
	return nil
}
