package smsc

import (
	"context"
	"sync"

	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// maxStates is of how many messages it is known what became of them; the oldest make way.
const maxStates = 100_000

// state is what became of a message.
type state struct {
	mu  sync.Mutex
	now smpp.MessageState
}

// become goes on to a state, if the message is still in the one before.
func (s *state) become(from, to smpp.MessageState) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != from {
		return false
	}
	s.now = to
	return true
}

// messages are those that query_sm and cancel_sm may ask for.
type messages struct {
	mu    sync.Mutex
	byID  map[string]*state
	order []string
}

func (m *messages) add(id string) *state {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.order) == maxStates {
		delete(m.byID, m.order[0])
		m.order = m.order[1:]
	}
	st := &state{now: smpp.Enroute}
	m.byID[id], m.order = st, append(m.order, id)
	return st
}

func (m *messages) of(id string) *state {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.byID[id]
}

// query tells a message's state (SMPP 3.4 §4.8).
func (s *Server) query(_ context.Context, _ *smpp.Session, q smpp.Query) (smpp.MessageState, smpp.Status) {
	st := s.messages.of(q.MessageID)
	if st == nil {
		return 0, smpp.StatusQueryFailed
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	return st.now, smpp.StatusOK
}

// cancel takes a message back that is not shown yet (SMPP 3.4 §4.9).
func (s *Server) cancel(_ context.Context, _ *smpp.Session, c smpp.Cancel) smpp.Status {
	if st := s.messages.of(c.MessageID); st == nil || !st.become(smpp.Enroute, smpp.Deleted) {
		return smpp.StatusCancelFailed
	}
	return smpp.StatusOK
}
