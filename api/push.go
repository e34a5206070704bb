package api

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/callsign-as/callsign"
)

// Cursors tells where a source resumes: the greatest Seq of it that is durable, 0 if none is.
type Cursors interface {
	Cursor(ctx context.Context, tenant, source string) (int64, error)
}

// servePush is GET /v1/push. All that can be refused is refused before the upgrade, but for the node being full: that has a
// close code.
func (s *Server) servePush(w http.ResponseWriter, r *http.Request) {
	key, err := s.keys.authenticate(r.Context(), r)
	if err == nil {
		err = pushable(r, key)
	}
	if err != nil {
		s.problem(err).write(w)
		return
	}
	full := s.push.enter(sourceOf(key.Scope))
	if errors.Is(full, errStopping) {
		s.problem(unavailable(full.Error())).write(w)
		return
	}
	defer s.push.leave()
	if full != nil {
		if conn := upgrade(w, r); conn != nil {
			s.closePush(conn, &ending{websocket.CloseTryAgainLater, full.Error()})
		}
		return
	}
	ctx, stop := context.WithCancelCause(r.Context())
	defer stop(nil)
	one := newSession(s, key, stop)
	if err := s.push.claim(ctx, one); err != nil {
		s.problem(err).write(w)
		return
	}
	cursor, err := s.o.Cursors.Cursor(ctx, one.source.tenant, one.source.source)
	if err != nil {
		s.push.release(one)
		s.problem(err).write(w)
		return
	}
	conn := upgrade(w, r)
	if conn == nil {
		s.push.release(one)
		return
	}
	one.serve(ctx, conn, cursor)
}

// pushable refuses what may not be upgraded.
func pushable(r *http.Request, key callsign.Key) error {
	switch {
	case key.Scope.Role != callsign.RoleSource || key.Scope.Network == "":
		return forbidden("the role " + string(key.Scope.Role) + " may not push: use a key whose role is source")
	case !websocket.IsWebSocketUpgrade(r):
		return newProblem(http.StatusBadRequest, "bad_upgrade", "this path is a websocket: use a WebSocket client (RFC 6455)")
	case !slices.Contains(websocket.Subprotocols(r), subprotocol):
		return newProblem(http.StatusBadRequest, "bad_subprotocol", "ask for the subprotocol "+subprotocol+" in Sec-WebSocket-Protocol")
	}
	return nil
}

var writeBuffers sync.Pool

// upgrade answers with a problem and gives nil, if the request is no proper handshake.
func upgrade(w http.ResponseWriter, r *http.Request) *websocket.Conn {
	up := websocket.Upgrader{
		Subprotocols:      []string{subprotocol},
		EnableCompression: true,
		WriteBufferPool:   &writeBuffers,                            // an idle connection needs none
		CheckOrigin:       func(*http.Request) bool { return true }, // a page can't send our bearer keys: they are no cookies; ofAnotherSite refuses its certificate
		Error: func(w http.ResponseWriter, _ *http.Request, status int, reason error) {
			newProblem(status, "bad_upgrade", reason.Error()+": use a WebSocket client (RFC 6455)").write(w)
		},
	}
	conn, err := up.Upgrade(w, r, nil)
	if err != nil {
		return nil // Error has answered
	}
	conn.EnableWriteCompression(false) // ours are short
	return conn
}
