package api

import (
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// ending is why a push connection is over: with a close code, or one of the two that have no close frame of ours.
type ending struct {
	code   int
	reason string
}

const (
	closedByPeer = -1
	lost         = -2
)

func (e *ending) Error() string { return e.label() + ": " + e.reason }

// label is the ending in metrics and logs.
func (e *ending) label() string {
	switch e.code {
	case closedByPeer:
		return "peer"
	case lost:
		return "lost"
	}
	return strconv.Itoa(e.code)
}

// frame is the payload of the close frame: a control frame has 125 bytes, and its reason is UTF-8 (RFC 6455 §5.5).
func (e *ending) frame() []byte {
	return websocket.FormatCloseMessage(e.code, strings.ToValidUTF8(e.reason[:min(len(e.reason), 123)], ""))
}

// endingOf is what ended a session: without a reason of its own, it is the server that stops.
func endingOf(err error) *ending {
	var e *ending
	if errors.As(err, &e) {
		return e
	}
	return &ending{websocket.CloseGoingAway, errStopping.Error()}
}

// readEnding is what a failed read means. Some close frames gorilla has sent by then; ours is a no-op after them.
func readEnding(err error) *ending {
	var closed *websocket.CloseError
	var network net.Error
	switch {
	case errors.Is(err, websocket.ErrReadLimit):
		return &ending{websocket.CloseMessageTooBig, "the frame is longer than max_bytes"}
	case errors.As(err, &closed) && closed.Code != websocket.CloseAbnormalClosure:
		return &ending{closedByPeer, err.Error()}
	case errors.As(err, &network) && network.Timeout():
		return &ending{closeHeartbeat, "no sign of life in two heartbeats: answer pings"}
	case closed != nil, errors.As(err, &network), errors.Is(err, io.EOF), errors.Is(err, io.ErrClosedPipe):
		return &ending{lost, err.Error()}
	}
	return &ending{websocket.CloseProtocolError, err.Error()}
}

const (
	// closeWait is for the close frame to be written, and again to be answered: closing with bytes unread resets the
	// connection, and the frame may be lost with it.
	closeWait = time.Second
	// maxUnread bounds what is read meanwhile.
	maxUnread = 1 << 20
)

// closePush writes the close frame that e asks for, and closes.
func (s *Server) closePush(conn *websocket.Conn, e *ending) {
	defer conn.Close()
	s.metrics.closes.WithLabelValues(e.label()).Inc()
	if e.code < 0 {
		return
	}
	err := conn.WriteControl(websocket.CloseMessage, e.frame(), time.Now().Add(closeWait))
	if err != nil && !errors.Is(err, websocket.ErrCloseSent) {
		return
	}
	under := conn.NetConn()
	if half, ok := under.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite() // if it fails, so will reading
	}
	if under.SetReadDeadline(time.Now().Add(closeWait)) == nil {
		_, _ = io.Copy(io.Discard, io.LimitReader(under, maxUnread))
	}
}
