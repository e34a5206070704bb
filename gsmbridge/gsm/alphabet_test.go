package gsm

import (
	"bytes"
	"testing"
	"unicode/utf8"

	"github.com/fiorix/go-smpp/smpp/pdu/pdutext"
)

func TestEveryCodeOfTheAlphabetReadsBack(t *testing.T) {
	if n := utf8.RuneCountInString(string(alphabet[:])); n != 128 {
		t.Fatalf("got %d codes, want 128", n)
	}
	for code := range byte(128) {
		if code == escape {
			continue
		}
		text := DecodeGSM7([]byte{code})
		if got, ok := EncodeGSM7(text); !ok || !bytes.Equal(got, []byte{code}) {
			t.Errorf("0x%02X reads as %q, which is sent as % X", code, text, got)
		}
	}
}

func TestAlphabetOfTS23038(t *testing.T) {
	for text, want := range map[string][]byte{
		"@":          {0x00},
		"Ç":          {0x09},
		"ΔΦΓΛΩΠΨΣΘΞ": {0x10, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19, 0x1A},
		"Æ":          {0x1C},
		"É":          {0x1F},
		"¤":          {0x24},
		"¡":          {0x40},
		"ÄÖÑÜ§¿":     {0x5B, 0x5C, 0x5D, 0x5E, 0x5F, 0x60},
		"äöñüà":      {0x7B, 0x7C, 0x7D, 0x7E, 0x7F},
		"\f^{}\\":    {0x1B, 0x0A, 0x1B, 0x14, 0x1B, 0x28, 0x1B, 0x29, 0x1B, 0x2F},
		"[~]|€":      {0x1B, 0x3C, 0x1B, 0x3D, 0x1B, 0x3E, 0x1B, 0x40, 0x1B, 0x65},
	} {
		if got, ok := EncodeGSM7(text); !ok || !bytes.Equal(got, want) {
			t.Errorf("%q is sent as % X, want % X", text, got, want)
		}
	}
	for _, text := range []string{"ç", "…", "`", "Ё", "\x1b", "\t"} {
		if got, ok := EncodeGSM7(text); ok {
			t.Errorf("%q is sent as % X, want no code", text, got)
		}
	}
}

func TestDecodeGSM7TakesAnything(t *testing.T) {
	for name, c := range map[string]struct {
		octets []byte
		want   string
	}{
		"an unknown extension is the default alphabet's":  {[]byte{'a', 0x1B, 'b'}, "ab"},
		"an escape at the end is a space":                 {[]byte{'a', 0x1B}, "a "},
		"two escapes are one space":                       {[]byte{0x1B, 0x1B, 'a'}, " a"},
		"an octet with its eighth bit is U+FFFD":          {[]byte{'a', 0x80, 'b'}, "a\uFFFDb"},
		"an escape before such an octet is a space by it": {[]byte{0x1B, 0xFF}, " \uFFFD"},
	} {
		if got := DecodeGSM7(c.octets); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestDecode(t *testing.T) {
	for name, c := range map[string]struct {
		dataCoding     byte
		octets         []byte
		text, encoding string
		class0         bool
	}{
		"0x00 is the default alphabet":             {0x00, []byte{0x00}, "@", GSM7, false},
		"0x10 is the same for the screen":          {0x10, []byte{0x00}, "@", GSM7, true},
		"0xF0 too":                                 {0xF0, []byte{0x00}, "@", GSM7, true},
		"0xF1 is for the phone's memory":           {0xF1, []byte{0x00}, "@", GSM7, false},
		"0x08 is UCS2":                             {0x08, []byte{0x62, 0x11}, "我", UCS2, false},
		"0x18 is UCS2 for the screen":              {0x18, []byte{0xD8, 0x3D, 0xDE, 0x00}, "😀", UCS2, true},
		"half a pair and half a unit are U+FFFD":   {0x08, []byte{0xD8, 0x3D, 0x00}, "\uFFFD\uFFFD", UCS2, false},
		"0x03 is Latin 1":                          {0x03, []byte{0xE7}, "ç", "latin1", false},
		"0x04 is data":                             {0x04, []byte{0x01}, "", Data, false},
		"0xF4 is data, though it's for the screen": {0xF4, []byte{0x01}, "", Data, true},
	} {
		text, encoding := Decode(c.dataCoding, c.octets)
		if text != c.text || encoding != c.encoding || Class0(c.dataCoding) != c.class0 {
			t.Errorf("%s: got %q %s %t, want %q %s %t", name, text, encoding, Class0(c.dataCoding), c.text, c.encoding, c.class0)
		}
	}
}

func FuzzAlphabets(f *testing.F) {
	f.Add("Grüße [€] @ Ç", []byte{0x1B, 0x65, 0x1B})
	f.Add("我在开会 😀", []byte{0xD8, 0x3D, 0xDE, 0x00, 0xD8})
	f.Fuzz(func(t *testing.T, text string, octets []byte) {
		if septets, ok := EncodeGSM7(text); ok && DecodeGSM7(septets) != text {
			t.Errorf("%q comes back as %q", text, DecodeGSM7(septets))
		}
		if utf8.ValidString(text) {
			coded := EncodeUCS2(text)
			if got := DecodeUCS2(coded); got != text {
				t.Errorf("%q comes back as %q", text, got)
			}
			// A second reader of UTF-16 as the judge of ours.
			if got := string(pdutext.UCS2(coded).Decode()); got != text {
				t.Errorf("%q reads elsewhere as %q", text, got)
			}
		}
		for dataCoding := range 256 {
			Decode(byte(dataCoding), octets)
		}
		if again, ok := EncodeGSM7(DecodeGSM7(octets)); ok && DecodeGSM7(again) != DecodeGSM7(octets) {
			t.Errorf("% X does not settle", octets)
		}
	})
}
