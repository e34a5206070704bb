package sigsync

import (
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// folded is a text as word lists are looked up in it: NFKC, of one case and width, without marks that compose with nothing and without
// what shows nothing. What stands between words is one space. Three or more letters that stand alone ("b a d") are one word.
type folded struct {
	runes []rune
	gap   []bool // before a rune: a word may begin there, whatever stands before it
}

// fold never fails: what is no letter of any kind only parts words.
func fold(text string) (f folded) {
	text = norm.NFKC.String(text)
	runes := make([]rune, 0, len(text))
	for _, r := range text {
		runes = append(runes, plainLetter(r))
	}
	var words [][]rune
	apart := true
	for _, r := range norm.NFC.String(string(runes)) { // an E whose mark composed with e only
		switch {
		case shownAlone(r):
			if apart {
				words, apart = append(words, nil), false
			}
			words[len(words)-1] = append(words[len(words)-1], r)
		case parts(r):
			apart = true
		}
	}
	for i := 0; i < len(words); {
		alone := i
		for alone < len(words) && len(words[alone]) == 1 {
			alone++
		}
		joined := alone-i >= 3
		if !joined {
			alone = i + 1
		}
		if i > 0 {
			f.runes, f.gap = append(f.runes, ' '), append(f.gap, true)
		}
		for ; i < alone; i++ {
			for n, r := range words[i] {
				f.runes, f.gap = append(f.runes, r), append(f.gap, n == 0)
			}
		}
	}
	return f
}

// shownAlone reports whether r is part of a word, and none of what only parts words or shows nothing.
func shownAlone(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
		return true
	case r < utf8.RuneSelf, !usual(r):
		return !parts(r) && !unicode.In(r, unicode.C, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) &&
			!(unicode.Is(unicode.M, r) && unicode.Is(unicode.Inherited, r))
	}
	return true
}

// parts reports whether r stands between words. So does what is put on an emoji, like a skin.
func parts(r rune) bool {
	return unicode.In(r, unicode.Z, unicode.P, unicode.Cc, unicode.Sm, unicode.Sk)
}

// plainLetter gives a letter's lower case, and what letters that are drawn in another style stand for where NFKC doesn't know: small
// capitals, letters on squares and discs, flags' letters. ß stays ß: "aß" is no bad word.
func plainLetter(r rune) rune {
	if r < utf8.RuneSelf {
		if r >= 'A' && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	switch {
	case r >= 0x1F150 && r <= 0x1F169:
		return 'a' + r - 0x1F150
	case r >= 0x1F170 && r <= 0x1F189:
		return 'a' + r - 0x1F170
	case r >= 0x1F1E6 && r <= 0x1F1FF:
		return 'a' + r - 0x1F1E6
	}
	r = unicode.ToLower(unicode.ToUpper(r))
	if plain, ok := styled[r]; ok {
		return plain
	}
	return r
}

// skeleton is f with look-alikes of Latin letters for what they look like, in each word that mixes Latin with Cyrillic or Greek, and in
// those of look-alikes alone where the text has no letter that is only Cyrillic or Greek: then nobody writes Russian or Greek there.
// mapped tells which runes are not their own; nil: none.
func (f folded) skeleton() (s folded, mapped []bool) {
	foreign, real := false, false
	for _, r := range f.runes {
		if isForeign(r) {
			foreign = true
			if _, alike := lookalikes[r]; !alike {
				real = true
			}
		}
	}
	if !foreign {
		return f, nil
	}
	s = folded{append([]rune(nil), f.runes...), f.gap}
	for i := 0; i < len(s.runes); {
		end, latin, own := i, false, false
		for ; end < len(s.runes) && kindOf(s.runes[end]) == letter; end++ {
			latin = latin || unicode.Is(unicode.Latin, s.runes[end])
			own = own || isForeign(s.runes[end])
		}
		if own && (latin || !real) {
			for n := i; n < end; n++ {
				if like, ok := lookalikes[s.runes[n]]; ok {
					if mapped == nil {
						mapped = make([]bool, len(s.runes))
					}
					s.runes[n], mapped[n] = like, true
				}
			}
		}
		i = end + 1
	}
	return s, mapped
}

// asLatin is f with every look-alike for what it looks like.
func (f folded) asLatin() string {
	runes := append([]rune(nil), f.runes...)
	for i, r := range runes {
		if like, ok := lookalikes[r]; ok {
			runes[i] = like
		}
	}
	return string(runes)
}

func isForeign(r rune) bool { return r >= 0x370 && unicode.In(r, unicode.Cyrillic, unicode.Greek) }

// kind is what words are made of.
type kind byte

const (
	anywhere kind = iota // a script that writes no spaces between words, or adds endings to any: a word may begin and end everywhere
	letter
	digit
)

func kindOf(r rune) kind {
	switch {
	case r >= 'a' && r <= 'z':
		return letter
	case unicode.Is(unicode.N, r):
		return digit
	case !unicode.In(r, unicode.L, unicode.M), unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo, unicode.Hangul,
		unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan):
		return anywhere
	}
	return letter
}

// edge reports whether a word may begin at i, or end before it.
func (f folded) edge(i int) bool {
	if i <= 0 || i >= len(f.runes) || f.gap[i] {
		return true
	}
	before, after := kindOf(f.runes[i-1]), kindOf(f.runes[i])
	return before != after || after == anywhere
}

// lookalikes are Cyrillic and Greek letters that look like a Latin one in lower case, or as capitals. The table is our own: letters
// that make whole words, not all that Unicode knows as confusable.
func newLookalikes() map[rune]rune {
	m := map[rune]rune{}
	for from, to := range map[string]string{
		"авекмнорстухіјѕԁԛԝһӏү": "abekmhopctyxijsdqwhly",
		"αβεζηικμνορτυχγϳ":      "abezhikmvoptuxyj",
	} {
		like := []rune(to)
		for i, r := range []rune(from) {
			m[r] = like[i]
		}
	}
	return m
}

func newStyled() map[rune]rune {
	m := map[rune]rune{'ı': 'i', 'ɑ': 'a', 'ɡ': 'g'}
	plain := []rune("abcdefghijklmnoprstuvwyz")
	for i, r := range []rune("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ") {
		m[r] = plain[i]
	}
	return m
}

var (
	lookalikes = newLookalikes()
	styled     = newStyled()
)
