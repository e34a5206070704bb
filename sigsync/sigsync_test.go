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
		"a code of ours":                 {"mine: CS-7K3M-9Q2X!", "mine: !"},
		"codes in each other":            {"CS-CS-7K3M-9Q2X-7K3M", "CS- -7K3M"},
		"one that invisible ones divide": {"c\u200bs-7k3m-\u00ad9q2x", ""},
		"what is like one stays":         {"CS-101 - CS-7K3M", "CS-101 - CS-7K3M"},
		// Characters that turn, hide or stack others.
		"a spoof that turns twice":                  {"\u202eabc\u202d\u2067def\u2069\u202c", "abcdef"},
		"Hebrew and Latin keep their order":         {"שלום abc 12", "שלום abc 12"},
		"deprecated format characters":              {"\u206aa\u206f", "a"},
		"Hebrew with its points":                    {"שָׁלוֹם", "שָׁלוֹם"},
		"Arabic with its marks":                     {"مُحَمَّدٌ", "مُحَمَّدٌ"},
		"a sign that Arabic draws over a number":    {"\u06dd12", "\u06dd12"},
		"a tatweel":                                 {"ســلام", "ســلام"},
		"Thai with a vowel and a tone":              {"ที่นี่", "ที่นี่"},
		"a stack on a Thai letter":                  {"ก้้้้้้", "ก้้้"},
		"a double diacritic's stack":                {"o\u035c\u035d\u035e\u0360\u0361o", "o\u035c\u035d\u035eo"},
		"what is struck through":                    {"n\u0336o\u0336", "n\u0336o\u0336"},
		"a mark without a letter":                   {"\u0301\u0302a", "a"},
		"marks that enclose":                        {"a\u20dd\u20de b\u0488\u0489", "a b"},
		"a combining grapheme joiner":               {"a\u034f\u034fb", "ab"},
		"Khmer vowels that show nothing":            {"\u17b4\u17b5a", "a"},
		"Mongolian's separator and selectors":       {"ᠠ\u180b\u180c a\u180b \u180eb", "ᠠ\u180b a b"},
		"interlinear annotation":                    {"\ufff9base\ufffaruby\ufffb", "baseruby"},
		"an embedded object":                        {"a\ufffcb", "ab"},
		"Braille blanks are spaces":                 {"\u2800\u2800a\u2800\u2800b\u2800", "a b"},
		"Hangul fillers of every width":             {"\u115f\u1160\u3164\uffa0a", "a"},
		"Hangul in parts":                           {"\u1112\u1161\u11ab", "한"},
		"old Hangul":                                {"\u1112\u119e\u11ab", "\u1112\u119e\u11ab"},
		"a cluster of Hangul that doesn't end":      {strings.Repeat("\u1100", 100), strings.Repeat("\u1100", 16)},
		"musical controls":                          {"\U0001d173a\U0001d17a", "a"},
		"invisible operators":                       {"a\u2061\u2062\u2063\u2064b", "ab"},
		"noncharacters":                             {"a\ufffe\ufdd0\U0010ffffb", "ab"},
		"private planes":                            {"a\U000f0000\U00100000b", "ab"},
		"spaces of every width":                     {"a\u1680\u2003\u2009\u202f\u205f\u3000b", "a b"},
		"a byte order mark":                         {"\ufeffa", "a"},
		"variants of Hanzi":                         {"葛\U000e0100城", "葛城"},
		"a conjunct in Sinhala":                     {"ශ්\u200dරී", "ශ්\u200dරී"},
		"a chillu in Malayalam":                     {"ന്\u200d", "ന്\u200d"},
		"joiners in a row":                          {"क\u200c\u200c\u200dष", "क\u200cष"},
		"letters of other styles stay":              {"𝓗𝓮𝓵𝓵𝓸 Ⓗⓔⓛⓛⓞ Ｈｅｌｌｏ", "𝓗𝓮𝓵𝓵𝓸 Ⓗⓔⓛⓛⓞ Ｈｅｌｌｏ"},
		"homoglyphs stay, for the words to look at": {"раураl", "раураl"},

		// Emoji.
		"skin and hair":                   {"👩🏻‍🦰 👨🏿‍🦱", "👩🏻‍🦰 👨🏿‍🦱"},
		"a kiss of ten characters":        {"👩🏻‍❤️‍💋‍👨🏿", "👩🏻‍❤️‍💋‍👨🏿"},
		"a rainbow flag":                  {"🏳️‍🌈", "🏳️‍🌈"},
		"a pirate flag":                   {"🏴‍☠️", "🏴‍☠️"},
		"a family that doesn't end":       {strings.Repeat("👦\u200d", 50) + "👦", strings.Repeat("👦\u200d", 7) + "👦"},
		"a joiner at either end":          {"\u200d👨\u200d", "👨"},
		"tags hidden behind an emoji":     {"😀\U000e0068\U000e0069\U000e007f", "😀"},
		"a flag's tags without their end": {"🏴\U000e0067\U000e0062", "🏴"},
		"tags alone":                      {"\U000e0068\U000e0069", ""},
		"an emoji as text":                {"☺\ufe0e", "☺\ufe0e"},
		"selectors in a row":              {"☺\ufe0f\ufe0f\ufe0e", "☺\ufe0f"},
		"a selector on a digit":           {"7\ufe0f7\ufe0e", "77"},
		"a keycap on a letter":            {"a\u20e3", "a"},
		"keycaps in a row":                {"1\ufe0f\u20e3\u20e3", "1\ufe0f\u20e3"},
		"marks on an emoji":               {"😀\u0301\u0302", "😀"},
		"half a flag":                     {"🇨🇳🇨", "🇨🇳🇨"},
		"flags are cut between":           {strings.Repeat("🇨🇳", 201), strings.Repeat("🇨🇳", 200)},
		"a skin alone":                    {"🏽", "🏽"},

		// Links.
		"a wide link":                                      {"ａ ｈｔｔｐ：／／ｅｖｉｌ．ｃｏｍ", "ａ"},
		"an ideographic full stop in a host":               {"evil。com evil｡com", ""},
		"one between sentences":                            {"OK。see you。好的。com", "OK。see you。好的。com"},
		"dots of other kinds":                              {"evil․com evil﹒com", ""},
		"a host in mathematical letters":                   {"see 𝐞𝐯𝐢𝐥.𝐜𝐨𝐦 now", "see now"},
		"a host in circles":                                {"ⓔⓥⓘⓛ.ⓒⓞⓜ", ""},
		"a look-alike in a top-level domain":               {"evil.сom", ""},
		"a Russian word behind a full stop":                {"Буду.сом клюёт", "Буду.сом клюёт"},
		"marks in a host":                                  {"evil.c\u0336o\u0336m\u0336", ""},
		"an IDN host":                                      {"bücher.de 例子.测试/x 例子.中国 пример.рф", ""},
		"an IDN domain's letters in a word":                {"我在.中国人民", "我在.中国人民"},
		"punycode below another domain":                    {"xn--fiqs8s.example a.xn--fiqs8s", ""},
		"a link in Chinese":                                {"点击https://evil.example，快", "点击"},
		"an address in brackets":                           {"http://[::1]/ http://0x7f000001/", ""},
		"a new domain":                                     {"discord.gg evil.zip", ""},
		"a link behind a control sequence":                 {"\x1b]8;;http://a.example\x07y", "]8;;"},
		"hxxp is a scheme too":                             {"hxxp://evil.example", ""},
		"a link that takes a reader to put together stays": {"evil[.]com, evil(dot)com, evil dot com, e v i l . c o m", "evil[.]com, evil(dot)com, evil dot com, e v i l . c o m"},
		"a telephone number stays":                         {"call +86 139 0000 0000 or tel:10086", "call +86 139 0000 0000 or tel:10086"},
		"an account's name stays":                          {"加微信 abc123, QQ:12345678, @me", "加微信 abc123, QQ:12345678, @me"},
		"initials and versions stay":                       {"U.S.A. Mr.Smith node.js 3.14.15 18.30", "U.S.A. Mr.Smith node.js 3.14.15 18.30"},
		"escapes are text":                                 {`\u202e %0a &#8238; {name} '; DROP`, `\u202e %0a &#8238; {name} '; DROP`},
		"overlong":                                         {strings.Repeat("a ", 1024), strings.TrimSpace(strings.Repeat("a ", 100))},
		"cut after 200 clusters":                           {strings.Repeat("👍🏽", 300), strings.Repeat("👍🏽", 200)},
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
		seen, _ := plainView(norm.NFC.String(strings.Map(visible, in)))
		if links.MatchString(seen) && !mayHoldLink(seen) {
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

func (*keeper) Review(context.Context, callsign.Scope, callsign.Verdict, func(string) string) error {
	return errors.ErrUnsupported
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
