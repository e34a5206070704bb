package gsm

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"
)

// What one short message holds (TS 23.038 §4: 140 octets).
const (
	MaxGSM7 = 160 // septets
	MaxUCS2 = 70  // units of 16 bits
)

// A cut text ends in an ellipsis. "…" is not in the default alphabet and would turn 160 characters into 70, so there it
// is three full stops.
const (
	ellipsisGSM7 = "..."
	ellipsisUCS2 = "…"
)

// Screen is one text as a handset shows it.
type Screen struct {
	Encoding        string // GSM7 or UCS2
	Text            string // what is shown: composed (NFC), and cut if Cut
	Units, MaxUnits int    // septets or UTF-16 units, taken and to be had
	Cut             bool
	Octets          []byte // unpacked septets, or UTF-16 big endian
}

// Fit brings text onto one screen: in the default alphabet if that has all of what can be shown, else in UCS2. A longer text
// is cut between grapheme clusters, so an emoji or a letter with its accents is whole or gone, and ends in an ellipsis;
// one cluster that is longer than the screen leaves the ellipsis alone. What is not UTF-8 is shown as U+FFFD.
func Fit(text string) Screen {
	text = norm.NFC.String(strings.ToValidUTF8(text, string(utf8.RuneError)))
	if shown, units, ok := fit(text, ellipsisGSM7, MaxGSM7, septets); ok {
		octets, _ := EncodeGSM7(shown)
		return Screen{GSM7, shown, units, MaxGSM7, shown != text, octets}
	}
	shown, units, _ := fit(text, ellipsisUCS2, MaxUCS2, utf16Units)
	return Screen{UCS2, shown, units, MaxUCS2, shown != text, EncodeUCS2(shown)}
}

// fit is what limit units can show of text, and how many it takes. It is not ok if a cluster that would be shown has no
// code: beyond the cut that doesn't matter.
func fit(text, ellipsis string, limit int, count func(string) int) (shown string, units int, ok bool) {
	room := limit - count(ellipsis)
	cut, cutUnits := 0, 0 // the longest start that leaves room for the ellipsis
	var cluster string
	for rest, state := text, -1; rest != ""; {
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		n := count(cluster)
		if n < 0 && units < room {
			return "", 0, false
		}
		if n < 0 || units+n > limit {
			start := strings.TrimRight(text[:cut], " \n\r")
			return start + ellipsis, cutUnits - (cut - len(start)) + count(ellipsis), true
		}
		units += n
		if units <= room {
			cut, cutUnits = len(text)-len(rest), units
		}
	}
	return text, units, true
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
