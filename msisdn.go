// Package callsign holds the words that every room shares: values, sentinel errors and the rules that are pure functions of
// them. It does no I/O, starts no goroutine, declares no interface and imports the standard library only.
package callsign

import (
	"fmt"
	"log/slog"
	"strconv"
	"strings"
)

// MSISDN is an E.164 number's digits (1 to 15, no leading zero); 0 is "no number". Eight bytes, no pointer:
// a million of them in a map cost the garbage collector nothing.
type MSISDN uint64

// ParseMSISDN reads an international number, with or without its "+". Visual separators (RFC 3966 §5.1.1) are allowed.
// A national number can't be told from an international one without its "+", so it is the caller's to prefix.
func ParseMSISDN(s string) (MSISDN, error) {
	var m MSISDN
	digits := 0
	for i, r := range s {
		switch {
		case r >= '0' && r <= '9' && (digits > 0 || r != '0') && digits < 15:
			m = m*10 + MSISDN(r-'0')
			digits++
		case r == '+' && i == 0, strings.ContainsRune("-.() ", r) && digits > 0:
		default:
			return 0, fmt.Errorf("number %q is not E.164: write + and 1 to 15 digits, the first not 0, like +8613800000000", s)
		}
	}
	if digits == 0 {
		return 0, fmt.Errorf("number %q is not E.164: write + and 1 to 15 digits, the first not 0, like +8613800000000", s)
	}
	return m, nil
}

// E164 is the number in full, "+8613800000000".
func (m MSISDN) E164() string { return "+" + strconv.FormatUint(uint64(m), 10) }

// String and LogValue are masked, so that fmt and slog can't leak a number.
func (m MSISDN) String() string {
	s := m.E164()
	return s[:min(4, len(s))] + "…" + s[max(0, len(s)-2):]
}

// LogValue implements slog.LogValuer, masked.
func (m MSISDN) LogValue() slog.Value { return slog.StringValue(m.String()) }

// MarshalText gives the number in full: who encodes one into JSON has decided to show it.
func (m MSISDN) MarshalText() ([]byte, error) { return []byte(m.E164()), nil }

// UnmarshalText reads what ParseMSISDN reads.
func (m *MSISDN) UnmarshalText(b []byte) (err error) {
	*m, err = ParseMSISDN(string(b))
	return err
}
