package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/callsign-as/callsign"
)

func TestLinksAreAskedForByThoseWhoMay(t *testing.T) {
	const anna, ben = callsign.MSISDN(8613800000001), callsign.MSISDN(8613800000002)
	s := serve(t, nil)
	operator := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	hers := s.memory.key(callsign.Scope{Role: callsign.RoleSubscriber, MSISDN: anna})
	qq := s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq"})
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	elsewhere := s.memory.key(callsign.Scope{Tenant: "other", Role: callsign.RoleOperator})
	for _, m := range []callsign.MSISDN{anna, ben} {
		expect(t, "put", s.do(t, admin, "PUT", "/v1/subscribers/"+digits(m), "{}").status, 201)
	}
	const path = "/v1/subscribers/8613800000001/links"
	ask := func(change string) string {
		return `{"network":"qq","account":"1"` + change + `}`
	}
	for _, c := range []struct {
		sentence, key, method, path, body string
		status                            int
		want                              string
	}{
		{"without a key", "", "POST", path, ask(""), 401, "unauthorized"},
		{"a subscriber asks for her own number only", hers, "POST", "/v1/subscribers/8613800000002/links", ask(""), 403, "another number"},
		{"her number proves no account", hers, "POST", path, ask(`,"proof":"sms"`), 403, "use signature or network"},
		{"nor does her word", hers, "POST", path, ask(`,"proof":"operator"`), 422, "body.proof"},
		{"a source vouches for its network only", qq, "POST", path, `{"network":"msn","account":"1","proof":"sms"}`, 403, "its own network, qq"},
		{"and for no number", qq, "POST", path, ask(`,"proof":"network"`), 403, "use sms"},
		{"and needs no code in its texts", qq, "POST", path, ask(""), 403, "use sms"},
		{"a source can't look at links", qq, "GET", path, "", 403, "forbidden"},
		{"a network must be one", operator, "POST", path, `{"network":"no network","account":"1"}`, 422, "body.network"},
		{"not the one for texts set by hand", operator, "POST", path, `{"network":"manual","account":"1"}`, 422, "texts set by hand"},
		{"an account must be one", operator, "POST", path, `{"network":"qq","account":"a\u0000"}`, 422, "body.account"},
		{"nor is an empty one", operator, "POST", path, `{"network":"qq","account":""}`, 422, "body.account"},
		{"nobody's number", operator, "POST", "/v1/subscribers/8613800000009/links", ask(""), 404, "not_found"},
		{"another tenant's number", elsewhere, "POST", path, ask(""), 404, "not_found"},
		{"what she has", hers, "POST", path, `{"network":"qq","account":"its"}`, 409, "linked_already"},
		{"what another has", hers, "POST", path, `{"network":"qq","account":"another's"}`, 409, "account_taken"},
		{"too much at once", hers, "POST", path, `{"network":"qq","account":"many"}`, 429, "too_many_waiting"},
		{"another number by the network's word", hers, "POST", path, `{"network":"qq","account":"unverified","proof":"network"}`, 409, "not_proved"},
		{"a network that nobody asks", hers, "POST", path, `{"network":"qq","account":"unread","proof":"network"}`, 422, "proof_unavailable"},
		{"nothing waits yet", hers, "GET", path, "", 200, `{"items":[]}`},
		{"a code to be said", hers, "POST", path, ask(""), 201, `"state":"waiting","proof":"signature","code":"CS-0000-0001"`},
		{"a code to be sent, on a source's word", qq, "POST", path, `{"network":"qq","account":"2","proof":"sms"}`, 201, `"proof":"sms","code":"CS-0000-0001"`},
		{"a link by the network's word", operator, "POST", path, `{"network":"qq","account":"3","proof":"network"}`, 201, `"state":"linked","proof":"network"`},
		{"no list tells a code", hers, "GET", path, "", 200, `"account":"1","state":"waiting","proof":"signature","by"`},
		{"another's can't be listed", s.memory.key(callsign.Scope{Role: callsign.RoleSubscriber, MSISDN: ben}), "GET", path, "", 403, "another number"},
		{"nor withdrawn", s.memory.key(callsign.Scope{Role: callsign.RoleSubscriber, MSISDN: ben}), "DELETE", path + "/qq/1", "", 403, "another number"},
		{"what is linked isn't withdrawn", hers, "DELETE", path + "/qq/3", "", 404, "not_found"},
		{"what waits is", hers, "DELETE", path + "/qq/1", "", 204, ""},
		{"once", hers, "DELETE", path + "/qq/1", "", 404, "not_found"},
		{"and is told to whom it is about", operator, "GET", "/v1/subscribers/8613800000001/export", "", 200, `"links":[{"network":"qq","account":"2"`},
	} {
		got := s.do(t, c.key, c.method, c.path, c.body)
		if got.status != c.status || !strings.Contains(string(got.raw), c.want) {
			t.Errorf("%s: got %d %s, want %d and %s", c.sentence, got.status, got.raw, c.status, c.want)
		}
		if c.method == "GET" && strings.Contains(string(got.raw), "CS-") {
			t.Errorf("%s: a code is told in %s", c.sentence, got.raw)
		}
	}
	var audit []string
	for _, row := range s.do(t, admin, "GET", "/v1/audit", "").body["items"].([]any) {
		if a := row.(map[string]any); strings.HasSuffix(fmt.Sprint(a["action"]), "/links") && a["status"] == 201.0 {
			audit = append(audit, fmt.Sprint(a["msisdn"], " ", a["object"]))
		}
	}
	expect(t, "the audit, newest first", fmt.Sprint(audit), "[+8613800000001 qq network +8613800000001 qq sms +8613800000001 qq signature]")
	s.memory.set(func(m *memory) {
		for i := range m.links {
			m.links[i].Expires = time.Now()
		}
	})
	got := string(s.do(t, hers, "GET", path, "").raw)
	if strings.Contains(got, `"account":"2"`) || !strings.Contains(got, `"account":"3"`) {
		t.Errorf("once a code is over it is %s", got)
	}
}

func TestHowReadingNetworksGoesIsTold(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	s := serve(t, func(o *Options) {
		o.Networks = func() []Network {
			return []Network{{
				Network: "im", Connector: "httpjson", Parts: 16, OfParts: 32, Interval: time.Minute, Lag: 1500 * time.Millisecond, Read: at, Failing: "it fails", Resting: at.Add(time.Hour),
			}}
		}
	})
	dial(t, websocket.Dialer{Subprotocols: []string{subprotocol}}, s.url, s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq", Source: "https://a.example"}))
	dial(t, websocket.Dialer{Subprotocols: []string{subprotocol}}, s.url, s.memory.key(callsign.Scope{Tenant: "other", Role: callsign.RoleSource, Network: "msn"}))
	got := string(s.do(t, s.memory.key(callsign.Scope{Role: callsign.RoleOperator}), "GET", "/v1/networks", "").raw)
	for _, want := range []string{
		`"network":"im","connector":"httpjson","parts":16,"of_parts":32,"read_at":"2026-03-01T12:00:00Z","failing":"it fails","resting_until":"2026-03-01T13:00:00Z","interval_seconds":60,"lag_seconds":1.5`,
		`"network":"qq","connector":"push","parts":0,"of_parts":0,"sources":[{"source":"https://a.example","key_id":"`, `"durable":0,"taken":0}]`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
	if strings.Contains(got, "msn") {
		t.Errorf("another tenant's source is told: %s", got)
	}
	expect(t, "a subscriber", s.do(t, s.memory.key(callsign.Scope{Role: callsign.RoleSubscriber, MSISDN: 1}), "GET", "/v1/networks", "").status, 403)
}

// codes answer what a test says.
type codes struct {
	is  callsign.Proving
	err error
}

func (c codes) Sent(context.Context, callsign.MSISDN, string) (callsign.Proving, error) {
	return c.is, c.err
}

type noCodes struct{}

func (noCodes) Sent(context.Context, callsign.MSISDN, string) (callsign.Proving, error) {
	return callsign.Unawaited, nil
}

func TestACodeByMessageIsAnswered(t *testing.T) {
	for sentence, c := range map[string]struct {
		codes codes
		from  callsign.MSISDN
		text  string
		reply string
		fails bool
	}{
		"the right one":                     {codes{is: callsign.Proved}, 1, "CS-0000-0001", linkedReply, false},
		"a wrong one while one is awaited":  {codes{is: callsign.Wrong}, 1, "CS-0000-0001", wrongReply, false},
		"of an account that another has":    {codes{is: callsign.Taken}, 1, "CS-0000-0001", takenReply, false},
		"nobody waits: not a word":          {codes{is: callsign.Unawaited}, 1, "CS-0000-0001", "", false},
		"from no number":                    {codes{is: callsign.Proved}, 0, "CS-0000-0001", "", false},
		"the store is away: it comes again": {codes{err: callsign.ErrUnavailable}, 1, "CS-0000-0001", "", true},
		"a keyword is one whatever waits":   {codes{is: callsign.Proved}, 1, "STOP", stoppedEnglish, false},
	} {
		k := NewKeywords(&optOuts{out: map[callsign.MSISDN]bool{}}, c.codes, nil, nil)
		reply, err := k.Receive(t.Context(), callsign.MO{From: c.from, Text: c.text})
		if reply != c.reply || (err != nil) != c.fails {
			t.Errorf("%s: %q, %v, want %q", sentence, reply, err, c.reply)
		}
		if n := len([]rune(reply)); n > 70 {
			t.Errorf("%s: the reply has %d characters, more than one message", sentence, n)
		}
	}
}
