package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// platform is a server of the protocol that treats its clients badly: it refuses, forgets to answer, and closes in between. It
// tells on a client that breaks a rule.
type platform struct {
	t    *testing.T
	mu   sync.Mutex
	good int // connections that were let in
	kept []string
	seq  int64
}

const credit, maxBatch = 20, 7

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := (&websocket.Upgrader{Subprotocols: []string{"callsign.v1"}}).Upgrade(w, r, nil)
	if err != nil {
		p.t.Error(err)
		return
	}
	defer conn.Close()
	p.mu.Lock()
	p.good++
	taken := p.seq
	p.mu.Unlock()
	_ = conn.WriteJSON(map[string]any{"op": "hello", "resume_from": taken, "credit": credit, "heartbeat_ms": 1000, "max_batch": maxBatch, "max_bytes": 4096})
	type batch struct {
		Op     string
		Seq    [2]int64
		Events []struct{ ID string }
	}
	var open []batch
	gone := false
	for {
		var b batch
		if err := conn.ReadJSON(&b); err != nil {
			return
		}
		if b.Op != "events" || len(b.Events) > maxBatch || int64(len(b.Events)) != b.Seq[1]-b.Seq[0]+1 || b.Seq[0] < 1 || gone {
			p.t.Errorf("the client sent %+v, after goaway: %v", b, gone)
		}
		p.mu.Lock()
		if b.Seq[0] > taken+1 {
			p.mu.Unlock()
			_ = conn.WriteJSON(map[string]any{"op": "nack", "error": map[string]any{"code": "seq_gap"}})
			continue
		}
		if taken = max(taken, b.Seq[1]); taken-p.seq > credit {
			p.t.Errorf("%d events are unacknowledged, the credit is %d", taken-p.seq, credit)
		}
		open = append(open, b)
		switch rand.IntN(12) {
		case 0: // it ends without a word, and what it took is not kept
			p.mu.Unlock()
			return
		case 1: // it kept all and ends before it says so
			for _, b := range open {
				p.keep(b.Seq, b.Events)
			}
			p.mu.Unlock()
			return
		case 2:
			taken, open = p.seq, nil
			p.mu.Unlock()
			_ = conn.WriteJSON(map[string]any{"op": "nack", "error": map[string]any{"code": "unavailable", "retryable": true, "retry_after_ms": 1}})
			continue
		case 3:
			for _, b := range open {
				p.keep(b.Seq, b.Events)
			}
			upTo := p.seq
			p.mu.Unlock()
			_ = conn.WriteJSON(map[string]any{"op": "goaway", "grace_ms": 10})
			_ = conn.WriteJSON(map[string]any{"op": "ack", "up_to": upTo, "credit": credit})
			_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(1012, ""), time.Now().Add(time.Second))
			return
		case 4, 5: // it takes its time, unless that would stop all
			if taken-p.seq < credit-maxBatch {
				p.mu.Unlock()
				continue
			}
		}
		var results []map[string]any
		for _, b := range open {
			p.keep(b.Seq, b.Events)
			for _, e := range b.Events {
				results = append(results, map[string]any{"id": e.ID, "status": "stored"})
			}
		}
		open = nil
		upTo := p.seq
		p.mu.Unlock()
		_ = conn.WriteJSON(map[string]any{"op": "ack", "up_to": upTo, "credit": credit, "results": results})
		_ = conn.WriteJSON(map[string]any{"op": "news", "of": "a later version"})
	}
}

func (p *platform) keep(seq [2]int64, events []struct{ ID string }) {
	for i, e := range events {
		if n := seq[0] + int64(i); n == p.seq+1 {
			p.seq, p.kept = n, append(p.kept, e.ID)
		} else if p.kept[n-1] != e.ID {
			p.t.Errorf("event %d was %s and is %s", n, p.kept[n-1], e.ID)
		}
	}
}

func running(t *testing.T, o Options) (c *Client, ended <-chan error) {
	t.Helper()
	if o.Source == "" {
		o.Source = "https://im.test"
	}
	c, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	finished := make(chan struct{})
	go func() {
		done <- c.Run(ctx)
		close(finished)
	}()
	t.Cleanup(func() {
		stop()
		<-finished
	})
	return c, done
}

func TestEachEventArrivesOnceAndInOrderWhateverTheServerDoes(t *testing.T) {
	p := &platform{t: t}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	c, _ := running(t, Options{URL: server.URL, Key: "cs_x"})
	var want []string
	for i := range 200 {
		var events []Event
		for j := range 1 + rand.IntN(5) {
			events = append(events, Event{ID: fmt.Sprint(i, "-", j), Account: "a", Text: "x"})
			want = append(want, events[j].ID)
		}
		if err := c.Push(events...); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := c.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if !slices.Equal(p.kept, want) {
		t.Errorf("kept are %q, want %q", p.kept, want)
	}
	if p.good < 2 {
		t.Errorf("%d connections were made: the server has done nothing bad", p.good)
	}
}

// scripted is a server that says these frames and then ends with a close code.
func scripted(t *testing.T, code int, frames ...string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{Subprotocols: []string{"callsign.v1"}}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for _, f := range frames {
			_ = conn.WriteMessage(websocket.TextMessage, []byte(f))
		}
		if code != 0 {
			_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(code, "because"), time.Now().Add(time.Second))
		}
		_, _, _ = conn.ReadMessage()
	}))
	t.Cleanup(server.Close)
	return server.URL
}

const hello = `{"op":"hello","resume_from":0,"credit":9,"heartbeat_ms":1000,"max_batch":9,"max_bytes":9000}`

func TestRunEndsWhereTryingAgainHelpsNobody(t *testing.T) {
	refusing := func(status int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_ = json.NewEncoder(w).Encode(map[string]string{"code": "the_code", "detail": "what to do"})
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	for sentence, c := range map[string]struct {
		url  string
		want error
		says string
	}{
		"a wrong key":          {refusing(401), ErrRefused, "the_code what to do"},
		"a key of another job": {refusing(403), ErrRefused, "the_code"},
		"no such path":         {refusing(404), ErrRefused, "404"},
		"a broken frame":       {scripted(t, 4400, hello), ErrRefused, "because"},
		"a key that ended":     {scripted(t, 4401, hello), ErrRefused, "because"},
		"another's source":     {scripted(t, 4403, hello), ErrRefused, "because"},
		"a newer connection":   {scripted(t, 4409, hello), ErrReplaced, ""},
		"an event of no sense": {scripted(t, 0, hello, `{"op":"nack","error":{"code":"bad_event","id":"e1"}}`), ErrRefused, "e1"},
	} {
		_, ended := running(t, Options{URL: c.url})
		if err := <-ended; !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v with %q", sentence, err, c.want, c.says)
		}
	}
}

func TestRunEndsWhereAnEventFitsIntoNoFrame(t *testing.T) {
	const narrow = `{"op":"hello","resume_from":0,"credit":9,"heartbeat_ms":1000,"max_batch":9,"max_bytes":1024}`
	c, ended := running(t, Options{URL: scripted(t, 0, narrow)})
	if err := c.Push(Event{ID: "long", Account: "a", Text: strings.Repeat("x", 2000)}); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), `"long"`) {
		t.Errorf("%v, want ErrRefused and the event", err)
	}
}

func TestAResyncIsPassedOn(t *testing.T) {
	asked := make(chan string, 2)
	running(t, Options{URL: scripted(t, 0, hello, `{"op":"resync","account":"10001"}`, `{"op":"resync"}`), Resync: func(_ context.Context, account string) {
		select {
		case asked <- account:
		default: // of a later connection
		}
	}})
	if got := [2]string{<-asked, <-asked}; got != [2]string{"10001", ""} {
		t.Errorf("asked for %q", got)
	}
}

func TestAServerThatLostWhatItAcknowledgedIsToldAllAgain(t *testing.T) {
	for sentence, c := range map[string]struct {
		acked, waiting int    // of the outbox's events
		resume         int    // what the server has
		want           string // asked for, of accounts; all: of every one
	}{
		"restored from a backup":            {acked: 5, resume: 3, want: "all"},
		"from one before its first event":   {acked: 5, resume: 0, want: "all"},
		"while some events wait":            {acked: 5, waiting: 2, resume: 4, want: "all"},
		"it has what it acknowledged":       {acked: 5, waiting: 2, resume: 5},
		"and one whose answer was lost":     {acked: 5, waiting: 2, resume: 6},
		"it is ahead of an old outbox":      {acked: 5, waiting: 2, resume: 100},
		"an outbox that knows no server":    {waiting: 2, resume: 3},
		"one that was told of no event yet": {resume: 0},
	} {
		o := NewOutbox()
		if c.acked > 0 {
			if _, err := o.resume(0); err != nil {
				t.Fatal(err)
			}
		}
		for i := range c.acked + c.waiting {
			if err := o.append([]Event{{Account: "a", Text: fmt.Sprint(i)}}); err != nil {
				t.Fatal(err)
			}
		}
		if c.acked > 0 {
			if err := o.acked(int64(c.acked)); err != nil {
				t.Fatal(err)
			}
		}
		asked := make(chan string, 2)
		running(t, Options{
			URL:    scripted(t, 0, strings.Replace(hello, `"resume_from":0`, fmt.Sprintf(`"resume_from":%d`, c.resume), 1), `{"op":"resync","account":"the end"}`),
			Outbox: o,
			Resync: func(_ context.Context, account string) {
				if account == "" {
					account = "all"
				}
				select {
				case asked <- account:
				default: // of a later connection
				}
			},
		})
		got := <-asked
		if got == "the end" {
			got = ""
		}
		if got != c.want {
			t.Errorf("%s: asked for %q, want %q", sentence, got, c.want)
		}
	}
}

func TestOptionsThatCantWork(t *testing.T) {
	for _, o := range []Options{{}, {URL: "callsign.test", Source: "x"}, {URL: "ws://x", Source: "x"}, {URL: "http://x"}, {URL: "http://x", Source: strings.Repeat("x", 513)}} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

// An event that comes just after sending has found none must be seen: nothing else would wake it, and the connection lives on.
func TestAnEventThatComesWhileSendingLooksForOneIsSent(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := (&websocket.Upgrader{Subprotocols: []string{"callsign.v1"}}).Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_ = conn.WriteJSON(map[string]any{"op": "hello", "credit": credit, "heartbeat_ms": 20000, "max_batch": maxBatch, "max_bytes": 4096})
		for {
			var b struct{ Seq [2]int64 }
			if conn.ReadJSON(&b) != nil {
				return
			}
			_ = conn.WriteJSON(map[string]any{"op": "ack", "up_to": b.Seq[1], "credit": credit})
		}
	}))
	t.Cleanup(server.Close)
	c, _ := running(t, Options{URL: server.URL, Key: "cs_x"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range 10_000 { // each comes as the answer to the one before is read, when sending looks for more
		if err := c.Push(Event{Account: "a", Text: "x"}); err != nil {
			t.Fatal(err)
		}
		if err := c.Flush(ctx); err != nil {
			t.Fatalf("event %d lies in the outbox: %v", i+1, err)
		}
	}
}
