package gsm

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

// What one message holds, in septets and in units of 16 bits.
const (
	MaxGSM7 = 160 // of a short message: 140 octets (TS 23.038 §4)
	MaxUCS2 = 70

	MaxPartGSM7 = 153 // of a part: 140 octets without the six of its header (TS 23.040 §9.2.3.24.1)
	MaxPartUCS2 = 67
	MaxParts    = 10 // more is no signature; TS 23.040 would allow 255

	MaxUSSDGSM7 = 182 // of a USSD string: 160 octets (TS 23.038 §5)
	MaxUSSDUCS2 = 80
)

// A cut text ends in an ellipsis. "…" is not in the default alphabet and would turn 160 characters into 70, so there it
// is three full stops.
const (
	ellipsisGSM7 = "..."
	ellipsisUCS2 = "…"
)

// Form is what a text has to fit into. The zero value is one SMS.
type Form struct {
	USSD          bool // one USSD string: 182 septets, or 80 units of UCS2
	MaxUnits      int  // fewer units for a message than it holds, whichever the alphabet; 0: all of it
	Parts         int  // short messages that one text may take, concatenated, at most MaxParts; 0 and 1: one. USSD has one
	Transliterate bool // what nearly fits the default alphabet is brought into it, if that saves the text from UCS2
}

// Screen is one text as a handset shows it.
type Screen struct {
	Encoding        string // GSM7 or UCS2
	Text            string // what is shown: composed (NFC), and cut if Cut
	Units, MaxUnits int    // septets or UTF-16 units, taken and to be had, without headers
	Cut             bool
	Octets          []byte // unpacked septets, or UTF-16 big endian; of all parts, without headers
	Parts           int    // short messages that it takes

	starts [MaxParts]int // units before each part
}

// Fit is Form{}.Fit: one SMS.
func Fit(text string) Screen { return Form{}.Fit(text) }

// Fit brings text onto one screen: in the default alphabet if that has all of what can be shown, else in UCS2. A longer text
// is cut between grapheme clusters, so an emoji or a letter with its accents is whole or gone, and ends in an ellipsis;
// one cluster that is longer than the screen leaves the ellipsis alone. What is not UTF-8 is shown as U+FFFD.
func (f Form) Fit(text string) Screen {
	text = norm.NFC.String(strings.ToValidUTF8(text, string(utf8.RuneError)))
	if s, ok := f.fit(GSM7, text); ok {
		return s
	}
	if f.Transliterate {
		if s, ok := f.fit(GSM7, transliterate(text)); ok {
			return s
		}
	}
	s, _ := f.fit(UCS2, text)
	return s
}

// fit is text in one encoding: in one message if that holds it, else in as many parts as there may be. It is not ok if a
// cluster that would be shown has no code.
func (f Form) fit(encoding, text string) (s Screen, ok bool) {
	one, part := f.limits(encoding)
	s, ok = fit(encoding, text, layout{limit: one, max: 1})
	if f.Parts <= 1 || f.USSD {
		return s, ok
	}
	parts := min(f.Parts, MaxParts)
	if s.Cut || !ok {
		s, ok = fit(encoding, text, layout{limit: part, max: parts})
	}
	s.MaxUnits = part * parts
	return s, ok
}

// limits are the units that a message alone and one of several hold.
func (f Form) limits(encoding string) (one, part int) {
	switch {
	case f.USSD && encoding == GSM7:
		one = MaxUSSDGSM7
	case f.USSD:
		one = MaxUSSDUCS2
	case encoding == GSM7:
		one, part = MaxGSM7, MaxPartGSM7
	default:
		one, part = MaxUCS2, MaxPartUCS2
	}
	if f.MaxUnits > 0 {
		one, part = min(one, f.MaxUnits), min(part, f.MaxUnits)
	}
	return one, part
}

// fit lays what l can hold of text into it. A cluster without a code doesn't matter beyond the cut.
func fit(encoding, text string, l layout) (Screen, bool) {
	count, encode, ellipsis := utf16Units, EncodeUCS2, ellipsisUCS2
	if encoding == GSM7 {
		count, encode, ellipsis = septets, mustGSM7, ellipsisGSM7
	}
	dots := count(ellipsis)
	if dots > l.limit { // as many stops as nothing
		ellipsis, dots = "", 0
	}
	l.parts = 1
	show := func(text string, l layout, cut bool) (Screen, bool) {
		return Screen{encoding, text, l.units, l.limit * l.max, cut, encode(text), l.parts, l.starts}, true
	}
	cut, end := l, 0 // the longest start of text that leaves room for the ellipsis and isn't blank at its end
	var cluster string
	for rest, state := text, -1; rest != ""; {
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		n := count(cluster)
		if spare := l; n < 0 && spare.put(1) && spare.put(dots) {
			return Screen{}, false
		}
		if n < 0 || !l.putCluster(cluster, n, count) {
			cut.put(dots)
			return show(text[:end]+ellipsis, cut, true)
		}
		if spare := l; spare.put(dots) && strings.Trim(cluster, " \n\r") != "" {
			cut, end = l, len(text)-len(rest)
		}
	}
	return show(text, l, false)
}

// mustGSM7 encodes what septets has counted.
func mustGSM7(text string) []byte {
	octets, _ := EncodeGSM7(text)
	return octets
}

// septets counts text in the default alphabet, -1 if it has no code.
func septets(text string) (n int) {
	for _, r := range text {
		code, ok := septetsOf[r]
		if !ok {
			return -1
		}
		n += len(code)
	}
	return n
}

// utf16Units counts text in units of 16 bits.
func utf16Units(text string) (n int) {
	for _, r := range text {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}
