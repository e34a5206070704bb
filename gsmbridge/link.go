package gsmbridge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sethvargo/go-retry"
	"github.com/sony/gobreaker/v2"

	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// link is one SMSC and the session with it, if there is one now.
type link struct {
	LinkConfig
	bridge    *Bridge
	log       *slog.Logger
	source    smpp.Address
	to        smpp.Address // of every text, without its number
	esmClass  byte
	meanings  map[smpp.Status]class
	pace      *pace
	breaker   *gobreaker.TwoStepCircuitBreaker[struct{}]
	dial      func(context.Context) (net.Conn, error)
	obsolete  chan *text    // texts to take back; full: they stay, and are counted
	dialogues atomic.Uint32 // of USSD

	mu      sync.Mutex
	session *smpp.Session // nil: not bound
	fault   error         // why we ended the session ourselves
	down    string        // what to do that it's bound, "" while it is
	since   time.Time
}

func newLink(c LinkConfig, b *Bridge) *link {
	source, _ := senderAddress(c.Sender, c.SenderType) // Validate has seen to it, and to the types
	ton, npi, _ := numberType(c.Destination.Type)
	l := &link{
		LinkConfig: c, bridge: b, log: b.log.With("link", c.Name),
		source: source, to: smpp.Address{TON: ton, NPI: npi}, esmClass: esmClass(c.Mode), meanings: c.meanings(),
		pace: newPace(c.Rate, c.Parts), obsolete: make(chan *text, 1024),
		down: "it has not been started yet", since: time.Now(),
	}
	l.breaker = gobreaker.NewTwoStepCircuitBreaker[struct{}](gobreaker.Settings{
		Timeout:     breakerPause,
		ReadyToTrip: func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= breakerFailures },
		OnStateChange: func(_ string, _, to gobreaker.State) {
			l.log.Warn("link's circuit changed", "to", to.String())
		},
	})
	l.dial = l.connect
	b.metrics.bound.WithLabelValues(c.Name).Set(0)
	return l
}

// A link that failed so often in a row is left alone for a while; then one text tries it.
const (
	breakerFailures = 5
	breakerPause    = 5 * time.Second
)

// connect reads the files of TLS each time, so a renewed certificate is taken at the next connection.
func (l *link) connect(ctx context.Context) (net.Conn, error) {
	c, err := l.tls()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", l.key("tls"), err)
	}
	dialer := &net.Dialer{Timeout: l.ConnectTimeout}
	if c == nil {
		return dialer.DialContext(ctx, "tcp", l.Address)
	}
	return (&tls.Dialer{NetDialer: dialer, Config: c}).DialContext(ctx, "tcp", l.Address)
}

func (l *link) health() LinkHealth {
	l.mu.Lock()
	defer l.mu.Unlock()
	return LinkHealth{l.Name, l.Address, l.Channel, l.session != nil, l.down, l.since}
}

// steady is how long a session must have been bound for the next reconnect to be a quick one again.
const steady = 10 * time.Second

func newBackoff() retry.Backoff {
	return retry.WithJitterPercent(25, retry.WithCappedDuration(30*time.Second, retry.NewExponential(500*time.Millisecond)))
}

// run binds again and again until ctx ends.
func (l *link) run(ctx context.Context) {
	for backoff := newBackoff(); ; {
		if bound := l.keep(ctx); bound > steady {
			backoff = newBackoff()
		}
		wait, _ := backoff.Next()
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// keep connects, binds, and keeps the session until it ends; it tells how long it was bound.
func (l *link) keep(ctx context.Context) time.Duration {
	conn, err := l.dial(ctx)
	if err != nil {
		l.unbound(ctx, slog.LevelWarn, fmt.Sprintf("can't connect: %v: see that the SMSC is up and that %s is right", err, l.key("address")))
		return 0
	}
	s, err := smpp.Bind(ctx, conn, l.bindRequest(), smpp.Options{
		Window: l.Window, MaxPDU: l.MaxPDU, EnquireLink: l.EnquireLink, BindTimeout: l.BindTimeout, ResponseTimeout: l.ResponseTimeout,
		Handlers: 4, // an inbox that waits for its store holds up no receipt
		Handle:   l.handle,
		Observe:  func(o smpp.Oddity) { l.bridge.metrics.odd.WithLabelValues(l.Name, string(o)).Inc() },
	})
	if err != nil {
		l.unbound(ctx, slog.LevelError, l.explainBind(err))
		return 0
	}
	l.bound(s)
	start := time.Now()
	err = s.Run(ctx)
	l.mu.Lock()
	if l.fault != nil {
		err, l.fault = l.fault, nil
	}
	l.mu.Unlock()
	l.unbound(ctx, slog.LevelWarn, fmt.Sprintf("the session with %s ended: %v: it is bound again by itself", l.Address, err))
	return time.Since(start)
}

func (l *link) bindRequest() smpp.BindRequest {
	ton, npi, _ := numberType(l.AddressType) // Validate has seen to it
	b := smpp.BindRequest{
		Mode: smpp.Transceiver, SystemID: l.SystemID, Password: l.Password, SystemType: l.SystemType,
		AddressRange: smpp.Address{TON: ton, NPI: npi, Number: l.AddressRange},
	}
	switch l.Bind {
	case "transmitter":
		b.Mode = smpp.Transmitter
	case "receiver":
		b.Mode = smpp.Receiver
	}
	return b
}

func (l *link) bound(s *smpp.Session) {
	l.mu.Lock()
	l.session, l.down, l.since = s, "", time.Now()
	l.mu.Unlock()
	l.bridge.metrics.bound.WithLabelValues(l.Name).Set(1)
	l.log.Info("link is bound", "address", l.Address, "system_id", l.SystemID)
}

// unbound keeps why the link is not bound, and logs it when that changed: not at each try.
func (l *link) unbound(ctx context.Context, level slog.Level, why string) {
	if ctx.Err() != nil {
		level, why = slog.LevelInfo, "it was stopped"
	}
	l.mu.Lock()
	changed := l.down != why
	if l.session != nil {
		l.since = time.Now()
	}
	l.session, l.down = nil, why
	l.mu.Unlock()
	l.bridge.metrics.bound.WithLabelValues(l.Name).Set(0)
	if changed {
		l.log.Log(ctx, level, "link is not bound", "why", why)
	}
}

// ready is the bound session, or why there is none.
func (l *link) ready() (s *smpp.Session, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.session, l.down
}

// rebind ends a session that the SMSC no longer takes for bound.
func (l *link) rebind(s *smpp.Session, why error) {
	l.mu.Lock()
	if l.session == s && l.fault == nil {
		l.fault = why
	}
	l.mu.Unlock()
	s.Close()
}

func (l *link) key(name string) string { return fmt.Sprintf("smpp.links[%s].%s", l.Name, name) }

// explainBind says what a person can do about a bind that failed.
func (l *link) explainBind(err error) string {
	var refused *smpp.StatusError
	if !errors.As(err, &refused) {
		return fmt.Sprintf("no bind: %v: see that %s is an SMSC's, and that it lets this node in", err, l.key("address"))
	}
	do := "ask the SMSC's operator why"
	switch refused.Status {
	case smpp.StatusInvalidPassword:
		do = "check " + l.key("password")
	case smpp.StatusInvalidSystemID:
		do = "check " + l.key("system_id")
	case smpp.StatusBindFailed:
		do = fmt.Sprintf("check %s and %s, and that this node's address may bind", l.key("system_id"), l.key("password"))
	case smpp.StatusAlreadyBound:
		do = "see that no other node has this system_id, or ask the SMSC's operator for more sessions"
	}
	return fmt.Sprintf("the SMSC refused the bind as system_id %q: %v: %s", l.SystemID, refused.Status, do)
}
