package gsm

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

func TestFit(t *testing.T) {
	family := "👨‍👩‍👧‍👦" // one cluster of 11 units
	for name, c := range map[string]struct {
		text, encoding, shown string
		units                 int
	}{
		"160 septets are whole":                           {strings.Repeat("a", 160), GSM7, strings.Repeat("a", 160), 160},
		"161 septets are cut to 160 with three stops":     {strings.Repeat("a", 161), GSM7, strings.Repeat("a", 157) + "...", 160},
		"an extension character counts twice":             {strings.Repeat("€", 80), GSM7, strings.Repeat("€", 80), 160},
		"an escape is never left alone by a cut":          {strings.Repeat("€", 81), GSM7, strings.Repeat("€", 78) + "...", 159},
		"70 units are whole":                              {strings.Repeat("我", 70), UCS2, strings.Repeat("我", 70), 70},
		"71 units are cut to 70 with an ellipsis":         {strings.Repeat("我", 71), UCS2, strings.Repeat("我", 69) + "…", 70},
		"a surrogate pair is never split":                 {strings.Repeat("😀", 36), UCS2, strings.Repeat("😀", 34) + "…", 69},
		"a ZWJ emoji is whole or gone":                    {strings.Repeat(family, 7), UCS2, strings.Repeat(family, 6) + "…", 67},
		"a small cedilla is not in the alphabet":          {"ça va", UCS2, "ça va", 5},
		"a capital cedilla is":                            {"ÇA VA", GSM7, "ÇA VA", 5},
		"a decomposed é is composed and is":               {"cafe\u0301", GSM7, "café", 4},
		"Turkish needs UCS2":                              {"İstanbul'da", UCS2, "İstanbul'da", 11},
		"an emoji beyond the cut costs no alphabet":       {strings.Repeat("a", 200) + "😀", GSM7, strings.Repeat("a", 157) + "...", 160},
		"an emoji where the cut will be doesn't either":   {strings.Repeat("a", 157) + "😀", GSM7, strings.Repeat("a", 157) + "...", 160},
		"an emoji before the cut does":                    {strings.Repeat("a", 156) + "😀", UCS2, strings.Repeat("a", 69) + "…", 70},
		"spaces before the ellipsis go":                   {strings.Repeat("a", 150) + strings.Repeat(" ", 11), GSM7, strings.Repeat("a", 150) + "...", 153},
		"a cluster longer than the screen leaves the dot": {"e" + strings.Repeat("\u0489", 80), UCS2, "…", 1},
		"what is not UTF-8 is U+FFFD":                     {"a\xffb", UCS2, "a\uFFFDb", 3},
		"nothing is nothing":                              {"", GSM7, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			got := Fit(c.text)
			if got.Encoding != c.encoding || got.Text != c.shown || got.Units != c.units {
				t.Errorf("got %s %q %d, want %s %q %d", got.Encoding, got.Text, got.Units, c.encoding, c.shown, c.units)
			}
			checkScreen(t, c.text, got)
		})
	}
}

// checkScreen holds what must be so of every screen.
func checkScreen(t *testing.T, text string, s Screen) {
	t.Helper()
	dataCoding, perUnit := byte(0xF0), 1
	if s.Encoding == UCS2 {
		dataCoding, perUnit = 0x18, 2
	}
	if got, enc := Decode(dataCoding, s.Octets); got != s.Text || enc != s.Encoding {
		t.Errorf("octets read as %q (%s), want %q (%s)", got, enc, s.Text, s.Encoding)
	}
	if len(s.Octets) != s.Units*perUnit || s.Units > s.MaxUnits {
		t.Errorf("%d octets for %d units of %d", len(s.Octets), s.Units, s.MaxUnits)
	}
	whole := norm.NFC.String(strings.ToValidUTF8(text, "\uFFFD"))
	if !s.Cut {
		if s.Text != whole {
			t.Errorf("got %q, want all of %q", s.Text, whole)
		}
		return
	}
	start := strings.TrimSuffix(strings.TrimSuffix(s.Text, ellipsisGSM7), ellipsisUCS2)
	if !strings.HasPrefix(whole, start) || utf8.RuneCountInString(s.Text) > 160 {
		t.Errorf("%q is not a start of %q", start, whole)
	}
	boundary := false
	for g, n := uniseg.NewGraphemes(whole), 0; n <= len(start) && !boundary; {
		boundary = n == len(start)
		if !g.Next() {
			break
		}
		n += len(g.Str())
	}
	if !boundary {
		t.Errorf("%q ends within a cluster of %q", start, whole)
	}
}

func FuzzFit(f *testing.F) {
	for _, s := range []string{"", "On holiday. Call me tomorrow!", "我在开会 😀", "👨‍👩‍👧‍👦", "e\u0301\u0489", "a\xff", "[€]", "\r\n\x1b"} {
		f.Add(s)
		f.Add(strings.Repeat(s+" ", 40))
	}
	f.Fuzz(func(t *testing.T, text string) { checkScreen(t, text, Fit(text)) })
}
