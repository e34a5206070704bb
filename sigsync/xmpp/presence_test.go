package xmpp

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/callsign-as/callsign/sigsync"
)

func read(b []byte, languages ...string) (presence, error) {
	return readPresence(xml.NewDecoder(bytes.NewReader(b)), languages)
}

func TestWhatAPresenceSays(t *testing.T) {
	for sentence, test := range map[string]struct {
		stanza string
		want   presence
	}{
		"a text":                          {`<presence from='a@b/c'><status>hi</status></presence>`, presence{from: "a@b/c", note: sigsync.Note{Text: "hi"}}},
		"no text":                         {`<presence from='a@b/c'><show>away</show></presence>`, presence{from: "a@b/c"}},
		"an empty text":                   {`<presence><status> </status></presence>`, presence{}},
		"escaped":                         {`<presence><status>&lt;&#x1F684;&amp;</status></presence>`, presence{note: sigsync.Note{Text: "<🚄&"}}},
		"elements in a text are not it":   {`<presence><status>a<b>c</b>d</status></presence>`, presence{note: sigsync.Note{Text: "ad"}}},
		"the language that is wanted":     {`<presence><status>no</status><status xml:lang='zh-Hans'>zh</status><status xml:lang='de'>de</status></presence>`, presence{note: sigsync.Note{Lang: "zh-Hans", Text: "zh"}}},
		"else the text in none":           {`<presence><status xml:lang='de'>de</status><status>no</status></presence>`, presence{note: sigsync.Note{Text: "no"}}},
		"else the first":                  {`<presence><status xml:lang='de'>de</status><status xml:lang='fr'>fr</status></presence>`, presence{note: sigsync.Note{Lang: "de", Text: "de"}}},
		"the stream's language is not":    {`<presence xml:lang='en'><status>你好</status></presence>`, presence{note: sigsync.Note{Text: "你好"}}},
		"a language that is none":         {`<presence><status xml:lang='not a language'>x</status></presence>`, presence{note: sigsync.Note{Text: "x"}}},
		"a priority":                      {`<presence><priority> -7 </priority></presence>`, presence{priority: -7}},
		"a priority beyond a byte":        {`<presence><priority>128</priority></presence>`, presence{}},
		"a priority that is no number":    {`<presence><priority>high</priority></presence>`, presence{}},
		"a kind":                          {`<presence type='unavailable'><status>gone</status></presence>`, presence{kind: "unavailable", note: sigsync.Note{Text: "gone"}}},
		"what nobody knows":               {`<presence><x xmlns='y'><status xmlns='z'>no</status></x><status>hi</status></presence>`, presence{note: sigsync.Note{Text: "hi"}}},
		"as deep as the budget lets come": {`<presence>` + strings.Repeat("<a>", 9000) + strings.Repeat("</a>", 9000) + `<status>hi</status></presence>`, presence{note: sigsync.Note{Text: "hi"}}},
	} {
		if got, err := read([]byte(test.stanza), "zh"); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v; want %+v", sentence, got, err, test.want)
		}
	}
}

// FuzzPresence reads whatever comes, and what it understood once more from its own writing.
func FuzzPresence(f *testing.F) {
	for _, seed := range []string{hi, bye, `<presence type='unsubscribed' from='a@b'/>`, `<presence><status>&lol;</status>`, "<presence><status>\xff</status></presence>", `<presence xml:lang='zh'><status xml:lang='en'>x</status><priority>9</priority></presence>`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := read(b)
		if err != nil {
			return
		}
		if !utf8.ValidString(p.note.Text) || !utf8.ValidString(p.from) {
			t.Fatalf("%+v is no UTF-8", p)
		}
		escaped := func(s string) string {
			var out bytes.Buffer
			_ = xml.EscapeText(&out, []byte(s))
			return out.String()
		}
		written := fmt.Sprintf(`<presence from="%s" type="%s"><priority>%d</priority><status xml:lang="%s">%s</status></presence>`,
			escaped(p.from), escaped(p.kind), p.priority, p.note.Lang, escaped(p.note.Text))
		if again, err := read([]byte(written)); err != nil || again != p {
			t.Fatalf("%+v, written as %s, reads as %+v, %v", p, written, again, err)
		}
	})
}

func TestConfigurationsThatCantWork(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"server \"\"":       func(c *Config) { c.Server = "" },
		"server \"im.test":  func(c *Config) { c.Server = "im.test" },
		"domain \"\"":       func(c *Config) { c.Domain = "" },
		"domain \"a@b\"":    func(c *Config) { c.Domain = "a@b" },
		"domain \"a/b\"":    func(c *Config) { c.Domain = "a/b" },
		"secret: it is":     func(c *Config) { c.Secret = "" },
		"name \"\"":         func(c *Config) { c.Name = "" },
		"name \"a@b\"":      func(c *Config) { c.Name = "a@b" },
		"per_second":        func(c *Config) { c.PerSecond = 0 },
		"timeout: use":      func(c *Config) { c.Timeout = 0 },
		"timeout: use 100m": func(c *Config) { c.Timeout = 2 * 60e9 },
	} {
		c := DefaultConfig()
		c.Server, c.Domain, c.Secret = "127.0.0.1:5347", "s.test", "secret"
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}
