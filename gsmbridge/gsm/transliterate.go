package gsm

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// nearly is what stands for a character that the default alphabet lacks and no decomposition gives.
var nearly = func() map[rune]string {
	m := make(map[rune]string)
	for plain, typographic := range map[string]string{
		"'":   "‘’‚‛′‹›`´ʼ",
		`"`:   "“”„‟″«»",
		"-":   "‐‑‒–—―−",
		"...": "…",
		"*":   "•",
		".":   "·․",
		"/":   "⁄",
		" ":   "\t\u00A0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200A\u202F\u205F",
		"":    "\u00AD\u200B\u2060\uFEFF", // neither seen nor needed; a zero width joiner is, so it isn't here
		"x":   "×",
		"ff":  "ﬀ", "fi": "ﬁ", "fl": "ﬂ", "ffi": "ﬃ", "ffl": "ﬄ", "st": "ﬅﬆ",
		"oe": "œ", "OE": "Œ", "ij": "ĳ", "IJ": "Ĳ", "SS": "ẞ", "th": "þ", "Th": "Þ",
		"i": "ı", "j": "ȷ", "l": "ł", "L": "Ł", "d": "đð", "D": "ĐÐ", "h": "ħ", "H": "Ħ",
		"t": "ŧ", "T": "Ŧ", "n": "ŋ", "N": "Ŋ", "s": "ſ", "k": "ĸ",
	} {
		for _, r := range typographic {
			m[r] = plain
		}
	}
	return m
}()

// transliterate brings what nearly fits into the default alphabet: punctuation, spaces, ligatures, and Latin letters
// without the marks that the alphabet has no place for. What else it lacks stays as it is, so that no text of another
// script is taken for one that fits.
func transliterate(text string) string {
	var b strings.Builder
	latin := false // the last letter is, so marks may go
	for _, r := range text {
		if latin && unicode.Is(unicode.Mn, r) && r < 0xFE00 { // not a variation selector, which makes emoji
			continue
		}
		latin = unicode.Is(unicode.Latin, r)
		if _, ok := septetsOf[r]; ok {
			b.WriteRune(r)
			continue
		}
		base := r
		if latin {
			base = []rune(norm.NFD.String(string(r)))[0]
		}
		if plain, ok := nearly[base]; ok {
			b.WriteString(plain)
		} else {
			b.WriteRune(base)
		}
	}
	return b.String()
}
