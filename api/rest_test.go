package api

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

var update = flag.Bool("update", false, "write testdata/openapi.json anew")

// TestREST runs its steps in order, on one server whose admin speaks.
func TestREST(t *testing.T) {
	s := serve(t, func(o *Options) {
		o.WhatIf = func(_ context.Context, r WhatIfRequest) (WhatIfResult, error) {
			return WhatIfResult{Show: true, Text: r.Caller.E164() + " sees it", Channel: "flash", Coding: "ucs2", Reasons: []string{"at " + r.At.Format(time.RFC3339)}}, nil
		}
	})
	id, hidden := callsign.NewCallID(time.UnixMilli(1), callsign.BranchKey{7}), callsign.NewCallID(time.UnixMilli(1), callsign.BranchKey{8})
	s.memory.timelines = []callsign.Timeline{{
		Call:   callsign.Call{ID: id, Caller: 8613900000001, Callee: 8613800000000, At: time.Unix(1, 0).UTC(), SIPCallID: "a@b", Access: "3GPP-GERAN", AccessFrom: callsign.AccessPeer},
		Events: []callsign.Event{{Kind: callsign.EventInvite}, {Kind: callsign.EventSkipped, Reason: "no text"}},
	}, {
		Call: callsign.Call{ID: hidden, Caller: 8613900000001, Callee: 8613800000000, At: time.Unix(1, 0).UTC(), Private: true},
	}}
	s.memory.subscribers[8613800000007] = callsign.Subscriber{
		MSISDN: 8613800000007, Tenant: callsign.DefaultTenant, Rev: 3, Accounts: []callsign.Signature{{
			Network: "qq", Account: "7", Text: " a  b", Shown: "a b", Lang: "en", Stamp: callsign.Stamp{Epoch: 1, Version: 2},
			At: time.Unix(1, 0).UTC(), Expires: time.Unix(2, 0).UTC(), Origin: "qq/e7",
		}},
	}
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	for _, step := range []struct {
		sentence     string
		method, path string
		body         string
		status       int
		contains     string
	}{
		{"a subscriber is created", "PUT", "/v1/subscribers/+8613800000000", `{"name":"Zhang"}`, 201, `"msisdn":"+8613800000000","name":"Zhang"`},
		{"a number may come without its plus", "PUT", "/v1/subscribers/8613800000000", `{"name":"Li"}`, 200, `"name":"Li"`},
		{"a plus may be escaped", "GET", "/v1/subscribers/%2B8613800000000", "", 200, `"name":"Li"`},
		{"a subscriber comes with its accounts", "GET", "/v1/subscribers/8613800000007", "", 200, `"rev":3,"accounts":[{"network":"qq","account":"7","text":" a  b","shown":"a b","lang":"en","at":"1970-01-01T00:00:01Z","expires_at":"1970-01-01T00:00:02Z","epoch":1,"version":2,"origin":"qq/e7"}]`},
		{"the name is optional, and so is the body", "PUT", "/v1/subscribers/8613800000009", "", 201, `"name":""`},
		{"a number must be one", "GET", "/v1/subscribers/abc", "", 422, `"code":"invalid"`},
		{"an unknown member is refused", "PUT", "/v1/subscribers/8613800000000", `{"nmae":"x"}`, 422, `body.nmae: unexpected property`},
		{"what isn't JSON is refused", "PUT", "/v1/subscribers/8613800000000", `{`, 400, `"code":"bad_request"`},
		{"an unknown parameter is refused", "GET", "/v1/subscribers?limt=1", "", 422, `query.limt`},
		{"a limit has bounds", "GET", "/v1/subscribers?limit=1001", "", 422, `query.limit`},
		{"a list tells where to go on", "GET", "/v1/subscribers?limit=1", "", 200, `"next":"8613800000000"`},
		{"a list goes on", "GET", "/v1/subscribers?limit=1&after=8613800000007", "", 200, `"msisdn":"+8613800000009"`},
		{"a list may go on from a number with a plus", "GET", "/v1/subscribers?after=+8613800000000", "", 200, `"msisdn":"+8613800000009"`},
		{"an account is linked", "PUT", "/v1/subscribers/8613800000000/accounts/qq/10001", "", 201, `"account":"10001"`},
		{"an account is linked once", "PUT", "/v1/subscribers/8613800000000/accounts/qq/10001", "", 200, `"network":"qq"`},
		{"an account of somebody else is a conflict", "PUT", "/v1/subscribers/8613800000009/accounts/qq/10001", "", 409, `"code":"conflict"`},
		{"an account may hold an at and a slash", "PUT", "/v1/subscribers/8613800000000/accounts/xmpp/a%40b.example%2Fphone", "", 201, `"account":"a@b.example/phone"`},
		{"an account may be dots", "PUT", "/v1/subscribers/8613800000000/accounts/xmpp/%2e%2e", "", 201, `"account":".."`},
		{"an account may hold escapes of its own", "PUT", "/v1/subscribers/8613800000000/accounts/xmpp/100%2525", "", 201, `"account":"100%25"`},
		{"an account has no control characters", "PUT", "/v1/subscribers/8613800000000/accounts/xmpp/a%00b", "", 422, `path.account`},
		{"the network manual is not linked", "PUT", "/v1/subscribers/8613800000000/accounts/manual/1", "", 422, `path.network`},
		{"a network's name is lower case", "PUT", "/v1/subscribers/8613800000000/accounts/QQ/1", "", 422, `path.network`},
		{"an account is unlinked", "DELETE", "/v1/subscribers/8613800000000/accounts/xmpp/a%40b.example%2Fphone", "", 204, ""},
		{"an account is unlinked once", "DELETE", "/v1/subscribers/8613800000000/accounts/xmpp/a%40b.example%2Fphone", "", 404, `"code":"not_found"`},
		{"a text is set by hand", "PUT", "/v1/subscribers/8613800000000/signature", `{"text":"in a meeting"}`, 200, `{"status":"stored"}`},
		{"a text needs a subscriber", "PUT", "/v1/subscribers/8613800000001/signature", `{"text":"x"}`, 404, `"code":"not_found"`},
		{"a text may not be allowed", "PUT", "/v1/subscribers/8613800000000/signature", `{"text":"not allowed"}`, 422, `"code":"text_not_allowed"`},
		{"a text has a length", "PUT", "/v1/subscribers/8613800000000/signature", `{"text":"` + strings.Repeat("x", 2049) + `"}`, 422, `"code":"text_rejected"`},
		{"a text is UTF-8", "PUT", "/v1/subscribers/8613800000000/signature", "{\"text\":\"\xd4\xda\xb8\xdf\"}", 400, `send UTF-8`},
		{"a body has a length", "PUT", "/v1/subscribers/8613800000000/signature", `{"text":"` + strings.Repeat("x", 1<<20) + `"}`, 413, `"code":"request_entity_too_large"`},
		{"calls are listed without their timelines", "GET", "/v1/calls?callee=+8613800000000&caller=%2B8613900000001&since=2026-01-02T03:04:05Z&limit=1", "", 200, `"sip_call_id":"a@b"}],"next":"` + id.String() + `"`},
		{"a call has its timeline", "GET", "/v1/calls/" + id.String(), "", 200, `"kind":"skipped","reason":"no text"`},
		{"a call says who told its access", "GET", "/v1/calls/" + id.String(), "", 200, `"caller":"+8613900000001","callee":"+8613800000000","at":"1970-01-01T00:00:01Z","access":"3GPP-GERAN","access_from":"peer"`},
		{"a private call has no caller", "GET", "/v1/calls/" + hidden.String(), "", 200, `{"id":"` + hidden.String() + `","private":true,"callee":`},
		{"a call that is not there is not found", "GET", "/v1/calls/" + strings.Repeat("0", 32), "", 404, `"code":"not_found"`},
		{"a call's key must be one", "GET", "/v1/calls/7", "", 422, `path.id`},
		{"a what-if is answered", "POST", "/v1/whatif", `{"caller":"+8613900000001","callee":"8613800000000","at":"2026-01-02T03:04:05Z"}`, 200, `"text":"+8613900000001 sees it","channel":"flash","coding":"ucs2","reasons":["at 2026-01-02T03:04:05Z"]`},
		{"a what-if of a stranger shows nothing", "POST", "/v1/whatif", `{"caller":"+8613900000001","callee":"8613800000001"}`, 200, `"show":false`},
		{"a what-if needs numbers", "POST", "/v1/whatif", `{"caller":"","callee":"8613800000001"}`, 422, `E.164`},
		{"a source's key needs a network", "POST", "/v1/keys", `{"name":"n","role":"source"}`, 422, `body.network`},
		{"a source's key is not for hand-set texts", "POST", "/v1/keys", `{"name":"n","role":"source","network":"manual"}`, 422, `body.network`},
		{"an operator's key has no network", "POST", "/v1/keys", `{"name":"n","role":"operator","network":"qq"}`, 422, `body.network`},
		{"a subscriber's key needs a number", "POST", "/v1/keys", `{"name":"n","role":"subscriber"}`, 422, `body.msisdn`},
		{"an admin's key has no number", "POST", "/v1/keys", `{"name":"n","role":"admin","msisdn":"8613800000000"}`, 422, `body.msisdn`},
		{"a role must be one", "POST", "/v1/keys", `{"name":"n","role":"root"}`, 422, `body.role`},
		{"a subscriber is removed", "DELETE", "/v1/subscribers/8613800000009", "", 204, ""},
		{"a subscriber is removed once", "DELETE", "/v1/subscribers/8613800000009", "", 404, `"code":"not_found"`},
		{"a path that isn't there is a problem too", "GET", "/v1/nothing", "", 404, `"code":"not_found"`},
		{"a method that isn't there is a problem too", "PATCH", "/v1/calls", "", 405, `"code":"method_not_allowed"`},
	} {
		a := s.do(t, admin, step.method, step.path, step.body)
		got := strings.TrimSpace(string(a.raw))
		if want := step.contains; a.status != step.status || !strings.Contains(got, want) {
			t.Errorf("%s: got %d %s, want %d %s", step.sentence, a.status, got, step.status, want)
		}
		if a.status >= 400 {
			checkProblem(t, step.sentence, a)
		}
	}
	got := s.memory.filter
	want := callsign.CallFilter{
		Caller: 8613900000001, Callee: 8613800000000, Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Page: callsign.Page{Limit: 1},
	}
	if got != want {
		t.Errorf("calls were filtered by %+v, want %+v", got, want)
	}
	c := s.memory.changes[0]
	if c.Source != "api" || c.ID == "" || c.Network != callsign.ManualNetwork || c.Account != "8613800000000" || !c.Stamp.Timed() {
		t.Errorf("a hand-set text went in as %+v", c)
	}
}

func checkProblem(t *testing.T, sentence string, a answer) {
	t.Helper()
	if got, want := a.header.Get("Content-Type"), "application/problem+json"; got != want {
		t.Errorf("%s: content type %q, want %q", sentence, got, want)
	}
	for _, member := range []string{"title", "code", "detail"} {
		if got, _ := a.body[member].(string); got == "" {
			t.Errorf("%s: the problem has no %s: %s", sentence, member, a.raw)
		}
	}
	if got, want := a.body["status"], float64(a.status); got != want {
		t.Errorf("%s: the problem's status is %v, want %v", sentence, got, want)
	}
}

func TestRolesOpenTheirDoorsOnly(t *testing.T) {
	s := serve(t, func(o *Options) { o.Config.TestCalls = true })
	s.memory.subscribers[8613800000000] = callsign.Subscriber{MSISDN: 8613800000000, Tenant: callsign.DefaultTenant}
	s.memory.linked[[3]string{callsign.DefaultTenant, callsign.ManualNetwork, "8613800000000"}] = 8613800000000
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	operator := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	source := s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq"})
	own := s.memory.key(callsign.Scope{Role: callsign.RoleSubscriber, MSISDN: 8613800000000})
	other := s.memory.key(callsign.Scope{Role: callsign.RoleSubscriber, MSISDN: 8613800000001})
	keys := []string{admin, operator, source, own, other}
	for _, door := range []struct {
		request, body string
		allowed       [5]bool // admin, operator, source, own subscriber, other subscriber
	}{
		{"PUT /v1/subscribers/8613800000002", "", [5]bool{true, true}},
		{"GET /v1/subscribers/8613800000000", "", [5]bool{true, true, false, true, false}},
		{"DELETE /v1/subscribers/8613800000002", "", [5]bool{true, true}},
		{"GET /v1/subscribers", "", [5]bool{true, true}},
		{"POST /v1/import", `{"rows":[{"msisdn":"8613800000002"}]}`, [5]bool{true, true}},
		{"GET /v1/subscribers/8613800000000/export", "", [5]bool{true, true}},
		{"POST /v1/subscribers/8613800000002/erase", "", [5]bool{true, true}},
		{"PUT /v1/subscribers/8613800000000/accounts/qq/1", "", [5]bool{true, true}},
		{"DELETE /v1/subscribers/8613800000000/accounts/qq/1", "", [5]bool{true, true}},
		{"PUT /v1/subscribers/8613800000000/signature", `{"text":"x"}`, [5]bool{true, true, false, true, false}},
		{"GET /v1/calls", "", [5]bool{true, true}},
		{"GET /v1/calls/00000000000000000000000000000000", "", [5]bool{true, true}},
		{"POST /v1/whatif", `{"caller":"1","callee":"2"}`, [5]bool{true, true}},
		{"POST /v1/test-calls", `{"caller":"1","callee":"2"}`, [5]bool{true, true}},
		{"POST /v1/keys", `{"name":"x","role":"operator"}`, [5]bool{true}},
		{"GET /v1/keys", "", [5]bool{true}},
		{"DELETE /v1/keys/1", "", [5]bool{true}},
		{"GET /v1/push", "", [5]bool{false, false, true}},
	} {
		method, path, _ := strings.Cut(door.request, " ")
		for i, key := range keys {
			a := s.do(t, key, method, path, door.body)
			if got, want := a.status != http.StatusForbidden && a.status != http.StatusUnauthorized, door.allowed[i]; got != want {
				t.Errorf("%s by key %d: allowed %v (%d), want %v", door.request, i, got, a.status, want)
			}
			if a.status >= 400 {
				checkProblem(t, door.request, a)
			}
		}
		a := s.do(t, "", method, path, door.body)
		if got, want := fmt.Sprintf("%d %s", a.status, a.header.Get("WWW-Authenticate")), "401 Bearer"; got != want {
			t.Errorf("%s without a key: got %s, want %s", door.request, got, want)
		}
	}
}

func TestAKeyIsRefused(t *testing.T) {
	s := serve(t, nil)
	now := time.Now()
	_, expired := NewKey("expired", callsign.Scope{Role: callsign.RoleAdmin}, now.Add(-time.Minute))
	good := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	secretOf := func(k callsign.Key, change func(*callsign.Key)) string {
		secret, made := NewKey(k.Name, k.Scope, k.Expires)
		change(&made)
		s.memory.keys[made.Hash] = made
		return secret
	}
	for sentence, header := range map[string]string{
		"without a scheme":       good,
		"with another scheme":    "Basic " + good,
		"when it is empty":       "Bearer ",
		"when it is unknown":     "Bearer cs_nothing",
		"when it was revoked":    "Bearer " + secretOf(expired, func(k *callsign.Key) { k.Expires, k.Revoked = time.Time{}, true }),
		"when it has expired":    "Bearer " + secretOf(expired, func(*callsign.Key) {}),
		"when it is another one": "Bearer " + good + "x",
	} {
		a := s.do(t, "", "GET", "/v1/subscribers", "", "Authorization", header)
		if got, want := a.status, http.StatusUnauthorized; got != want {
			t.Errorf("%s: got %d, want %d", sentence, got, want)
		}
		checkProblem(t, sentence, a)
	}
	if got := s.do(t, "", "GET", "/v1/subscribers?key="+good, "").status; got != 401 {
		t.Errorf("in the URL: got %d, want 401", got)
	}
	if got := s.do(t, "", "GET", "/v1/subscribers", "", "Authorization", "bearer "+good).status; got != 200 {
		t.Errorf("a scheme in lower case: got %d, want 200", got)
	}
}

func TestAKeyThatIsMadeWorksUntilItIsRevoked(t *testing.T) {
	s := serve(t, nil)
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin, Tenant: "acme"})
	made := s.do(t, admin, "POST", "/v1/keys", `{"name":"ops","role":"operator","expires_in":3600}`)
	secret, _ := made.body["key"].(string)
	if made.status != http.StatusCreated || !strings.HasPrefix(secret, "cs_") || made.body["expires"] == nil {
		t.Fatalf("a key was made as %d %s", made.status, made.raw)
	}
	if got := s.do(t, secret, "GET", "/v1/subscribers", "").status; got != 200 {
		t.Errorf("the new key: got %d, want 200", got)
	}
	listed := s.do(t, admin, "GET", "/v1/keys", "")
	if bytes.Contains(listed.raw, []byte(secret)) || !bytes.Contains(listed.raw, []byte(`"name":"ops"`)) {
		t.Errorf("the list is %s", listed.raw)
	}
	stranger := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin, Tenant: "other"})
	id := "/v1/keys/" + made.body["id"].(string)
	if got := s.do(t, stranger, "DELETE", id, "").status; got != 404 {
		t.Errorf("revoked by another tenant: got %d, want 404", got)
	}
	if got := s.do(t, admin, "DELETE", id, "").status; got != 204 {
		t.Errorf("revoked: got %d, want 204", got)
	}
	if got := s.do(t, secret, "GET", "/v1/subscribers", "").status; got != 401 {
		t.Errorf("the revoked key: got %d, want 401 at once", got)
	}
	var k callsign.Key
	for _, kept := range s.memory.keys {
		if kept.Name == "ops" {
			k = kept
		}
	}
	if got := k.Scope; got.Tenant != "acme" || got.KeyID != k.ID || got.Role != callsign.RoleOperator {
		t.Errorf("the key opens %+v", got)
	}
}

func TestAKeyIsBelievedForASecondAndInBoundedMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory()
		ring := newKeyring(m)
		_, k := NewKey("k", callsign.Scope{Role: callsign.RoleAdmin}, time.Now().Add(1500*time.Millisecond))
		m.keys[k.Hash] = k
		lookups := func(sentence string, want int, holds bool) {
			t.Helper()
			_, err := ring.byHash(t.Context(), k.Hash, netip.Prefix{})
			if m.lookups != want || (err == nil) != holds {
				t.Errorf("%s: %d look-ups, error %v; want %d, holds %v", sentence, m.lookups, err, want, holds)
			}
		}
		lookups("a new key is looked up", 1, true)
		time.Sleep(999 * time.Millisecond)
		lookups("a known key is not", 1, true)
		time.Sleep(time.Millisecond)
		lookups("after a second it is again", 2, true)
		time.Sleep(500 * time.Millisecond)
		lookups("it expires though it is remembered", 2, false)
		for i := range keysRemembered + 1 {
			ring.remember(knownKey{Key: callsign.Key{Hash: [32]byte{byte(i), byte(i >> 8)}}})
		}
		if got, want := len(ring.known), keysRemembered; got > want {
			t.Errorf("%d keys are remembered, want at most %d", got, want)
		}
	})
}

func TestTheTenantIsTheKeys(t *testing.T) {
	s := serve(t, nil)
	acme := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin, Tenant: "acme"})
	other := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin, Tenant: "other"})
	for _, step := range []struct {
		sentence, key, request, body string
		status                       int
	}{
		{"acme makes a subscriber", acme, "PUT /v1/subscribers/1555", "", 201},
		{"another tenant doesn't see it", other, "GET /v1/subscribers/1555", "", 404},
		{"another tenant can't take it", other, "PUT /v1/subscribers/1555", "", 409},
		{"another tenant can't remove it", other, "DELETE /v1/subscribers/1555", "", 404},
		{"another tenant can't link to it", other, "PUT /v1/subscribers/1555/accounts/qq/1", "", 404},
		{"another tenant can't write its text", other, "PUT /v1/subscribers/1555/signature", `{"text":"x"}`, 404},
		{"another tenant can't import over it", other, "POST /v1/import", `{"rows":[{"msisdn":"1555","name":"taken"}]}`, 200},
		{"and has not", other, "GET /v1/subscribers/1555", "", 404},
		{"acme can", acme, "PUT /v1/subscribers/1555/signature", `{"text":"x"}`, 200},
	} {
		method, path, _ := strings.Cut(step.request, " ")
		if got := s.do(t, step.key, method, path, step.body).status; got != step.status {
			t.Errorf("%s: got %d, want %d", step.sentence, got, step.status)
		}
	}
}

func TestAStoreThatIsAwayIsAProblemThatPasses(t *testing.T) {
	s := serve(t, nil)
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	s.memory.set(func(m *memory) { m.down = fmt.Errorf("open: %w", callsign.ErrUnavailable) })
	a := s.do(t, admin, "GET", "/v1/subscribers", "")
	if got, want := fmt.Sprintf("%d %s %s", a.status, a.header.Get("Retry-After"), a.body["code"]), "503 1 unavailable"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	checkProblem(t, "the store is away", a)
	s.memory.set(func(m *memory) { m.down = nil })
	if got := s.do(t, admin, "GET", "/v1/subscribers", "").status; got != 200 {
		t.Errorf("the store is back: got %d, want 200", got)
	}
	s.memory.set(func(m *memory) { m.down = errors.New("disk on fire") })
	a = s.do(t, admin, "GET", "/v1/subscribers", "")
	if a.status != 500 || bytes.Contains(a.raw, []byte("fire")) {
		t.Errorf("an unknown error: got %d %s, want 500 without its words", a.status, a.raw)
	}
}

func TestHealth(t *testing.T) {
	var problems []Problem
	registry := prometheus.NewRegistry()
	s := serve(t, func(o *Options) {
		o.Ready, o.Gatherer, o.Metrics = func() []Problem { return problems }, registry, registry
	})
	for _, step := range []struct {
		sentence, path string
		problems       []Problem
		status         int
		want           string
	}{
		{"it lives", "/healthz", []Problem{{}}, 200, `{"status":"ok"}`},
		{"it is ready", "/readyz", nil, 200, `{"status":"ready"}`},
		{
			"it is degraded, and tells what to do", "/readyz",
			[]Problem{{"store", "can't be opened", "look at store.url"}},
			503, `{"status":"degraded","problems":[{"part":"store","problem":"can't be opened","do":"look at store.url"}]}`,
		},
	} {
		problems = step.problems
		a := s.do(t, "", "GET", step.path, "")
		if got := strings.TrimSpace(string(a.raw)); a.status != step.status || got != step.want {
			t.Errorf("%s: got %d %s, want %d %s", step.sentence, a.status, got, step.status, step.want)
		}
	}
	want := `callsign_http_requests_total{code="503",route="GET /readyz"} 1`
	if got := s.do(t, "", "GET", "/metrics", ""); !strings.Contains(string(got.raw), want) {
		t.Errorf("/metrics is %s, want %s in it", got.raw, want)
	}
}

func TestDocuments(t *testing.T) {
	s := serve(t, nil)
	got := s.do(t, "", "GET", "/openapi.json", "")
	if v := got.body["openapi"]; v != "3.1.0" {
		t.Errorf("OpenAPI %v, want 3.1.0", v)
	}
	const golden = "testdata/openapi.json"
	indented := indent(t, got.raw)
	if *update {
		if err := os.WriteFile(golden, indented, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(indented, want) {
		t.Errorf("/openapi.json has changed: read it, then go test ./api -run Documents -update")
	}
	if v := s.do(t, "", "GET", "/asyncapi.json", "").body["asyncapi"]; v != "3.0.0" {
		t.Errorf("AsyncAPI %v, want 3.0.0", v)
	}
}

// TestEveryDoorIsInTheDocument keeps DESIGN's list: what is served is documented, and the other way round.
func TestEveryDoorIsInTheDocument(t *testing.T) {
	s := serve(t, nil)
	var got []string
	for path, item := range s.do(t, "", "GET", "/openapi.json", "").body["paths"].(map[string]any) {
		for method := range item.(map[string]any) {
			got = append(got, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(got)
	want := []string{
		"DELETE /v1/keys/{id}", "DELETE /v1/opt-outs/{caller}", "DELETE /v1/policy", "DELETE /v1/subscribers/{msisdn}",
		"DELETE /v1/subscribers/{msisdn}/accounts/{network}/{account}", "DELETE /v1/subscribers/{msisdn}/links/{network}/{account}",
		"DELETE /v1/subscribers/{msisdn}/policy", "GET /healthz", "GET /readyz", "GET /v1/audit", "GET /v1/calls", "GET /v1/calls/{id}", "GET /v1/keys",
		"GET /v1/live", "GET /v1/networks", "GET /v1/opt-outs", "GET /v1/policy", "GET /v1/reviews", "GET /v1/subscribers", "GET /v1/subscribers/{msisdn}",
		"GET /v1/subscribers/{msisdn}/export", "GET /v1/subscribers/{msisdn}/links", "GET /v1/subscribers/{msisdn}/policy", "POST /v1/events",
		"POST /v1/import", "POST /v1/keys", "POST /v1/keys/{id}/rotate", "POST /v1/networks/{network}/resync", "POST /v1/reviews",
		"POST /v1/subscribers/{msisdn}/erase", "POST /v1/subscribers/{msisdn}/links", "POST /v1/test-calls", "POST /v1/whatif", "PUT /v1/opt-outs/{caller}", "PUT /v1/policy",
		"PUT /v1/subscribers/{msisdn}", "PUT /v1/subscribers/{msisdn}/accounts/{network}/{account}", "PUT /v1/subscribers/{msisdn}/policy",
		"PUT /v1/subscribers/{msisdn}/signature",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestConfig(t *testing.T) {
	c := DefaultConfig()
	if err := c.Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for sentence, change := range map[string]func(*Config){
		"a listener needs a port":            func(c *Config) { c.Listen = "127.0.0.1" },
		"a heartbeat takes time":             func(c *Config) { c.Heartbeat = 0 },
		"a grace is not negative":            func(c *Config) { c.Grace = -1 },
		"a batch has an event":               func(c *Config) { c.MaxBatch = 0 },
		"a frame holds an event":             func(c *Config) { c.MaxBytes = 10 },
		"a credit is needed to send at all":  func(c *Config) { c.Credit = 0 },
		"a node without connections is none": func(c *Config) { c.Connections = 0 },
		"profiles stay on this machine":      func(c *Config) { c.Admin = "0.0.0.0:6060" },
		"profiles have an address":           func(c *Config) { c.Admin = "localhost" },
		"a certificate needs its key":        func(c *Config) { c.TLS.Cert = "x" },
		"clients' certificates need TLS":     func(c *Config) { c.TLS.ClientCA = "x" },
		"a certificate is there":             func(c *Config) { c.TLS = TLSConfig{Cert: "x", Key: "y"} },
	} {
		c := DefaultConfig()
		change(&c)
		o := newMemory().options()
		o.Config = c
		if _, err := New(o); err == nil || !strings.HasPrefix(err.Error(), "http.") {
			t.Errorf("%s: New gives %v, want an error that names the key", sentence, err)
		}
	}
	if _, err := New(Options{Config: c}); err == nil {
		t.Error("New takes Options without an engine")
	}
}

// FuzzNumber holds the number of a path or query against the root's.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"+8613800000000", "8613800000000", " 86138", "", "+", "0", "+1 (555) 0100"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		unescaped, err := url.QueryUnescape(s)
		if err != nil {
			return
		}
		var n number
		if n.UnmarshalText([]byte(unescaped)) != nil {
			return
		}
		want, err := callsign.ParseMSISDN("+" + strings.TrimLeft(unescaped, "+ "))
		if err != nil || n.MSISDN != want {
			t.Errorf("%q is %v, want %v (%v)", s, n.E164(), want.E164(), err)
		}
	})
}

func TestEveryDoorTakesTheSameNetworkNames(t *testing.T) {
	for _, of := range []reflect.Type{reflect.TypeFor[newKey](), reflect.TypeFor[accountPath](), reflect.TypeFor[resyncRequest]()} {
		f, found := of.FieldByName("Network")
		if got := f.Tag.Get("pattern"); !found || got != networkPattern {
			t.Errorf("%v takes %q, want %q", of, got, networkPattern)
		}
	}
}
