// Package client pushes an IM system's signatures to Callsign over its websocket (/asyncapi.json): in order, and each at least
// once, whatever ends in between. It knows nothing of the rest of the house, so that an IM platform can use it alone. Run owns
// its goroutines.
package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/websocket"
)

// Options is what a Client is made of.
type Options struct {
	URL    string      // of the API, like https://callsign.example:8080
	Key    string      // of the role source; empty: the certificate in TLS stands for it
	TLS    *tls.Config // nil: Go's default
	Source string      // the IM system as its events name it: a URI reference (CloudEvents §3.1.1)
	Outbox *Outbox     // where events wait for their acknowledgement; nil: in memory only

	// Result is told what became of each event, in order; nil: nobody is. It must not block for long.
	Result func(Result)
	// Resync is asked to push snapshots: of an account, or of all that have a text if it is empty; of all also by the client itself, when
	// the server's store was restored from before what it acknowledged, which is in no outbox any more. nil: nobody is. It must not block
	// for long either.
	Resync func(ctx context.Context, account string)
	Log    *slog.Logger // nil: nothing is logged
}

// Result is what became of an event: stored; duplicate or stale, as the server knows it or a newer one; unlinked, as no subscriber
// has the account; pending, until a person approves it; rejected, as its text can't be kept or is not
// allowed to be shown.
type Result struct{ ID, Status string }

// The reasons for which Run ends by itself: trying again as it is would help nobody.
var (
	ErrRefused  = errors.New("the server refuses this client")              // its key, its source, or what it sends
	ErrReplaced = errors.New("a newer connection of this source took over") // two that replace each other would never end
)

// Client pushes what it is given. Make it with New, then Run it.
type Client struct {
	o   Options
	url string
	log *slog.Logger
}

// New checks the options.
func New(o Options) (*Client, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, fmt.Errorf("URL: %w", err)
	}
	switch u.Scheme {
	case "http", "https":
	default:
		return nil, fmt.Errorf("URL %q: write it like https://callsign.example:8080", o.URL)
	}
	if o.Source == "" || len(o.Source) > maxAttribute {
		return nil, fmt.Errorf("the Source has %d bytes: give it 1 to %d, like https://im.example", len(o.Source), maxAttribute)
	}
	if o.Outbox == nil {
		o.Outbox = NewOutbox()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Result == nil {
		o.Result = func(Result) {}
	}
	if o.Resync == nil {
		o.Resync = func(context.Context, string) {}
	}
	u.Scheme = strings.Replace(u.Scheme, "http", "ws", 1)
	return &Client{o: o, url: u.JoinPath("/v1/push").String(), log: o.Log}, nil
}

// Push takes events over: when it returns nil they stand in the outbox, and Run sends them. All are taken or none.
func (c *Client) Push(events ...Event) error { return c.o.Outbox.append(events) }

// Flush waits until all that was pushed so far is acknowledged: durable at the server.
func (c *Client) Flush(ctx context.Context) error { return c.o.Outbox.flushed(ctx) }

// How long Run waits before it connects again: twice as long after each failure, and a random part less.
const (
	firstWait, lastWait = 500 * time.Millisecond, 30 * time.Second
	dialTime            = 10 * time.Second
	writeTime           = 10 * time.Second
)

// Run connects and sends, again and again, until ctx ends (then it returns nil) or there is no use in it (ErrRefused,
// ErrReplaced). It is called once.
func (c *Client) Run(ctx context.Context) error {
	for wait := firstWait; ; wait = min(2*wait, lastWait) {
		began, err := c.session(ctx)
		if errors.Is(err, ErrRefused) || errors.Is(err, ErrReplaced) {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if began {
			wait = firstWait
		}
		c.log.Warn("the connection to Callsign ended; it is made again", "err", err, "in", wait)
		select {
		case <-time.After(wait/2 + rand.N(wait/2)):
		case <-ctx.Done():
			return nil
		}
	}
}

// session is one connection; began tells that the server said hello.
func (c *Client) session(ctx context.Context) (began bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	dialer := websocket.Dialer{
		Subprotocols: []string{"callsign.v1"}, TLSClientConfig: c.o.TLS, HandshakeTimeout: dialTime, Proxy: http.ProxyFromEnvironment, EnableCompression: true,
	}
	header := http.Header{}
	if c.o.Key != "" {
		header.Set("Authorization", "Bearer "+c.o.Key)
	}
	conn, answer, err := dialer.DialContext(ctx, c.url, header)
	if err != nil {
		return false, dialFailed(answer, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	var hello frame
	_ = conn.SetReadDeadline(time.Now().Add(dialTime)) // it fails on a closed connection only, as the read will
	if err := conn.ReadJSON(&hello); err != nil {
		return false, closed(err)
	}
	if hello.Op != "hello" {
		return false, fmt.Errorf("the server began with %q, not hello", hello.Op)
	}
	if c.o.Outbox.behind(hello.ResumeFrom) { // before it is resumed: a process that ends in between asks again
		c.log.Warn("the server has lost events that it acknowledged, as after a restore; all texts are asked for", "resume_from", hello.ResumeFrom)
		c.o.Resync(ctx, "")
	}
	s := &session{Client: c, conn: conn, hello: hello, credit: hello.Credit, upTo: hello.ResumeFrom, kick: make(chan struct{}, 1)}
	if s.next, err = c.o.Outbox.resume(hello.ResumeFrom); err != nil {
		return true, err
	}
	sending := make(chan error, 1)
	go func() {
		err := s.send(ctx)
		cancel(err) // which ends the reading
		sending <- err
	}()
	err = s.read(ctx)
	cancel(err)
	if sent := <-sending; errors.Is(sent, ErrRefused) {
		err = sent // reading only learns that the connection was closed
	}
	return true, err
}

// dialFailed says why there is no connection; what a problem document says is for ever for all but 429 and 5xx.
func dialFailed(answer *http.Response, err error) error {
	if answer == nil {
		return err
	}
	var problem struct{ Code, Detail string }
	_ = json.NewDecoder(answer.Body).Decode(&problem) // an answer that isn't Callsign's has none
	err = fmt.Errorf("%s: %s %s", answer.Status, problem.Code, problem.Detail)
	if answer.StatusCode < 500 && answer.StatusCode != http.StatusTooManyRequests {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return err
}

// closed is what a close code means for this client.
func closed(err error) error {
	var c *websocket.CloseError
	if !errors.As(err, &c) {
		return err
	}
	switch c.Code {
	case 4400, 4401, 4403:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case 4409:
		return ErrReplaced
	}
	return err
}
