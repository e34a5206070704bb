package simple

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/callsign-as/callsign/sigsync"
)

// doc is a presence document with all the namespaces.
func doc(inner string) string {
	return `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" xmlns:rpid="urn:ietf:params:xml:ns:pidf:rpid" entity="sip:b@ims.test">` + inner + `</presence>`
}

func tuple(basic, notes string) string {
	return `<tuple id="` + basic + `"><status><basic>` + basic + `</basic></status>` + notes + `</tuple>`
}

func TestWhatADocumentTells(t *testing.T) {
	person := func(inner string) string { return `<dm:person id="p">` + inner + `</dm:person>` }
	for sentence, test := range map[string]struct {
		doc   string
		want  sigsync.Note
		tells bool
	}{
		"a tuple's note":                        {doc(tuple("open", "<note>hi</note>")), sigsync.Note{Text: "hi"}, true},
		"a person's note, before a tuple's":     {doc(tuple("open", "<note>hi</note>") + person("<dm:note>I</dm:note>")), sigsync.Note{Text: "I"}, true},
		"a person's, before what they do":       {doc(person("<rpid:activities><rpid:note>working</rpid:note></rpid:activities><dm:note>I</dm:note>")), sigsync.Note{Text: "I"}, true},
		"what they do":                          {doc(person("<rpid:activities><rpid:away/><rpid:note>working</rpid:note></rpid:activities>") + tuple("open", "<note>hi</note>")), sigsync.Note{Text: "working"}, true},
		"a tuple's that is open":                {doc(tuple("closed", "<note>was</note>") + tuple("open", "<note>is</note>")), sigsync.Note{Text: "is"}, true},
		"a closed one's, where there is none":   {doc(tuple("closed", "<note>on holiday</note>")), sigsync.Note{Text: "on holiday"}, true},
		"the whole's":                           {doc(tuple("open", "") + "<note>whole</note>"), sigsync.Note{Text: "whole"}, true},
		"the language that is wanted":           {doc(person(`<dm:note xml:lang="en">e</dm:note><dm:note xml:lang="zh-Hans">z</dm:note>`)), sigsync.Note{Lang: "zh-Hans", Text: "z"}, true},
		"who is there and says nothing":         {doc(tuple("open", "")), sigsync.Note{}, true},
		"who emptied the note":                  {doc(tuple("open", "<note> </note>") + person("<dm:note/>")), sigsync.Note{}, true},
		"who is not there tells nothing":        {doc(tuple("closed", "")), sigsync.Note{}, false},
		"an empty document tells nothing":       {doc(""), sigsync.Note{}, false},
		"a note of another namespace is none":   {doc(tuple("open", `<note xmlns="urn:x">no</note>`) + `<person xmlns="urn:x"><note>no</note></person>`), sigsync.Note{}, true},
		"what nobody knows is skipped":          {doc(`<x xmlns="urn:x"><tuple/></x>` + tuple("open", "<note>a<b>c</b>d</note>")), sigsync.Note{Text: "ad"}, true},
		"escaped":                               {doc(tuple("open", "<note>&lt;&#x1F684;&amp;</note>")), sigsync.Note{Text: "<🚄&"}, true},
		"other prefixes for the same":           {`<p:presence xmlns:p="urn:ietf:params:xml:ns:pidf"><p:tuple><p:status><p:basic>open</p:basic></p:status><p:note>hi</p:note></p:tuple></p:presence>`, sigsync.Note{Text: "hi"}, true},
		"as deep as a reader goes, and no note": {doc(strings.Repeat("<a>", 3000) + strings.Repeat("</a>", 3000)), sigsync.Note{}, false},
	} {
		if got, tells, err := readPIDF([]byte(test.doc), []string{"zh"}); err != nil || got != test.want || tells != test.tells {
			t.Errorf("%s: %+v, tells %v, %v; want %+v, %v", sentence, got, tells, err, test.want, test.tells)
		}
	}
}

// The documents in testdata are the specifications' own examples, and what clients of IMS write.
func TestDocumentsOfOthers(t *testing.T) {
	for file, want := range map[string]string{
		"rfc3863.xml": "I'll be in Tokyo next week",
		"rfc4480.xml": "I'm hungry",
		"oma.xml":     "在高铁上",
	} {
		b, err := os.ReadFile(filepath.Join("testdata", file))
		if err != nil {
			t.Fatal(err)
		}
		if got, tells, err := readPIDF(b, []string{"zh", "en"}); err != nil || !tells || got.Text != want {
			t.Errorf("%s: %+v, %v, %v; want %q", file, got, tells, err, want)
		}
	}
}

// FuzzPIDF reads whatever comes, and what it understood once more from its own writing.
func FuzzPIDF(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.xml")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add([]byte(there))
	f.Fuzz(func(t *testing.T, b []byte) {
		note, tells, err := readPIDF(b, []string{"zh"})
		if err != nil {
			return
		}
		if !utf8.ValidString(note.Text) || note.Text != "" && !tells {
			t.Fatalf("%+v, tells %v", note, tells)
		}
		var text bytes.Buffer
		_ = xml.EscapeText(&text, []byte(note.Text))
		written := doc(tuple("open", fmt.Sprintf(`<note xml:lang="%s">%s</note>`, note.Lang, text.String())))
		if note.Lang == "" {
			written = strings.Replace(written, ` xml:lang=""`, "", 1)
		}
		again, _, err := readPIDF([]byte(written), []string{"zh"})
		if err != nil || again.Text != note.Text || note.Text != "" && again.Lang != note.Lang {
			t.Fatalf("%+v, written as %s, reads as %+v, %v", note, written, again, err)
		}
	})
}

func FuzzState(f *testing.F) {
	for _, seed := range []string{"active;expires=600", "terminated;reason=noresource;retry-after=5 (x)", ";;==", "Active ; EXPIRES = 99999999999999999999"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		s := readState(value)
		if s.after < 0 || s.after > 24*time.Hour || s.expires < 0 || s.expires > 24*time.Hour {
			t.Fatalf("%q: %+v", value, s)
		}
		again := readState(fmt.Sprintf("%s;reason=%s;retry-after=%d;expires=%d", s.is, s.reason, int(s.after.Seconds()), int(s.expires.Seconds())))
		if again != s {
			t.Fatalf("%q: %+v, written and read again %+v", value, s, again)
		}
	})
}

func TestWhoseAddressAnAccountIs(t *testing.T) {
	c := DefaultConfig()
	for _, test := range []struct{ uri, account, want string }{
		{"sip:{account}@ims.test", "bob", "sip:bob@ims.test"},
		{"sip:{account}@ims.test", "+8613900000002", "sip:+8613900000002@ims.test"},
		{"sip:{account}@ims.test", "tel:+8613900000002", "sip:+8613900000002@ims.test"},
		{"sip:{account}@ims.test;user=phone", "+86139", "sip:+86139@ims.test;user=phone"},
		{"sip:{account}@ims.test", "a b@c;d?e>f\"\r\ng", "sip:a%20b%40c%3Bd%3Fe%3Ef%22%0D%0Ag@ims.test"},
		{"sip:{account}", "bob@im.test", "sip:bob@im.test"},
		{"sip:{account}", "sip:bob@im.test", "sip:bob@im.test"},
		{"sip:{account}", "bob", ""},
		{"sip:{account}", "bob@im.test>\r\nX: y", ""},
		{"sip:{account}", "bob@", ""},
		{"sip:{account}@ims.test", "", ""},
		{"sip:{account}@ims.test", strings.Repeat("x", 256), ""},
	} {
		c.URI = test.uri
		uri, err := c.address(test.account)
		if got := uri.String(); (err == nil) != (test.want != "") || err == nil && got != test.want || err != nil && !errors.Is(err, sigsync.ErrNoAccount) {
			t.Errorf("%q by %s: %s, %v; want %s", test.account, test.uri, got, err, test.want)
		}
	}
}

func TestConfigurationsThatCantWork(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"listen \"\"":                         func(c *Config) { c.Listen = "" },
		"listen \"udp://:5":                   func(c *Config) { c.Listen = "udp://:5070" },
		"listen \"udp://0.":                   func(c *Config) { c.Listen = "udp://0.0.0.0:5070" },
		"listen \"tls":                        func(c *Config) { c.Listen = "tls://127.0.0.1:5070" },
		"agent \"\"":                          func(c *Config) { c.Agent = "" },
		"agent \"ims.test":                    func(c *Config) { c.Agent = "ims.test" },
		"trust \"10.0.0.1":                    func(c *Config) { c.Trust = []string{"10.0.0.1"} },
		"uri \"{account}":                     func(c *Config) { c.URI = "{account}" },
		"uri \"sip:x@":                        func(c *Config) { c.URI = "sip:x@ims.test" },
		"uri \"sip:{account}@\"":              func(c *Config) { c.URI = "sip:{account}@" },
		"from \"\"":                           func(c *Config) { c.From = "" },
		"from \"sip:ims.test":                 func(c *Config) { c.From = "sip:ims.test" },
		"expires: use":                        func(c *Config) { c.Expires = time.Second },
		"check: use":                          func(c *Config) { c.Check = 0 },
		"subscriptions: use":                  func(c *Config) { c.Most = 0 },
		"per_second: use 0.001 to 1000, or 0": func(c *Config) { c.PerSecond = -1 },
		"subscribe_per_second":                func(c *Config) { c.Pace = 0 },
		"timeout":                             func(c *Config) { c.Timeout = time.Minute },
	} {
		c := DefaultConfig()
		c.Listen, c.Agent, c.URI, c.From = "udp://127.0.0.1:5070", "agent.ims.test:5060", "sip:{account}@ims.test", "sip:callsign@ims.test"
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}
