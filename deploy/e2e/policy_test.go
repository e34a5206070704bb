package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
)

// file writes a document for a command to read.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "document.yaml")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTenCallersOfOneCallee calls one subscriber from ten phones at once and looks at what each shows; what-if, asked before, says the same.
func TestTenCallersOfOneCallee(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { tenCallers(t, "") })
	t.Run("PostgreSQL", func(t *testing.T) { tenCallers(t, peer.Postgres(t, false).Database("")) })
}

func tenCallers(t *testing.T, store string) {
	n := serve(t, func(c string) string {
		if store != "" {
			c = on(store)(c)
		}
		return strings.Replace(c, `["+86138"]`, `["+86", "+44"]`, 1)
	})
	n.says("On the road")
	n.command("policy", "put", bob.E164(), "-f", file(t, `
texts:
  dinner: { text: "Dinner at seven", languages: { zh: "七点吃饭" } }
  office: { text: "Please write to the office" }
  soon: { text: "Back soon", languages: { zh: "马上回来" } }
groups: { family: [+8613800000011, +8613800000012] }
languages: { +86: zh }
never: [+8613800000015]
rules:
  - { name: family, callers: ["@family"], show: office }
  - { name: mother, callers: [+8613800000011], show: dinner }
  - { name: customers, callers: ["+8613800000*"], show: signature }
  - { name: strangers, callers: [withheld], show: nothing }
  - { name: rest, show: soon }
`))
	n.command("policy", "put", "-f", file(t, "exclude: [\"+8613800000017\"]\ntime_zone: Asia/Shanghai\n"))
	n.do(http.MethodPut, "/v1/opt-outs/+8613800000016", "", nil)
	n.ready()
	type caller struct {
		relation string
		number   callsign.MSISDN
		withheld bool
		shows    string
	}
	callers := []caller{
		{"a number, in Chinese", 8613800000011, false, "七点吃饭"},
		{"one of the group", 8613800000012, false, "Please write to the office"},
		{"one with the prefix", 8613800000013, false, "On the road"},
		{"anybody else, in Chinese", 8613700000014, false, "马上回来"},
		{"anybody else from abroad", 447700900123, false, "Back soon"},
		{"one who is never shown anything", 8613800000015, false, ""},
		{"one who has opted out", 8613800000016, false, ""},
		{"one whom the operator excludes", 8613800000017, false, ""},
		{"one who withholds a number that has a rule", 8613800000018, true, ""},
		{"one out of show.caller_ranges", 33612345678, false, ""},
	}
	n.until("the tenant's policy to hold", func() bool { return n.whatIf(8613800000017).Refusal == "excluded" })
	var calls []*phones
	for _, c := range callers {
		if would := n.whatIfCalled(c.number, c.withheld); would.Text != c.shows || would.Show != (c.shows != "") || len(would.Rules) < 10 {
			t.Errorf("%s: what-if says %+v, want %q", c.relation, would, c.shows)
		}
		s := scene{caller: c.number, pause: 2 * time.Second, joined: true}
		if c.withheld {
			s.header = "Privacy: id"
		}
		calls = append(calls, n.call(s))
	}
	for _, c := range calls {
		c.complete()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for _, c := range callers {
		if c.shows != "" {
			if _, err := n.smsc.Wait(ctx, c.number, 1); err != nil {
				t.Errorf("%s is shown nothing, want %q", c.relation, c.shows)
			}
		}
	}
	for _, c := range callers {
		var got []string
		for _, m := range n.smsc.Messages(c.number) {
			got = append(got, m.Text)
		}
		if strings.Join(got, "|") != c.shows {
			t.Errorf("%s is shown %q, want %q", c.relation, got, c.shows)
		}
	}
	const sparing = callsign.MSISDN(8613800000013) // who was shown one text above
	n.do(http.MethodPut, "/v1/opt-outs/"+sparing.E164()+"?callee="+bob.E164(), `{"per_day":1}`, nil)
	n.do(http.MethodPut, "/v1/opt-outs/"+sparing.E164(), `{"per_day":9}`, nil)
	if would := n.whatIf(sparing); !would.Show || would.PerDay != 9 || would.PerCallee != 1 {
		t.Errorf("of who wants nine texts a day, and of one callee one, what-if says %+v", would)
	}
	n.call(scene{caller: sparing, pause: time.Second}).complete() // what came before the cap doesn't count
	if _, err := n.smsc.Wait(ctx, sparing, 2); err != nil {
		t.Errorf("who wants one text a day is shown none: %v", err)
	}
	n.call(scene{caller: sparing, pause: time.Second}).complete()
	if lines := n.timeline("skipped: day_cap"); len(n.smsc.Messages(sparing)) != 2 {
		t.Errorf("who wants one text a day is shown another, %q", lines)
	}
	if dry := n.command("call", "+8613800000012", bob.E164(), "--dry"); !strings.Contains(dry, "family: wins") || !strings.Contains(dry, "mother: other_caller") ||
		!strings.Contains(dry, "customers: loses") || !strings.Contains(dry, "by flash as gsm7: 26 of 160 units in 1 message(s)") {
		t.Errorf("call --dry prints\n%s", dry)
	}
	again := n.command("policy", "get", bob.E164())
	n.command("policy", "put", bob.E164(), "-f", file(t, again))
	if got := n.command("policy", "get", bob.E164()); got != again || !strings.Contains(got, "七点吃饭") {
		t.Errorf("what was exported is\n%s\nand once it is imported\n%s", again, got)
	}
	n.command("policy", "remove", bob.E164())
	n.until("the policy to be gone", func() bool { return n.whatIf(8613800000011).Text == "On the road" })
}

type wouldShow struct {
	Show          bool
	Text, Refusal string
	PerDay        int `json:"per_day"`
	PerCallee     int `json:"per_callee"`
	Rules         []struct{ Rule, Verdict string }
}

func (n *node) whatIf(caller callsign.MSISDN) wouldShow {
	n.t.Helper()
	return n.whatIfCalled(caller, false)
}

// whatIfCalled asks of a caller who may withhold the number.
func (n *node) whatIfCalled(caller callsign.MSISDN, withheld bool) (out wouldShow) {
	n.t.Helper()
	n.do(http.MethodPost, "/v1/whatif", fmt.Sprintf(`{"caller":%q,"callee":%q,"private":%v}`, caller.E164(), bob.E164(), withheld), &out)
	return out
}

// TestASubscribersOwnHandset has two handsets at the simulator: a subscriber's, and one whose holder becomes a subscriber by asking twice.
func TestASubscribersOwnHandset(t *testing.T) {
	t.Parallel()
	n := serve(t, func(c string) string { return c + "keywords: { links: [a], join: true }\n" })
	n.says("On the road")
	n.ready()
	count := map[callsign.MSISDN]int{}
	// sends has a handset send a text, and waits for the reply that begins so.
	sends := func(from callsign.MSISDN, text, reply string) {
		t.Helper()
		if err := n.smsc.Send(t.Context(), from, "10086", text); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		count[from]++
		got, err := n.smsc.Wait(ctx, from, count[from])
		if err != nil || !strings.HasPrefix(got[len(got)-1].Text, reply) || got[len(got)-1].Flash {
			t.Fatalf("%q is answered with %+v, %v, want %q", text, got, err, reply)
		}
	}
	says := func(want string) {
		t.Helper()
		n.until("what-if to say "+want, func() bool { w := n.whatIf(alice); return w.Text+w.Refusal == want })
	}
	sends(bob, "帮助", "发送文字")
	sends(bob, "OFF", "Callers see nothing")
	says("paused")
	sends(bob, "开启", "是否让")
	says("paused")
	sends(bob, "是", "来电者将重新看到您的签名")
	says("On the road")
	sends(bob, "In a tunnel", "Callers see your text now")
	says("In a tunnel")
	n.call(scene{pause: time.Second}).complete()
	if got := n.shown(1); got[0].Text != "In a tunnel" {
		t.Errorf("the caller is shown %+v", got)
	}

	const newcomer = callsign.MSISDN(8613800000021)
	sends(newcomer, "ON", "Do you want")
	var person struct {
		Subscriber *struct{ MSISDN string }
		Consent    *struct {
			Request, Asked, Reply string
			AskedAt               time.Time `json:"asked_at"`
			AskedLink             string    `json:"asked_link"`
			RepliedAt             time.Time `json:"replied_at"`
			ReplyLink             string    `json:"reply_link"`
		}
	}
	export := "/v1/subscribers/" + newcomer.E164() + "/export"
	if n.do(http.MethodGet, export, "", &person); person.Subscriber != nil || person.Consent == nil || person.Consent.Reply != "" {
		t.Errorf("before YES there is %+v", person)
	}
	sends(newcomer, "Yes", "Callers see your text again")
	n.do(http.MethodGet, export, "", &person)
	c := person.Consent
	if person.Subscriber == nil || c == nil || c.Request != "ON" || !strings.HasPrefix(c.Asked, "Do you want") || c.Reply != "Yes" || c.AskedLink != "a" || c.ReplyLink != "a" || c.RepliedAt.Before(c.AskedAt) {
		t.Errorf("after YES there is %+v with the proof %+v", person.Subscriber, c)
	}
	if audit := n.command("audit"); !strings.Contains(audit, "SMS JOIN") || !strings.Contains(audit, "SMS OFF") || !strings.Contains(audit, "SMS TEXT") || strings.Contains(audit, "tunnel") {
		t.Errorf("the audit has\n%s", audit)
	}
}

func TestAPolicysTextWaitsForApproval(t *testing.T) {
	t.Parallel()
	n := serve(t, nil)
	n.says("On the road")
	n.ready()
	says := func(want string) {
		t.Helper()
		n.until("what-if to say "+want, func() bool { w := n.whatIf(alice); return w.Text+w.Refusal == want })
	}
	n.command("policy", "put", "-f", file(t, "moderation: required"))
	n.do(http.MethodPut, "/v1/subscribers/"+bob.E164()+"/signature", `{"text":"On another road"}`, nil) // it is held as well, once that holds
	n.until("the operator's word to hold", func() bool {
		n.do(http.MethodPut, "/v1/subscribers/"+bob.E164()+"/signature", `{"text":"On a third road"}`, nil)
		return n.whatIf(alice).Refusal == "no_text"
	})
	n.command("policy", "put", bob.E164(), "-f", file(t, `{texts: {soon: {text: "Back soon"}}, rules: [{show: soon}]}`))
	says("no_text")
	var queue struct {
		Items []struct {
			Network, Account, Text string
			Epoch, Version         int64
		}
	}
	n.do(http.MethodGet, "/v1/reviews", "", &queue)
	approved := false
	for _, held := range queue.Items {
		if held.Network == "policy" && held.Account == "8613900000002/soon" && held.Text == "Back soon" {
			n.command("review", "approve", bob.E164(), held.Network, held.Account, fmt.Sprintf("%d@%d", held.Version, held.Epoch))
			approved = true
		}
	}
	if !approved {
		t.Fatalf("the queue has %+v", queue.Items)
	}
	says("Back soon")
	n.command("policy", "put", bob.E164(), "-f", file(t, `{texts: {soon: {text: "Back soon"}}, rules: [{show: soon}], repeat: once}`))
	says("Back soon") // it says the same
	n.command("policy", "put", bob.E164(), "-f", file(t, `{texts: {soon: {text: "Back late"}}, rules: [{show: soon}]}`))
	says("no_text")
}
