package api

import (
	"context"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/callsign-as/callsign"
)

// batch is an events frame that was taken.
type batch struct {
	name        string
	first, last int64
	round       int // of the ledger
	changes     []callsign.Change
}

// read takes batches until the connection or the session ends. Only after a drain it ends without an error, and then commit
// finishes what is queued.
func (s *session) read(ctx context.Context) error {
	for {
		if err := s.arm(ctx); err != nil {
			return err
		}
		kind, data, err := s.readMessage()
		if err != nil {
			return s.readFailed(ctx, err)
		}
		switch {
		case kind != websocket.TextMessage:
			return &ending{closeProtocol, "the frame is binary: send text"}
		case !utf8.Valid(data):
			return &ending{websocket.CloseInvalidFramePayloadData, "the frame is not UTF-8"}
		}
		if err := s.take(ctx, data); err != nil {
			return err
		}
	}
}

// readMessage reads a frame of max_bytes at most, also when it is uncompressed: gorilla's own limit is for what came.
func (s *session) readMessage() (kind int, data []byte, err error) {
	kind, r, err := s.conn.NextReader()
	if err != nil {
		return kind, nil, err
	}
	most := int64(s.server.o.Config.MaxBytes)
	data, err = io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(data)) > most {
		err = websocket.ErrReadLimit
	}
	return kind, data, err
}

func (s *session) readFailed(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	e := readEnding(err)
	if e.code == closeHeartbeat && s.draining() {
		close(s.batches)
		return nil
	}
	return e
}

// take queues a frame's batch or refuses it. Its error ends the session.
func (s *session) take(ctx context.Context, data []byte) error {
	f, err := parseFrame(data)
	if err != nil {
		return &ending{closeProtocol, err.Error()}
	}
	b := &batch{name: f.Batch, first: f.Seq[0], last: f.Seq[1]}
	var refused nackCode
	var id string
	switch {
	case len(f.Events) > s.server.o.Config.MaxBatch:
		refused = nackTooMany
	case !f.countsEvents():
		refused = nackMismatch
	default:
		refused, id = s.parseEvents(b, f)
	}
	if refused == "" {
		b.round, refused = s.ledger.take(b.first, b.last)
	}
	switch {
	case refused == "":
		select {
		case s.batches <- b:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	case refused == nackCredit && s.overdrawn:
		return &ending{closeCredit, "more events than the credit, twice: wait for acknowledgements"}
	}
	s.overdrawn = s.overdrawn || refused == nackCredit
	if err := s.nack(ctx, b, refused, id); err != nil {
		return err
	}
	if refused == nackSource {
		return &ending{closeSource, "the key is for another CloudEvents source: use " + s.key.Scope.Source}
	}
	return nil
}

// parseEvents reads all events or refuses the batch for one of them, id.
func (s *session) parseEvents(b *batch, f eventsFrame) (refused nackCode, id string) {
	now := time.Now()
	b.changes = make([]callsign.Change, 0, len(f.Events))
	for i, raw := range f.Events {
		source, c, err := parseEvent(raw, now)
		if err != nil {
			s.server.log.Debug("pushed event refused", "session", s.id, "source", s.source.source, "id", c.ID, "err", err)
			return nackBadEvent, c.ID
		}
		if s.key.Scope.Source != "" && source != s.key.Scope.Source {
			return nackSource, c.ID
		}
		c.Tenant, c.Source, c.Network, c.Seq = s.source.tenant, s.source.source, s.key.Scope.Network, b.first+int64(i)
		b.changes = append(b.changes, c)
	}
	return "", ""
}

func (s *session) nack(ctx context.Context, b *batch, code nackCode, id string) error {
	s.server.metrics.nacks.WithLabelValues(string(code)).Inc()
	return s.send(ctx, newNack(b.name, code, id))
}

// commit puts what is queued into the intake and answers. Batches that queued up meanwhile go together: their commit costs
// the same as one.
func (s *session) commit(ctx context.Context) error {
	for {
		select {
		case b, more := <-s.batches:
			if !more {
				return &ending{websocket.CloseServiceRestart, errStopping.Error()}
			}
			group := []*batch{b}
			for range len(s.batches) {
				if b, more := <-s.batches; more {
					group = append(group, b)
				}
			}
			if err := s.put(ctx, group); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// put answers every batch of group, in order.
func (s *session) put(ctx context.Context, group []*batch) error {
	if err := s.keyHolds(ctx); err != nil {
		return err
	}
	var changes []callsign.Change
	for _, b := range group {
		if s.ledger.current(b.round) {
			changes = append(changes, b.changes...)
		}
	}
	var statuses []callsign.Status
	var err error
	if len(changes) > 0 {
		statuses, err = s.server.putChanges(ctx, changes)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		s.server.log.Debug("pushed events not kept", "session", s.id, "source", s.source.source, "events", len(changes), "err", err)
	}
	for _, b := range group {
		if err != nil || !s.ledger.current(b.round) {
			s.ledger.fail(b.round, b.first, b.last)
			if err := s.nack(ctx, b, nackAway, ""); err != nil {
				return err
			}
			continue
		}
		n := len(b.changes)
		if err := s.ack(ctx, b, statuses[:n]); err != nil {
			return err
		}
		statuses = statuses[n:]
	}
	return nil
}

func (s *session) ack(ctx context.Context, b *batch, statuses []callsign.Status) error {
	results := make([]eventResult, len(statuses))
	for i, status := range statuses {
		results[i] = eventResult{b.changes[i].ID, status}
		s.server.metrics.events.WithLabelValues(string(status)).Inc()
	}
	return s.send(ctx, ackFrame{
		Op: "ack", Batch: b.name, UpTo: s.ledger.commit(b.first, b.last), Results: results, Credit: s.server.o.Config.Credit,
	})
}

// putChanges guards against an intake that broke its promise: an answer to the wrong event would be believed.
func (s *Server) putChanges(ctx context.Context, changes []callsign.Change) ([]callsign.Status, error) {
	statuses, err := s.o.Intake.Put(ctx, changes)
	if err == nil && len(statuses) != len(changes) {
		err = fmt.Errorf("the intake gave %d statuses for %d changes", len(statuses), len(changes))
	}
	return statuses, err
}
