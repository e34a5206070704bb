package gsmbridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

const caller = callsign.MSISDN(8613900000001)

func delivery(text string) callsign.Delivery {
	return callsign.Delivery{
		Call:    callsign.Call{Caller: caller, Callee: 8613800000000},
		Profile: callsign.Profile{MSISDN: 8613800000000, Tenant: "default"},
		Text:    text,
	}
}

// recorder keeps a timeline.
type recorder struct {
	mu     sync.Mutex
	events []callsign.Event
}

func (r *recorder) Record(e callsign.Event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

// form is what TestTheTimelineTellsTheForm looks at; the other timelines are told without it.
var form = regexp.MustCompile(`^(flash|ussd) (gsm7|ucs2) \d+/\d+( cut)?,?`)

// String is the timeline, "submitted a text | accepted a 4097".
func (r *recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	lines := make([]string, 0, len(r.events))
	for _, e := range r.events {
		words := []string{string(e.Kind), e.Link, e.Text, e.MessageID, form.ReplaceAllString(e.Reason, "")}
		lines = append(lines, strings.Join(strings.Fields(strings.Join(words, " ")), " "))
	}
	return strings.Join(lines, " | ")
}

// errorLog keeps what was logged at Error.
type errorLog struct {
	slog.Handler
	mu    sync.Mutex
	lines []string
}

func newErrorLog() *errorLog { return &errorLog{Handler: slog.DiscardHandler} }

func (l *errorLog) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelError }
func (l *errorLog) WithAttrs([]slog.Attr) slog.Handler               { return l }

func (l *errorLog) Handle(_ context.Context, r slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		line += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		return true
	})
	l.lines = append(l.lines, line)
	return nil
}

// host is where an SMSC may listen, in a bubble without sockets.
type host struct {
	mu    sync.Mutex
	conns chan net.Conn // nil: nobody listens
}

func (h *host) dial(ctx context.Context) (net.Conn, error) {
	h.mu.Lock()
	conns := h.conns
	h.mu.Unlock()
	if conns == nil {
		return nil, errors.New("connection refused")
	}
	here, there := net.Pipe()
	select {
	case conns <- there:
		return here, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// listener is one listening on a host.
type listener struct {
	*host
	came   chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (h *host) listen() net.Listener {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.conns = make(chan net.Conn, 8)
	return &listener{host: h, came: h.conns, closed: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.came:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.conns = nil
		close(l.closed)
	})
	return nil
}

func (*listener) Addr() net.Addr { return &net.TCPAddr{} }

// lab is a bridge with an SMSC at the end of each of its links, in a bubble.
type lab struct {
	*Bridge
	t        *testing.T
	hosts    []*host
	smscs    []*smsc.Server // nil where the test listens itself
	stops    []func()
	timeline recorder
	log      *errorLog
}

// inLab runs test in a lab of len(smscs) links, named a, b, c...; synctest fails it if a goroutine is left.
func inLab(t *testing.T, smscs []*smsc.Options, change func(*LinkConfig, *Options), test func(t *testing.T, l *lab)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &lab{t: t, log: newErrorLog()}
		o := Options{Recorder: &l.timeline, Log: slog.New(l.log)}
		for i := range smscs {
			c := LinkConfig{Name: string(rune('a' + i)), Address: "smsc.example:2775", SystemID: "callsign", Password: "secret"}
			if change != nil {
				change(&c, &o)
			}
			o.Config.Links = append(o.Config.Links, c)
		}
		b, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		l.Bridge = b
		for i, options := range smscs {
			h := &host{}
			b.links[i].dial = h.dial
			l.hosts, l.smscs, l.stops = append(l.hosts, h), append(l.smscs, nil), append(l.stops, func() {})
			if options != nil {
				l.start(i, *options)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var g errgroup.Group
		g.Go(func() error { return b.Run(ctx) })
		synctest.Wait()
		test(t, l)
		cancel()
		if err := g.Wait(); err != nil {
			t.Errorf("Run ended with %v", err)
		}
		for _, stop := range l.stops {
			stop()
		}
	})
}

// start makes an SMSC listen for the i-th link.
func (l *lab) start(i int, o smsc.Options) {
	server, ln := smsc.New(o), l.hosts[i].listen()
	ctx, cancel := context.WithCancel(l.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, ln) }()
	l.smscs[i] = server
	l.stops[i] = func() {
		cancel()
		if err := <-ended; err != nil {
			l.t.Errorf("the SMSC ended with %v", err)
		}
		l.stops[i] = func() {}
	}
}

// shown are the texts on the caller's handset, of each SMSC.
func (l *lab) shown() (texts []string) {
	for _, s := range l.smscs {
		for _, m := range s.Messages(caller) {
			texts = append(texts, m.Text)
		}
	}
	return texts
}
