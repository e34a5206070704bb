package api

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

func TestTextsAreReviewed(t *testing.T) {
	s := serve(t, nil)
	operator := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for i, account := range []string{"1", "a/b c", "3"} {
		s.memory.reviews = append(s.memory.reviews, callsign.Reviewable{MSISDN: 8613800000001, Signature: callsign.Signature{
			Network: "qq", Account: account, Text: "text " + account, Stamp: callsign.Stamp{Version: int64(i + 1)}, At: at.Add(time.Duration(i) * time.Second),
			Review: callsign.Held, Reason: "the word x",
		}})
	}
	verdict := func(change string) string {
		whole := map[string]any{"msisdn": "+8613800000001", "network": "qq", "account": "a/b c", "epoch": 0, "version": 2, "verdict": "approve", "reason": "looks fine"}
		if err := json.Unmarshal([]byte(change), &whole); err != nil {
			t.Fatal(err)
		}
		b, _ := json.Marshal(whole)
		return string(b)
	}
	next := ""
	for _, c := range []struct {
		sentence, key, method, path, body string
		status                            int
		want                              string
	}{
		{"a subscriber's key may not see them", s.memory.key(callsign.Scope{Role: callsign.RoleSubscriber, MSISDN: 8613800000001}), "GET", "/v1/reviews", "", 403, "forbidden"},
		{"a source's may not approve its own", s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq"}), "POST", "/v1/reviews", verdict(`{}`), 403, "forbidden"},
		{"a state must be one", operator, "GET", "/v1/reviews?state=odd", "", 422, "query.state"},
		{"a page goes on from a place", operator, "GET", "/v1/reviews?after=odd", "", 422, "send next as it was given"},
		{
			"what waits is listed, with what it would become", operator, "GET", "/v1/reviews?limit=2", "", 200,
			`{"msisdn":"+8613800000001","becomes":"TEXT 1","network":"qq","account":"1","text":"text 1","shown":"","at":"2026-03-01T12:00:00Z","epoch":0,"version":1,"review":"pending","reason":"the word x"}`,
		},
		{"the list goes on", operator, "GET", "/v1/reviews?after=NEXT", "", 200, `"account":"3"`},
		{"a verdict must be one", operator, "POST", "/v1/reviews", verdict(`{"verdict":"maybe"}`), 422, "body.verdict"},
		{"a network must be one", operator, "POST", "/v1/reviews", verdict(`{"network":"+861380000"}`), 422, `"code":"invalid"`},
		{"a verdict names a text", operator, "POST", "/v1/reviews", `{"msisdn":"+8613800000001","network":"qq","account":"1","verdict":"approve"}`, 422, "epoch"},
		{"another text by now", operator, "POST", "/v1/reviews", verdict(`{"version":1}`), 409, `"code":"changed_meanwhile"`},
		{"an account that is not there", operator, "POST", "/v1/reviews", verdict(`{"account":"9"}`), 404, "not_found"},
		{"a text is approved", operator, "POST", "/v1/reviews", verdict(`{}`), 200, `{"review":"approved"}`},
		{"it waits no more", operator, "GET", "/v1/reviews?state=approved", "", 200, `"review":"approved","reason":"looks fine"`},
		{"and is rejected after all", admin, "POST", "/v1/reviews", verdict(`{"verdict":"reject"}`), 200, `{"review":"rejected"}`},
	} {
		got := s.do(t, c.key, c.method, strings.ReplaceAll(c.path, "NEXT", strings.ReplaceAll(next, " ", "%20")), c.body)
		if got.status != c.status || !strings.Contains(string(got.raw), c.want) {
			t.Errorf("%s: got %d %s, want %d and %s", c.sentence, got.status, got.raw, c.status, c.want)
		}
		if n, there := got.body["next"].(string); there {
			next = n
		}
	}
	var got []string
	for _, row := range s.do(t, admin, "GET", "/v1/audit", "").body["items"].([]any) {
		a := row.(map[string]any)
		got = append(got, fmt.Sprint(a["msisdn"], " ", a["object"], " ", a["status"]))
	}
	if want := []string{
		"+8613800000001 qq reject 200", "+8613800000001 qq approve 200", "+8613800000001 qq approve 404", "+8613800000001 qq approve 409",
		"<nil> <nil> 422", "<nil> <nil> 422", "<nil> <nil> 422",
	}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the audit tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
