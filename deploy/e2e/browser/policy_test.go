package browser_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/callsign-as/callsign"
)

// policyOf is what the API keeps at a path, "" for none.
func (n *node) policyOf(path string) (p callsign.Policy) {
	n.t.Helper()
	n.do(http.MethodGet, path, "", &p)
	return p
}

// form is a policy on its page, and row what stands in it at a place.
const form = "form.policy"

func row(name string, i int) string { return fmt.Sprintf(`form.policy [data-row="%s%d"]`, name, i) }

// policies edits a subscriber's policy and that of all, as the one who looks at the phone of its callers.
func policies(t *testing.T, n *node, b *browser) {
	path := "/v1/subscribers/" + bob.E164() + "/policy"
	n.says("My signature")
	b.open("#/subscribers/" + bob.E164())
	b.is("a subscriber without a policy", `document.querySelector('form.policy')?.textContent.includes('has no policy of their own')`)

	// Texts, a rule by caller and one by time.
	b.pressIn(form, "Add: Texts")
	b.fill(row("texts", 0), "Name", "dinner")
	b.fill(row("texts", 0), "Text; {end} stands for its end", "Dinner at seven")
	b.pressIn(form, "Add: Texts")
	b.fill(row("texts", 1), "Text; {end} stands for its end", "You win the lottery")
	b.fill(row("texts", 1), "Name", "dinner")
	b.is("a name that another has to be refused", fmt.Sprintf(`document.querySelector('%s input').validity.customError`, row("texts", 1)))
	b.fill(row("texts", 1), "Name", "text2")
	b.pressIn(form, "Add: Rules")
	b.is("the new rule to have the focus", fmt.Sprintf("!!document.activeElement.closest('%s')", row("rules", 0)))
	b.fill(row("rules", 0), "Callers; none: everybody", alice.E164()+", +86137*")
	b.fill(row("rules", 0), "Shows", "dinner")
	b.pressIn(form, "Add: Rules")
	b.fill(row("rules", 1), "Name", "at night")
	b.fill(row("rules", 1), "Shows", "nothing")
	b.fill(row("rules", 1), "From (22:00)", "25:00")
	b.fill(row("rules", 1), "To (07:00)", "07:00")
	b.run(chromedp.Evaluate(fmt.Sprintf(`document.querySelectorAll('%s .tick input')[5].click()`, row("rules", 1)), nil))
	b.fill(form, "Show nothing to these callers", "+8613800000009")

	// What the API refuses stands beside what it is of, and nothing of the rest is lost.
	b.pressIn(form, "Save")
	b.is("the refusal beside its rule", fmt.Sprintf(`document.querySelector('%s [data-wrong]').textContent.includes('"25:00"')`, row("rules", 1)))
	b.picture("policy-refused", 1280, 900)
	b.fill(row("rules", 1), "From (22:00)", "22:00")
	b.pressIn(form, "Save")
	b.is("that it is kept", "document.querySelector('#toasts').textContent.includes('The policy is kept')")
	b.is("a text that waits", fmt.Sprintf(`document.querySelector('%s .review-pending')?.textContent === 'Waiting'`, row("texts", 1)))
	got, _ := json.Marshal(n.policyOf(path))
	want := `{"never":["+8613800000009"],"texts":{"dinner":{"text":"Dinner at seven"},"text2":{"text":"You win the lottery"}},` +
		`"rules":[{"callers":["+8613800000001","+86137*"],"show":"dinner"},{"name":"at night","days":["sat"],"from":"22:00","to":"07:00","show":"nothing"}]}`
	if string(got) != want {
		t.Errorf("kept is\n%s, want\n%s", got, want)
	}

	// What another one changed meanwhile is not written over.
	n.do(http.MethodPut, path, `{"texts":{"dinner":{"text":"Dinner at eight"}},"rules":[{"name":"theirs","show":"dinner"},{"callers":["+8613800000005"],"show":"nothing"}]}`, nil)
	b.pressIn(form, "Save")
	b.is("that it was changed", `document.querySelector('form.policy').textContent.includes('Somebody changed it')`)
	b.pressIn(form, "Look at theirs")
	b.is("theirs", fmt.Sprintf(`document.querySelector('%s input').value === 'theirs'`, row("rules", 0)))

	// The text is the same document: what is no JSON is told and not sent, what is fills the forms.
	b.pressIn(form, "All of it, as text")
	b.fill(form, "All of it, as text", `{"paused": true,`)
	b.pressIn(form, "Save")
	b.is("why it can't be saved", `document.querySelector('form.policy').textContent.includes('no JSON document')`)
	if n.policyOf(path).Paused {
		t.Error("half a document was kept")
	}
	b.fill(form, "All of it, as text", `{"pauzed": true}`)
	b.pressIn(form, "Save")
	b.is("the unknown member", `document.querySelector('form.policy').textContent.includes('unexpected property')`)
	b.fill(form, "All of it, as text", `{"texts":{"dinner":{"text":"Dinner at nine"}},"groups":{"family":["+8613800000001"]},"rules":[{"name":"home","callers":["@family"],"show":"dinner"},{"callers":["+8613800000005"],"show":"nothing"}]}`)
	b.is("its rule as a form", fmt.Sprintf(`document.querySelector('%s input').value === 'home'`, row("rules", 0)))
	b.pressIn(form, "Save")
	b.is("that it is kept", "document.querySelector('form.policy [role=status]').textContent === ''")
	b.pressIn(form, "Move Rule 2 up")
	b.pressIn(form, "Take away Rule 1")
	b.is("one rule to be left, unsaved", `document.querySelectorAll('form.policy [data-row^=rules]').length === 1 && document.querySelector('form.policy').textContent.includes('Not saved yet.')`)

	// What-if names every rule; the phone shows the rule's text.
	whatIf := func(caller string) {
		b.fill("section:has(> div > .whatif)", "Calling number", caller)
		b.pressIn("section:has(> div > .whatif)", "Ask")
	}
	whatIf(alice.E164())
	b.is("the rule that wins", `[...document.querySelectorAll('.whatif tr')].some((r) => r.textContent === 'homewins') && document.querySelector('.whatif .message-text').textContent === 'Dinner at nine'`)
	b.is("the one for others, and what is asked of each call", `['Rule 2for other callers', 'show.caller_ranges has the calleryes', 'The subscriber has a text to showyes'].every((want) => [...document.querySelectorAll('.whatif tr')].some((r) => r.textContent === want))`)
	b.picture("whatif-rules", 1280, 1400)
	whatIf("+8613800000005")
	b.is("the rule that shows nothing", `[...document.querySelectorAll('.whatif tr')].some((r) => r.textContent.startsWith('Rule 2wins: ')) && document.querySelector('.whatif .phone-dark').textContent.includes("the subscriber's rule for this call shows nothing")`)

	// A call's timeline says which text of the policy it was.
	call := n.call(time.Second)
	call.complete()
	b.open("#/live")
	b.is("the policy's text on the phone", `document.querySelector('.stage .message-text')?.textContent === 'Dinner at nine'`)
	b.is("whose it is", `document.querySelector('.stage .kind-decided').textContent.includes("the policy's text dinner")`)

	// What holds for all binds it.
	b.open("#/policy")
	b.fill(form, "Calls from or to these are shown nothing", "10086; "+alice.E164())
	b.fill(form, "Texts to one caller a day; 0: no limit", "20")
	b.pressIn(form, "Add: Times in which nothing is shown")
	b.fill(row("blackouts", 0), "From (22:00)", "02:00")
	b.fill(row("blackouts", 0), "To (07:00)", "2am")
	b.pressIn(form, "Save")
	b.is("the refusal beside its time", fmt.Sprintf(`document.querySelector('%s [data-wrong]').textContent.includes('2am')`, row("blackouts", 0)))
	b.pressIn(row("blackouts", 0), "Take away Time 1")
	b.pressIn(form, "Add: Channels by access")
	b.fill(row("channels", 0), "Access, like 3GPP-GERAN, or any", "any")
	b.fill(row("channels", 0), "Channel", "flash")
	b.picture("policy-of-all", 1280, 900)
	b.pressIn(form, "Save")
	b.is("that it is kept", "document.querySelector('form.policy [role=status]').textContent === ''")
	var all callsign.TenantPolicy
	n.do(http.MethodGet, "/v1/policy", "", &all)
	if got, want := fmt.Sprint(all.Exclude, all.PerDay, all.Channels, all.Blackouts), "[10086 +8613800000001] 20 map[any:flash] []"; got != want {
		t.Errorf("kept is %s, want %s", got, want)
	}
	b.open("#/subscribers/" + bob.E164())
	whatIf(alice.E164())
	b.is("what the operator excludes", `document.querySelector('.whatif .phone-dark')?.textContent.includes('the operator excludes the caller or the callee')`)
	b.open("#/policy")
	b.pressIn(form, "Remove")
	b.is("that there is none", `document.querySelector('form.policy').textContent.includes('No policy is set for all')`)
	n.do(http.MethodDelete, path, "", nil)
}

// optOuts opts a caller out and in again.
func optOuts(t *testing.T, n *node, b *browser) {
	b.open("#/optouts")
	b.is("nobody", "!!document.querySelector('.page-optouts .empty')")
	b.fill(".page-optouts", "Caller", "nobody")
	b.pressIn(".page-optouts", "Opt out")
	b.is("what is no number to be refused", "document.querySelector('#toasts').textContent.includes(\"can't be kept: \")")
	b.fill(".page-optouts", "Caller", alice.E164())
	b.pressIn(".page-optouts", "Opt out")
	b.is("the caller", fmt.Sprintf("document.querySelector('.page-optouts td')?.textContent === %q", alice.E164()))
	if got := n.shownTo(alice); got != "" {
		t.Errorf("who has opted out would be shown %q", got)
	}
	b.pressIn(".page-optouts", "Opt in "+alice.E164()+" again")
	b.is("nobody again", "!!document.querySelector('.page-optouts .empty')")
	if got := n.shownTo(alice); got == "" {
		t.Error("who has opted in again would be shown nothing")
	}
}

// hostile puts what would run, turn around or pile up, if it were more than a text, into every field that a page shows.
func hostile(t *testing.T, n *node, b *browser) {
	const carol = callsign.MSISDN(8613900000003)
	quoted := func(s string) string { q, _ := json.Marshal(s); return string(q) }
	const script = `<script>window.ran = true</script><img src=x onerror="window.ran = true">`
	const turned = "\u202egnp.exe\u2066"
	zalgo := strings.Repeat("Z\u0353\u0310\u0337a\u0327\u0311\u0334lgo", 100) // 2 KB
	one := "/v1/subscribers/" + carol.E164()
	n.do(http.MethodPut, one, `{"name":`+quoted(script+turned+strings.Repeat("w", 100))+`}`, nil)
	n.do(http.MethodPut, one+"/signature", `{"text":`+quoted(script+" "+zalgo)+`}`, nil)
	n.do(http.MethodPut, one+"/accounts/qq/"+url.PathEscape(script+strings.Repeat("w", 200)), "", nil)
	n.do(http.MethodPut, one+"/accounts/qq/"+url.PathEscape(turned+strings.Repeat("\u0353Z", 100)), "", nil)
	n.do(http.MethodPost, "/v1/keys", `{"name":`+quoted(script+turned+zalgo[:100])+`,"role":"operator"}`, nil)
	n.do(http.MethodPut, one+"/policy", `{"texts":{"a":{"text":`+quoted(script+turned+zalgo[:1000])+`},"held":{"text":`+quoted(script+" lottery "+zalgo[:1000])+
		`}},"rules":[{"name":`+quoted(script[:64])+`,"callers":["+8613800000003"],"show":"a"},{"name":`+quoted(turned+"\u0353Z\u0353Z")+`,"show":"signature"}]}`, nil)
	n.do(http.MethodPost, "/v1/test-calls", `{"caller":"+8613800000003","callee":"`+carol.E164()+`"}`, nil)
	n.do(http.MethodPost, "/v1/test-calls", `{"caller":"+8613800000004","callee":"`+carol.E164()+`"}`, nil)
	var calls struct{ Items []struct{ ID string } }
	n.do(http.MethodGet, "/v1/calls?limit=1&callee="+url.QueryEscape(carol.E164()), "", &calls)

	pages := map[string]string{ // to what of it stands there
		"#/live": "<script>", "#/calls/" + calls.Items[0].ID: "<script>", "#/subscribers": "<script>", "#/subscribers/" + carol.E164(): "<script>",
		"#/reviews": "<script>", "#/keys": "<script>", "#/audit": "/v1/keys",
	}
	for hash, want := range pages {
		b.open(hash)
		b.is("the texts of "+hash, fmt.Sprintf("document.querySelector('.page').textContent.includes(%q)", want))
		b.is("nothing of it to be an element, to run or to turn around in "+hash,
			`!window.ran && !document.querySelector('.page script, .page img') && !/[\u202a-\u202e\u2066-\u2069]/.test(document.querySelector('.page').textContent)`)
		b.is("nothing to stand out at the side of "+hash, "document.documentElement.scrollWidth <= innerWidth")
		b.picture("hostile-"+strings.Trim(strings.NewReplacer("#", "", "/", "-", "+", "").Replace(hash), "-"), 1280, 900)
	}
	b.open("#/subscribers/" + carol.E164())
	b.fill("section:has(> div > .whatif)", "Calling number", "+8613800000003")
	b.pressIn("section:has(> div > .whatif)", "Ask")
	b.is("the rule by its name", fmt.Sprintf(`[...document.querySelectorAll('.whatif tr')].some((r) => r.textContent === %q) && !window.ran`, script[:64]+"wins"))
	for _, hash := range []string{"#/%3Cimg%20src=x%20onerror=alert(1)%3E", "#/calls/%3Cscript%3E", "#/subscribers/%E2%80%AE"} { // addresses are texts, too
		b.open(hash)
		b.is("an answer to "+hash, "!!document.querySelector('.page').textContent && !document.querySelector('.page script, .page img')")
	}
	n.do(http.MethodDelete, one, "", nil)
}
