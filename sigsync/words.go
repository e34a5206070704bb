package sigsync

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	ahocorasick "github.com/BobuSumisu/aho-corasick"
)

// maxPatterns bounds what the words of one list are together, folded, in bytes: each takes up to 2 KB of memory while it is looked for,
// so a list has 256 MB at the most.
const maxPatterns = 128 << 10

// words is a list of words that are looked for all at once. Its methods may be called at the same time.
type words struct {
	trie     *ahocorasick.Trie
	patterns []pattern
}

// pattern is one form of a word.
type pattern struct {
	word       string // as its list writes it
	head, tail bool   // it begins, or ends, where a word of the text does
	// lookalike: it is what a Cyrillic or Greek word looks like in Latin, so only a text in which somebody mixed letters has it.
	lookalike bool
}

// parseWords reads a list in UTF-8: a word a line, or several that follow each other; a line that begins with # is a comment. A * before
// or after stands for any letters there: "class*". Its error names the line.
func parseWords(list []byte) (*words, error) {
	if !utf8.Valid(list) {
		return nil, errors.New("it is not UTF-8: save it as UTF-8")
	}
	w := &words{}
	known := map[string]int{} // where a form stands in patterns
	var all []string
	size, number := 0, 0
	for line := range bytes.Lines(bytes.TrimPrefix(list, []byte("\ufeff"))) {
		number++
		word := strings.TrimSpace(string(line))
		if word == "" || word[0] == '#' {
			continue
		}
		f := fold(word)
		if len(f.runes) == 0 {
			return nil, fmt.Errorf("line %d: %.40q has no letter, digit or symbol: take it out", number, word)
		}
		p := pattern{word: word, head: word[0] != '*', tail: word[len(word)-1] != '*'}
		forms := []string{string(f.runes)}
		if alike := f.asLatin(); alike != forms[0] {
			forms = append(forms, alike)
		}
		for i, form := range forms {
			p.lookalike = i > 0
			if at, twice := known[form]; twice { // the one that finds more
				old := &w.patterns[at]
				old.head, old.tail, old.lookalike = old.head && p.head, old.tail && p.tail, old.lookalike && p.lookalike
				continue
			}
			known[form] = len(all)
			all, w.patterns, size = append(all, form), append(w.patterns, p), size+len(form)
		}
		if size > maxPatterns {
			return nil, fmt.Errorf("line %d: the words have more than %d bytes together: shorten the list", number, maxPatterns)
		}
	}
	w.trie = ahocorasick.NewTrieBuilder().AddStrings(all).Build()
	return w, nil
}

// looked is a text as lists look through it: as it is, and if that is another text with its look-alikes in Latin.
type looked []reading

type reading struct {
	folded
	mapped []bool // nil: none
	bytes  []byte
	at     []int // which rune begins at each byte
}

func look(text string) looked {
	f := fold(text)
	l := looked{read(f, nil)}
	if alike, mapped := f.skeleton(); mapped != nil {
		l = append(l, read(alike, mapped))
	}
	return l
}

func read(f folded, mapped []bool) reading {
	r := reading{folded: f, mapped: mapped, bytes: []byte(string(f.runes)), at: make([]int, 0, 4*len(f.runes))}
	for i, c := range f.runes {
		for range utf8.RuneLen(c) {
			r.at = append(r.at, i)
		}
	}
	return r
}

// find gives a word of the list that the text has, as the list writes it, or "".
func (w *words) find(text looked) (found string) {
	if w == nil {
		return ""
	}
	for _, r := range text {
		w.trie.Walk(r.bytes, func(last, n, i int64) bool {
			p := w.patterns[i]
			from, to := r.at[last-n+1], r.at[last]+1
			if p.head && !r.edge(from) || p.tail && !r.edge(to) || p.lookalike && (r.mapped == nil || !slices.Contains(r.mapped[from:to], true)) {
				return true
			}
			found = p.word
			return false
		})
		if found != "" {
			break
		}
	}
	return found
}
