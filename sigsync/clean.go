package sigsync

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"

	"github.com/callsign-as/callsign"
)

// maxClusters is how many grapheme clusters of a text can be shown at all; one screen is gsmbridge's to cut.
const maxClusters = 200

// links finds what a phone would make a link of, or what somebody could be lured to type: anything with ://, www., an
// address with a port or a path, an e-mail address, a name in punycode, and a bare host name under a top-level domain of lures.
// "e.g.", "v1.2" and a missing space behind a full stop are none. What a reader has to put together first stays: "evil[.]com",
// "evil dot com", "h t t p"; so do telephone numbers and names of accounts. Lists of words are for these.
var links = regexp.MustCompile(`(?i)` + strings.Join([]string{
	`[a-z][a-z0-9+.-]*://\S*`,
	`\bwww\.\S+`,
	host + `\.[\p{L}]{2,}(?::\d+|/)\S*`,
	`(?:\d{1,3}\.){3}\d{1,3}(?::\d+|/)\S*`,
	`[\p{L}\p{N}._%+-]+@` + host + `\.[\p{L}]{2,}`,
	host + `\.(?:` + lures + `)\b(?:[:?#]\S*)?`,
	host + `\.(?:` + ownLures + `)(?:[^\p{L}\p{N}\s]\S*|\s|$)`,
	`\bxn--[a-z0-9-]+\.\S*`, host + `\.xn--[a-z0-9]\S*`,
}, "|"))

const (
	host = `(?:[\p{L}\p{N}-]+\.)*[\p{L}\p{N}-]+`
	// lures are top-level domains under which a bare host name is taken for a link. All of them would be too many: "so", "me"
	// and "it" end sentences.
	lures = `com|net|org|info|biz|cn|hk|tw|ru|de|fr|uk|eu|jp|kr|cc|tk|top|xyz|online|site|shop|store|club|vip|icu|live|link|click|app|io|ly|` +
		`co|ai|gg|pw|ws|ga|gq|cf|dev|zip|cyou|cfd|sbs|buzz|bid|loan|mobi|website`
	// ownLures are those in other scripts; a word may go on behind them.
	ownLures = `рф|中国|中國|公司|网络|網絡|网址|香港|台湾|台灣|한국`
)

// Clean makes of a text what may stand on a stranger's screen: one line in NFC, without control characters, without
// characters that turn, hide or stack others, without links and without codes of ours. text is valid UTF-8; Clean(Clean(x)) is Clean(x).
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
	text = callsign.WithoutCodes(withoutLinks(norm.NFC.String(strings.Map(visible, text))))
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

// withoutLinks has a space for each link, however its letters are drawn: a reader types what he sees, and phones know wide dots.
func withoutLinks(text string) string {
	view, at := plainView(text)
	if !mayHoldLink(view) {
		return text
	}
	if at == nil {
		return links.ReplaceAllString(text, " ")
	}
	var out strings.Builder
	end := 0
	for _, link := range links.FindAllStringIndex(view, -1) {
		out.WriteString(text[end:at[link[0]]])
		out.WriteByte(' ')
		end = at[link[1]]
	}
	out.WriteString(text[end:])
	return out.String()
}

// plainView is a text as links are looked for in it: letters, dots and slashes of any width and style are plain, a look-alike beside a
// Latin letter is what it looks like, and marks are not there. at is where in text each byte of the view stands, and its end; nil: the
// view is the text.
func plainView(text string) (view string, at []int) {
	if isPlain(text) || !strings.ContainsAny(text, dots+":：") {
		return text, nil
	}
	b := make([]byte, 0, len(text))
	at = make([]int, 0, len(text)+1)
	for i, r := range text {
		next, _ := utf8.DecodeRuneInString(text[i+utf8.RuneLen(r):])
		next = plain(next)
		switch p := plain(r); {
		case unicode.In(r, unicode.Mn, unicode.Me) && unicode.Is(unicode.Inherited, r), r == zwj, r == zwnj:
			continue
		case p == '。':
			if len(b) > 0 && isASCIIWord(rune(b[len(b)-1])) && isASCIIWord(next) {
				r = '.'
			}
		case isForeign(r):
			if like, ok := lookalikes[unicode.ToLower(r)]; ok && (len(b) > 0 && isASCIIWord(rune(b[len(b)-1])) || isASCIIWord(next)) {
				r = like
			}
		default:
			r = p
		}
		for range utf8.RuneLen(r) {
			at = append(at, i)
		}
		b = utf8.AppendRune(b, r)
	}
	return string(b), append(at, len(text))
}

// isPlain is true for most texts, whose view they are themselves: nothing in them is drawn in a style or width of its own but Chinese
// punctuation, and no full stop of that kind comes after a Latin letter.
func isPlain(text string) bool {
	var before rune
	for _, r := range text {
		switch {
		case r < utf8.RuneSelf, usual(r):
		case r == '。' && isASCIIWord(before), !strings.ContainsRune("，。、！？；（）“”‘’《》…—", r):
			return false
		}
		before = r
	}
	return true
}

// dots are the full stops that a host's name may be written with; the last ones where Latin letters stand around them.
const dots = ".．․﹒。｡"

// plain is the one character that r is a style or width of, if it is.
func plain(r rune) rune {
	if r < utf8.RuneSelf || usual(r) {
		return r
	}
	var from, to [utf8.UTFMax]byte
	n := utf8.EncodeRune(from[:], r)
	out := norm.NFKC.Append(to[:0], from[:n]...)
	if p, size := utf8.DecodeRune(out); size == len(out) {
		return p
	}
	return r
}

func isASCIIWord(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
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
	case unicode.IsSpace(r), unicode.Is(unicode.Z, r), r == brailleBlank:
		return ' '
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // signs that can be seen, though Unicode calls them format
		return r
	case r == zwj || r == zwnj || unicode.Is(unicode.Variation_Selector, r):
		return r
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Noncharacter_Code_Point), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r), r == unicode.ReplacementChar, r == embeddedObject:
		if r >= 0xE0020 && r <= 0xE007F { // the tags of flag emoji
			return r
		}
		return -1
	}
	return r
}

const (
	zwnj           = '\u200c'
	zwj            = '\u200d'
	keycap         = '\u20e3'
	brailleBlank   = '\u2800'
	embeddedObject = '\ufffc'
	blackFlag      = '\U0001f3f4' // whose tags say of which region
	lastTag        = '\U000e007f'
	maxMarks       = 3  // of one character: more is Zalgo; no script needs more
	maxParts       = 16 // of one grapheme cluster: the longest emoji that is drawn as one has ten
)

// tame keeps of a grapheme cluster what belongs together: joiners between the parts of an emoji or where a script has
// them, selectors and tags where they choose how one is drawn, and a few marks. Nothing can be hidden behind a character.
func tame(cluster string) string {
	if r, size := utf8.DecodeRuneInString(cluster); size == len(cluster) && usual(r) {
		return cluster
	}
	runes := []rune(cluster)
	runes = runes[:min(len(runes), maxParts)]
	out := make([]rune, 0, len(runes))
	marks := 0
	for i, r := range runes {
		emoji := len(out) > 0 && isEmojiPart(out[0])
		key := len(out) > 0 && out[0] < utf8.RuneSelf && emoji // it is one with a keycap only
		switch {
		case r == zwj || r == zwnj:
			if len(out) > 0 && (emoji && r == zwj && i+1 < len(runes) || joins(out[len(out)-1])) {
				out = append(out, r)
			}
		case r == 0xFE0E || r == 0xFE0F:
			if emoji && !unicode.Is(unicode.Variation_Selector, out[len(out)-1]) && (!key || i+1 < len(runes) && runes[i+1] == keycap) {
				out = append(out, r)
			}
		case unicode.Is(unicode.Variation_Selector, r):
			if len(out) > 0 && unicode.Is(unicode.Mongolian, r) && unicode.Is(unicode.Mongolian, out[len(out)-1]) && !unicode.Is(unicode.Variation_Selector, out[len(out)-1]) {
				out = append(out, r)
			}
		case r >= 0xE0020 && r <= 0xE007F:
			if len(out) > 0 && out[0] == blackFlag && runes[len(runes)-1] == lastTag {
				out = append(out, r)
			}
		case unicode.Is(unicode.Me, r):
			if key && r == keycap && out[len(out)-1] != keycap {
				out = append(out, r)
			}
		case unicode.Is(unicode.M, r):
			if marks++; marks <= maxMarks && len(out) > 0 && (!emoji || key) {
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
