package api

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/callsign-as/callsign"
)

// newREST is huma on mux, with our problems for its own.
func newREST(mux *http.ServeMux, version string) huma.API {
	config := huma.DefaultConfig("Callsign", version)
	config.Info.Description = "Shows who calls a subscriber what that subscriber last wrote as an IM signature. The push websocket is in /asyncapi.json."
	// huma's own document routes fill their caches without a lock; New makes the document once.
	config.OpenAPIPath, config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", "", nil
	config.RejectUnknownQueryParameters = true
	config.Formats = onlyUTF8(config.Formats)
	config.Transformers = []huma.Transformer{ownProblems}
	config.Components.Schemas.RegisterTypeAlias(reflect.TypeFor[huma.ErrorModel](), reflect.TypeFor[problemDetails]())
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"key":         {Type: "http", Scheme: "bearer"},
		"certificate": {Type: "mutualTLS", Description: "a client certificate that stands for a key, where http.tls.client_ca is set"},
	}
	return humago.New(mux, config)
}

// route registers an operation that is open to roles, like "GET /v1/calls". second is the status of a POST, or the one
// beside 200 of another method; 0: there is only 200, or 204 without a body.
func route[I, O any](
	s *Server, api huma.API, pattern, summary string, second int, roles []callsign.Role,
	handle func(context.Context, callsign.Scope, *I) (*O, error),
) {
	method, path, _ := strings.Cut(pattern, " ")
	op := &huma.Operation{
		OperationID: huma.GenerateOperationID(method, path, new(O)), Method: method, Path: path,
		Summary: summary, Description: "Roles: " + list(roles) + ".",
		Security: anyKey(), Middlewares: huma.Middlewares{s.allow(roles, changes(method, path))},
		Responses: map[string]*huma.Response{},
	}
	if method == http.MethodPost {
		op.DefaultStatus = second
	}
	huma.Register(api, *op, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, ctx.Value(scopeKey{}).(callsign.Scope), in)
		if err != nil {
			return nil, s.problem(err)
		}
		return out, nil
	})
	if op.DefaultStatus == 0 {
		alsoAnswers(op.Responses, second)
	}
}

// anyKey is how an operation is opened.
func anyKey() []map[string][]string { return []map[string][]string{{"key": {}}, {"certificate": {}}} }

// changes reports whether the audit is to tell of an operation: what sources say is told by each text's Origin instead.
func changes(method, path string) bool {
	return method != http.MethodGet && path != "/v1/events" && path != "/v1/whatif"
}

// alsoAnswers documents a second status with the body of 200.
func alsoAnswers(responses map[string]*huma.Response, status int) {
	if status != 0 {
		responses[strconv.Itoa(status)] = &huma.Response{Description: http.StatusText(status), Content: responses["200"].Content}
	}
}

// reply is an answer with a body.
type reply[T any] struct {
	Status int
	Body   T
}

func ok[T any](body T) *reply[T] { return &reply[T]{http.StatusOK, body} }

// tagged is a reply with the revision of what it shows (RFC 9110 §8.8.3).
type tagged[T any] struct {
	Status int
	ETag   string `header:"ETag" doc:"send it as If-Match to change only what was read"`
	Body   T
}

func putReply[T any](body T, created bool) *reply[T] {
	if created {
		return &reply[T]{http.StatusCreated, body}
	}
	return ok(body)
}

// rows is a page of a list.
type rows[T any] struct {
	Items []T    `json:"items" nullable:"false"`
	Next  string `json:"next,omitempty" doc:"send it as after for the rows that follow; absent: there are none"`
}

// listed makes a page of what an engine gave for limit; next names its last row.
func listed[F, T any](from []F, limit int, to func(F) T, next func(F) string) *reply[rows[T]] {
	out := rows[T]{Items: make([]T, 0, len(from))}
	for _, f := range from {
		out.Items = append(out.Items, to(f))
	}
	if len(from) == limit && limit > 0 {
		out.Next = next(from[limit-1])
	}
	return ok(out)
}

// number is a MSISDN in a path, a query or a body, with or without its "+". It is a struct since huma reads every integer
// kind with strconv, without asking for UnmarshalText.
type number struct{ callsign.MSISDN }

// UnmarshalText takes a leading space for "+": that is what an unescaped "+" in a query means.
func (n *number) UnmarshalText(b []byte) error {
	if len(b) > 0 && b[0] == ' ' {
		b = append([]byte("+"), b[1:]...)
	}
	return n.MSISDN.UnmarshalText(b)
}

// Schema implements huma.SchemaProvider.
func (number) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{
		Type: huma.TypeString, Description: "E.164 number, with or without its +", Examples: []any{"+8613800000000"},
	}
}

// onlyUTF8 refuses bodies that are not UTF-8: reading JSON replaces what isn't in silence, and another text would be shown.
func onlyUTF8(formats map[string]huma.Format) map[string]huma.Format {
	strict := maps.Clone(formats)
	for name, f := range strict {
		read := f.Unmarshal
		f.Unmarshal = func(data []byte, v any) error {
			if !utf8.Valid(data) || halfSurrogate(data) {
				return errors.New("the body is not UTF-8, or escapes half of a surrogate pair: send UTF-8")
			}
			return read(data, v)
		}
		strict[name] = f
	}
	return strict
}
