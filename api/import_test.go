package api

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

// TestAnImport runs its steps in order, on one server.
func TestAnImport(t *testing.T) {
	s := serve(t, nil)
	s.memory.subscribers[1555] = callsign.Subscriber{MSISDN: 1555, Tenant: "other"}
	s.memory.linked[[3]string{callsign.DefaultTenant, "qq", "taken"}] = 1666
	operator := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	s.do(t, operator, "GET", "/v1/subscribers", "") // the key is known, also while the store is away
	many := func(n int, row string) string { return strings.Repeat(row+",", n-1) + row }
	for _, step := range []struct {
		sentence, rows string
		down           error
		status         int
		contains       string
		kept           int // rows
	}{
		{"nothing is kept while the store is away", `{"msisdn":"1"}`, callsign.ErrUnavailable, 503, `"code":"unavailable"`, 0},
		{"it has a row", "", nil, 422, "body.rows", 0},
		{"it has at most a thousand", many(1001, `{"msisdn":"1"}`), nil, 422, "body.rows", 0},
		{"a body has a length", `{"msisdn":"1","name":"` + strings.Repeat("x", 1<<20) + `"}`, nil, 413, `"code":"request_entity_too_large"`, 0},
		{"an unknown member is refused with all rows", `{"msisdn":"1","phone":"1"}`, nil, 422, `body.rows[0].phone`, 0},
		{"a row without a number is refused with all rows", `{"name":"x"}`, nil, 422, `msisdn`, 0},
		{"what is not UTF-8 is refused with all rows", "{\"msisdn\":\"1\",\"text\":\"\xd4\xda\"}", nil, 400, "send UTF-8", 0},
		{
			"a row is refused by itself, in the order of the rows",
			`{"msisdn":"1555"},{"msisdn":"1"},{"msisdn":"x"},{"msisdn":"2","network":"qq","account":"taken"},{"msisdn":"3","account":"9"}`,
			nil, 200,
			`{"refused":[{"row":0,"reason":"the number belongs to another tenant: have it removed there first"},` +
				`{"row":2,"reason":"number \"x\" is not E.164: write + and 1 to 15 digits, the first not 0, like +8613800000000"},` +
				`{"row":3,"reason":"the account belongs to another number: unlink it there first"},` +
				`{"row":4,"reason":"network: it is missing: name the account's IM network, like qq"}]}`, 3,
		},
		{"none is refused", `{"msisdn":"1","name":"Li Na"}`, nil, 200, `{"refused":[]}`, 1},
		{"a thousand rows", many(1000, `{"msisdn":"1"}`), nil, 200, `{"refused":[]}`, 1000},
	} {
		s.memory.set(func(m *memory) { m.down, m.imported = step.down, nil })
		a := s.do(t, operator, "POST", "/v1/import", `{"rows":[`+step.rows+`]}`)
		if got := strings.TrimSpace(string(a.raw)); a.status != step.status || !strings.Contains(got, step.contains) {
			t.Errorf("%s: got %d %s, want %d %s", step.sentence, a.status, got, step.status, step.contains)
		}
		if got := len(s.memory.imported); got != step.kept {
			t.Errorf("%s: %d rows went in, want %d", step.sentence, got, step.kept)
		}
		if a.status >= 400 {
			checkProblem(t, step.sentence, a)
		}
	}
}

func TestWhatARowOfAnImportSays(t *testing.T) {
	now := time.Now()
	const number callsign.MSISDN = 8613800000001
	said := func(network, account, text string) callsign.ImportRow {
		return callsign.ImportRow{MSISDN: number, Signature: callsign.Signature{
			Network: network, Account: account, Text: text, Stamp: callsign.TimedStamp(now), At: now,
		}}
	}
	for sentence, c := range map[string]struct {
		in      importRow
		refused string // "": it is not
		want    callsign.ImportRow
	}{
		"a number that is none":                        {importRow{MSISDN: "013800000001"}, "is not E.164: write +", callsign.ImportRow{}},
		"no number":                                    {importRow{}, "is not E.164", callsign.ImportRow{}},
		"a name of 201 characters":                     {importRow{Name: strings.Repeat("娜", 201)}, "name: ", callsign.ImportRow{}},
		"an account without a network":                 {importRow{Account: "1"}, "network: ", callsign.ImportRow{}},
		"a network without an account":                 {importRow{Network: "qq"}, "account: ", callsign.ImportRow{}},
		"a network's name is lower case":               {importRow{Network: "QQ", Account: "1"}, "network: use up to 32 small letters", callsign.ImportRow{}},
		"an account with a control character":          {importRow{Network: "qq", Account: "a\x00b"}, "account: ", callsign.ImportRow{}},
		"an account of 513 characters":                 {importRow{Network: "qq", Account: strings.Repeat("a", 513)}, "account: ", callsign.ImportRow{}},
		"somebody else's account for hand-set texts":   {importRow{Network: "manual", Account: "8613800000002"}, "account: ", callsign.ImportRow{}},
		"a number alone":                               {importRow{}, "", callsign.ImportRow{MSISDN: number}},
		"a name of 200 characters":                     {importRow{Name: strings.Repeat("娜", 200)}, "", callsign.ImportRow{MSISDN: number, Name: strings.Repeat("娜", 200)}},
		"a text alone is set by hand":                  {importRow{Text: "Back at six"}, "", said("manual", "8613800000001", "Back at six")},
		"a text of the network manual is set by hand":  {importRow{Network: "manual", Text: "x"}, "", said("manual", "8613800000001", "x")},
		"the account for hand-set texts may be named":  {importRow{Network: "manual", Account: "8613800000001", Text: "x"}, "", said("manual", "8613800000001", "x")},
		"a text beside an account is what it says":     {importRow{Network: "qq", Account: "1", Text: "x"}, "", said("qq", "1", "x")},
		"an account of 512 characters":                 {importRow{Network: "qq", Account: strings.Repeat("娜", 512), Text: "x"}, "", said("qq", strings.Repeat("娜", 512), "x")},
		"an account without a text says nothing of it": {importRow{Network: "qq", Account: "a b/c"}, "", callsign.ImportRow{MSISDN: number, Signature: callsign.Signature{Network: "qq", Account: "a b/c"}}},
	} {
		if c.in.MSISDN == "" && sentence != "no number" {
			c.in.MSISDN = "+86 138-0000-0001"
		}
		got, err := c.in.read(now)
		if c.refused != "" {
			if !strings.Contains(fmt.Sprint(err), c.refused) {
				t.Errorf("%s: refused as %v, want %q", sentence, err, c.refused)
			}
			continue
		}
		if origin := got.Origin; strings.HasPrefix(origin, "api/") != (c.want.Text != "") {
			t.Errorf("%s: it was said by %q", sentence, origin)
		}
		got.Origin = ""
		if err != nil || got != c.want {
			t.Errorf("%s: got %+v, %v, want %+v", sentence, got, err, c.want)
		}
	}
}

func TestAnImportAsksTheSourcesAgain(t *testing.T) {
	s, key := pushing(t, nil)
	s.memory.linked[[3]string{callsign.DefaultTenant, "qq", "taken"}] = 1666
	operator := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	qq, msn := connect(t, s.url, key), connect(t, s.url, s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "msn"}))
	qq.next("hello")
	msn.next("hello")
	rows := []string{
		`{"msisdn":"1","network":"qq","account":"taken"}`, `{"msisdn":"1","text":"by hand"}`,
	}
	const links = 2 * outQueue // no queue is too short for them
	for i := range links {
		rows = append(rows, fmt.Sprintf(`{"msisdn":"1","network":"qq","account":"%d"}`, i))
	}
	rows = append(rows, `{"msisdn":"1","network":"msn","account":"bill"}`)
	if a := s.do(t, operator, "POST", "/v1/import", `{"rows":[`+strings.Join(rows, ",")+`]}`); a.status != 200 {
		t.Fatalf("got %d %s", a.status, a.raw)
	}
	for i := range links {
		expect(t, "a linked account", qq.next("resync")["account"], fmt.Sprint(i))
	}
	expect(t, "another network's", msn.next("resync")["account"], "bill")
}
