package sigsync

import (
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/callsign-as/callsign"
)

var errDamaged = errors.New("a text came damaged, as in another encoding than UTF-8 or with half of a character in it: the one before stays")

// sound leaves out what was damaged on its way from a network. Decoders make U+FFFD of all that is no UTF-8, and of half surrogates.
func sound(changes []callsign.Change) ([]callsign.Change, error) {
	damaged := func(c callsign.Change) bool { return strings.ContainsRune(c.Text, utf8.RuneError) }
	if !slices.ContainsFunc(changes, damaged) {
		return changes, nil
	}
	return slices.DeleteFunc(slices.Clone(changes), damaged), errDamaged
}
