package smsc

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/callsign-as/callsign"
)

// Message is one text on a handset. In JSON the number is in full: nobody has these phones.
type Message struct {
	To         callsign.MSISDN `json:"to"`
	From       string          `json:"from,omitempty"` // source_addr, as it was sent
	Text       string          `json:"text"`
	Flash      bool            `json:"flash"`          // shown at once and not stored
	USSD       bool            `json:"ussd,omitempty"` // not an SMS: shown until its session ends
	Encoding   string          `json:"encoding"`
	DataCoding byte            `json:"data_coding"`
	Units      int             `json:"units"` // septets, or UTF-16 units
	At         time.Time       `json:"at"`
	ID         string          `json:"id"`
}

// What is remembered: the oldest handset and a handset's oldest message make way.
const (
	maxHandsets = 10_000
	maxMessages = 100
)

// handsets are the phones that were sent something.
type handsets struct {
	mu      sync.Mutex
	shown   map[callsign.MSISDN][]Message // oldest first
	order   []callsign.MSISDN             // in which they were first sent something
	changed chan struct{}                 // closed at the next message

	questions map[callsign.MSISDN]*question
	connected map[callsign.MSISDN]struct{}
	readers   map[chan Message]struct{}
}

func newHandsets() handsets {
	return handsets{
		shown: map[callsign.MSISDN][]Message{}, changed: make(chan struct{}),
		questions: map[callsign.MSISDN]*question{}, connected: map[callsign.MSISDN]struct{}{}, readers: map[chan Message]struct{}{},
	}
}

func (h *handsets) add(m Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	messages, known := h.shown[m.To]
	if !known {
		if len(h.order) == maxHandsets {
			delete(h.shown, h.order[0])
			delete(h.questions, h.order[0])
			h.order = h.order[1:]
		}
		h.order = append(h.order, m.To)
	}
	if len(messages) == maxMessages {
		messages = messages[1:]
	}
	h.shown[m.To] = append(messages, m)
	for r := range h.readers {
		select {
		case r <- m:
		default: // it reads too slowly: it is told so by the end of its stream
			delete(h.readers, r)
			close(r)
		}
	}
	close(h.changed)
	h.changed = make(chan struct{})
}

// Messages are what a handset has shown, oldest first, at most the last 100.
func (s *Server) Messages(to callsign.MSISDN) []Message {
	messages, _ := s.handsets.of(to)
	return messages
}

func (h *handsets) of(to callsign.MSISDN) ([]Message, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.shown[to]), h.changed
}

// Wait waits until a handset has n messages (at most 100) and gives them all; its error is the context's.
func (s *Server) Wait(ctx context.Context, to callsign.MSISDN, n int) ([]Message, error) {
	for {
		messages, changed := s.handsets.of(to)
		if len(messages) >= n {
			return messages, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return messages, context.Cause(ctx)
		}
	}
}

// ask keeps a question that a handset shows; the one before is over.
func (h *handsets) ask(m callsign.MSISDN, q *question) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.questions[m] = q
}

// asked takes the question that a handset shows, nil if there is none.
func (h *handsets) asked(m callsign.MSISDN) *question {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := h.questions[m]
	delete(h.questions, m)
	return q
}

// Connect says whether a handset's call is connected, of at most 10,000 that are.
func (s *Server) Connect(m callsign.MSISDN, connected bool) {
	h := &s.handsets
	h.mu.Lock()
	defer h.mu.Unlock()
	if !connected {
		delete(h.connected, m)
	} else if len(h.connected) < maxHandsets {
		h.connected[m] = struct{}{}
	}
}

func (h *handsets) isConnected(m callsign.MSISDN) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, connected := h.connected[m]
	return connected
}

// readerQueue is how many messages a reader of the stream may lag behind.
const readerQueue = 256

// read gives all messages from now on, until stop; the channel is closed for a reader who is too slow.
func (h *handsets) read() (messages <-chan Message, stop func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	r := make(chan Message, readerQueue)
	h.readers[r] = struct{}{}
	return r, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.readers, r)
	}
}

// handset is a handset in the list of them.
type handset struct {
	MSISDN   callsign.MSISDN `json:"msisdn"`
	Messages int             `json:"messages"`
	Last     Message         `json:"last"`
}

func (h *handsets) last() []handset {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]handset, 0, len(h.order))
	for _, to := range h.order {
		messages := h.shown[to]
		list = append(list, handset{to, len(messages), messages[len(messages)-1]})
	}
	return list
}
