package sigsync

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

// maxClusters is how many grapheme clusters of a text can be shown at all; one screen is gsmbridge's to cut.
const maxClusters = 200

// links finds what a phone would make a link of, or what somebody could be lured to type: anything with ://, www., an
// address with a port or a path, an e-mail address, and a bare host name under a top-level domain of lures. "e.g.", "v1.2" and
// a missing space behind a full stop are none.
var links = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`[a-z][a-z0-9+.-]*://\S*`,
	`\bwww\.\S+`,
	host + `\.[\p{L}]{2,}(?::\d+|/)\S*`,
	`(?:\d{1,3}\.){3}\d{1,3}(?::\d+|/)\S*`,
	`[\p{L}\p{N}._%+-]+@` + host + `\.[\p{L}]{2,}`,
	host + `\.(?:` + lures + `)\b(?:[:?#]\S*)?`,
}, "|"))

const (
	host = `(?:[\p{L}\p{N}-]+\.)*[\p{L}\p{N}-]+`
	// lures are top-level domains under which a bare host name is taken for a link. All of them would be too many: "so", "me"
	// and "it" end sentences.
	lures = `com|net|org|info|biz|cn|hk|tw|ru|de|fr|uk|eu|jp|kr|cc|tk|top|xyz|online|site|shop|store|club|vip|icu|live|link|click|app|io|ly`
)

// Clean makes of a text what may stand on a stranger's screen: one line in NFC, without control characters, without
// characters that turn, hide or stack others, and without links. text is valid UTF-8; Clean(Clean(x)) is Clean(x).
func Clean(text string) string {
	for {
		next := cleanOnce(text)
		if next == text {
			return text
		}
		text = next // what was taken out may have kept a link or a mark apart
	}
}

func cleanOnce(text string) string {
	text = norm.NFC.String(strings.Map(visible, text))
	if mayHoldLink(text) {
		text = links.ReplaceAllString(text, " ")
	}
	text = strings.Join(strings.Fields(text), " ")
	var out strings.Builder
	clusters := 0
	for state := -1; text != "" && clusters < maxClusters; clusters++ {
		var cluster string
		cluster, text, _, state = uniseg.FirstGraphemeClusterInString(text, state)
		out.WriteString(tame(cluster))
	}
	return strings.TrimSpace(out.String())
}

// mayHoldLink is false for most texts, which then needn't be looked through: whatever links finds has "://" in it, or a full stop
// with something behind it.
func mayHoldLink(text string) bool {
	for i := range len(text) - 1 {
		if text[i] == '.' && text[i+1] != ' ' {
			return true
		}
	}
	return strings.Contains(text, "://")
}

// usual is true for most of what people write, and for nothing that has to be judged: printable ASCII, Hanzi, Kana and Hangul.
func usual(r rune) bool {
	return r >= ' ' && r <= '~' || r >= 0x4E00 && r <= 0x9FFF || r >= 0x3041 && r <= 0x3096 || r >= 0x30A1 && r <= 0x30FA || r >= 0xAC00 && r <= 0xD7A3
}

// visible drops what has no place in one line of text: controls, bidi controls (a spoofed direction), and formatting that
// shows nothing. Line ends and tabs are spaces. ZWJ, ZWNJ and variation selectors stay for tame to judge.
func visible(r rune) rune {
	switch {
	case usual(r):
		return r
	case unicode.IsSpace(r) || unicode.Is(unicode.Z, r):
		return ' '
	case r == zwj || r == zwnj || unicode.Is(unicode.Variation_Selector, r):
		return r
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Noncharacter_Code_Point), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r), r == unicode.ReplacementChar:
		if r >= 0xE0020 && r <= 0xE007F { // the tags of flag emoji
			return r
		}
		return -1
	}
	return r
}

const (
	zwnj     = '\u200c'
	zwj      = '\u200d'
	maxMarks = 3 // of one character: more is Zalgo; no script needs more
)

// tame keeps of a grapheme cluster what belongs together: joiners between the parts of an emoji or where a script has
// them, and a few marks.
func tame(cluster string) string {
	if r, size := utf8.DecodeRuneInString(cluster); size == len(cluster) && usual(r) {
		return cluster
	}
	runes := []rune(cluster)
	out := make([]rune, 0, len(runes))
	marks := 0
	for i, r := range runes {
		emoji := len(out) > 0 && (isEmojiPart(out[0]))
		switch {
		case r == zwj || r == zwnj:
			if len(out) > 0 && (emoji && r == zwj && i+1 < len(runes) || joins(out[len(out)-1])) {
				out = append(out, r)
			}
		case unicode.Is(unicode.Variation_Selector, r), r >= 0xE0020 && r <= 0xE007F:
			if emoji {
				out = append(out, r)
			}
		case unicode.Is(unicode.M, r):
			if marks++; marks <= maxMarks && len(out) > 0 {
				out = append(out, r)
			}
		default:
			out = append(out, r)
		}
	}
	return string(out)
}

// isEmojiPart reports whether an emoji sequence may begin with r: pictographs, keycaps.
func isEmojiPart(r rune) bool {
	return r >= 0x2190 && unicode.Is(unicode.So, r) || r >= 0x1F000 && r <= 0x1FAFF || r == '#' || r == '*' || r >= '0' && r <= '9' || r == 0xA9 || r == 0xAE ||
		r >= 0x2190 && r <= 0x2BFF || r == 0x203C || r == 0x2049 || r == 0x3030 || r == 0x303D
}

// joins reports whether r is of a script in which ZWJ and ZWNJ change how letters are written.
func joins(r rune) bool {
	return unicode.In(r, unicode.Arabic, unicode.Syriac, unicode.Mongolian, unicode.Nko, unicode.Devanagari, unicode.Bengali, unicode.Gurmukhi, unicode.Gujarati,
		unicode.Oriya, unicode.Tamil, unicode.Telugu, unicode.Kannada, unicode.Malayalam, unicode.Sinhala, unicode.Khmer, unicode.Myanmar)
}
