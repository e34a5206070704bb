package msn

import (
	"bufio"
	"bytes"
	"encoding/xml"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

func TestWhatAUBXSays(t *testing.T) {
	for sentence, test := range map[string]struct {
		payload, want string
		told          bool
		wrong         string
	}{
		"a text":                               {"<Data><PSM>On the road</PSM><CurrentMedia></CurrentMedia></Data>", "On the road", true, ""},
		"escaped":                              {"<Data><PSM>a &lt;b&gt; &amp; &#x26; &quot;c&quot;</PSM></Data>", `a <b> & & "c"`, true, ""},
		"Chinese and emoji":                    {"<Data><PSM>在高铁上 🚄</PSM></Data>", "在高铁上 🚄", true, ""},
		"an emptied one clears":                {"<Data><PSM></PSM><CurrentMedia></CurrentMedia></Data>", "", true, ""},
		"in short form, too":                   {"<Data><PSM/></Data>", "", true, ""},
		"none is told by no payload":           {"", "", false, ""},
		"nor by what is played":                {"<Data><CurrentMedia>\\0Music\\01\\0{0}\\0Song</CurrentMedia></Data>", "", false, ""},
		"nor elsewhere":                        {"<Data><X><PSM>no</PSM></X></Data>", "", false, ""},
		"a later client's elements":            {"<Data><PSM>hi</PSM><MachineGuid>{1}</MachineGuid><EndpointData id=\"{1}\"><Capabilities>1:2</Capabilities></EndpointData></Data>", "hi", true, ""},
		"controls of a formatting client":      {"<Data><PSM>\x033hi\x02</PSM></Data>", "3hi", true, ""},
		"a section":                            {"<Data><PSM><![CDATA[<b>]]></PSM></Data>", "<b>", true, ""},
		"two messages: the last":               {"<Data><PSM>a</PSM><PSM>b</PSM></Data>", "b", true, ""},
		"cut short":                            {"<Data><PSM>hi", "", false, "unexpected EOF"},
		"a wrong encoding":                     {"<Data><PSM>\xb9\xa4\xd7\xf7</PSM></Data>", "", false, "no UTF-8"},
		"another declared encoding":            {"<?xml version=\"1.0\" encoding=\"GBK\"?><Data><PSM>x</PSM></Data>", "", false, "GBK"},
		"an entity bomb":                       {`<!DOCTYPE d [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><Data><PSM>&b;</PSM></Data>`, "", false, "invalid character entity"},
		"an entity that nobody knows":          {"<Data><PSM>&b;</PSM></Data>", "", false, "invalid character entity"},
		"a bomb of depth":                      {strings.Repeat("<a>", maxText/3), "", false, "expected element type <Data>"},
		"more than is read":                    {"<Data><PSM>" + strings.Repeat("x", maxText) + "</PSM></Data>", "", false, "at most"},
		"half of a surrogate pair by a number": {"<Data><PSM>&#xD83D;</PSM></Data>", "\ufffd", true, ""},
		"depth below Data":                     {"<Data>" + strings.Repeat("<a>", 1300), "", false, "unexpected EOF"},
		"another root":                         {"<html><PSM>x</PSM></html>", "", false, "expected element type <Data>"},
	} {
		got, told, err := message([]byte(test.payload))
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%s: %q, %v; want an error with %q", sentence, got, err, test.wrong)
			}
			continue
		}
		if got != test.want || told != test.told || err != nil {
			t.Errorf("%s: got %q, %v, %v; want %q, %v", sentence, got, told, err, test.want, test.told)
		}
	}
}

func TestWhatIsNoCommand(t *testing.T) {
	for sentence, test := range map[string]struct{ wire, wrong string }{
		"an endless line":               {strings.Repeat("A", maxLine+1), "line longer than"},
		"a web server":                  {"HTTP/1.1 400 Bad Request\r\n", "no command"},
		"an empty line":                 {"\r\n", "no command"},
		"a length that is none":         {"UBX bob@x.test -1\r\n", "length of \"-1\""},
		"a huge length":                 {"UBX bob@x.test 99999999999999999999\r\n", "up to 65536"},
		"a length above what is kept":   {"MSG Hotmail Hotmail 65537\r\n", "up to 65536"},
		"no length":                     {"UBX\r\n", "without a length"},
		"an end within a payload":       {"UBX bob@x.test 5\r\n<Dat", "within the payload"},
		"an end within a line":          {"NLN NLN bob", "within a line"},
		"small letters":                 {"nln NLN bob@x.test\r\n", "no command"},
		"bytes that are no text at all": {"\xff\xfe\x00\x01\n", "no command"},
	} {
		if c, err := readCommand(bufio.NewReaderSize(strings.NewReader(test.wire), maxLine)); err == nil || !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%s: %+v, %v; want an error with %q", sentence, c, err, test.wrong)
		}
	}
}

// sessions are sessions in the form in which Escargot's code writes them; none was taken from the wire.
func sessions(tb testing.TB) (all [][]byte) {
	tb.Helper()
	names, err := filepath.Glob("testdata/*.msnp")
	if err != nil || len(names) == 0 {
		tb.Fatal("testdata has no session", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			tb.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

func FuzzCommand(f *testing.F) {
	for _, b := range sessions(f) {
		f.Add(b)
	}
	f.Add([]byte("UBX a 99999999999\r\n"))
	f.Fuzz(func(t *testing.T, wire []byte) {
		r := bufio.NewReaderSize(bytes.NewReader(wire), maxLine)
		for range 100 {
			c, err := readCommand(r)
			if err != nil {
				return
			}
			again, err := readCommand(bufio.NewReaderSize(bytes.NewReader(c.append(nil)), maxLine))
			if err != nil || again.name != c.name || !reflect.DeepEqual(append([]string{}, again.args...), append([]string{}, c.args...)) || !bytes.Equal(again.payload, c.payload) {
				t.Fatalf("%+v becomes %+v, %v", c, again, err)
			}
		}
	})
}

// nowhere is a connection that takes everything.
type nowhere struct{ net.Conn }

func (nowhere) Write(b []byte) (int, error)      { return len(b), nil }
func (nowhere) SetWriteDeadline(time.Time) error { return nil }

// A session hears anything that has the form of a command, and no more is kept of it than its bounds allow.
func FuzzSession(f *testing.F) {
	for _, b := range sessions(f) {
		f.Add(b)
	}
	f.Add([]byte("LST N=a@b 1\r\nADC 1 FL N=bob@example.test C=1\r\n215 2\r\n210 3\r\nREM 4 PL x\r\nADC 0 RL N=bob@example.test\r\n"))
	c := DefaultConfig()
	c.Address, c.Nexus, c.Logins = "msn.test:1863", "https://nexus.test/", []Login{{buddy, "x"}}
	p, err := New(c, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		s := newSession(p.logins[0], nowhere{})
		s.follow(sigsync.Follow{Accounts: []string{bob, "carol@example.test"}, Failed: func(account string, _ error) {
			if account != bob && account != "carol@example.test" {
				t.Errorf("%q fails, whom nobody follows", account)
			}
		}})
		r := bufio.NewReaderSize(bytes.NewReader(wire), maxLine)
		heard := map[string]bool{}
		_ = s.heard.PutWhile(func(changes []callsign.Change) {
			for _, c := range changes {
				heard[c.Account] = true
			}
		}, func() error {
			for {
				s.change(time.Now())
				c, err := readCommand(r)
				if err == nil {
					err = s.hear(c, time.Now())
				}
				if err != nil {
					return err
				}
			}
		})
		if len(s.contacts) > maxContacts+2 {
			t.Errorf("%d contacts", len(s.contacts))
		}
		for account := range heard {
			if account != bob && account != "carol@example.test" {
				t.Errorf("%q is told, whom nobody follows", account)
			}
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add("On the road", "<CurrentMedia></CurrentMedia>")
	f.Add("<&>\"'", "<MachineGuid>{1}</MachineGuid>")
	f.Add("在高铁上 🚄", "")
	f.Fuzz(func(t *testing.T, text, rest string) {
		if got, told, err := message([]byte(rest)); err == nil && len(got) > len(rest)*3 {
			t.Errorf("%q became %q, %v", rest, got, told)
		}
		var escaped bytes.Buffer
		if err := xml.EscapeText(&escaped, []byte(text)); err != nil {
			t.Fatal(err)
		}
		payload := "<Data><PSM>" + escaped.String() + "</PSM></Data>"
		if len(payload) > maxText {
			return
		}
		// What can't stand in XML is replaced by who escapes.
		var want struct{ PSM string }
		if err := xml.Unmarshal([]byte(payload), &want); err != nil {
			t.Fatal(err)
		}
		if got, told, err := message([]byte(payload)); got != want.PSM || !told || err != nil {
			t.Errorf("%q: got %q, %v, %v", text, got, told, err)
		}
	})
}
