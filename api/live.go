package api

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/callsign-as/callsign"
)

const (
	// liveEvery is how often the store is asked for what is new; a call that was quiet for quietAfter times, every quietAfter times.
	liveEvery  = 500 * time.Millisecond
	quietAfter = 10
	// liveBack is how late a call's first lines may be in the store: by the journal of another node, and its clock.
	liveBack = 10 * time.Second
	// liveCalls bounds the calls that a listener follows, and livePage those that are told at once: the newest.
	liveCalls, livePage = 500, 200
	// liveFor is how long a call is followed.
	liveFor = 3 * time.Minute
	// liveBeat is how often a silent stream is written to.
	liveBeat = 15 * time.Second
	// liveListeners bounds the streams of a node.
	liveListeners = 64
)

// liveFilter selects the calls of a stream.
type liveFilter struct {
	Callee number `query:"callee"`
	Caller number `query:"caller"`
	LastID string `header:"Last-Event-ID" pattern:"^[0-9a-f]{32}$" doc:"the last id that was read: calls since then are told again"`
}

// line is an event of a call as the stream tells it.
type line struct {
	Call callsign.CallID `json:"call"`
	event
}

func (s *Server) registerLive(api huma.API) {
	op := huma.Operation{
		OperationID: "live", Method: http.MethodGet, Path: "/v1/live", Summary: "Calls and their timelines as they come, of all nodes",
		Description: "Roles: " + list(operators()) + ". Server-sent events: call has a call as GET /v1/calls lists it, event one line of its timeline with the call's id as " +
			"call. What came while a reader was away is told again after Last-Event-ID, so a line may come twice. Of more calls than a person can read " +
			"the newest are told.",
		Security: anyKey(),
		Responses: map[string]*huma.Response{"200": {
			Description: "OK", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}},
	}
	huma.Register(api, op, func(ctx context.Context, in *liveFilter) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(hc huma.Context) {
			r, w := humago.Unwrap(hc)
			if err := s.live(r, w, in); err != nil {
				s.problem(err).write(w)
			}
		}}, nil
	})
}

// live authenticates by itself: a stream outlives the time that other requests have. Its error is from before the first byte.
func (s *Server) live(r *http.Request, w http.ResponseWriter, in *liveFilter) error {
	key, err := s.permitted(r.Context(), r, operators())
	if err != nil {
		return err
	}
	if s.listeners.Add(1) > liveListeners {
		s.listeners.Add(-1)
		return unavailable("this node has no room for another live stream: close one, or ask another node")
	}
	defer s.listeners.Add(-1)
	since := time.Now()
	if in.LastID != "" {
		var id callsign.CallID
		_ = id.UnmarshalText([]byte(in.LastID)) // the pattern saw to it
		since = time.UnixMilli(int64(binary.BigEndian.Uint64(append([]byte{0, 0}, id[:6]...))))
	}
	t := tail{
		calls: s.o.Calls, scope: key.Scope, since: since, followed: map[callsign.CallID]*followed{},
		filter: callsign.CallFilter{Callee: in.Callee.MSISDN, Caller: in.Caller.MSISDN, Page: callsign.Page{Limit: livePage}},
	}
	stream := http.NewResponseController(w)
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "retry: 2000\n\n")
	tick := time.NewTicker(liveEvery)
	defer tick.Stop()
	for written := time.Now(); ; {
		if stream.SetWriteDeadline(time.Now().Add(writeWait)) != nil || stream.Flush() != nil {
			return nil // nobody reads
		}
		select {
		case <-r.Context().Done():
			return nil
		case <-s.stopping:
			return nil
		case <-tick.C:
		}
		if _, err := s.keys.byHash(r.Context(), key.Hash, partyOf(r)); err != nil && !errors.Is(err, callsign.ErrUnavailable) {
			return nil
		}
		ctx, cancel := context.WithTimeout(r.Context(), handlingTime)
		out, err := t.poll(ctx, time.Now())
		cancel()
		switch {
		case err != nil:
			fmt.Fprintf(&out, ": the store can't answer now\n\n")
		case out.Len() == 0 && time.Since(written) >= liveBeat:
			out.WriteString(": still here\n\n")
		case out.Len() == 0:
			continue
		}
		if _, err := out.WriteTo(w); err != nil {
			return nil
		}
		written = time.Now()
	}
}

// tail is what a stream knows of the calls that it follows.
type tail struct {
	calls    Calls
	scope    callsign.Scope
	filter   callsign.CallFilter
	since    time.Time
	followed map[callsign.CallID]*followed
	order    []callsign.CallID // of followed, the oldest first
	turn     int
}

type followed struct {
	at    time.Time
	told  map[said]struct{}
	quiet int // polls in a row that brought nothing
}

// said is what tells the events of a call apart.
type said struct {
	at                            time.Time
	kind, reason, link, messageID string
}

// poll is what is new since the last one.
func (t *tail) poll(ctx context.Context, now time.Time) (out bytes.Buffer, err error) {
	t.turn++
	t.filter.Since = t.since
	if back := now.Add(-liveBack); back.After(t.since) && t.turn > 1 {
		t.filter.Since = back
	}
	calls, err := t.calls.Calls(ctx, t.scope, t.filter)
	if err != nil {
		return out, err
	}
	slices.Reverse(calls)
	for _, c := range calls {
		if t.followed[c.ID] == nil {
			t.followed[c.ID] = &followed{at: c.At, told: map[said]struct{}{}}
			t.order = append(t.order, c.ID)
			tell(&out, c.ID, "call", callJSON(c))
		}
	}
	t.forget(now)
	for _, id := range t.order {
		f := t.followed[id]
		if f.quiet > quietAfter && t.turn%quietAfter != 0 {
			continue
		}
		timeline, err := t.calls.Timeline(ctx, t.scope, id)
		if errors.Is(err, callsign.ErrNotFound) {
			continue // erased, or its time was over
		}
		if err != nil {
			return out, err
		}
		f.quiet++
		for _, e := range timelineJSON(timeline, t.scope).Events {
			key := said{e.At, string(e.Kind), e.Reason, e.Link, e.MessageID}
			if _, before := f.told[key]; !before {
				f.told[key], f.quiet = struct{}{}, 0
				tell(&out, id, "event", line{id, e})
			}
		}
	}
	return out, nil
}

// forget lets the oldest calls go, which would be told again if they were still looked for.
func (t *tail) forget(now time.Time) {
	for len(t.order) > 0 {
		first := t.followed[t.order[0]]
		if len(t.order) <= liveCalls && now.Sub(first.at) < liveFor {
			return
		}
		delete(t.followed, t.order[0])
		t.order = t.order[1:]
	}
}

func tell(out *bytes.Buffer, id callsign.CallID, kind string, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		return // what GET /v1/calls can tell can be told
	}
	fmt.Fprintf(out, "id: %s\nevent: %s\ndata: %s\n\n", id, kind, data)
}
