package qq

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/callsign-as/callsign/sigsync"
)

// httpAPI calls a bot's HTTP API (OneBot 11, communication/http).
type httpAPI struct {
	base   string
	token  sigsync.Secret
	client *http.Client
}

func (h *httpAPI) call(ctx context.Context, action string, p params) (json.RawMessage, error) {
	body, _ := json.Marshal(p) // a number and a truth always can
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(h.base, "/")+"/"+action, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json") // else it is read as a form
	if err := bearer(r.Header, h.token); err != nil {
		return nil, err
	}
	res, err := h.client.Do(r)
	if err != nil {
		return nil, sigsync.WithoutURL(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, (&answer{Retcode: bare(strconv.Itoa(res.StatusCode)), Message: bare(http.StatusText(res.StatusCode))}).err()
	}
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	a, err := parseAnswer(raw)
	if err != nil {
		return nil, err
	}
	return a.Data, a.err()
}

// bearer sets the header that carries the token, which may be another one each time.
func bearer(h http.Header, token sigsync.Secret) error {
	secret, err := token.Read()
	if err != nil {
		return fmt.Errorf("%w: token: %w", sigsync.ErrCredentials, err)
	}
	if secret != "" {
		h.Set("Authorization", "Bearer "+secret)
	}
	return nil
}

const writeWithin = 5 * time.Second

// session carries calls over a websocket, whoever dialled it (OneBot 11, communication/ws and ws-reverse). Events come over it too
// and are dropped: none tells of a text. TCP's keepalive ends it when the other machine is gone.
type session struct {
	conn    *websocket.Conn
	writing sync.Mutex
	ended   chan struct{} // closed once over says why
	over    error

	mu    sync.Mutex
	calls map[string]chan answer // by echo; as many as there are calls at a time
	last  int64
}

// run reads what comes until the websocket ends or ctx does, and says why.
func (s *session) run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = s.conn.Close() })()
	s.over = s.read()
	_ = s.conn.Close()
	close(s.ended)
	return s.over
}

func (s *session) read() error {
	s.conn.SetReadLimit(maxAnswer)
	for {
		_, raw, err := s.conn.ReadMessage()
		if err != nil {
			return fmt.Errorf("the bot's websocket is closed: %w", err)
		}
		a, err := parseAnswer(raw)
		if err != nil {
			return err
		}
		// A wrong token is answered before any call, with no echo.
		if err := a.err(); a.Echo == "" && errors.Is(err, sigsync.ErrCredentials) {
			return err
		}
		s.mu.Lock()
		if call, waits := s.calls[string(a.Echo)]; waits && a.PostType == "" {
			delete(s.calls, string(a.Echo)) // a second answer is nobody's
			call <- a
		}
		s.mu.Unlock()
	}
}

func (s *session) call(ctx context.Context, action string, p params) (json.RawMessage, error) {
	call := make(chan answer, 1)
	s.mu.Lock()
	s.last++
	echo := strconv.FormatInt(s.last, 10)
	s.calls[echo] = call
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.calls, echo)
		s.mu.Unlock()
	}()
	if err := s.write(map[string]any{"action": action, "params": p, "echo": echo}); err != nil {
		<-s.ended // as it is closed: the bot may have said why before
		return nil, fmt.Errorf("%w: %w", s.over, err)
	}
	select {
	case a := <-call:
		return a.Data, a.err()
	case <-s.ended:
		select {
		case a := <-call: // it came before the end
			return a.Data, a.err()
		default:
			return nil, s.over
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("the bot doesn't answer %s: %w", action, ctx.Err())
	}
}

// write ends the websocket where it fails: half a frame may be sent.
func (s *session) write(call any) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeWithin)) // fails where the writing does
	if err := s.conn.WriteJSON(call); err != nil {
		_ = s.conn.Close()
		return fmt.Errorf("the bot's websocket is closed: %w", err)
	}
	return nil
}
