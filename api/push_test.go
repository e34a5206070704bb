package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

// source is a client of the push protocol.
type source struct {
	t      *testing.T
	conn   *websocket.Conn
	frames chan map[string]any
	closed chan error
}

// dial connects; with a refusal there is no source but an answer.
func dial(t *testing.T, d websocket.Dialer, url, key string) (*source, *http.Response) {
	t.Helper()
	if d.Subprotocols == nil {
		d.Subprotocols = []string{"other", subprotocol}
	}
	conn, resp, err := d.DialContext(t.Context(), strings.Replace(url, "http", "ws", 1)+"/v1/push", http.Header{"Authorization": {"Bearer " + key}})
	if err != nil {
		if resp == nil {
			t.Fatal(err)
		}
		return nil, resp
	}
	t.Cleanup(func() { conn.Close() })
	return &source{t, conn, make(chan map[string]any, 10_000), make(chan error, 1)}, resp
}

// connect dials and reads on until the connection ends.
func connect(t *testing.T, url, key string) *source {
	t.Helper()
	s, resp := dial(t, websocket.Dialer{}, url, key)
	if s == nil {
		t.Fatalf("the connection was refused with %s", resp.Status)
	}
	go s.read()
	return s
}

func (s *source) read() {
	for {
		_, data, err := s.conn.ReadMessage()
		if err != nil {
			s.conn.Close()
			s.closed <- err
			close(s.frames)
			return
		}
		var frame map[string]any
		if err := json.Unmarshal(data, &frame); err != nil {
			s.t.Errorf("the server sent %q: %v", data, err)
		}
		s.frames <- frame
	}
}

// next is the next frame, which must be an op.
func (s *source) next(op string) map[string]any {
	s.t.Helper()
	frame, ok := <-s.frames
	if !ok {
		s.t.Fatalf("the connection ended with %v, want %s", <-s.closed, op)
	}
	if frame["op"] != op {
		s.t.Fatalf("got %v, want %s", frame, op)
	}
	return frame
}

// end is the code with which the connection ended, after what was still to be read.
func (s *source) end() int {
	s.t.Helper()
	for range s.frames { //nolint:revive // only their end matters
	}
	var closed *websocket.CloseError
	if err := <-s.closed; !errors.As(err, &closed) {
		s.t.Fatalf("the connection ended with %v, want a close code", err)
	}
	return closed.Code
}

func (s *source) write(kind int, data string) {
	s.t.Helper()
	if err := s.conn.WriteMessage(kind, []byte(data)); err != nil {
		s.t.Fatal(err)
	}
}

// push sends events numbered from first, in a batch of that name.
func (s *source) push(name string, first int, events ...string) {
	s.t.Helper()
	s.write(websocket.TextMessage, fmt.Sprintf(`{"op":"events","batch":%q,"seq":[%d,%d],"events":[%s]}`,
		name, first, first+len(events)-1, strings.Join(events, ",")))
}

// acked reads an ack and gives it as "batch up_to status…".
func (s *source) acked() string {
	s.t.Helper()
	frame := s.next("ack")
	var out strings.Builder
	out.WriteString(fmt.Sprint(frame["batch"], " ", frame["up_to"]))
	for _, r := range frame["results"].([]any) {
		out.WriteString(" " + r.(map[string]any)["status"].(string))
	}
	return out.String()
}

// nacked reads a nack and gives it as "batch code retryable id retry_after_ms".
func (s *source) nacked() string {
	s.t.Helper()
	frame := s.next("nack")
	e := frame["error"].(map[string]any)
	return fmt.Sprint(frame["batch"], " ", e["code"], " ", e["retryable"], " ", e["id"], " ", e["retry_after_ms"])
}

func expect(t *testing.T, sentence string, got, want any) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", sentence, got, want)
	}
}

// until waits for a condition that must come.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	never := time.After(time.Minute)
	for tick := time.Tick(time.Millisecond); !holds(); {
		select {
		case <-tick:
		case <-never:
			t.Fatalf("%s: never", what)
		}
	}
}

// ev is an event of an account that is linked in pushing's server.
func ev(id string, version int) string {
	return with(fmt.Sprintf(`"id":%q,"accountversion":%d`, id, version))
}

// pushing is a server with the account 10001 of qq linked, and a key for qq.
func pushing(t *testing.T, change func(*Options)) (*service, string) {
	t.Helper()
	s := serve(t, change)
	s.memory.link("qq", "10001")
	return s, s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq"})
}

func (m *memory) link(network, account string) {
	m.set(func(m *memory) { m.linked[[3]string{callsign.DefaultTenant, network, account}] = 8613800000000 })
}

func TestHelloTellsLimitsAndWhereToGoOn(t *testing.T) {
	s, key := pushing(t, nil)
	s.memory.cursors[[2]string{callsign.DefaultTenant, "qq"}] = 1041
	c := connect(t, s.url, key)
	hello := c.next("hello")
	if hello["session"] == "" {
		t.Error("the session has no name")
	}
	delete(hello, "session")
	want := map[string]any{
		"op": "hello", "resume_from": 1041.0, "credit": 256.0, "heartbeat_ms": 20000.0, "max_batch": 100.0, "max_bytes": 65536.0,
	}
	if !maps.Equal(hello, want) {
		t.Errorf("got %v, want %v", hello, want)
	}
	expect(t, "the subprotocol", c.conn.Subprotocol(), subprotocol)
}

func TestAnEventIsAcknowledgedAfterItsCommit(t *testing.T) {
	s, key := pushing(t, nil)
	hold := make(chan struct{})
	s.memory.hold = hold
	c := connect(t, s.url, key)
	c.next("hello")
	c.push("b-1", 1, ev("a", 1))
	until(t, "the intake has it", func() bool { s.memory.mu.Lock(); defer s.memory.mu.Unlock(); return s.memory.puts == 1 })
	for i := range 5 { // these queue up behind it
		c.push(fmt.Sprint("b-", i+2), i+2, ev(fmt.Sprint(i), i+2))
	}
	// A pong comes after all that was sent before its ping: nothing was.
	pong := make(chan struct{})
	c.conn.SetPongHandler(func(string) error { close(pong); return nil })
	if err := c.conn.WriteControl(websocket.PingMessage, nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	<-pong
	expect(t, "frames before the commit", len(c.frames), 0)
	close(hold)
	for i := range 6 {
		expect(t, "an ack after it", c.acked(), fmt.Sprint("b-", i+1, " ", i+1, " stored"))
	}
	expect(t, "commits for one batch, and for all that waited", s.memory.puts, 2)
}

func TestEachEventIsAnsweredInOrder(t *testing.T) {
	s, _ := pushing(t, nil)
	s.memory.link("msn", "bill")
	key := s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq", Source: "qq.example/presence"})
	c := connect(t, s.url, key)
	c.next("hello")
	of := `"source":"qq.example/presence",`
	c.push("b", 1,
		with(of+`"accountversion":5`), with(of+`"accountversion":5`), with(of+`"accountversion":4`), with(of+`"subject":"nobody"`),
		with(of+`"subject":"bill"`), with(of+`"data":{"text":"`+strings.Repeat("x", 2049)+`"}`),
		with(of+`"type":"im.callsign.signature.cleared","accountversion":6`))
	expect(t, "a batch", c.acked(), "b 7 stored duplicate stale unlinked unlinked rejected stored")
	first := s.memory.changes[0]
	got := fmt.Sprint(first.Tenant, " ", first.Source, " ", first.Network, " ", first.Account, " ", first.Seq, " ", first.Origin())
	expect(t, "who said it", got, "default qq/qq.example/presence qq 10001 1 qq/qq.example/presence/e1")
	expect(t, "the last is numbered", s.memory.changes[6].Seq, int64(7))
}

func TestASourceResumes(t *testing.T) {
	s, key := pushing(t, nil)
	c := connect(t, s.url, key)
	c.next("hello")
	c.push("b-1", 1, ev("a", 1), ev("b", 2))
	expect(t, "the first connection", c.acked(), "b-1 2 stored stored")
	c.conn.Close()
	c = connect(t, s.url, key)
	expect(t, "resume_from", c.next("hello")["resume_from"], 2.0)
	c.push("b-2", 1, ev("a", 1))
	expect(t, "an event that was acknowledged", c.acked(), "b-2 2 stale")
	c.push("b-3", 2, ev("b", 2), ev("c", 3))
	expect(t, "an overlap", c.acked(), "b-3 3 duplicate stored")
}

func TestAConnectionIsRefusedBeforeTheUpgrade(t *testing.T) {
	s, key := pushing(t, nil)
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	for _, test := range []struct {
		sentence, key string
		subprotocol   string
		status        int
	}{
		{"without a key", "", subprotocol, 401},
		{"with a key that isn't known", "cs_nothing", subprotocol, 401},
		{"with another role", admin, subprotocol, 403},
		{"without the subprotocol", key, "callsign.v0", 400},
	} {
		c, resp := dial(t, websocket.Dialer{Subprotocols: []string{test.subprotocol}}, s.url, test.key)
		if c != nil || resp.StatusCode != test.status || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: got %s %v, want a problem %d", test.sentence, resp.Status, resp.Header, test.status)
		}
	}
	a := s.do(t, key, "GET", "/v1/push", "")
	expect(t, "without a handshake", a.status, 400)
	checkProblem(t, "without a handshake", a)
	a = s.do(t, key, "GET", "/v1/push", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Protocol", subprotocol)
	expect(t, "with half a handshake", a.status, 400)
	checkProblem(t, "with half a handshake", a)

	connect(t, s.url, key).next("hello")
	s.memory.set(func(m *memory) { m.down = callsign.ErrUnavailable })
	_, resp := dial(t, websocket.Dialer{}, s.url, key)
	expect(t, "while the store is away", fmt.Sprint(resp.StatusCode, resp.Header["Retry-After"]), "503 [1]")
	s.memory.set(func(m *memory) { m.down = nil })
	connect(t, s.url, key).next("hello")
}

func TestABatchIsRefused(t *testing.T) {
	for sentence, test := range map[string]struct {
		frame, want string
	}{
		"for an event that is none":     {`"seq":[1,2],"events":[` + ev("a", 1) + `,` + with(`"id":"bad","time":"x"`) + `]`, "b bad_event false bad 0"},
		"for too many events":           {`"seq":[1,4],"events":[{},{},{},{}]`, "b too_many_events false  0"},
		"when seq doesn't count":        {`"seq":[1,2],"events":[` + ev("a", 1) + `]`, "b seq_mismatch false  0"},
		"when seq is from 0":            {`"seq":[0,0],"events":[` + ev("a", 1) + `]`, "b seq_mismatch false  0"},
		"when it is empty":              {`"seq":[1,0],"events":[]`, "b seq_mismatch false  0"},
		"when one before it is missing": {`"seq":[2,2],"events":[` + ev("a", 1) + `]`, "b seq_gap false  0"},
		"when it is over the credit":    {`"seq":[1,3],"events":[` + ev("a", 1) + `,` + ev("b", 2) + `,` + ev("c", 3) + `]`, "b over_credit true  0"},
	} {
		s, key := pushing(t, func(o *Options) { o.Config.MaxBatch, o.Config.Credit = 3, 2 })
		c := connect(t, s.url, key)
		c.next("hello")
		c.write(websocket.TextMessage, `{"op":"events","batch":"b",`+test.frame+`}`)
		expect(t, sentence, c.nacked(), test.want)
		c.push("next", 1, ev("a", 1), ev("b", 2))
		expect(t, sentence+", and the next is taken", c.acked(), "next 2 stored stored")
	}
}

func TestAConnectionIsClosed(t *testing.T) {
	for sentence, test := range map[string]struct {
		send func(*source)
		want int
	}{
		"for a binary frame":           {func(c *source) { c.write(websocket.BinaryMessage, `{}`) }, 4400},
		"for what is not JSON":         {func(c *source) { c.write(websocket.TextMessage, `hello`) }, 4400},
		"for two values":               {func(c *source) { c.write(websocket.TextMessage, `{}{}`) }, 4400},
		"for an unknown op":            {func(c *source) { c.write(websocket.TextMessage, `{"op":"ack"}`) }, 4400},
		"for a frame without seq":      {func(c *source) { c.write(websocket.TextMessage, `{"op":"events","events":[]}`) }, 4400},
		"for a seq of words":           {func(c *source) { c.write(websocket.TextMessage, `{"op":"events","seq":["1","2"]}`) }, 4400},
		"for a batch with a long name": {func(c *source) { c.push(strings.Repeat("x", 129), 1, ev("a", 1)) }, 4400},
		"for what is not UTF-8":        {func(c *source) { c.write(websocket.TextMessage, "{\"op\":\"\xff\"}") }, 1007},
		"for a frame that is too long": {func(c *source) { c.write(websocket.TextMessage, strings.Repeat(" ", 65537)) }, 1009},
		"for a gigabyte that is announced": {func(c *source) {
			_, _ = c.conn.NetConn().Write([]byte{0x81, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4})
		}, 1009},
		"for a frame without a mask": {func(c *source) { _, _ = c.conn.NetConn().Write([]byte{0x81, 2, '{', '}'}) }, 1002},
		"for another source's event": {func(c *source) {
			c.push("b", 1, with(`"source":"qq"`), with(`"id":"forged","source":"msn"`))
			expect(c.t, "the forged one is named", c.nacked(), "b source_not_allowed false forged 0")
		}, 4403},
		"for more than the credit, twice": {func(c *source) {
			c.push("b", 1, ev("a", 1), ev("b", 2), ev("c", 3))
			expect(c.t, "over the credit", c.nacked(), "b over_credit true  0")
			c.push("b", 4, ev("a", 1), ev("b", 2), ev("c", 3))
		}, 4429},
	} {
		s, _ := pushing(t, func(o *Options) { o.Config.Credit = 2 })
		key := s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq", Source: "qq"})
		c := connect(t, s.url, key)
		c.next("hello")
		test.send(c)
		expect(t, sentence, c.end(), test.want)
		expect(t, sentence+": kept", len(s.memory.changes), 0)
	}
}

func TestANewerConnectionReplaces(t *testing.T) {
	s, key := pushing(t, nil)
	other := s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq", Tenant: "acme"})
	stranger := connect(t, s.url, other)
	stranger.next("hello")
	older := connect(t, s.url, key)
	older.next("hello")
	s.memory.set(func(m *memory) { m.hold = make(chan struct{}) })
	older.push("b", 1, ev("a", 1))
	until(t, "the older one commits", func() bool { s.memory.mu.Lock(); defer s.memory.mu.Unlock(); return s.memory.puts == 1 })
	newer := connect(t, s.url, key)
	expect(t, "the older one", older.end(), 4409)
	expect(t, "resume_from", newer.next("hello")["resume_from"], 0.0)
	s.memory.set(func(m *memory) { m.hold = nil })
	newer.push("b", 1, ev("a", 1))
	expect(t, "the newer one", newer.acked(), "b 1 stored")
	stranger.push("b", 1, ev("a", 1))
	expect(t, "another tenant's of the same name", stranger.acked(), "b 1 unlinked")
}

func TestPushIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	s, key := pushing(t, func(o *Options) { o.Gatherer, o.Metrics = registry, registry })
	c := connect(t, s.url, key)
	c.next("hello")
	c.push("b", 1, ev("a", 1), with(`"subject":"nobody"`))
	c.next("ack")
	c.push("b", 9, ev("a", 1))
	c.next("nack")
	has := func(series string) {
		t.Helper()
		until(t, series, func() bool { return strings.Contains(string(s.do(t, "", "GET", "/metrics", "").raw), series+"\n") })
	}
	has("callsign_push_connections 1")
	has(`callsign_push_events_total{status="stored"} 1`)
	has(`callsign_push_events_total{status="unlinked"} 1`)
	has(`callsign_push_nacks_total{code="seq_gap"} 1`)
	c.write(websocket.TextMessage, "x")
	has(`callsign_push_closes_total{code="4400"} 1`)
	has("callsign_push_connections 0")
	has(`callsign_http_requests_total{code="101",route="GET /v1/push"} 1`)
}

func TestANodeIsFull(t *testing.T) {
	s, key := pushing(t, func(o *Options) { o.Config.Connections = 1 })
	first := connect(t, s.url, key)
	first.next("hello")
	second := connect(t, s.url, s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "msn"}))
	expect(t, "one more", second.end(), 1013)
	connect(t, s.url, key).next("hello")
	expect(t, "one that is replaced", first.end(), 4409)
}

func TestAStoreThatIsAwayLosesNothing(t *testing.T) {
	s, key := pushing(t, nil)
	c := connect(t, s.url, key)
	c.next("hello")
	c.push("b-1", 1, ev("a", 1))
	expect(t, "before", c.acked(), "b-1 1 stored")
	hold := make(chan struct{})
	s.memory.set(func(m *memory) { m.hold, m.down = hold, callsign.ErrUnavailable })
	c.push("b-2", 2, ev("b", 2))
	until(t, "the first is in the intake", func() bool { s.memory.mu.Lock(); defer s.memory.mu.Unlock(); return s.memory.puts == 2 })
	c.push("b-3", 3, ev("c", 3))
	until(t, "the one behind it is taken", func() (taken bool) {
		s.push.each(func(one *session) { taken = len(one.batches) == 1 })
		return taken
	})
	close(hold)
	expect(t, "the one that failed", c.nacked(), "b-2 unavailable true  1000")
	s.memory.set(func(m *memory) { m.down = nil })
	expect(t, "the one behind it", c.nacked(), "b-3 unavailable true  1000")
	c.push("b-4", 4, ev("d", 4))
	expect(t, "one that goes on regardless", c.nacked(), "b-4 seq_gap false  0")
	c.push("b-2", 2, ev("b", 2))
	c.push("b-3", 3, ev("c", 3), ev("d", 4))
	expect(t, "sent again", c.acked(), "b-2 2 stored")
	expect(t, "and on", c.acked(), "b-3 4 stored stored")
}

func TestALinkAsksItsSourceAgain(t *testing.T) {
	s, key := pushing(t, nil)
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	qq := connect(t, s.url, key)
	qq.next("hello")
	msn := connect(t, s.url, s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "msn"}))
	msn.next("hello")
	s.do(t, admin, "PUT", "/v1/subscribers/8613800000001", "")
	for range 2 { // the second changes nothing
		s.do(t, admin, "PUT", "/v1/subscribers/8613800000001/accounts/qq/a%2Fb", "")
	}
	s.do(t, admin, "PUT", "/v1/subscribers/8613800000001/accounts/msn/bill", "")
	expect(t, "the account", qq.next("resync")["account"], "a/b")
	expect(t, "another network's", msn.next("resync")["account"], "bill")
	qq.push("b", 1, with(`"subject":"a/b","type":"im.callsign.signature.snapshot"`))
	expect(t, "its text arrives", qq.acked(), "b 1 stored")
}

func TestARevokedKeyEndsItsConnectionAtOnce(t *testing.T) {
	s, key := pushing(t, nil)
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	c := connect(t, s.url, key)
	c.next("hello")
	for _, k := range s.memory.keys {
		if k.Scope.Role == callsign.RoleSource {
			expect(t, "revoke", s.do(t, admin, "DELETE", "/v1/keys/"+k.ID, "").status, 204)
		}
	}
	expect(t, "the connection", c.end(), 4401)
}

// pipes is a listener without a network, so that Run can be tested in a bubble.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { close(p.closed); return nil }
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// bubble is a server that Runs in a synctest bubble.
type bubble struct {
	*service
	t     *testing.T
	pipes *pipes
	key   string
	stop  context.CancelFunc
	ended chan error
}

func inBubble(t *testing.T, change func(*Options), f func(*testing.T, *bubble)) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		o := m.options()
		if change != nil {
			change(&o)
		}
		s, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		m.link("qq", "10001")
		ctx, stop := context.WithCancel(t.Context())
		b := &bubble{
			service: &service{s, m, "http://callsign"}, t: t, stop: stop, ended: make(chan error, 1),
			pipes: &pipes{make(chan net.Conn), make(chan struct{})}, key: m.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq"}),
		}
		go func() { b.ended <- s.Run(ctx, b.pipes) }()
		f(t, b)
		stop()
		if err := <-b.ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
		expect(t, "connections that are left", s.push.inside, 0)
	})
}

// connect gives a source that doesn't read yet.
func (b *bubble) connect() *source {
	b.t.Helper()
	c, resp := dial(b.t, websocket.Dialer{NetDialContext: b.pipes.dial}, b.url, b.key)
	if c == nil {
		b.t.Fatalf("the connection was refused with %s", resp.Status)
	}
	c.conn.SetPingHandler(func(data string) error { // a pipe holds nothing: nobody may read the answer any more
		go func() { _ = c.conn.WriteControl(websocket.PongMessage, []byte(data), time.Now().Add(time.Second)) }()
		return nil
	})
	return c
}

func TestASourceWithoutSignOfLifeIsClosed(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		start := time.Now()
		c := b.connect()
		c.conn.SetPingHandler(func(string) error { return nil })
		go c.read()
		expect(t, "silence", c.end(), 4408)
		expect(t, "for two heartbeats", time.Since(start), 40*time.Second)
	})
}

func TestASourceThatAnswersPingsStays(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.connect()
		go c.read()
		c.next("hello")
		time.Sleep(time.Hour)
		c.push("b", 1, ev("a", 1))
		expect(t, "after an hour", c.acked(), "b 1 stored")
		c.conn.Close()
	})
}

func TestASourceThatDoesntReadIsCutOff(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.connect() // and never read: not even the hello can be written
		time.Sleep(writeWait + time.Millisecond)
		synctest.Wait()
		expect(t, "connections", b.push.inside, 0)
		c.conn.Close()
	})
}

func TestAKeyThatExpiresOrIsRevokedElsewhereEndsTheSession(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		start := time.Now()
		secret, k := NewKey("short", callsign.Scope{Tenant: callsign.DefaultTenant, Role: callsign.RoleSource, Network: "msn"}, start.Add(50*time.Second))
		b.memory.keys[k.Hash] = k
		long := b.connect()
		go long.read()
		b.key = secret
		short := b.connect()
		go short.read()
		expect(t, "an expired key", short.end(), 4401)
		expect(t, "on time", time.Since(start), 50*time.Second)
		time.Sleep(time.Second)
		b.memory.set(func(m *memory) {
			for hash, k := range m.keys {
				k.Revoked = true
				m.keys[hash] = k
			}
		})
		expect(t, "a key that was revoked elsewhere", long.end(), 4401)
		expect(t, "at the next heartbeat", time.Since(start), time.Minute)
	})
}

func TestARevokedKeyWritesNothingAfterASecond(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		c := b.connect()
		go c.read()
		c.next("hello")
		b.memory.set(func(m *memory) { clear(m.keys) })
		time.Sleep(keyFresh)
		c.push("b", 1, ev("a", 1))
		expect(t, "the connection", c.end(), 4401)
		expect(t, "changes", len(b.memory.changes), 0)
	})
}

func TestADrainFinishesWhatWasSent(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		hold := make(chan struct{})
		b.memory.hold = hold
		c := b.connect()
		go c.read()
		c.next("hello")
		c.push("b-1", 1, ev("a", 1))
		synctest.Wait()
		start := time.Now()
		b.stop()
		goaway := c.next("goaway")
		expect(t, "the grace", goaway["grace_ms"], 5000.0)
		c.push("b-2", 2, ev("b", 2)) // it crossed the goaway
		time.Sleep(2 * time.Second)
		close(hold)
		expect(t, "what was sent before", c.acked(), "b-1 1 stored")
		expect(t, "what was sent meanwhile", c.acked(), "b-2 2 stored")
		expect(t, "then", c.end(), 1012)
		if err := <-b.ended; err != nil {
			t.Errorf("Run ended with %v", err)
		}
		expect(t, "it stopped as soon as it could", time.Since(start), 2*time.Second)
		b.ended <- nil
	})
}

func TestADrainEndsWithTheGrace(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, b *bubble) {
		b.memory.hold = make(chan struct{})
		c := b.connect()
		go c.read()
		c.next("hello")
		c.push("b", 1, ev("a", 1))
		synctest.Wait()
		start := time.Now()
		b.stop()
		expect(t, "a commit that hangs", c.end(), 1012)
		expect(t, "ends with the grace", time.Since(start), 5*time.Second)
	})
}

func TestADrainingNodeTakesNoMore(t *testing.T) {
	s, key := pushing(t, nil)
	s.push.drain(0)
	_, resp := dial(t, websocket.Dialer{}, s.url, key)
	expect(t, "a connection", resp.StatusCode, 503)
	a := s.do(t, "", "GET", "/readyz", "")
	if a.status != 503 || !strings.Contains(string(a.raw), "stopping") {
		t.Errorf("/readyz: got %d %s, want 503 stopping", a.status, a.raw)
	}
}

func TestRunTellsAListenerThatFails(t *testing.T) {
	s, err := New(newMemory().options())
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	if err := s.Run(t.Context(), l); err == nil || !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want %v", err, net.ErrClosed)
	}
}

func TestTwoNetworksOfOneSourceAreNumberedApart(t *testing.T) {
	s, _ := pushing(t, nil)
	key := func(network, source string) string {
		return s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: network, Source: source})
	}
	const of = `"source":"im.example",`
	qq := connect(t, s.url, key("qq", "im.example"))
	qq.next("hello")
	qq.push("b", 1, with(of+`"accountversion":1`), with(of+`"accountversion":2`))
	expect(t, "qq's two", qq.acked(), "b 2 stored stored")
	for _, c := range []struct{ network, source string }{{"msn", "im.example"}, {"msn", "qq"}} {
		other := connect(t, s.url, key(c.network, c.source))
		expect(t, c.network+" of "+c.source+" resumes from", fmt.Sprint(other.next("hello")["resume_from"]), "0")
	}
	qq.push("c", 3, with(of+`"accountversion":3`)) // it was not replaced
	expect(t, "qq goes on", qq.acked(), "c 3 stored")
}

func TestAnOriginIsNoReasonToRefuse(t *testing.T) {
	s, key := pushing(t, nil)
	dialer := websocket.Dialer{Subprotocols: []string{subprotocol}}
	conn, res, err := dialer.DialContext(t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/v1/push",
		http.Header{"Authorization": {"Bearer " + key}, "Origin": {"https://im.example"}}) // as behind a proxy with a name of its own
	if err != nil {
		t.Fatalf("got %v, %v", err, res)
	}
	_ = conn.Close()
}
