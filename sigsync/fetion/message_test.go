package fetion

import (
	"bufio"
	"bytes"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

func itoa(n int) string { return strconv.Itoa(n) }

func read(raw []byte) (message, error) {
	return readMessage(bufio.NewReaderSize(bytes.NewReader(raw), maxLine))
}

func TestMessages(t *testing.T) {
	for sentence, test := range map[string]struct {
		raw  string
		want message
	}{
		"a request":                  {"SUB fetion.com.cn SIP-C/4.0\r\nF: 1\r\nL: 2\r\n\r\nab", message{Method: "SUB", To: "fetion.com.cn", Fields: []field{{"F", "1"}}, Body: []byte("ab")}},
		"an answer":                  {"SIP-C/4.0 401 Unauthoried\r\nI: 1\r\nW: a: b\r\n\r\n", message{Code: 401, Reason: "Unauthoried", Fields: []field{{"I", "1"}, {"W", "a: b"}}}},
		"a notice, lengths anywhere": {"BN 1 SIP-C/4.0\r\nL: 1\r\nN: PresenceV4\r\n\r\nx", message{Method: "BN", To: "1", Fields: []field{{"N", "PresenceV4"}}, Body: []byte("x")}},
		"lines that end in LF":       {"BN 1 SIP-C/4.0\nN: x\n\n", message{Method: "BN", To: "1", Fields: []field{{"N", "x"}}}},
		"after empty lines":          {"\r\n\r\nBN 1 SIP-C/4.0\r\n\r\n", message{Method: "BN", To: "1"}},
		"a length of nothing":        {"BN 1 SIP-C/4.0\r\nL: 0\r\n\r\n", message{Method: "BN", To: "1"}},
	} {
		got, err := read([]byte(test.raw))
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v; want %+v", sentence, got, err, test.want)
		}
	}
	for sentence, raw := range map[string]string{
		"another protocol":     "SIP/2.0 200 OK\r\n\r\n",
		"another version":      "SIP-C/2.0 200 OK\r\n\r\n",
		"a status of words":    "SIP-C/4.0 OK\r\n\r\n",
		"a status of a digit":  "SIP-C/4.0 2 OK\r\n\r\n",
		"a status below":       "SIP-C/4.0 -20 OK\r\n\r\n",
		"no target":            "BN SIP-C/4.0\r\n\r\n",
		"a field with no name": "BN 1 SIP-C/4.0\r\n: x\r\n\r\n",
		"a folded field":       "BN 1 SIP-C/4.0\r\nN: x\r\n y\r\n\r\n",
		"no end":               "BN 1 SIP-C/4.0\r\nN: x\r\n",
		"half a body":          "BN 1 SIP-C/4.0\r\nL: 3\r\n\r\nab",
		"a length in hex":      "BN 1 SIP-C/4.0\r\nL: 0x1\r\n\r\na",
	} {
		if got, err := read([]byte(raw)); err == nil {
			t.Errorf("%s: %+v", sentence, got)
		}
	}
}

func FuzzMessage(f *testing.F) {
	f.Add([]byte("BN 916098834 SIP-C/4.0\r\nN: PresenceV4\r\nI: 1\r\nL: 3\r\nQ: 2 BN\r\n\r\n<a>"))
	f.Add([]byte("SIP-C/4.0 401 Unauthoried\r\nF: 1\r\nI: 1\r\nQ: 1 R\r\nW: Digest algorithm=\"SHA1-sess-v4\",nonce=\"1D3C\",key=\"C3C7\"\r\n\r\n"))
	f.Add([]byte("\r\n\nR x SIP-C/4.0\nL: 99999999999999999999\n\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := read(raw)
		if err != nil {
			return
		}
		again, err := read(m.append(nil))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%q is read as %+v, and written and read again as %+v, %v", raw, m, again, err)
		}
	})
}

func FuzzPresence(f *testing.F) {
	f.Add([]byte(`<events><event type="PresenceChanged"><contacts><c id="2"><p v="0" sid="793401629" su="sip:793401629@fetion.com.cn;p=1919" m="13601804916" n="" i="人生 &lt;&amp;&#128644;" p="0"/><pr di="" b="400" d="" dt="PC"/></c></contacts></event></events>`))
	f.Add([]byte(`<results><user-info><contact-list version="1"><buddies><b i="2" u="sip:793401629@fetion.com.cn;p=1" n=""/><b i="3" u="tel:13800138000"/></buddies></contact-list></user-info></results>`))
	f.Add([]byte(`<!DOCTYPE e [<!ENTITY a "b">]><events><event><contacts><c id="&a;"/></contacts></event></events>`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		events, err := parseEvents(raw)
		for _, e := range events {
			for _, c := range e.Contacts {
				if c.Profile.Impresa != nil && !utf8.ValidString(*c.Profile.Impresa) || err != nil {
					t.Errorf("%q gives %+v, %v", raw, c, err)
				}
			}
		}
		contacts, _ := parseContacts(raw)
		for id, sid := range contacts {
			if !isSID(sid) || strings.ContainsAny(sid, "@:;") {
				t.Errorf("%q gives %q for %q", raw, sid, id)
			}
		}
	})
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Digest algorithm="SHA1-sess-v4",nonce="660702E04DB7BC69666436271C4D9F7B",key="` + strings.Repeat("C", 255) + `1010001",signature="D5"`)
	f.Add(`Digest algorithm="SHA1-sess-v4",nonce="0",key="` + strings.Repeat("0", 262) + `"`)
	f.Add(`Digest algorithm="SHA1-sess-v4",nonce="0",key="` + strings.Repeat("F", 256) + `000000"`)
	f.Add(`Digest =,=,"`)
	f.Fuzz(func(t *testing.T, value string) {
		c, err := parseChallenge(value)
		if err != nil {
			return
		}
		response, err := c.response(1, "x")
		if err == nil && len(response) < 256 {
			t.Errorf("%q is answered by %q", value, response)
		}
	})
}
