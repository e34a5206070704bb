package sigsync

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

func TestAWordIsFoundHoweverItIsWritten(t *testing.T) {
	list, err := parseWords([]byte("\ufeff# a comment\n\n  ass \r\ncunt\ncocaine\ncoke\nblow job\nporn*\n*shit\nDämlich\n傻逼\n法轮功\n씨발\nсука\nрот\nكس\n🖕\n1488\ncafé\n"))
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                                "",
		"ass":                             "ass",
		"What an ASS!":                    "ass",
		"(ass)":                           "ass",
		"class, assess, bass, pass":       "",
		"Scunthorpe":                      "",
		"ich aß Pizza":                    "", // ß is no ss
		"ａｓｓ":                             "ass",
		"𝐚𝐬𝐬 𝓌ord":                        "ass",
		"𝔠𝔲𝔫𝔱":                            "cunt",
		"ⓒⓤⓝⓣ":                            "cunt",
		"🅒🅤🅝🅣":                            "cunt",
		"🇨🇺🇳🇹":                            "cunt",
		"ᴄᴜɴᴛ":                            "cunt",
		"c\u0336u\u0336n\u0336t\u0336":    "cunt", // struck through
		"c\u200bu\u00adn\u2060t":          "cunt",
		"c u n t":                         "cunt",
		"c.u-n_t!":                        "cunt",
		"c.u-n.t.s":                       "cunt",
		"a s s":                           "ass",
		"as s, ass-like":                  "ass",
		"as s":                            "", // two words
		"a ss":                            "",
		"blow-job":                        "blow job",
		"Blow   JOB":                      "blow job",
		"blow the job":                    "",
		"pornography":                     "porn*",
		"softporn":                        "",
		"bullshit":                        "*shit",
		"shitake":                         "",
		"dämlich":                         "Dämlich",
		"DA\u0308MLICH":                   "Dämlich",
		"damlich":                         "",
		"CAFÉ":                            "café",
		"cafe":                            "",
		"соке":                            "coke", // all Cyrillic
		"buy соке now":                    "coke",
		"пей соке":                        "",        // п and й are Cyrillic only: it is Russian
		"cосaine":                         "cocaine", // mixed
		"COCΑINE":                         "cocaine", // a Greek capital
		"сука":                            "сука",
		"Сyка":                            "сука", // with a Latin y
		"cyka":                            "",     // Latin throughout: another word of the list
		"сукашка":                         "",
		"pot":                             "", // not what рот looks like
		"рот":                             "рот",
		"pоt":                             "рот", // mixed
		"мой рот":                         "рот",
		"他是傻逼啊":                           "傻逼",
		"傻 逼":                             "", // 好傻 逼我
		"今天好傻。逼我":                         "",
		"法 轮 功":                           "法轮功",
		"法.轮.功好":                          "", // 功好 is a word of its own
		"说法轮功吗":                           "法轮功",
		"你ass吗":                           "ass",
		"야 씨발아":                           "씨발",
		"عكس":                             "",
		"كس":                              "كس",
		"🖕🏽":                              "🖕",
		"ok🖕":                             "🖕",
		"1488":                            "1488",
		"14880":                           "",
		"ass2":                            "ass",
		"Ω μm 5μm Δt":                     "",
		"ασσ":                             "", // σ is no s
		"\u0301\u0302":                    "",
		"e.g. a.m. p.m. i.e. U.S.A. A.S.": "",
	} {
		if got := list.find(look(text)); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
	if got := (*words)(nil).find(look("ass")); got != "" {
		t.Errorf("no list has %q", got)
	}
}

func TestAListThatCannotBeUsedSaysWhere(t *testing.T) {
	for list, want := range map[string]string{
		"a\n\xff\n":     "UTF-8",
		"ok\n\n  ...\n": "line 3",
		"ok\n***\n":     "line 2",
		strings.Repeat("x", 100) + "\n" + strings.Repeat("y", maxPatterns): "line 2",
	} {
		if _, err := parseWords([]byte(list)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.20q: got %v, want %q in it", list, err, want)
		}
	}
}

// FuzzWords: no list and no text makes it panic, and neither case nor width hides a word.
func FuzzWords(f *testing.F) {
	f.Add("ass\n傻逼\nсука*\n*🖕", "What an ASS ａｓｓ c u n t 法.轮.功 сyка")
	f.Add("straße\nİstanbul\nﬀ\nŉ\nΐ", "STRASSE ISTANBUL ẖ H̱ ͅ ᾳ")
	f.Fuzz(func(t *testing.T, list, text string) {
		if len(list) > 1000 || len(text) > maxText || !utf8.ValidString(text) {
			return
		}
		w, err := parseWords([]byte(list))
		if err != nil {
			return
		}
		found := w.find(look(text)) != ""
		for how, other := range map[string]string{
			"upper case": strings.Map(simpleOnly(unicode.ToUpper), text), "lower case": strings.Map(simpleOnly(unicode.ToLower), text),
			"full width": width.Widen.String(text), "half width": width.Narrow.String(text), "NFD": norm.NFD.String(text),
		} {
			if again := w.find(look(other)) != ""; again != found {
				t.Errorf("%q in %q: found %v, in %s, %q, %v", list, text, found, how, other, again)
			}
		}
		for line := range strings.Lines(list) {
			if word := strings.TrimSpace(line); word != "" && word[0] != '#' && !strings.Contains(word, "*") && w.find(look(word)) == "" {
				t.Errorf("the list %q has not its own %q", list, word)
			}
		}
	})
}

// simpleOnly changes letters alone: a mark that becomes a letter (U+0345) stands elsewhere among marks than it did.
func simpleOnly(change func(rune) rune) func(rune) rune {
	return func(r rune) rune {
		if !unicode.IsLetter(r) {
			return r
		}
		return change(r)
	}
}

func BenchmarkLook(b *testing.B) {
	var list bytes.Buffer
	for i := range 5000 {
		fmt.Fprintf(&list, "%c%c%c\nbad%dword\n", 0x4e00+i, 0x5000+i*3%7000, 0x6000+i*7%8000, i)
	}
	w, err := parseWords(list.Bytes())
	if err != nil {
		b.Fatal(err)
	}
	for name, text := range map[string]string{"Chinese": "在高铁上，信号不好，六点回电", "English": "On the road, back at six. Call me later!"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				l := look(text)
				w.find(l)
				w.find(l)
			}
		})
	}
}
