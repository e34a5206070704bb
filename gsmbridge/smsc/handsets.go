package smsc

import (
	"context"
	"encoding/json"
	"net/http"
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
	Flash      bool            `json:"flash"` // shown at once and not stored
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
}

func newHandsets() handsets {
	return handsets{shown: make(map[callsign.MSISDN][]Message), changed: make(chan struct{})}
}

func (h *handsets) add(m Message) {
	h.mu.Lock()
	defer h.mu.Unlock()
	messages, known := h.shown[m.To]
	if !known {
		if len(h.order) == maxHandsets {
			delete(h.shown, h.order[0])
			h.order = h.order[1:]
		}
		h.order = append(h.order, m.To)
	}
	if len(messages) == maxMessages {
		messages = messages[1:]
	}
	h.shown[m.To] = append(messages, m)
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

// Handler serves the handsets: GET /handsets lists them with their last message, GET /handsets/{msisdn} all of one's messages.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /handsets", func(w http.ResponseWriter, _ *http.Request) { s.serveJSON(w, s.handsets.last()) })
	mux.HandleFunc("GET /handsets/{msisdn}", func(w http.ResponseWriter, r *http.Request) {
		to, err := callsign.ParseMSISDN(r.PathValue("msisdn"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		messages := s.Messages(to)
		if messages == nil {
			http.Error(w, to.E164()+" has been sent nothing", http.StatusNotFound)
			return
		}
		s.serveJSON(w, messages)
	})
	return mux
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

func (s *Server) serveJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		s.Log.Debug("handsets were not read to the end", "err", err)
	}
}
