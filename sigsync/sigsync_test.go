package sigsync

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/callsign-as/callsign"
)

func TestATextIsCleaned(t *testing.T) {
	for name, c := range map[string]struct{ in, want string }{
		"ordinary text stays":               {"On the road, back at 6.", "On the road, back at 6."},
		"Chinese stays":                     {"在高铁上，信号不好", "在高铁上，信号不好"},
		"Arabic stays":                      {"في الطريق", "في الطريق"},
		"an empty text":                     {"", ""},
		"spaces only":                       {" \t\r\n ", ""},
		"line ends and tabs are spaces":     {"a\nb\tc\r\nd", "a b c d"},
		"spaces collapse":                   {"  a    b  ", "a b"},
		"an ideographic space":              {"a　b", "a b"},
		"a no-break space":                  {"a\u00a0b", "a b"},
		"a line separator":                  {"a\u2028b", "a b"},
		"control characters":                {"a\x00\x07\x1b[31mb\x7f\u0085", "a[31mb"},
		"NFC":                               {"e\u0301", "é"},
		"a right-to-left override":          {"abc\u202egnp.exe", "abcgnp.exe"},
		"bidi isolates":                     {"\u2066a\u2069\u2067b\u2068", "ab"},
		"left-to-right marks":               {"a\u200e\u200fb\u061c", "ab"},
		"zero-width spaces":                 {"pa\u200bss\ufeffword\u2060", "password"},
		"a soft hyphen":                     {"pass\u00adword", "password"},
		"a zero-width joiner between Latin": {"a\u200db", "ab"},
		"a non-joiner in Persian":           {"می\u200cخواهم", "می\u200cخواهم"},
		"a joiner in Devanagari":            {"क्\u200dष", "क्\u200dष"},
		"an emoji family":                   {"👨‍👩‍👧‍👦 home", "👨‍👩‍👧‍👦 home"},
		"an emoji with a skin":              {"👍🏽", "👍🏽"},
		"a heart with its selector":         {"I ❤️ you", "I ❤️ you"},
		"a flag":                            {"🇨🇳", "🇨🇳"},
		"a flag by tags":                    {"🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"},
		"a keycap":                          {"1️⃣", "1️⃣"},
		"tags on a letter":                  {"a\U000e0067\U000e0062", "a"},
		"a variation selector on a letter":  {"a\ufe0fb", "ab"},
		"Zalgo":                             {"Z\u0301\u0302\u0303\u0304\u0305\u0306\u0307algo", "Ź\u0302\u0303\u0304algo"},
		"Hangul filler":                     {"a\u3164b\u115f", "ab"},
		"private use":                       {"a\ue000b", "ab"},
		"a replacement character":           {"a\ufffdb", "ab"},
		"a link":                            {"see https://evil.example/x?y=1 now", "see now"},
		"a link in capitals":                {"HTTP://EVIL.EXAMPLE", ""},
		"a bare host":                       {"go to evil.com", "go to"},
		"a bare host with a path":           {"evil.cn/login 点击", "点击"},
		"www":                               {"www.evil.example!", ""},
		"punycode":                          {"xn--pple-43d.com", ""},
		"a homograph host":                  {"аррӏе.com", ""},
		"a link kept apart by nothing":      {"ht\u200btps://evil.example", ""},
		"what a link kept apart is looked at again": {"www.www.a.example evil.com.com", ""},
		"a short link":                   {"t.me/x bit.ly/3abc wa.me/861", ""},
		"a host with a port":             {"evil.example:8080", ""},
		"an address with a port":         {"1.2.3.4:8080/x", ""},
		"an app's scheme":                {"weixin://dl/chat", ""},
		"an e-mail address":              {"ask me@firma.example now", "ask now"},
		"a word that ends like a scheme": {"hotel:great, profile:me", "hotel:great, profile:me"},
		"a time is no link":              {"back at 6:30, 18.30h", "back at 6:30, 18.30h"},
		"an address alone is a version":  {"v 1.2.3.4", "v 1.2.3.4"},
		"and/or is no link":              {"and/or, 24/7", "and/or, 24/7"},
		"a version is no link":           {"v1.2 of 3.14", "v1.2 of 3.14"},
		"e.g. is no link":                {"e.g. lunch", "e.g. lunch"},
		"a missing space is no link":     {"Busy.me too.so what", "Busy.me too.so what"},
		"an ellipsis is no link":         {"hmm...ok", "hmm...ok"},
		"markup stays text":              {"<b>&amp;</b>", "<b>&amp;</b>"},
		"cut after 200 clusters":         {strings.Repeat("👍🏽", 300), strings.Repeat("👍🏽", 200)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := Clean(c.in); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestWhatIsUsualNeedsNoJudgement(t *testing.T) {
	seen := 0
	for r := range rune(unicode.MaxRune) {
		if !usual(r) {
			continue
		}
		seen++
		if r != ' ' && !unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) ||
			unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector, unicode.Noncharacter_Code_Point) {
			// Hanzi that Unicode has not given away yet are drawn as a box, at worst.
			if r < 0x9FF0 || r > 0x9FFF {
				t.Errorf("%U is not usual", r)
			}
		}
	}
	if seen < 30_000 {
		t.Errorf("%d characters are usual", seen)
	}
}

func FuzzClean(f *testing.F) {
	f.Add("On the road \u202e http://a.com 👨‍👩‍👧‍👦 e\u0301")
	f.Add("\u200d\u200cwww.a.\u0301com\n")
	f.Fuzz(func(t *testing.T, in string) {
		if !utf8.ValidString(in) || len(in) > maxText {
			return
		}
		if seen := norm.NFC.String(strings.Map(visible, in)); links.MatchString(seen) && !mayHoldLink(seen) {
			t.Fatalf("%q holds a link", seen)
		}
		got := Clean(in)
		if again := Clean(got); again != got {
			t.Fatalf("cleaned again: %q became %q", got, again)
		}
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) }) {
			t.Fatalf("%q became %q", in, got)
		}
	})
}

// keeper is a store that can hold a commit back, or fail.
type keeper struct {
	mu    sync.Mutex
	sizes []int
	kept  []callsign.Entry
	err   error
	hold  time.Duration
}

func (k *keeper) Keep(_ context.Context, entries []callsign.Entry) ([]callsign.Status, error) {
	time.Sleep(k.hold)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		return nil, k.err
	}
	k.sizes = append(k.sizes, len(entries))
	k.kept = append(k.kept, entries...)
	statuses := make([]callsign.Status, len(entries))
	for i, e := range entries {
		statuses[i] = callsign.Status(e.ID) // so that each sender can tell its own
	}
	return statuses, nil
}

func (*keeper) Import(context.Context, callsign.Scope, []callsign.ImportRow) ([]error, error) {
	return nil, errors.ErrUnsupported
}

func change(id string) callsign.Change {
	return callsign.Change{Tenant: "t", Source: "s", ID: id, Network: "im", Account: "a", Text: "x " + id}
}

// running runs an intake in a bubble of time.
func running(t *testing.T, k *keeper, test func(t *testing.T, in *Intake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		in := NewIntake(Options{Keeper: k})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- in.Run(ctx) }()
		test(t, in)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestALoneChangeIsCommittedAtOnceAndManyShareACommit(t *testing.T) {
	k := &keeper{hold: time.Second}
	running(t, k, func(t *testing.T, in *Intake) {
		var all sync.WaitGroup
		for i, id := range []string{"a", "b", "c", "d"} {
			all.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				got, err := in.Put(t.Context(), []callsign.Change{change(id), change(id + "2")})
				if err != nil || len(got) != 2 || got[0] != callsign.Status(id) || got[1] != callsign.Status(id+"2") {
					t.Errorf("%s: got %v, %v", id, got, err)
				}
			})
		}
		all.Wait()
	})
	if len(k.sizes) != 2 || k.sizes[0] != 2 || k.sizes[1] != 6 {
		t.Errorf("commits of %v changes, want the first alone and the rest together", k.sizes)
	}
}

func TestNothingIsAcknowledgedThatIsNotKept(t *testing.T) {
	k := &keeper{err: errors.New("disk full")}
	running(t, k, func(t *testing.T, in *Intake) {
		if got, err := in.Put(t.Context(), []callsign.Change{change("a")}); got != nil || !errors.Is(err, callsign.ErrUnavailable) {
			t.Errorf("got %v, %v; want unavailable", got, err)
		}
	})
}

func TestAPutEndsWithItsContextOrTheIntake(t *testing.T) {
	k := &keeper{hold: time.Hour}
	synctest.Test(t, func(t *testing.T) {
		in := NewIntake(Options{Keeper: k})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := in.Put(ctx, []callsign.Change{change("a")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("before Run: got %v, want the context's end", err)
		}
		running, stop := context.WithCancel(t.Context())
		stop()
		if err := in.Run(running); err != nil {
			t.Error(err)
		}
		if len(k.kept) != 1 {
			t.Errorf("%d changes kept, want what waited before Run ended", len(k.kept))
		}
		if _, err := in.Put(t.Context(), []callsign.Change{change("b")}); !errors.Is(err, callsign.ErrUnavailable) {
			t.Errorf("after Run: got %v, want unavailable", err)
		}
	})
}

func TestWhatIsKeptOfAChange(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	soon, year2099 := now.Add(30*time.Second), now.AddDate(73, 0, 0)
	for name, c := range map[string]struct {
		change func(*callsign.Change)
		want   func(*callsign.Entry)
	}{
		"cleaned":                   {func(c *callsign.Change) { c.Text = " a\n" }, func(e *callsign.Entry) { e.Shown = "a" }},
		"cleared":                   {func(c *callsign.Change) { c.Text = "" }, func(e *callsign.Entry) { e.Shown = "" }},
		"no time: received now":     {func(c *callsign.Change) { c.At = time.Time{} }, func(e *callsign.Entry) { e.At = now }},
		"a little ahead":            {func(c *callsign.Change) { c.At, c.Stamp = soon, callsign.TimedStamp(soon) }, func(*callsign.Entry) {}},
		"far ahead: received now":   {func(c *callsign.Change) { c.At, c.Stamp = year2099, callsign.TimedStamp(year2099) }, func(e *callsign.Entry) { e.At, e.Stamp, e.Received = now, callsign.TimedStamp(now), true }},
		"a version is not a time":   {func(c *callsign.Change) { c.Stamp = callsign.Stamp{Version: 1 << 62} }, func(*callsign.Entry) {}},
		"invalid UTF-8":             {func(c *callsign.Change) { c.Text = "a\xff" }, func(e *callsign.Entry) { e.Refused, e.Shown = true, "" }},
		"a lone surrogate in UTF-8": {func(c *callsign.Change) { c.Text = "\xed\xa0\x80" }, func(e *callsign.Entry) { e.Refused, e.Shown = true, "" }},
		"2048 bytes":                {func(c *callsign.Change) { c.Text = strings.Repeat("a", 2048) }, func(e *callsign.Entry) { e.Shown = strings.Repeat("a", 200) }},
		"2049 bytes":                {func(c *callsign.Change) { c.Text = strings.Repeat("a", 2049) }, func(e *callsign.Entry) { e.Refused, e.Shown = true, "" }},
		"no tenant":                 {func(c *callsign.Change) { c.Tenant = "" }, func(e *callsign.Entry) { e.Refused, e.Shown, e.Seq = true, "", 0 }},
		"an id that is no UTF-8":    {func(c *callsign.Change) { c.ID = "a\xff" }, func(e *callsign.Entry) { e.Refused, e.Shown = true, "" }},
		"an account with a NUL":     {func(c *callsign.Change) { c.Account = "a\x00" }, func(e *callsign.Entry) { e.Refused, e.Shown = true, "" }},
		"no account":                {func(c *callsign.Change) { c.Account = "" }, func(e *callsign.Entry) { e.Refused, e.Shown = true, "" }},
	} {
		t.Run(name, func(t *testing.T) {
			in := change("1")
			in.At, in.Stamp = now.Add(-time.Hour), callsign.TimedStamp(now.Add(-time.Hour))
			c.change(&in)
			want := callsign.Entry{Change: in, Shown: "x 1"}
			c.want(&want)
			if got := entry(in, now); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}
