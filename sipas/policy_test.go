package sipas

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sipas/relay"
)

// documented gives the policy and the table that deploy/docs has.
func documented(t *testing.T) (p callsign.Policy, rows [][]string) {
	t.Helper()
	b, err := os.ReadFile("../deploy/docs/policies.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(b), "    cat > policy.yaml <<'END'\n")
	document, section, _ := strings.Cut(section, "    END\n")
	d := yaml.NewDecoder(strings.NewReader(document))
	d.KnownFields(true)
	if err := d.Decode(&p); err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(section, "| --- | --- | --- | --- |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	for line := range strings.Lines(table + "\n") {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "| "), " | ")
		if len(cells) != 4 {
			t.Fatalf("%q is no row", line)
		}
		rows = append(rows, cells)
	}
	if len(rows) < 16 {
		t.Fatalf("only %d rows", len(rows))
	}
	return p, rows
}

// shownAll has all texts of a policy approved.
func shownAll(p callsign.Policy) map[string]callsign.Signature {
	shown := map[string]callsign.Signature{}
	for name, text := range p.Texts {
		shown[name] = callsign.Signature{Shown: text.Text}
		for language, other := range text.Languages {
			shown[name+"/"+language] = callsign.Signature{Shown: other, Lang: language}
		}
	}
	return shown
}

func compiled(t testing.TB, p callsign.Policy) *callsign.Compiled {
	t.Helper()
	c, err := p.Compile(1, shownAll(p))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func anyCaller(t testing.TB) Operator {
	t.Helper()
	op, err := NewOperator(config(func(c *Config) { c.CallerRanges = []string{"any"} }))
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// TestTheDocumentedTable holds the rule that wins against its documentation.
func TestTheDocumentedTable(t *testing.T) {
	policy, rows := documented(t)
	p := callsign.Profile{MSISDN: bob, Tenant: "default", Signature: callsign.Signature{Shown: "the signature"}, Policy: compiled(t, policy)}
	op := anyCaller(t)
	shanghai, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		number, private := strings.CutPrefix(row[0], "withheld ")
		caller, err := callsign.ParseMSISDN(number)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.ParseInLocation("2006-01-02 15:04", row[1], shanghai)
		if err != nil {
			t.Fatal(err)
		}
		d := Decide(callsign.Call{Caller: caller, Callee: bob, Private: private, At: at}, p, op, at.UTC())
		got, won := d.Text, "no rule"
		if !d.Show {
			got = "nothing"
		}
		for _, r := range d.Considered() {
			if r.Verdict == callsign.Wins {
				won = r.Rule
			}
		}
		switch d.Refusal {
		case Never:
			won = "never"
		case Paused:
			won = "a pause"
		}
		if got != row[2] || !strings.HasPrefix(row[3], won) {
			t.Errorf("%s: got %q by %s", strings.Join(row, " | "), got, won)
		}
	}
}

func TestWhatOperatorsSay(t *testing.T) {
	berlin := `time_zone: Europe/Berlin
`
	for sentence, c := range map[string]struct {
		tenant string
		caller callsign.MSISDN
		change func(*callsign.Call)
		at     string
		want   string // a refusal; "" shows
	}{
		"a tenant that says nothing":                  {"{}", alice, nil, "", ""},
		"a caller in its ranges":                      {`callers: ["+86138*"]`, alice, nil, "", ""},
		"a caller outside":                            {`callers: ["+86139*"]`, alice, nil, "", CallerOutOfRange},
		"a caller between two numbers":                {`callers: ["+8613800000000-+8613800000009"]`, alice, nil, "", ""},
		"a caller beyond":                             {`callers: ["+8613800000002-+8613800000009"]`, alice, nil, "", CallerOutOfRange},
		"an excluded prefix":                          {`exclude: ["+86138*"]`, alice, nil, "", Excluded},
		"an excluded short code":                      {`exclude: ["10086"]`, 10086, nil, "", Excluded},
		"a number that begins like a short code":      {`exclude: ["138"]`, 13800000001, nil, "", ""},
		"an excluded callee":                          {`exclude: ["+8613900000002"]`, alice, nil, "", Excluded},
		"a withheld number, where these are skipped":  {`private: skip`, alice, func(c *callsign.Call) { c.Private = true }, "", Withheld},
		"a withheld number, where these are not":      {`private: show`, alice, func(c *callsign.Call) { c.Private = true }, "", ""},
		"an excluded caller who withholds the number": {`exclude: ["+8613800000001"]`, alice, func(c *callsign.Call) { c.Private = true }, "", Excluded},
		"a blackout's first minute, in winter":        {berlin + `blackouts: [{from: "02:30", to: "04:00"}]`, alice, nil, "2026-01-10T01:30:00Z", Blackout},
		"the minute before":                           {berlin + `blackouts: [{from: "02:30", to: "04:00"}]`, alice, nil, "2026-01-10T01:29:59Z", ""},
		"in summer an hour earlier":                   {berlin + `blackouts: [{from: "02:30", to: "04:00"}]`, alice, nil, "2026-07-10T00:30:00Z", Blackout},
		"its end":                                     {berlin + `blackouts: [{from: "02:30", to: "04:00"}]`, alice, nil, "2026-07-10T02:00:00Z", ""},
		"the night on which clocks go forward":        {berlin + `blackouts: [{from: "02:30", to: "04:00"}]`, alice, nil, "2026-03-29T01:30:00Z", Blackout}, // 03:30
		"a holiday":                                   {berlin + "holidays: [12-25]\nblackouts: [{holidays: true}]", alice, nil, "2026-12-24T23:00:00Z", Blackout},
		"the day after":                               {berlin + "holidays: [12-25]\nblackouts: [{holidays: true}]", alice, nil, "2026-12-25T23:00:00Z", ""},
		"a leap day":                                  {`blackouts: [{dates: [02-29]}]`, alice, nil, "2028-02-29T12:00:00Z", Blackout},
		"no channel over an access":                   {`channels: {3GPP-GERAN: none}`, alice, func(c *callsign.Call) { c.Access = "3gpp-geran" }, "", NoChannel},
		"a channel over the others":                   {`channels: {3GPP-GERAN: none, any: flash}`, alice, nil, "", ""},
		"none over ANY":                               {`channels: {3GPP-GERAN: flash, ANY: none}`, alice, nil, "", NoChannel},
		"none over any":                               {`channels: {3GPP-GERAN: flash, any: none}`, alice, nil, "", NoChannel},
	} {
		t.Run(sentence, func(t *testing.T) {
			var policy callsign.TenantPolicy
			if err := yaml.Unmarshal([]byte(c.tenant), &policy); err != nil {
				t.Fatal(err)
			}
			tenant, err := policy.Compile(1)
			if err != nil {
				t.Fatal(err)
			}
			at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
			if c.at != "" {
				if at, err = time.Parse(time.RFC3339, c.at); err != nil {
					t.Fatal(err)
				}
			}
			call := callsign.Call{Caller: c.caller, Callee: bob}
			if c.change != nil {
				c.change(&call)
			}
			if d := Decide(call, subscriber().profile, anyCaller(t).With(tenant), at); d.Refusal != c.want || d.Show != (c.want == "") {
				t.Errorf("refused by %q, want %q", d.Refusal, c.want)
			}
		})
	}
}

func TestHowItIsShown(t *testing.T) {
	once, day, hour := callsign.RepeatOnce, 24*time.Hour, time.Hour
	for sentence, c := range map[string]struct {
		node, tenant, subscriber string
		want                     time.Duration
	}{
		"nobody says anything":              {"always", "", "", callsign.RepeatAlways},
		"the node":                          {"24h", "", "", day},
		"the tenant":                        {"always", "24h", "", day},
		"the subscriber":                    {"always", "", "once", once},
		"the tenant never more than a node": {"24h", "always", "", day},
		"nor a subscriber":                  {"always", "24h", "1h", day},
		"but less":                          {"1h", "1h", "24h", day},
		"of once and a period the node's":   {"once", "1h", "1h", once},
		"and the tenant's":                  {"always", "1h", "once", hour},
	} {
		op, err := NewOperator(config(func(into *Config) { into.Repeat = c.node }))
		if err != nil {
			t.Fatal(err)
		}
		tenant, err := callsign.TenantPolicy{Repeat: c.tenant, PerDay: 3, Channels: map[string]string{"any": "flash"}}.Compile(1)
		if err != nil {
			t.Fatal(err)
		}
		p := subscriber().profile
		p.Policy = compiled(t, callsign.Policy{Repeat: c.subscriber})
		call := callsign.Call{Caller: alice, Callee: bob}
		d := Decide(call, p, op.With(tenant), time.Now()).Delivery(call, p)
		if d.Repeat != c.want || d.PerDay != 3 || d.Channel != "flash" {
			t.Errorf("%s: repeat %v, %d a day, by %q, want %v, 3 and flash", sentence, d.Repeat, d.PerDay, d.Channel, c.want)
		}
	}
}

// callers are few, so that what is drawn often meets.
var callers = []callsign.MSISDN{alice, 8613800000002, 8613800000003, 8613700000004, 8613700000005, 447700900123, 8613900000006, 13105550100, 10086, bob}

func drawCallers(t *rapid.T) []string {
	return rapid.SliceOfN(rapid.SampledFrom([]string{
		"+8613800000001", "+8613800000002", "+86138*", "+8613*", "+44*", "@family", "@work", callsign.Withheld, "+8613700000000-+8613700000009", "+8613900000006",
	}), 0, 3).Draw(t, "callers")
}

func drawWhen(t *rapid.T) callsign.When {
	w := callsign.When{
		Days:     rapid.SliceOfN(rapid.SampledFrom([]string{"mon", "tue", "wed", "sat", "sun"}), 0, 3).Draw(t, "days"),
		Dates:    rapid.SampledFrom([][]string{nil, nil, nil, {"2026-03-02"}, {"2026-03-01..2026-03-04", "12-25"}}).Draw(t, "dates"),
		Holidays: rapid.IntRange(0, 5).Draw(t, "holidays") == 0,
	}
	if rapid.Bool().Draw(t, "times") {
		w.From, w.To = rapid.SampledFrom([]string{"", "22:00", "09:00"}).Draw(t, "from"), rapid.SampledFrom([]string{"06:00", "18:00", "24:00"}).Draw(t, "to")
	}
	return w
}

func TestATextWaitsInItsOwnLanguage(t *testing.T) {
	policy := callsign.Policy{
		Texts:     map[string]callsign.PolicyText{"a": {Text: "hello", Languages: map[string]string{"zh": "你好"}}},
		Languages: map[string]string{"+86": "zh", "+49": "de"},
		Rules:     []callsign.PolicyRule{{Name: "all", Show: "a"}},
	}
	for sentence, c := range map[string]struct {
		shown  map[string]callsign.Signature
		caller callsign.MSISDN
		want   string
	}{
		"one that waits is shown in no other":      {map[string]callsign.Signature{"a": {Shown: "hello"}}, alice, ""},
		"one that is approved is shown":            {map[string]callsign.Signature{"a/zh": {Shown: "你好"}}, alice, "你好"},
		"one that isn't there is shown as it is":   {map[string]callsign.Signature{"a": {Shown: "hello"}}, 4915100000001, "hello"},
		"which waits, too, whatever the others do": {map[string]callsign.Signature{"a/zh": {Shown: "你好"}}, 4915100000001, ""},
	} {
		compiled, err := policy.Compile(1, c.shown)
		if err != nil {
			t.Fatal(err)
		}
		p := callsign.Profile{MSISDN: bob, Tenant: "default", Signature: callsign.Signature{Shown: "the signature"}, Policy: compiled}
		if d := Decide(callsign.Call{Caller: c.caller, Callee: bob}, p, anyCaller(t), time.Now()); d.Text != c.want || d.Show != (c.want != "") {
			t.Errorf("%s: got %q, %v, want %q", sentence, d.Text, d.Refusal, c.want)
		}
	}
}

func drawPolicy(t *rapid.T) (p callsign.Policy) {
	p = callsign.Policy{
		TimeZone: rapid.SampledFrom([]string{"", "Asia/Shanghai", "America/New_York"}).Draw(t, "zone"),
		Groups:   map[string][]string{"family": {"+8613800000002", "+8613700000004"}, "work": {"+8613800000003"}},
		Texts: map[string]callsign.PolicyText{
			"a": {Text: "text a"}, "b": {Text: "text b until {end}", Languages: map[string]string{"zh": "乙 {end}"}}, "c": {Text: "unapproved c"},
		},
		Languages: map[string]string{"+86": "zh"},
		Holidays:  []string{"2026-03-03"},
		Never:     rapid.SampledFrom([][]string{nil, nil, {"+8613800000002"}, {"@work", callsign.Withheld}}).Draw(t, "never"),
		Paused:    rapid.IntRange(0, 19).Draw(t, "paused") == 0,
		Default:   rapid.SampledFrom([]string{"", "a", "c"}).Draw(t, "default"),
	}
	if rapid.IntRange(0, 4).Draw(t, "status") == 0 {
		p.Status = &callsign.PolicyStatus{Show: "b", Until: time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)}
	}
	for i := range rapid.IntRange(0, 8).Draw(t, "rules") {
		r := callsign.PolicyRule{Name: fmt.Sprint("rule ", i), Callers: drawCallers(t), When: drawWhen(t)}
		shows := []string{"signature", "nothing", "a", "c"}
		if r.To != "" {
			shows = append(shows, "b")
		}
		r.Show = rapid.SampledFrom(shows).Draw(t, "show")
		p.Rules = append(p.Rules, r)
	}
	return p
}

func drawTenant(t *rapid.T) *callsign.Tenant {
	c, err := callsign.TenantPolicy{
		Callers:   rapid.SampledFrom([][]string{nil, {"+86*", "+44*"}}).Draw(t, "tenant's callers"),
		Exclude:   rapid.SampledFrom([][]string{nil, {"+86137*"}, {"10086"}}).Draw(t, "exclude"),
		Private:   rapid.SampledFrom([]string{"", "skip"}).Draw(t, "private"),
		Blackouts: rapid.SampledFrom([][]callsign.When{nil, nil, {{From: "22:00", To: "06:00"}}}).Draw(t, "blackouts"),
	}.Compile(1)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// approved has all of a policy's texts but c.
func approved(t *rapid.T, p callsign.Policy) *callsign.Compiled {
	shown := shownAll(p)
	delete(shown, "c")
	c, err := p.Compile(1, shown)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func drawCall(t *rapid.T) (callsign.Call, time.Time) {
	c := callsign.Call{Caller: rapid.SampledFrom(callers).Draw(t, "caller"), Callee: bob, Private: rapid.IntRange(0, 4).Draw(t, "withheld") == 0}
	return c, time.Date(2026, 3, 1, 0, rapid.IntRange(0, 5*24*60).Draw(t, "minutes"), 0, 0, time.UTC)
}

func drawProfile(t *rapid.T, p callsign.Policy) callsign.Profile {
	return callsign.Profile{
		MSISDN: bob, Tenant: "default", Policy: approved(t, p),
		Signature: callsign.Signature{Shown: rapid.SampledFrom([]string{"", "signature"}).Draw(t, "signature")},
	}
}

// replay makes the outcome anew of nothing but what was found of the rules.
func replay(rules []Considered) (refusal, winner string) {
	for _, r := range rules {
		if r.Verdict == callsign.Wins {
			winner = r.Rule
		}
		if r.Refusal != "" && refusal == "" {
			refusal = r.Refusal
		}
	}
	return refusal, winner
}

func TestAnyPolicyAndCall(t *testing.T) {
	op := anyCaller(t)
	rapid.Check(t, func(t *rapid.T) {
		policy := drawPolicy(t)
		p, tenant := drawProfile(t, policy), drawTenant(t)
		call, at := drawCall(t)
		d := Decide(call, p, op.With(tenant), at)

		considered := d.Considered()
		refusal, winner := replay(considered)
		if refusal != d.Refusal || d.Show != (refusal == "") || d.Show != (d.Text != "") {
			t.Errorf("its reasons give %q, it was %+v", refusal, d)
		}
		if strings.Contains(d.Text, "unapproved") || strings.Contains(d.Text, "{end}") {
			t.Errorf("%q is shown", d.Text)
		}
		if tenant.Excludes(call) && d.Show {
			t.Error("an excluded call is shown a text")
		}
		// The winner is what a slow look at all of them finds.
		best, most := "", -1
		asked := p.Policy.Asked(call, at, tenant)
		for i := range p.Policy.Rules {
			if rank, _ := p.Policy.Rules[i].Match(&asked); rank > most {
				best, most = p.Policy.Rules[i].Title, rank
			}
		}
		if winner != best {
			t.Errorf("%q wins, want %q", winner, best)
		}
		// A rule that does not match changes nothing.
		without := policy
		without.Rules = slices.Clone(policy.Rules)
		without.Rules = slices.DeleteFunc(without.Rules, func(r callsign.PolicyRule) bool {
			return slices.ContainsFunc(considered, func(c Considered) bool {
				return c.Rule == r.Name && (c.Verdict == callsign.OtherCaller || c.Verdict == callsign.OtherTime)
			})
		})
		p.Policy = approved(t, without)
		if again := Decide(call, p, op.With(tenant), at); again.Text != d.Text || again.Refusal != d.Refusal {
			t.Errorf("without the rules that don't match: %q, %q instead of %q, %q", again.Text, again.Refusal, d.Text, d.Refusal)
		}
	})
}

// BenchmarkDecide100Rules is of a hundred rules of all kinds, of which half match.
func BenchmarkDecide100Rules(b *testing.B) {
	policy := callsign.Policy{
		TimeZone: "Asia/Shanghai", Groups: map[string][]string{}, Texts: map[string]callsign.PolicyText{"a": {Text: "In a meeting until {end}"}}, Holidays: []string{"01-01"},
	}
	for i := range 1000 {
		policy.Groups["all"] = append(policy.Groups["all"], fmt.Sprintf("+86137%08d", i))
	}
	for i := range 100 {
		r := callsign.PolicyRule{Show: "a", When: callsign.When{From: "00:00", To: "24:00"}}
		switch i % 5 {
		case 0:
			r.Callers = []string{fmt.Sprintf("+86138%08d", i+1), fmt.Sprintf("+86139%08d", i)}
		case 1:
			r.Callers = []string{"@all"}
		case 2:
			r.Callers = []string{"+86138*", "+8613800*"}
		case 3:
			r.Days, r.From, r.To = []string{"mon", "tue", "wed", "thu", "fri"}, "22:00", "20:00"
		case 4:
			r.Callers, r.Dates = []string{"+86*"}, []string{"2026-03-01..2026-03-31", "12-25"}
		}
		policy.Rules = append(policy.Rules, r)
	}
	p := subscriber().profile
	p.Policy = compiled(b, policy)
	op := anyCaller(b)
	call, now := callsign.Call{Caller: alice, Callee: bob}, time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	b.ReportAllocs()
	for b.Loop() {
		if d := Decide(call, p, op, now); d.Text != "In a meeting until 24:00" {
			b.Fatalf("%+v", d)
		}
	}
}

type tenants struct{ t *callsign.Tenant }

func (ts tenants) Tenant(string) (*callsign.Tenant, bool) { return ts.t, ts.t != nil }

type optedOut map[callsign.MSISDN]bool

func (o optedOut) Wants(caller, _ callsign.MSISDN) (callsign.Wants, bool) {
	return callsign.Wants{None: o[caller]}, true
}

// TestWhatIfEqualsCalls makes a thousand calls to subscribers with any policies, and asks before each what it would show.
func TestWhatIfEqualsCalls(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for range 10 { // Check makes a hundred of these
			r := subscriber()
			r.profile = drawProfile(t, drawPolicy(t))
			out := optedOut{rapid.SampledFrom(callers).Draw(t, "opted out"): true}
			ws, err := New(Options{
				Config: config(func(c *Config) { c.CallerRanges, c.At = []string{"any"}, "invite" }), Profiles: r, Claims: r, Bridge: r, Recorder: r,
				OptOuts: out, Tenants: tenants{drawTenant(t)},
			})
			if err != nil {
				t.Fatal(err)
			}
			call, at := drawCall(t)
			would := ws.Decide(call, r.profile, at)

			header := "Content-Length"
			if call.Private {
				header = "Privacy: id\r\nContent-Length"
			}
			w := ws.newWorker(nil)
			w.event(context.Background(), relay.Event{
				Branch: callsign.BranchKey{1}, At: at, Peer: netip.MustParseAddrPort("127.0.0.1:6060"),
				Invite: []byte(strings.NewReplacer("+8613800000001", call.Caller.E164(), "Content-Length", header).Replace(invite)),
			})
			w.beside.Wait()
			shown := ""
			if len(r.deliveries) > 0 {
				shown = r.deliveries[0].Text
			}
			refused := ""
			for _, e := range r.events {
				if e.Kind == callsign.EventSkipped {
					refused = e.Reason
				}
			}
			if would.textless {
				refused = would.Refusal // it leaves no timeline
			}
			switch {
			case shown != would.Text || refused != would.Refusal:
				t.Fatalf("a call showed %q (%q), what-if said %q (%q)", shown, refused, would.Text, would.Refusal)
			case out[call.Caller] && shown != "", strings.Contains(shown, "unapproved"):
				t.Fatalf("%v was shown %q", call.Caller, shown)
			}
		}
	})
}

func TestWhileTheTenantsPoliciesAreNotKnownNothingIsSent(t *testing.T) {
	r := subscriber()
	ws, err := New(Options{Config: config(nil), Profiles: r, Claims: r, Bridge: r, Recorder: r, Tenants: tenants{}})
	if err != nil {
		t.Fatal(err)
	}
	if d := ws.Decide(callsign.Call{Caller: alice, Callee: bob}, r.profile, time.Now()); d.Show || d.Refusal != Unavailable {
		t.Errorf("%+v", d)
	}
}
