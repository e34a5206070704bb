package sigsync

import (
	"slices"
	"strings"

	"golang.org/x/text/language"
)

// Note is a text in one language ("" is in none), as networks tell one text in several.
type Note struct{ Lang, Text string }

// Choose gives the note that is in the first of the languages that any is in (zh is, where zh-Hans is), else the first in none, else
// the first. Of no notes it gives an empty one. A Lang that is no language (RFC 5646) is taken away.
func Choose(notes []Note, languages []string) Note {
	rank := func(n Note) int {
		i := slices.IndexFunc(languages, func(l string) bool {
			return len(n.Lang) >= len(l) && strings.EqualFold(n.Lang[:len(l)], l) && (len(n.Lang) == len(l) || n.Lang[len(l)] == '-')
		})
		switch {
		case i >= 0:
			return i
		case n.Lang == "":
			return len(languages)
		}
		return len(languages) + 1
	}
	if len(notes) == 0 {
		return Note{}
	}
	chosen := slices.MinFunc(notes, func(a, b Note) int { return rank(a) - rank(b) }) // the first of alike ones
	if _, err := language.Parse(chosen.Lang); err != nil || len(chosen.Lang) > 35 {
		chosen.Lang = ""
	}
	if len(chosen.Text) > maxText { // refused by the intake: no more of it is held until then
		chosen.Text = strings.Clone(chosen.Text[:maxText+1])
	}
	return chosen
}
