package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// The ways in which CloudEvents come over HTTP (CloudEvents HTTP binding §3); in the binary mode the attributes are headers.
const (
	contentStructured = "application/cloudevents+json"
	contentBatch      = "application/cloudevents-batch+json"
	contentBinary     = "application/json"
)

const maxPosted = 1000 // events of one request

// posted is a request with events.
type posted struct {
	ContentType    string `header:"Content-Type" doc:"application/cloudevents+json, application/cloudevents-batch+json, or with ce- headers application/json"`
	SpecVersion    string `header:"ce-specversion"`
	Type           string `header:"ce-type"`
	Source         string `header:"ce-source"`
	ID             string `header:"ce-id"`
	Subject        string `header:"ce-subject" doc:"the IM account"`
	Time           string `header:"ce-time"`
	AccountVersion string `header:"ce-accountversion"`
	AccountEpoch   string `header:"ce-accountepoch"`
	RawBody        []byte `contentType:"application/cloudevents+json"`
}

// kept is what became of events.
type kept struct {
	Results []eventResult `json:"results" nullable:"false" doc:"one for each event, in their order"`
}

func (s *Server) registerEvents(api huma.API) {
	const path = "/v1/events"
	route(s, api, "POST "+path, fmt.Sprintf("Say what accounts' signatures are now, as CloudEvents: all of a request's, at most %d, are kept, or none. ", maxPosted)+
		"An event needs a time, not more than a minute ahead, or an accountversion, so that it may be sent again", http.StatusOK, []callsign.Role{callsign.RoleSource}, s.postEvents)
	api.OpenAPI().Paths[path].Post.RequestBody.Required = false // in the binary mode an event without data has none
}

func (s *Server) postEvents(ctx context.Context, scope callsign.Scope, in *posted) (*reply[kept], error) {
	events, err := in.events()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	changes := make([]callsign.Change, 0, len(events))
	for i, raw := range events {
		source, c, err := parseEvent(raw, now)
		switch {
		case err != nil:
			return nil, badEvent(i, err)
		case scope.Source != "" && source != scope.Source:
			return nil, forbidden("the key is for another CloudEvents source: use " + scope.Source)
		case c.Received:
			return nil, badEvent(i, errors.New("neither time nor accountversion is there, so sent again it would be another event: add time"))
		case c.Stamp.Timed() && c.At.After(now.Add(callsign.MaxAhead)):
			// An intake takes it for said now, each time anew: sent again it would win over what was said since.
			return nil, badEvent(i, fmt.Errorf("time is more than %v ahead of the server's: set the clock, or add accountversion", callsign.MaxAhead))
		}
		c.Tenant, c.Source, c.Network = scope.Tenant, sourceOf(scope).source, scope.Network
		changes = append(changes, c)
	}
	statuses, err := s.putChanges(ctx, changes)
	if err != nil {
		return nil, err
	}
	out := kept{make([]eventResult, len(statuses))}
	for i, status := range statuses {
		out.Results[i] = eventResult{changes[i].ID, status}
		s.metrics.events.WithLabelValues(string(status)).Inc()
	}
	return ok(out), nil
}

func badEvent(i int, err error) error {
	p := newProblem(http.StatusUnprocessableEntity, "bad_event", fmt.Sprintf("events[%d]: %v: none of the events was kept, correct it and send all again", i, err))
	p.Errors = []problemMember{{fmt.Sprintf("events[%d]", i), err.Error()}}
	return p
}

// events are the request's, each in JSON.
func (in *posted) events() (events []json.RawMessage, err error) {
	kind, _, err := mime.ParseMediaType(in.ContentType)
	if err != nil {
		kind = ""
	}
	malformed := func(why string) error { return newProblem(http.StatusBadRequest, "bad_request", why) }
	if !utf8.Valid(in.RawBody) {
		return nil, malformed("the body is not UTF-8: send UTF-8")
	}
	switch {
	case kind == contentStructured:
		return []json.RawMessage{in.RawBody}, nil
	case kind == contentBatch:
		if err := json.Unmarshal(in.RawBody, &events); err != nil {
			return nil, malformed("the body is no JSON array of CloudEvents: " + err.Error())
		}
		if len(events) == 0 || len(events) > maxPosted {
			return nil, malformed(fmt.Sprintf("a batch has 1 to %d events, this one has %d: divide it", maxPosted, len(events)))
		}
		return events, nil
	case in.SpecVersion != "" && (kind == contentBinary || kind == "" && len(in.RawBody) == 0):
		event, err := in.binary()
		return []json.RawMessage{event}, err
	}
	return nil, newProblem(http.StatusUnsupportedMediaType, "unsupported_media_type",
		"this is no CloudEvent: send "+contentStructured+", "+contentBatch+", or "+contentBinary+" with the ce- headers")
}

// binary makes one event of headers and body. Header values are percent-encoded (CloudEvents HTTP binding §3.1.3.2).
func (in *posted) binary() (json.RawMessage, error) {
	event := map[string]any{}
	for name, value := range map[string]string{
		"specversion": in.SpecVersion, "type": in.Type, "source": in.Source, "id": in.ID, "subject": in.Subject, "time": in.Time,
		"accountversion": in.AccountVersion, "accountepoch": in.AccountEpoch,
	} {
		if value == "" {
			continue
		}
		decoded, err := url.PathUnescape(value)
		if err != nil || !utf8.ValidString(decoded) {
			return nil, newProblem(http.StatusBadRequest, "bad_request", "the header ce-"+name+" is not percent-encoded UTF-8: encode it")
		}
		event[name] = decoded
	}
	if len(in.RawBody) > 0 {
		if !json.Valid(in.RawBody) {
			return nil, newProblem(http.StatusBadRequest, "bad_request", "the body is not JSON: send the event's data")
		}
		event["data"] = json.RawMessage(in.RawBody)
	}
	return json.Marshal(event)
}
