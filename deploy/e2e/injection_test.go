package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

// hostile is what is put into every parameter, member and header that the OpenAPI document has.
var hostile = []any{
	"", " ", "\x00", "a\x00b", "\xff\xfe", "\u202e", "'", `"`, "' OR '1'='1", "'; DROP TABLE subscribers; --", `\`, "%00", "%", "../../etc/passwd", "..%2f..", ".",
	"a\r\nX-Injected: 1", "${jndi:ldap://127.0.0.1/a}", "{{7*7}}", "<script>alert(1)</script>", "$(id)", "`id`", "*)(uid=*", "+86138000000001'--",
	"NaN", "Infinity", "1e999", "-1", "0", "99999999999999999999999999", "9223372036854775807", "-9223372036854775808", "true", "null", "[]", "{}",
	"0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "+10000-01-01T00:00:00Z", strings.Repeat("x", 5000), strings.Repeat("あ", 700), strings.Repeat("9", 400),
	nil, true, 0, -1, 1.5, 1e300, json.Number("99999999999999999999999999"), json.Number("-9223372036854775808"),
	[]any{},
	[]any{nil},
	map[string]any{},
	map[string]any{"$ne": nil},
	json.RawMessage(strings.Repeat("[", 9000) + strings.Repeat("]", 9000)),
}

// operation is one of the document, with a request that is right.
type operation struct {
	method, path string
	values       map[string]string // of path, query and header parameters
	in           map[string]string
	body         any
}

type apiSchema struct {
	Ref        string `json:"$ref"`
	Type       any
	Properties map[string]apiSchema
	Items      *apiSchema
	Required   []string
}

// right is a value for each name that the document gives its parameters and members, as far as "x" is none.
var right = map[string]any{
	"msisdn": "+8613800000099", "caller": "+8613800000098", "callee": "+8613800000099", "network": "qq", "account": "1", "limit": 1,
	"at": "2026-01-01T00:00:00Z", "since": "2026-01-01T00:00:00Z", "until": "2027-01-01T00:00:00Z", "certificate": "", "source": "",
	"verdict": "approve", "proof": "signature",
}

// policies are bodies of which no member's value can be told from its name.
var policies = map[string]string{
	"/v1/subscribers/{msisdn}/policy": `{"account":"qq/1","time_zone":"Asia/Shanghai","paused":false,"pauses":[{"from":"2026-01-01T00:00:00Z","to":"2026-01-02T00:00:00Z"}],
		"never":["+8613800000097"],"groups":{"work":["+8613800000096"]},"texts":{"plain":{"text":"On the road"},"soon":{"text":"Back at {end}","languages":{"zh":"{end}回来"}}},
		"status":{"show":"soon","until":"2027-01-01T00:00:00Z"},"holidays":["2026-10-01"],"languages":{"86":"zh"},"repeat":"24h","default":"plain",
		"rules":[{"name":"night","callers":["@work"],"days":["mon"],"from":"22:00","to":"07:00","dates":["2026-10-01..2026-10-07"],"show":"soon"}]}`,
	"/v1/policy": `{"time_zone":"Asia/Shanghai","callers":["+8613*"],"exclude":["+8613800000095"],"private":"skip","blackouts":[{"from":"01:00","to":"02:00"}],
		"holidays":["2026-10-01"],"channels":{"3GPP-GERAN":"ussd"},"languages":{"86":"zh"},"repeat":"24h","per_day":3,"max_rules":20,"moderation":"required"}`,
}

// operations reads the document.
func operations(t *testing.T, n *node) (ops []operation) {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			Parameters []struct {
				Name, In string
				Schema   apiSchema
			}
			RequestBody *struct {
				Content map[string]struct{ Schema apiSchema }
			}
		}
		Components struct{ Schemas map[string]apiSchema }
	}
	n.do(http.MethodGet, "/openapi.json", "", &doc)
	var example func(name string, s apiSchema) any
	example = func(name string, s apiSchema) any {
		if ref, ok := strings.CutPrefix(s.Ref, "#/components/schemas/"); ok {
			return example(name, doc.Components.Schemas[ref])
		}
		if v, ok := right[name]; ok {
			return v
		}
		switch {
		case s.Properties != nil:
			out := map[string]any{}
			for name, p := range s.Properties {
				out[name] = example(name, p)
			}
			return out
		case s.Items != nil:
			return []any{example(name, *s.Items)}
		case fmt.Sprint(s.Type) == "integer":
			return 1
		case fmt.Sprint(s.Type) == "boolean":
			return true
		}
		return "x"
	}
	for path, methods := range doc.Paths {
		for method, o := range methods {
			op := operation{method: strings.ToUpper(method), path: path, values: map[string]string{}, in: map[string]string{}}
			for _, p := range o.Parameters {
				op.values[p.Name], op.in[p.Name] = map[string]string{
					"msisdn": "+8613800000099", "network": "qq", "account": "1", "limit": "1", "id": strings.Repeat("0", 32),
				}[p.Name], p.In
			}
			if o.RequestBody != nil {
				for _, c := range o.RequestBody.Content {
					op.body = example("", c.Schema)
				}
				if p, is := policies[path]; is {
					if err := json.Unmarshal([]byte(p), &op.body); err != nil {
						t.Fatal(err)
					}
				}
			}
			ops = append(ops, op)
		}
	}
	slices.SortFunc(ops, func(a, b operation) int { return strings.Compare(a.path+a.method, b.path+b.method) })
	return ops
}

// send sends the operation with one part replaced and gives the status; what isn't a clean answer fails the test.
func (o operation) send(t *testing.T, n *node, key, part string, value any) (status int) {
	t.Helper()
	path, query, header := o.path, url.Values{}, http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {"application/json"}}
	for name, v := range o.values {
		if part == o.in[name]+"."+name {
			v = fmt.Sprint(value)
		}
		switch o.in[name] {
		case "path":
			path = strings.Replace(path, "{"+name+"}", url.PathEscape(v), 1)
		case "query":
			if v != "" {
				query.Set(name, v)
			}
		case "header":
			header.Set(name, strings.NewReplacer("\r", "", "\n", "", "\x00", "").Replace(v)) // Go sends no others
		}
	}
	var body []byte
	if o.body != nil {
		body, _ = json.Marshal(replaced(o.body, "body", part, value))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, o.method, "http://"+n.http+path+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return 0 // no client can send it
	}
	r.Header = header
	answer, err := http.DefaultClient.Do(r)
	what := fmt.Sprintf("%s %s with %s = %.60q", o.method, o.path, part, fmt.Sprint(value))
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return 0
	}
	defer answer.Body.Close()
	if answer.Header.Get("X-Injected") != "" {
		t.Errorf("%s: a header was injected", what)
	}
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "text/event-stream") {
		return answer.StatusCode
	}
	said, _ := io.ReadAll(answer.Body)
	var problem struct{ Code, Detail string }
	switch {
	case answer.StatusCode == http.StatusRequestHeaderFieldsTooLarge: // net/http's own, before any of us sees the request
	case answer.StatusCode >= 500:
		t.Errorf("%s: %s %s", what, answer.Status, said)
	case answer.StatusCode >= 400 && (json.Unmarshal(said, &problem) != nil || problem.Code == "" || problem.Detail == ""):
		t.Errorf("%s: %s %q, want a problem that says what to do", what, answer.Status, said)
	}
	return answer.StatusCode
}

// replaced is v with the part below at in place of it.
func replaced(v any, at, part string, value any) any {
	if at == part {
		return value
	}
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, m := range v {
			out[name] = replaced(m, at+"."+name, part, value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, m := range v {
			out[i] = replaced(m, at+"[]", part, value)
		}
		return out
	}
	return v
}

// parts are all that can be replaced.
func (o operation) parts() (parts []string) {
	for name, in := range o.in {
		parts = append(parts, in+"."+name)
	}
	var walk func(v any, at string)
	walk = func(v any, at string) {
		parts = append(parts, at)
		switch v := v.(type) {
		case map[string]any:
			for name, m := range v {
				walk(m, at+"."+name)
			}
		case []any:
			for _, m := range v {
				walk(m, at+"[]")
			}
		}
	}
	if o.body != nil {
		walk(o.body, "body")
	}
	return parts
}

// Whatever stands in any part of a request, the answer is clean, and only what was asked for is changed.
func TestHostileRequestsAreAnsweredAndChangeNothingElse(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { hostileRequests(t, serve(t, nil)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		hostileRequests(t, serve(t, on(peer.Postgres(t, false).Database(""))))
	})
}

func hostileRequests(t *testing.T, n *node) {
	n.ready()
	n.says("keep me")
	source := strings.TrimSpace(n.command("key", "create", "--role", "source", "--network", "qq"))
	sent, statuses := 0, map[int]int{}
	n.do(http.MethodPut, "/v1/subscribers/+8613800000099", "{}", nil)
	for _, op := range operations(t, n) {
		key := n.admin
		switch op.path {
		case "/v1/keys": // each role has its own members
			if op.body != nil {
				op.body = object{"name": "x", "role": "source", "network": "qq", "source": "x", "expires_in": 60}
			}
		case "/v1/events":
			key = source
			op.body = object{"specversion": "1.0", "type": "im.callsign.signature.changed", "source": "x", "id": "1", "subject": "1", "time": "2026-01-01T00:00:00Z", "data": object{"text": "x"}}
			op.values["Content-Type"] = "application/cloudevents+json"
			op.in["Content-Type"] = "header"
		}
		if status := op.send(t, n, key, "", nil); status == http.StatusBadRequest || status == http.StatusUnprocessableEntity {
			t.Errorf("%s %s as it should be is answered with %d", op.method, op.path, status)
		}
		for _, part := range op.parts() {
			for _, value := range hostile {
				statuses[op.send(t, n, key, part, value)]++
				sent++
			}
		}
	}
	if sent < 1000 || statuses[http.StatusUnprocessableEntity] == 0 || statuses[http.StatusOK] == 0 {
		t.Errorf("%d requests were answered %v: the document was not read as it should be", sent, statuses)
	}
	var got struct {
		Name     string
		Accounts []struct{ Network, Text string }
	}
	n.do(http.MethodGet, "/v1/subscribers/"+bob.E164(), "", &got)
	if got.Name != "Bob" || len(got.Accounts) != 1 || got.Accounts[0].Text != "keep me" {
		t.Errorf("a bystander became %+v", got)
	}
	t.Logf("%d requests: %v", sent, statuses)
}
