package callsign

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestAPolicyThatCantBeUsedSaysWhatToDo(t *testing.T) {
	many := func(n int, item string) string { return strings.TrimSuffix(strings.Repeat(item+",", n), ",") }
	for document, want := range map[string]string{
		`{"time_zone":"Mars"}`:                                                     "Asia/Shanghai",
		`{"time_zone":"Local"}`:                                                    "Asia/Shanghai",
		`{"account":"qq"}`:                                                         "NETWORK/ACCOUNT",
		`{"account":"policy/1"}`:                                                   "NETWORK/ACCOUNT",
		`{"never":["all"]}`:                                                        "never",
		`{"never":["+8613800000009-+8613800000001"]}`:                              "range",
		`{"never":["*"]}`:                                                          "never",
		`{"never":["@family"]}`:                                                    "add it to groups",
		`{"groups":{"f":["+86138*"]}}`:                                             "use numbers",
		`{"groups":{"f":["withheld"]}}`:                                            "use numbers",
		`{"groups":{"a b":["1"]}}`:                                                 "letters",
		`{"groups":{"f":[` + many(1001, `"1"`) + `]}}`:                             "1000",
		`{"texts":{"nothing":{"text":"x"}}}`:                                       "no name",
		`{"texts":{"a/b":{"text":"x"}}}`:                                           "no name",
		`{"texts":{"a":{"text":"x","languages":{"中":"x"}}}}`:                       "language",
		`{"languages":{"86":"z"}}`:                                                 "country code",
		`{"languages":{"cn":"zh"}}`:                                                "country code",
		`{"rules":[{"show":"dinner"}]}`:                                            "rules[0]",
		`{"rules":[{"show":"nothing","days":["Monday"]}]}`:                         "mon",
		`{"rules":[{"show":"nothing","from":"9"}]}`:                                "09:00",
		`{"rules":[{"show":"nothing","from":"09:00","to":"09:00"}]}`:               "09:00",
		`{"rules":[{"show":"nothing","dates":["2026-02-30"]}]}`:                    "2026-10-01",
		`{"rules":[{"show":"nothing","dates":["2026-10-07..2026-10-01"]}]}`:        "2026-10-01",
		`{"rules":[{"show":"nothing","dates":["10-01..10-07"]}]}`:                  "2026-10-01",
		`{"rules":[{"show":"a"}],"texts":{"a":{"text":"until {end}"}}}`:            "give it a time to",
		`{"rules":[` + many(201, `{"show":"nothing"}`) + `]}`:                      "200",
		`{"texts":{"a":{"text":"` + strings.Repeat("x", 50<<10) + `"}}}`:           "49152",
		`{"default":"a"}`:                                                          "default",
		`{"default":"a","texts":{"a":{"text":"x","languages":{"zh":"{end}"}}}}`:    "without {end}",
		`{"status":{"show":"a","until":"2026-01-01T00:00:00Z"}}`:                   "name one of texts",
		`{"status":{"show":"a"},"texts":{"a":{"text":"x"}}}`:                       "an end",
		`{"pauses":[{"from":"2026-01-02T00:00:00Z","to":"2026-01-01T00:00:00Z"}]}`: "let it end after it begins",
		`{"repeat":"sometimes"}`:                                                   "24h",
		`{"repeat":"10s"}`:                                                         "24h",
	} {
		var p Policy
		if err := json.Unmarshal([]byte(document), &p); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Compile(1, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s: %v, want it to say %q", document, err, want)
		}
	}
	for document, want := range map[string]string{
		`{"private":"hide"}`:                                     "show or skip",
		`{"moderation":"on"}`:                                    "required",
		`{"channels":{"3GPP-GERAN":"sms"}}`:                      "flash, ussd or none",
		`{"callers":["@staff"]}`:                                 "groups",
		`{"exclude":["10086","withheld"]}`:                       "private: skip",
		`{"callers":["withheld"]}`:                               "private: skip",
		`{"channels":{"3GPP-GERAN":"none","3gpp-geran":"ussd"}}`: "twice",
		`{"blackouts":[{"days":["mon"],"to":"25:00"}]}`:          "blackouts[0]",
		`{"max_rules":201}`:                                      "200",
		`{"per_day":-1}`:                                         "1000",
	} {
		var p TenantPolicy
		if err := json.Unmarshal([]byte(document), &p); err != nil {
			t.Fatal(err)
		}
		if _, err := p.Compile(1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want it to say %q", document, err, want)
		}
	}
}

func TestTheOperatorBoundsAPolicy(t *testing.T) {
	rules := Policy{Rules: []PolicyRule{{Show: ShowNothing}, {Show: ShowNothing}}}
	for most, ok := range map[int]bool{0: true, 1: false, 2: true} {
		tenant, err := TenantPolicy{MaxRules: most}.Compile(1)
		if err != nil {
			t.Fatal(err)
		}
		if err := tenant.Bounds(rules); (err == nil) != ok {
			t.Errorf("two rules of %d: %v", most, err)
		}
	}
	strict, err := TenantPolicy{MaxRules: 1}.Compile(1)
	if err != nil {
		t.Fatal(err)
	}
	paused := rules
	if paused.Paused = true; strict.Bounds(paused) != nil {
		t.Error("what is paused is refused, so OFF would be")
	}
	if err := (*Tenant)(nil).Bounds(rules); err != nil {
		t.Error(err)
	}
}

// FuzzPolicy compiles any policy; one that can be used is asked about calls, and again after it went through JSON.
func FuzzPolicy(f *testing.F) {
	f.Add([]byte(`{"time_zone":"Asia/Shanghai","groups":{"f":["+8613800000001"]},"never":["+8617*","withheld"],"texts":{"a":{"text":"until {end}","languages":{"zh":"到{end}"}}},
		"status":{"show":"a","until":"2026-03-02T12:00:00Z"},"languages":{"+86":"zh"},"holidays":["12-25"],"repeat":"24h","pauses":[{"from":"2026-03-01T00:00:00Z","to":"2026-03-02T00:00:00Z"}],
		"rules":[{"callers":["@f","+86138*","+1-+2"],"days":["mon"],"from":"22:00","to":"06:00","dates":["2026-03-01..2026-03-04"],"show":"a"},{"holidays":true,"show":"nothing"}]}`), uint64(8613800000001), int64(1772445600))
	f.Add([]byte(`{}`), uint64(0), int64(0))
	f.Fuzz(func(t *testing.T, document []byte, number uint64, unix int64) {
		var p Policy
		if json.Unmarshal(document, &p) != nil {
			return
		}
		shown := map[string]Signature{}
		for name := range p.Texts {
			shown[name] = Signature{Shown: "until {end}"}
		}
		c, err := p.Compile(1, shown)
		if err != nil {
			return
		}
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var q Policy
		if err := json.Unmarshal(again, &q); err != nil {
			t.Fatal(err)
		}
		d, err := q.Compile(1, shown)
		if err != nil {
			t.Fatalf("after JSON: %v", err)
		}
		call := Call{Caller: MSISDN(number % 1e15)}
		at := time.Unix(unix%(1<<36), 0)
		a, b := c.Asked(call, at, nil), d.Asked(call, at, nil)
		if c.Never(&a) != d.Never(&b) || c.Paused(at) != d.Paused(at) {
			t.Error("it changed on its way through JSON")
		}
		for i := range c.Rules {
			rank, v := c.Rules[i].Match(&a)
			if otherRank, other := d.Rules[i].Match(&b); rank != otherRank || v != other || (rank >= 0) != (v == Loses) {
				t.Errorf("%s: %d %v, after JSON %d %v", c.Rules[i].Title, rank, v, otherRank, other)
			}
			if text := c.Text(c.Rules[i].Show, &c.Rules[i], &a); rank >= 0 && strings.Contains(text.Shown, "{end}") {
				t.Errorf("%s shows %q", fmt.Sprint(c.Rules[i].Title), text.Shown)
			}
		}
	})
}
