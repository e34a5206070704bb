package qq

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"
	"golang.org/x/net/netutil"
	"golang.org/x/time/rate"

	"github.com/callsign-as/callsign/sigsync"
)

const (
	dialAgain = 10 * time.Second
	// maxDialled bounds the bots that dial and whoever else does; more wait to be accepted.
	maxDialled   = 32
	headerWithin = 5 * time.Second // also an idle connection's life
	maxHeader    = 16 << 10        // bytes
)

// converse has a bot asked until its websocket ends or ctx does, and says why.
func (p *Provider) converse(ctx context.Context, name string, conn *websocket.Conn) error {
	s := &session{conn: conn, calls: map[string]chan answer{}, ended: make(chan struct{})}
	b := newBot(p, name, s)
	p.add(b)
	p.log.Info("a bot is connected", "bot", name)
	err := s.run(ctx)
	p.remove(b, err)
	return err
}

// keepDialled keeps a websocket to a bot until ctx ends.
func (p *Provider) keepDialled(ctx context.Context, url string) {
	for ctx.Err() == nil {
		conn, err := p.dial(ctx, url)
		if err == nil {
			err = p.converse(ctx, url, conn)
		}
		if ctx.Err() == nil {
			p.remove(nil, err)
			p.log.Warn("a bot can't be asked; it is dialled again", "bot", url, "err", err, "again_in", dialAgain)
		}
		select {
		case <-time.After(dialAgain):
		case <-ctx.Done():
		}
	}
}

func (p *Provider) dial(ctx context.Context, url string) (*websocket.Conn, error) {
	header := http.Header{}
	if err := bearer(header, p.c.Token); err != nil {
		return nil, err
	}
	conn, res, err := (&websocket.Dialer{HandshakeTimeout: p.c.Timeout}).DialContext(ctx, url, header)
	if res != nil && (res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden) {
		return nil, fmt.Errorf("%w: %s", sigsync.ErrCredentials, res.Status)
	}
	return conn, err
}

// listen lets bots in that dial (OneBot 11, communication/ws-reverse), until ctx ends. What it starts is in all.
func (p *Provider) listen(ctx context.Context, all *sync.WaitGroup) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", p.c.Listen)
	if err != nil {
		return err
	}
	in := make(chan func())
	told := rate.Sometimes{Interval: time.Minute} // a bot tries again every few seconds
	enter := func(w http.ResponseWriter, r *http.Request) {
		if status, err := p.refuses(r.Header); err != nil {
			told.Do(func() { p.log.Warn("a bot that dials may not come in", "from", r.RemoteAddr, "err", err) })
			http.Error(w, err.Error(), status)
			return
		}
		conn, err := (&websocket.Upgrader{HandshakeTimeout: headerWithin}).Upgrade(w, r, nil)
		if err != nil {
			return // it was answered
		}
		self := r.Header.Get("X-Self-ID")
		select {
		case in <- func() {
			if err := p.converse(ctx, self, conn); ctx.Err() == nil {
				p.log.Warn("a bot can't be asked until it dials again", "bot", self, "err", err)
			}
		}:
		case <-ctx.Done():
			_ = conn.Close()
		}
	}
	server := &http.Server{Handler: http.HandlerFunc(enter), ReadTimeout: headerWithin, MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)}
	ended := make(chan error, 1)
	all.Go(func() { ended <- server.Serve(netutil.LimitListener(l, maxDialled)) })
	defer server.Close()
	for {
		select {
		case bot := <-in:
			all.Go(bot)
		case err := <-ended:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// refuses says with which status and why a request is not a bot's that may come in.
func (p *Provider) refuses(h http.Header) (status int, err error) {
	want := http.Header{}
	if err := bearer(want, p.c.Token); err != nil {
		return http.StatusServiceUnavailable, errors.New("the token can't be read here")
	}
	_, err = parseAccount(h.Get("X-Self-ID"))
	switch role := h.Get("X-Client-Role"); {
	case subtle.ConstantTimeCompare([]byte(h.Get("Authorization")), []byte(want.Get("Authorization"))) != 1:
		return http.StatusForbidden, errors.New("no token, or a wrong one: configure the bot with the one of this network")
	case err != nil:
		return http.StatusBadRequest, fmt.Errorf("X-Self-ID: %w: log the bot in first", err)
	case role != "Universal" && role != "API":
		return http.StatusBadRequest, errors.New("X-Client-Role is neither Universal nor API: no call can be made over this connection")
	}
	return 0, nil
}
