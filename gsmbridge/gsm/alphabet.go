// Package gsm knows how a handset's text is coded: alphabets (TS 23.038), data codings and what fits one screen.
// It refuses to know how the octets travel (SMPP, USSD) or to whom. It starts no goroutine.
package gsm

import (
	"encoding/binary"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The encodings of a text, as the timeline and what-if name them.
const (
	GSM7 = "gsm7" // GSM 7-bit default alphabet with its extension table, counted in septets
	UCS2 = "ucs2" // UTF-16, big endian, counted in units of 16 bits
	// What else a handset may send.
	Latin1 = "latin1"
	Data   = "data" // octets that are no text
)

// escape leads to the extension table (TS 23.038 §6.2.1.1).
const escape = 0x1B

// alphabet is the default alphabet in the order of its codes (TS 23.038 §6.2.1). 0x09 is the capital Ç: the small one is
// not in it. The Greek capitals that look like Latin ones are not either.
var alphabet = [128]rune([]rune("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
	"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"))

// septetsOf is how each rune is sent: its code, or escape and its code in the extension table.
var septetsOf = func() map[rune]string {
	m := make(map[rune]string, 137)
	for code, r := range alphabet {
		if code != escape {
			m[r] = string([]byte{byte(code)})
		}
	}
	for code := range byte(128) {
		if r := extension(code); r != 0 {
			m[r] = string([]byte{escape, code})
		}
	}
	return m
}()

// extension is the default alphabet's extension table (TS 23.038 §6.2.1.1), 0 where it has nothing.
func extension(code byte) rune {
	switch code {
	case 0x0A:
		return '\f'
	case 0x14:
		return '^'
	case 0x28:
		return '{'
	case 0x29:
		return '}'
	case 0x2F:
		return '\\'
	case 0x3C:
		return '['
	case 0x3D:
		return '~'
	case 0x3E:
		return ']'
	case 0x40:
		return '|'
	case 0x65:
		return '€'
	}
	return 0
}

// EncodeGSM7 gives text's septets, one in an octet as SMPP's short_message carries them, or false if the alphabet
// doesn't have all of it.
func EncodeGSM7(text string) ([]byte, bool) {
	septets := make([]byte, 0, len(text))
	for _, r := range text {
		code, ok := septetsOf[r]
		if !ok {
			return nil, false
		}
		septets = append(septets, code...)
	}
	return septets, true
}

// DecodeGSM7 reads septets, one in an octet. It takes anything: an unknown code after an escape is the default
// alphabet's, an escape that leads nowhere is a space (TS 23.038 §6.2.1.1), an octet beyond 0x7F is U+FFFD.
func DecodeGSM7(septets []byte) string {
	var text strings.Builder
	for i := 0; i < len(septets); i++ {
		code := septets[i]
		switch {
		case code > 0x7F:
			text.WriteRune(utf8.RuneError)
		case code != escape:
			text.WriteRune(alphabet[code])
		case i+1 == len(septets) || septets[i+1] > 0x7F:
			text.WriteByte(' ')
		case septets[i+1] == escape:
			text.WriteByte(' ')
			i++
		default:
			i++
			if r := extension(septets[i]); r != 0 {
				text.WriteRune(r)
			} else {
				text.WriteRune(alphabet[septets[i]])
			}
		}
	}
	return text.String()
}

// EncodeUCS2 gives text as UTF-16, big endian. Characters beyond the BMP are surrogate pairs, which handsets show though
// TS 23.038 §4 names UCS2 alone.
func EncodeUCS2(text string) []byte {
	units := utf16.Encode([]rune(text))
	octets := make([]byte, 0, 2*len(units))
	for _, u := range units {
		octets = binary.BigEndian.AppendUint16(octets, u)
	}
	return octets
}

// DecodeUCS2 reads UTF-16, big endian. It takes anything: half a surrogate pair is U+FFFD, an odd octet at the end too.
func DecodeUCS2(octets []byte) string {
	units := make([]uint16, 0, len(octets)/2+1)
	for ; len(octets) >= 2; octets = octets[2:] {
		units = append(units, binary.BigEndian.Uint16(octets))
	}
	if len(octets) == 1 {
		units = append(units, utf8.RuneError)
	}
	return string(utf16.Decode(units))
}
