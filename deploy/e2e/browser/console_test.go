// Package browser plays the web console in Debian's Chromium against a node that SIPp calls through: as whoever operates it would see it.
package browser_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/callsign-as/callsign/deploy/peer"
)

// browser is one tab, and what it complained of and asked for.
type browser struct {
	t   *testing.T
	ctx context.Context
	mu  sync.Mutex
	// wrong is what the page's scripts or its policy said; asked is every address that was asked for.
	wrong, asked []string
}

func start(t *testing.T) *browser {
	t.Helper()
	// Debian's wrapper script reads a file of the whole system's; the flags keep it from asking anything of anybody.
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(peer.Program(t, "chromium", "chromium")),
		chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(profile(t)), chromedp.Flag("disable-quic", true), chromedp.NoFirstRun,
		chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
		chromedp.Flag("lang", "en-GB"), chromedp.WindowSize(1280, 800))
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	b := &browser{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, func(event any) {
		b.mu.Lock()
		defer b.mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			b.wrong = append(b.wrong, e.ExceptionDetails.Error())
		case *log.EventEntryAdded:
			if e.Entry.Source != log.SourceNetwork { // an answer that is a problem is no fault of the page's
				b.wrong = append(b.wrong, e.Entry.Text)
			}
		case *network.EventRequestWillBeSent:
			b.asked = append(b.asked, e.Request.URL)
		}
	})
	if err := chromedp.Run(ctx, log.Enable(), network.Enable(), runtime.Enable()); err != nil { // the browser lives as long as this context
		t.Fatal(err)
	}
	return b
}

// profile is a folder for one browser, whose processes write to it for a moment after it has ended.
func profile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "callsign-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		peer.Until(t, "the browser to leave its folder", func() bool { return os.RemoveAll(dir) == nil })
	})
	return dir
}

// run does what a person would, within a time that a busy machine keeps.
func (b *browser) run(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Run(ctx, actions...); err != nil {
		var html string
		within, stop := context.WithTimeout(b.ctx, 5*time.Second)
		defer stop()
		_ = chromedp.Run(within, chromedp.Evaluate("document.body.innerText", &html))
		b.t.Fatalf("%v; the page says\n%s", err, html)
	}
}

// is waits until a script's value is true.
func (b *browser) is(what, script string) {
	b.t.Helper()
	var last bool
	deadline := time.Now().Add(20 * time.Second)
	for !last {
		b.run(chromedp.Evaluate("!!("+script+")", &last))
		if time.Now().After(deadline) {
			b.run(chromedp.ActionFunc(func(context.Context) error { return fmt.Errorf("waited in vain for %s: %s", what, script) }))
		}
	}
}

func (b *browser) text(selector string) (text string) {
	b.t.Helper()
	b.run(chromedp.WaitReady(selector, chromedp.ByQuery), chromedp.Evaluate(fmt.Sprintf("document.querySelector(%q).textContent", selector), &text))
	return text
}

// open opens a page of the console and waits until it is drawn.
func (b *browser) open(hash string) {
	b.t.Helper()
	b.run(chromedp.Evaluate(fmt.Sprintf("location.hash = %q", hash), nil))
	b.is("the page "+hash, fmt.Sprintf("location.hash === %q && !!document.querySelector('main h1')", hash))
}

// press presses the button that has a text.
func (b *browser) press(text string) {
	b.t.Helper()
	b.pressIn("body", text)
}

// pressIn presses the button within what a selector finds that has a text, or a name for those who hear it.
func (b *browser) pressIn(where, text string) {
	b.t.Helper()
	const button = `[...document.querySelectorAll(':is(%s) :is(button, summary, nav a, .stage a)')].find((e) => [e.textContent.trim(), e.ariaLabel].includes(%q) && !e.disabled)`
	script := fmt.Sprintf(button, where, text)
	b.is("a button "+text, "!!"+script)
	b.run(chromedp.Evaluate(script+".click()", nil))
}

// fill writes into the field that a label within what a selector finds is of, as whoever types and goes on does.
func (b *browser) fill(where, label, value string) {
	b.t.Helper()
	input := fmt.Sprintf(`document.getElementById([...document.querySelectorAll(':is(%s) label[for]')].find((l) => l.textContent === %q)?.htmlFor)`, where, label)
	b.is("a field "+label, "!!"+input)
	b.run(chromedp.Evaluate(fmt.Sprintf("{ const i = %s; i.focus(); i.value = %q; for (const e of ['input', 'change']) i.dispatchEvent(new Event(e, { bubbles: true })); }", input, value), nil))
}

func (b *browser) signIn(n *node) {
	b.t.Helper()
	b.run(chromedp.Navigate("http://"+n.http+"/"), chromedp.WaitVisible("input[type=password]", chromedp.ByQuery),
		chromedp.SendKeys("input[type=password]", n.admin, chromedp.ByQuery), chromedp.SendKeys("input[type=password]", kb.Enter, chromedp.ByQuery))
	b.is("the live stream", "document.querySelector('.connection')?.dataset.open === 'true'")
}

// picture keeps what the page looks like, where CALLSIGN_SCREENSHOTS names a folder.
func (b *browser) picture(name string, width, height int64) {
	b.t.Helper()
	folder := os.Getenv("CALLSIGN_SCREENSHOTS")
	if folder == "" {
		return
	}
	var png []byte
	b.run(chromedp.EmulateViewport(width, height), chromedp.Evaluate("Promise.all([document.fonts.ready, ...document.getAnimations().map((a) => a.finished)]).then(() => 1)", nil,
		func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }),
		chromedp.ActionFunc(func(ctx context.Context) (err error) { png, err = page.CaptureScreenshot().Do(ctx); return err }),
		chromedp.EmulateReset())
	if err := os.WriteFile(filepath.Join(folder, name+".png"), png, 0o644); err != nil {
		b.t.Fatal(err)
	}
}

func TestWhoHasNoKeyStaysOutside(t *testing.T) {
	n, b := serve(t), start(t)
	subscriber := strings.TrimSpace(n.command("key", "create", "--role", "subscriber", "--msisdn", bob.E164(), "--name", "Bob"))
	for sentence, c := range map[string]struct{ key, want string }{
		"a key that nobody has": {"cs_wrong", "This key is not known."},
		"a subscriber's key":    {subscriber, "The console needs an operator's or an administrator's."},
	} {
		b.run(chromedp.Navigate("http://"+n.http+"/console/"), chromedp.WaitVisible("input[type=password]", chromedp.ByQuery),
			chromedp.SendKeys("input[type=password]", c.key, chromedp.ByQuery), chromedp.SendKeys("input[type=password]", kb.Enter, chromedp.ByQuery))
		b.is(sentence+" to be refused", fmt.Sprintf("document.querySelector('[role=alert]').textContent.includes(%q)", c.want))
		b.is("nothing of it to be kept", "sessionStorage.length === 0")
	}
	n.admin = strings.TrimSpace(n.command("key", "create", "--role", "operator", "--name", "Ops"))
	b.signIn(n)
	b.is("an operator to see no keys", "!document.querySelector('nav a[href=\"#/keys\"]') && !!document.querySelector('nav a[href=\"#/reviews\"]')")
	b.press("Sign out")
	b.is("the key to be forgotten", "sessionStorage.length === 0 && !!document.querySelector('input[type=password]')")
}

func TestTheConsole(t *testing.T) {
	n, b := serve(t), start(t)
	const text = "在高铁上，信号不好 🚄 I call you back at six"
	n.says(text)
	b.signIn(n)

	t.Run("a call appears while it rings, and its phone fills", func(t *testing.T) {
		call := n.call(4 * time.Second)
		b.is("the phone to show the text while it rings", fmt.Sprintf(
			"document.querySelector('.stage .flash .message-text')?.textContent === %q && document.querySelector('.stage .phone-phase').textContent === 'ringing'", text))
		if got := b.text(".stage .measure"); got != "Flash SMS · UCS2 · 35 of 70 units" {
			t.Errorf("below the phone stands %q", got)
		}
		b.is("the receipt", "document.querySelector('.call .pill').textContent === 'shown'")
		b.picture("live", 1280, 720)
		call.complete()
		b.is("the answer", "document.querySelector('.call .phase').textContent === 'answered'")
	})

	t.Run("the timeline has who sent what to whom", func(t *testing.T) {
		b.press("The whole timeline")
		b.is("the timeline", "document.querySelectorAll('.page-calls .rung').length >= 6")
		var rungs []string
		b.run(chromedp.Evaluate("[...document.querySelectorAll('.rung')].map((e) => e.querySelector('.said').innerText.replace(/\\s+/g, ' '))", &rungs))
		all := strings.Join(rungs, "\n")
		for _, want := range []string{"S-CSCF → AS: Call INVITE", "S-CSCF → AS: Rings 180", "AS: Decided " + text, "AS → SMSC: Sent submit_sm · a " + text, "SMSC → AS: Accepted", "Handset → AS: Receipt", "Answered 200"} {
			if !strings.Contains(all, want) {
				t.Errorf("%q is not in\n%s", want, all)
			}
		}
		if got := b.text(".facts"); !strings.Contains(got, "Text set byapi/") || !strings.Contains(got, "manual "+bob.E164()[1:]) {
			t.Errorf("the facts are %q, want who set the text", got)
		}
		b.is("the message's octets", "document.querySelector('.rung pre').textContent.startsWith('0000  00 00 ')")
		b.press("Ask")
		b.is("what today's policy does", fmt.Sprintf("document.querySelector('.whatif .message-text')?.textContent === %q", text))
		b.picture("timeline", 1280, 700)
	})

	t.Run("what-if draws the phone of another access", func(t *testing.T) {
		b.open("#/subscribers/" + bob.E164())
		b.run(chromedp.WaitVisible("input[placeholder='3GPP-E-UTRAN-FDD']", chromedp.ByQuery),
			chromedp.SendKeys("section:has(input[placeholder='3GPP-E-UTRAN-FDD']) input[type=tel]", alice.E164(), chromedp.ByQuery),
			chromedp.SendKeys("input[placeholder='3GPP-E-UTRAN-FDD']", "3GPP-UTRAN-FDD"+kb.Enter, chromedp.ByQuery))
		b.is("a phone with USSD", "!!document.querySelector('.whatif .ussd .message-text')")
		b.picture("whatif", 1180, 1200)
	})

	t.Run("a held text is approved", func(t *testing.T) {
		n.says("You win the lottery")
		b.open("#/reviews")
		b.is("the text", "document.querySelector('.reviews .quote')?.textContent === 'You win the lottery'")
		b.picture("moderation", 1280, 500)
		b.press("Approve")
		b.is("an empty queue", "!!document.querySelector('.page-reviews .empty')")
		if got := n.shownTo(alice); got != "You win the lottery" {
			t.Errorf("the next call shows %q", got)
		}
	})

	t.Run("a test call is placed", func(t *testing.T) {
		n.says("Back at <b>six</b>") // no markup, but a text
		b.open("#/live")
		b.press("Place a test call")
		b.run(chromedp.SendKeys(".test-call input[placeholder='+8613800000001']", "+8613800000077", chromedp.ByQuery),
			chromedp.SendKeys(".test-call input[placeholder='+8613900000002']", bob.E164()+kb.Enter, chromedp.ByQuery))
		b.is("its phone", "document.querySelector('.stage .message-text')?.textContent === 'Back at <b>six</b>' && document.querySelector('.stage').textContent.includes('+8613800000077')")
		b.is("its end", "document.querySelector('#toasts').textContent.includes('180, 200')")
	})

	t.Run("policies are edited, and say what a call shows", func(t *testing.T) { policies(t, n, b) })
	t.Run("callers are opted out and in", func(t *testing.T) { optOuts(t, n, b) })
	t.Run("hostile texts are texts", func(t *testing.T) { hostile(t, n, b) })

	t.Run("a page that can't be had says why, and tries again", func(*testing.T) {
		const nobody = "+8613900000099"
		b.open("#/subscribers/" + nobody)
		b.is("what is wrong", "document.querySelector('.page [role=alert]')?.textContent.includes('That is not there.')")
		n.do("PUT", "/v1/subscribers/"+nobody, "", nil)
		b.press("Try again")
		b.is("the page", fmt.Sprintf("document.querySelector('.who b')?.textContent === %q", nobody))
		n.do("DELETE", "/v1/subscribers/"+nobody, "", nil)
	})

	t.Run("everything is reached by the keyboard", func(t *testing.T) {
		b.open("#/calls")
		b.open("#/live")
		b.is("the heading to have the focus", "document.activeElement.tagName === 'H1'")
		b.run(chromedp.Evaluate("document.body.tabIndex = -1; document.body.focus()", nil))
		var stops []string
		for range 40 {
			var stop string
			b.run(chromedp.KeyEvent(kb.Tab), chromedp.Evaluate("document.activeElement.textContent.trim() || document.activeElement.tagName", &stop))
			stops = append(stops, stop)
			if strings.Contains(stop, "+8613800000077") {
				break
			}
		}
		for _, want := range []string{"Skip to the page", "Calls", "中文", "Sign out", "Place a test call"} {
			if !slices.Contains(stops, want) {
				t.Errorf("%q is not among the stops %q", want, stops)
			}
		}
		b.run(chromedp.KeyEvent(kb.Enter))
		b.is("the call to be chosen, and to keep the focus", "document.activeElement.getAttribute('aria-pressed') === 'true'")
	})

	t.Run("both languages, both lights and a phone's width are accessible", func(t *testing.T) { accessible(t, n, b) })

	t.Run("it asked nobody else, and its scripts broke nothing", func(t *testing.T) {
		b.mu.Lock()
		defer b.mu.Unlock()
		for _, address := range b.asked {
			if u, err := url.Parse(address); err != nil || u.Host != n.http && u.Scheme != "data" { // the browser draws its own date fields
				t.Errorf("it asked %s", address)
			}
		}
		if len(b.asked) < 20 || len(b.wrong) > 0 {
			t.Errorf("it asked %d times; its scripts said %q", len(b.asked), b.wrong)
		}
	})
}

// filled: a page has what it asked the API for, or says that there is nothing.
const filled = "!!document.querySelector('.page table, .page .empty, .page .rung, .page .reviews li, .page-policy form')"

// accessible asks axe of every page.
func accessible(t *testing.T, n *node, b *browser) {
	_, modules := peer.Node(t, "axe-core")
	axe, err := os.ReadFile(filepath.Join(modules, "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal(err)
	}
	b.run(chromedp.Evaluate(string(axe)+";0", nil))
	var list struct {
		Items []struct{ ID string }
	}
	n.do("GET", "/v1/calls?limit=1", "", &list)
	n.says("A lottery, to be looked at")
	n.do("PUT", "/v1/subscribers/"+bob.E164()+"/policy", `{"pauses":[{"from":"2030-01-01T00:00:00Z","to":"2030-01-02T00:00:00Z"}],"texts":{"a":{"text":"Soon"},"b":{"text":"A lottery"}},`+
		`"rules":[{"callers":["@family"],"show":"a"},{"days":["mon"],"from":"22:00","to":"07:00","show":"nothing"}],"groups":{"family":["+8613800000001"]}}`, nil)
	n.do("PUT", "/v1/policy", `{"exclude":["10086"],"blackouts":[{"from":"02:00","to":"04:00"}],"channels":{"any":"flash"}}`, nil)
	n.do("PUT", "/v1/opt-outs/+8613800000033", "", nil)
	pages := []string{"#/live", "#/calls", "#/calls/" + list.Items[0].ID, "#/subscribers", "#/subscribers/" + bob.E164(), "#/policy", "#/optouts", "#/reviews", "#/health", "#/keys", "#/audit"}
	check := func(where string) {
		var found []struct {
			ID    string
			Nodes []struct{ HTML, FailureSummary string }
		}
		b.run(chromedp.Evaluate("axe.run(document, { resultTypes: ['violations'] }).then((r) => r.violations)", &found,
			func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
		for _, v := range found {
			said, _ := json.Marshal(v.Nodes[0])
			t.Errorf("%s: %s: %s", where, v.ID, said)
		}
	}
	for _, language := range []string{"中文", "English"} {
		b.press(language)
		for _, light := range []string{"dark", "light"} {
			b.run(chromedp.Evaluate(fmt.Sprintf("document.documentElement.dataset.theme = %q", light), nil))
			for _, hash := range pages {
				b.open(hash)
				b.is("the page to be filled", filled)
				check(language + " " + light + " " + hash)
			}
			if language == "中文" && light == "dark" {
				b.open("#/live")
				b.run(chromedp.Evaluate(fmt.Sprintf("[...document.querySelectorAll('.call')].find((e) => e.textContent.includes(%q)).click()", alice.E164()), nil))
				b.is("a phone", "document.querySelector('.stage .message-text')?.textContent === 'Dinner at nine'")
				b.picture("live-zh-dark", 1280, 720)
			}
		}
	}
	b.run(emulation.SetDeviceMetricsOverride(390, 844, 1, true))
	for _, hash := range pages {
		b.open(hash)
		b.is("the page to be filled", filled)
		check("a phone's width " + hash)
		b.is("nothing to stand out at the side of "+hash, "document.documentElement.scrollWidth <= 390")
	}
	b.run(chromedp.EmulateReset())
	b.open("#/live")
	b.is("the phone", "!!document.querySelector('.stage .message-text')")
	b.picture("live-phone", 390, 844)
	b.open("#/health")
	b.is("what went on meanwhile", "!!document.querySelector('.spark polyline')")
	b.picture("health", 1280, 700)
	b.press("Sign out")
	b.is("the door", "!!document.querySelector('.signin')")
	check("signing in")
}
