package sigsync

import "context"

// Connection is what a Provider's Reads and its Watch have in common, as a network takes one login, or a port is bound once.
type Connection interface {
	Done() <-chan struct{} // is closed when it has ended
	Close()                // ends it; may come again
}

// Shared is one Connection at a time: the first who needs it opens it, the last closes it, and one that has ended is opened anew.
type Shared[C Connection] struct {
	open func(context.Context) (C, error)
	turn chan struct{} // has room for who opens or closes
	held *held[C]
}

type held[C Connection] struct {
	connection C
	users      int
}

// NewShared makes one that nobody uses yet; open is called by one at a time.
func NewShared[C Connection](open func(context.Context) (C, error)) *Shared[C] {
	return &Shared[C]{open: open, turn: make(chan struct{}, 1)}
}

// Use gives the connection, and the function that gives it back.
func (s *Shared[C]) Use(ctx context.Context) (c C, release func(), err error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return c, nil, ctx.Err()
	}
	defer func() { <-s.turn }()
	if s.held != nil {
		select {
		case <-s.held.connection.Done():
			s.held.connection.Close() // a port is free then
			s.held = nil
		default:
		}
	}
	if s.held == nil {
		if c, err = s.open(ctx); err != nil {
			return c, nil, err
		}
		s.held = &held[C]{connection: c}
	}
	h := s.held
	h.users++
	return h.connection, func() { s.release(h) }, nil
}

func (s *Shared[C]) release(h *held[C]) {
	s.turn <- struct{}{}
	defer func() { <-s.turn }()
	if h.users--; h.users > 0 {
		return
	}
	h.connection.Close()
	if s.held == h {
		s.held = nil
	}
}
