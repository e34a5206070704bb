package client

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// frame is any that the server sends.
type frame struct {
	Op          string   `json:"op"`
	ResumeFrom  int64    `json:"resume_from"`
	Credit      int64    `json:"credit"`
	HeartbeatMS int64    `json:"heartbeat_ms"`
	MaxBatch    int      `json:"max_batch"`
	MaxBytes    int      `json:"max_bytes"`
	UpTo        int64    `json:"up_to"`
	Results     []Result `json:"results"`
	Account     string   `json:"account"`
	Error       struct {
		Code         string `json:"code"`
		ID           string `json:"id"`
		Retryable    bool   `json:"retryable"`
		RetryAfterMS int64  `json:"retry_after_ms"`
	} `json:"error"`
}

// session is one connection: read and send share what the mutex guards.
type session struct {
	*Client
	conn  *websocket.Conn
	hello frame
	kick  chan struct{} // something changed that sending waits for

	mu      sync.Mutex
	next    int64 // the event to send next
	upTo    int64 // the last that is durable
	credit  int64
	pause   time.Time // nothing is sent before
	leaving bool      // after goaway nothing is sent
}

func (s *session) kicked() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// read takes answers until the connection ends.
func (s *session) read(ctx context.Context) error {
	alive := func() {
		_ = s.conn.SetReadDeadline(time.Now().Add(3 * time.Duration(s.hello.HeartbeatMS) * time.Millisecond))
	}
	pong := s.conn.PingHandler()
	s.conn.SetPingHandler(func(data string) error {
		alive()
		return pong(data)
	})
	for {
		alive()
		var f frame
		if err := s.conn.ReadJSON(&f); err != nil {
			return closed(err)
		}
		switch f.Op {
		case "ack":
			if err := s.acked(f); err != nil {
				return err
			}
		case "nack":
			if err := s.nacked(f); err != nil {
				return err
			}
		case "resync":
			s.o.Resync(ctx, f.Account)
		case "goaway":
			s.mu.Lock()
			s.leaving = true
			s.mu.Unlock()
		}
		s.kicked()
	}
}

func (s *session) acked(f frame) error {
	s.mu.Lock()
	s.upTo, s.credit = max(s.upTo, f.UpTo), f.Credit
	s.mu.Unlock()
	if err := s.o.Outbox.acked(f.UpTo); err != nil {
		return err
	}
	for _, r := range f.Results {
		s.o.Result(r)
	}
	return nil
}

// nacked goes back to the event after the last durable one: what was sent behind a refused batch is refused as well.
func (s *session) nacked(f frame) error {
	if e := f.Error; !e.Retryable && e.Code != "seq_gap" {
		return fmt.Errorf("%w: %s, event %q", ErrRefused, e.Code, e.ID)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = s.upTo + 1
	s.pause = time.Now().Add(max(100*time.Millisecond, time.Duration(f.Error.RetryAfterMS)*time.Millisecond))
	return nil
}

// send sends what the outbox has and the credit allows.
func (s *session) send(ctx context.Context) error {
	for {
		grows := s.o.Outbox.grows() // before the look, so that what comes behind it isn't missed
		first, room, pause := s.room()
		events := s.o.Outbox.from(first, room)
		if len(events) == 0 {
			if room <= 0 {
				grows = nil // another event changes nothing
			}
			var timer <-chan time.Time
			if pause > 0 {
				timer = time.After(pause)
			}
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-s.kick:
			case <-timer:
			case <-grows:
			}
			continue
		}
		data, n, err := s.batch(first, events)
		if err != nil {
			return err
		}
		s.mu.Lock()
		if s.next == first { // not after a nack that came meanwhile
			s.next += int64(n)
		}
		s.mu.Unlock()
		_ = s.conn.SetWriteDeadline(time.Now().Add(writeTime)) // it fails on a closed connection only, as the write will
		if err := s.conn.WriteMessage(websocket.TextMessage, data); err != nil {
			return err
		}
	}
}

// room is what may be sent now: from which event, how many, and for how long none if they are 0.
func (s *session) room() (first int64, n int, pause time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if pause = time.Until(s.pause); pause > 0 || s.leaving {
		return s.next, 0, pause
	}
	return s.next, int(min(int64(s.hello.MaxBatch), s.credit-(s.next-1-s.upTo))), 0
}

// batch is a frame with as many of the events as it may hold.
func (s *session) batch(first int64, events []Event) (data []byte, n int, err error) {
	const around = 128 // what stands around the events
	size := around
	var raw []json.RawMessage
	for _, e := range events {
		b, err := json.Marshal(e.cloudEvent(s.o.Source))
		if err != nil {
			return nil, 0, err
		}
		if size += len(b) + 1; size > s.hello.MaxBytes && len(raw) > 0 {
			break
		}
		if size > s.hello.MaxBytes {
			return nil, 0, fmt.Errorf("%w: event %q is longer than its max_bytes, %d", ErrRefused, e.ID, s.hello.MaxBytes)
		}
		raw = append(raw, b)
	}
	data, err = json.Marshal(map[string]any{"op": "events", "seq": []int64{first, first + int64(len(raw)) - 1}, "events": raw})
	return data, len(raw), err
}
