package gsm

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestForms(t *testing.T) {
	a, han := func(n int) string { return strings.Repeat("a", n) }, func(n int) string { return strings.Repeat("我", n) }
	family := "👨‍👩‍👧‍👦" // one cluster of 11 units
	for name, c := range map[string]struct {
		form            Form
		text, shown     string
		encoding        string
		units, maxUnits int
		parts           []int // units of each
	}{
		"182 septets are a USSD string":           {Form{USSD: true}, a(182), a(182), GSM7, 182, 182, []int{182}},
		"183 are cut to it":                       {Form{USSD: true}, a(183), a(179) + "...", GSM7, 182, 182, []int{182}},
		"80 units are one":                        {Form{USSD: true}, han(80), han(80), UCS2, 80, 80, []int{80}},
		"81 are cut":                              {Form{USSD: true}, han(81), han(79) + "…", UCS2, 80, 80, []int{80}},
		"USSD has no parts":                       {Form{USSD: true, Parts: 3}, han(100), han(79) + "…", UCS2, 80, 80, []int{80}},
		"fewer units than the screen":             {Form{MaxUnits: 20}, a(30), a(17) + "...", GSM7, 20, 20, []int{20}},
		"in whichever alphabet":                   {Form{MaxUnits: 20}, han(30), han(19) + "…", UCS2, 20, 20, []int{20}},
		"more than the screen are the screen's":   {Form{MaxUnits: 500}, han(71), han(69) + "…", UCS2, 70, 70, []int{70}},
		"what fits into one isn't concatenated":   {Form{Parts: 3}, a(160), a(160), GSM7, 160, 459, []int{160}},
		"161 are two":                             {Form{Parts: 3}, a(161), a(161), GSM7, 161, 459, []int{153, 8}},
		"459 are three":                           {Form{Parts: 3}, a(459), a(459), GSM7, 459, 459, []int{153, 153, 153}},
		"460 are cut to three":                    {Form{Parts: 3}, a(460), a(456) + "...", GSM7, 459, 459, []int{153, 153, 153}},
		"71 units are two":                        {Form{Parts: 2}, han(71), han(71), UCS2, 71, 134, []int{67, 4}},
		"an escape goes with what it escapes":     {Form{Parts: 2}, a(152) + strings.Repeat("€", 10), a(152) + strings.Repeat("€", 10), GSM7, 172, 306, []int{152, 20}},
		"surrogates go together":                  {Form{Parts: 2}, han(66) + "😀" + han(10), han(66) + "😀" + han(10), UCS2, 78, 134, []int{66, 12}},
		"a cluster goes whole into the next part": {Form{Parts: 2}, han(60) + family + "b", han(60) + family + "b", UCS2, 72, 134, []int{60, 12}},
		"at most ten parts":                       {Form{Parts: 99}, han(2000), han(669) + "…", UCS2, 670, 670, []int{67, 67, 67, 67, 67, 67, 67, 67, 67, 67}},
		"what nearly fits stays without being told": {
			Form{}, "“ça va” – naïve…", "“ça va” – naïve…", UCS2, 16, 70, []int{16},
		},
		"what nearly fits is brought in":    {Form{Transliterate: true}, "“ça va” – naïve…", `"ca va" - naive...`, GSM7, 18, 160, []int{18}},
		"Turkish too":                       {Form{Transliterate: true}, "İstanbul'dayım, çok meşgul", "Istanbul'dayim, cok mesgul", GSM7, 26, 160, []int{26}},
		"Chinese is no Latin, nor an emoji": {Form{Transliterate: true}, "“我”", "“我”", UCS2, 3, 70, []int{3}},
		"nor an emoji":                      {Form{Transliterate: true}, "“a” 😀", "“a” 😀", UCS2, 6, 70, []int{6}},
		"Cyrillic isn't either":             {Form{Transliterate: true}, "Привет", "Привет", UCS2, 6, 70, []int{6}},
		"what the alphabet has stays":       {Form{Transliterate: true}, "Größe é ñ Ø “", `Größe é ñ Ø "`, GSM7, 13, 160, []int{13}},
	} {
		t.Run(name, func(t *testing.T) {
			s := c.form.Fit(c.text)
			if s.Text != c.shown || s.Encoding != c.encoding || s.Units != c.units || s.MaxUnits != c.maxUnits || s.Parts != len(c.parts) {
				t.Errorf("got %q %s %d of %d in %d parts", s.Text, s.Encoding, s.Units, s.MaxUnits, s.Parts)
			}
			if s.Cut != (s.Text != c.text) && !c.form.Transliterate {
				t.Errorf("cut: %t", s.Cut)
			}
			for i, data := range checkParts(t, c.form, s) {
				if got := len(data) / width(s.Encoding); i >= len(c.parts) || got != c.parts[i] {
					t.Errorf("part %d has %d units, want %v", i+1, got, c.parts)
				}
			}
		})
	}
}

func width(encoding string) int {
	if encoding == UCS2 {
		return 2
	}
	return 1
}

// checkParts holds what must be so of every text's parts and gives them without headers.
func checkParts(t *testing.T, f Form, s Screen) (parts [][]byte) {
	t.Helper()
	most := 140
	if f.USSD {
		most = 160
	}
	var whole strings.Builder
	for i, data := range s.UserData(0xA5) {
		if s.Parts > 1 {
			if want := []byte{5, 0, 3, 0xA5, byte(s.Parts), byte(i + 1)}; !bytes.HasPrefix(data, want) {
				t.Errorf("part %d begins with % X, want % X", i+1, data[:min(6, len(data))], want)
			}
			data = data[6:]
		}
		parts = append(parts, data)
		octets := len(data)
		header := 0
		if s.Parts > 1 {
			header = 6
		}
		if s.Encoding == GSM7 {
			octets = len(Pack(data, header))
		}
		if header+octets > most {
			t.Errorf("part %d has %d octets, at most %d fit", i+1, header+octets, most)
		}
		text := DecodeUCS2(data)
		if s.Encoding == GSM7 {
			text = DecodeGSM7(data)
		}
		if again := EncodeUCS2(text); s.Encoding == UCS2 && !bytes.Equal(again, data) {
			t.Errorf("part %d doesn't read alone: % X", i+1, data)
		}
		if again, ok := EncodeGSM7(text); s.Encoding == GSM7 && (!ok || !bytes.Equal(again, data)) {
			t.Errorf("part %d doesn't read alone: % X", i+1, data)
		}
		whole.WriteString(text)
	}
	if whole.String() != s.Text || len(parts) != max(1, s.Parts) || s.Units > s.MaxUnits {
		t.Errorf("%d parts of %d, %d units of %d, read as %q, want %q", len(parts), s.Parts, s.Units, s.MaxUnits, whole.String(), s.Text)
	}
	return parts
}

func FuzzForm(f *testing.F) {
	for _, s := range []string{"", "On holiday", "我在开会 😀", "👨‍👩‍👧‍👦", "“ça” – …", "a\xff", "[€]", strings.Repeat("e\u0301\u0489", 30)} {
		f.Add(s, false, 0, 0, false)
		f.Add(strings.Repeat(s+" ", 60), false, 0, 3, true)
		f.Add(strings.Repeat(s, 60), true, 50, 1, true)
		f.Add(strings.Repeat(s, 30), false, 1, 10, false)
	}
	f.Fuzz(func(t *testing.T, text string, ussd bool, most, parts int, transliterate bool) {
		form := Form{USSD: ussd, MaxUnits: max(0, most), Parts: parts, Transliterate: transliterate}
		s := form.Fit(text)
		checkParts(t, form, s)
		if !utf8.ValidString(s.Text) || s.Parts > MaxParts {
			t.Errorf("%q in %d parts", s.Text, s.Parts)
		}
	})
}

func TestPack(t *testing.T) {
	for text, want := range map[string]string{
		"hellohello": "\xE8\x32\x9B\xFD\x46\x97\xD9\xEC\x37", // a well-known example of an SMS
		"":           "",
		"a":          "\x61",
		"1234567":    "\x31\xD9\x8C\x56\xB3\xDD\x00",
	} {
		septets, _ := EncodeGSM7(text)
		if got := string(Pack(septets, 0)); got != want {
			t.Errorf("%q: got % X, want % X", text, got, want)
		}
	}
	for text, want := range map[string]string{ // TS 23.038 §6.1.2.3.1
		"1234567":   "\x31\xD9\x8C\x56\xB3\xDD\x1A",     // seven spare bits are a CR
		"1234567\r": "\x31\xD9\x8C\x56\xB3\xDD\x1A\x0D", // a CR on the boundary is doubled
		"12345678":  "\x31\xD9\x8C\x56\xB3\xDD\x70",     // no spare bit, no CR
		"123456":    "\x31\xD9\x8C\x56\xB3\x01",         // other spare bits are zeros
		"12345678a": "\x31\xD9\x8C\x56\xB3\xDD\x70\x61", // and here
	} {
		septets, _ := EncodeGSM7(text)
		got := PackUSSD(septets)
		if string(got) != want {
			t.Errorf("%q: got % X, want % X", text, got, want)
		}
		if back := DecodeGSM7(UnpackUSSD(got)); strings.TrimRight(back, "\r") != strings.TrimRight(text, "\r") {
			t.Errorf("%q comes back as %q", text, back)
		}
	}
}

func FuzzPack(f *testing.F) {
	f.Add([]byte("hello"), 0)
	f.Add([]byte("hello, hello"), 6)
	f.Fuzz(func(t *testing.T, septets []byte, header int) {
		header = max(0, header) % 140
		for i := range septets {
			septets[i] &= 0x7F
		}
		if got := Unpack(Pack(septets, header), header, len(septets)); !bytes.Equal(got, septets) {
			t.Errorf("% X behind %d octets comes back as % X", septets, header, got)
		}
		got := UnpackUSSD(PackUSSD(septets))
		if !bytes.Equal(bytes.TrimRight(got, "\r"), bytes.TrimRight(septets, "\r")) {
			t.Errorf("% X comes back as % X", septets, got)
		}
	})
}

func TestDecodeUSSD(t *testing.T) {
	for dataCoding, want := range map[byte]string{0x00: "@", 0x0F: "@", 0x01: "@", 0x48: "我", 0x08: "我", 0x44: "", 0xF0: "@", 0x11: ""} {
		octets := []byte{0x00}
		if want == "我" {
			octets = []byte{0x62, 0x11}
		}
		if got, _ := DecodeUSSD(dataCoding, octets); got != want {
			t.Errorf("0x%02X: got %q, want %q", dataCoding, got, want)
		}
	}
	for dataCoding, want := range map[byte][2]bool{0x0F: {true, false}, 0x00: {true, false}, 0x48: {false, true}, 0x08: {false, true}, 0x44: {}} {
		if got := [2]bool{CodesUSSD(dataCoding, GSM7), CodesUSSD(dataCoding, UCS2)}; got != want {
			t.Errorf("0x%02X: got %v, want %v", dataCoding, got, want)
		}
	}
}
