package api

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// problemDetails is an error as a client sees it (RFC 9457 §3). Code is stable, for programs; Detail is for a person and says
// what to do next.
type problemDetails struct {
	Title  string          `json:"title" doc:"the HTTP status in words"`
	Status int             `json:"status" doc:"the HTTP status"`
	Code   string          `json:"code" doc:"stable name of the problem, for programs"`
	Detail string          `json:"detail" doc:"what is wrong and what to do, for a person"`
	Errors []problemMember `json:"errors,omitempty" nullable:"false" doc:"each part of the request that was refused"`
	header http.Header
}

// problemMember is a part that was refused. What stood there is not echoed: it may be long, or a number.
type problemMember struct {
	Location string `json:"location" doc:"where, like body.name or path.msisdn"`
	Message  string `json:"message"`
}

// newProblem adds the header that a status asks for.
func newProblem(status int, code, detail string) *problemDetails {
	p := &problemDetails{Title: http.StatusText(status), Status: status, Code: code, Detail: detail}
	switch status {
	case http.StatusUnauthorized:
		p.header = http.Header{"Www-Authenticate": {"Bearer"}}
	case http.StatusServiceUnavailable:
		p.header = http.Header{"Retry-After": {"1"}}
	}
	return p
}

func unauthorized(detail string) error {
	return newProblem(http.StatusUnauthorized, "unauthorized", detail)
}
func forbidden(detail string) error { return newProblem(http.StatusForbidden, "forbidden", detail) }
func unavailable(detail string) error {
	return newProblem(http.StatusServiceUnavailable, "unavailable", detail)
}

func (p *problemDetails) Error() string           { return p.Code + ": " + p.Detail }
func (p *problemDetails) GetStatus() int          { return p.Status }
func (p *problemDetails) GetHeaders() http.Header { return p.header }
func (*problemDetails) ContentType(string) string { return "application/problem+json" }

// write sends p outside of huma: before an upgrade, from a middleware, and where no route matched.
func (p *problemDetails) write(w http.ResponseWriter) {
	maps.Copy(w.Header(), p.header)
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // the client may be gone: there is nobody left to tell
}

// problem is what the store, the intake or a handler said, as a client sees it: the one place where errors become statuses.
func (s *Server) problem(err error) *problemDetails {
	var p *problemDetails
	switch {
	case errors.As(err, &p):
		return p
	case errors.Is(err, callsign.ErrNotFound):
		return newProblem(http.StatusNotFound, "not_found", "what the path names is not there: list what is, or create it with PUT or POST")
	case errors.Is(err, callsign.ErrChanged):
		return newProblem(http.StatusPreconditionFailed, "changed_meanwhile",
			"it is not as it was when it was read: read it again, decide again, and send the new ETag as If-Match")
	case errors.Is(err, callsign.ErrInvalid):
		return newProblem(http.StatusUnprocessableEntity, "invalid", err.Error())
	case errors.Is(err, callsign.ErrConflict):
		return newProblem(http.StatusConflict, "conflict",
			"it belongs to somebody else or was changed meanwhile: read it again, or release it where it is used now")
	case errors.Is(err, callsign.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return newProblem(http.StatusServiceUnavailable, "unavailable", "the store can't answer now: send the request again, and look at /readyz if it stays so")
	default:
		s.log.Error("request failed", "err", err)
		return newProblem(http.StatusInternalServerError, "internal", "this is our fault: look at the server's log, then report it")
	}
}

// ownProblems is a huma.Transformer: what huma itself refuses gets our shape, without a package variable being replaced.
func ownProblems(_ huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	p := newProblem(m.Status, statusCode(m.Status), m.Detail)
	for _, e := range m.Errors {
		p.Errors = append(p.Errors, problemMember{e.Location, e.Message})
	}
	if len(p.Errors) > 0 {
		p.Detail = p.Errors[0].Location + ": " + p.Errors[0].Message
	}
	p.Detail += ": correct the request and send it again"
	return p, nil
}

// statusCode is the code of a problem that has no closer one, like "method_not_allowed".
func statusCode(status int) string {
	if status == http.StatusUnprocessableEntity {
		return "invalid"
	}
	return strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "_")
}
