package callsign

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Withheld is how a policy names callers who want nobody to be told who they are.
const Withheld = "withheld"

// caller is who calls, looked at once for all lists.
type caller struct {
	number  MSISDN
	private bool
	first   [16]MSISDN // the number's first digits, by how many
	groups  uint64     // those that have the number
}

func (gs groups) caller(c Call) (out caller) {
	out.number, out.private = c.Caller, c.Private
	var rest [16]MSISDN
	n := 0
	for m := c.Caller; m > 0 && n < len(rest); m /= 10 {
		rest[n] = m
		n++
	}
	for i := range n {
		out.first[n-i] = rest[i]
	}
	for i := range gs {
		if _, ok := gs[i].numbers[c.Caller]; ok {
			out.groups |= 1 << i
		}
	}
	return out
}

// groups are a policy's, maxGroups at most.
type groups []group

type group struct {
	name    string
	numbers map[MSISDN]struct{}
}

// callers is a compiled list of whom a policy names. The zero value is everybody.
type callers struct {
	listed   bool
	withheld bool
	numbers  []MSISDN // sorted
	groups   uint64
	spans    []span
}

// span is the numbers from low to high, or those that begin with a prefix, whatever their length. digits is how many of a number it
// fixes.
type span struct {
	prefix, low, high MSISDN
	digits            int
}

func (s *span) contains(c *caller) bool {
	if s.prefix != 0 {
		return c.first[s.digits] == s.prefix
	}
	return s.low <= c.number && c.number <= s.high
}

// How closely a list names a caller.
const (
	ofAnybody  = 0
	ofWithheld = 1
	ofPrefix   = 2 // and the digits that it fixes
	ofGroup    = 20
	ofNumber   = 21
)

// closeness is how closely the list names the caller; ok is false if it doesn't. Who withholds their number is named as such only:
// what is shown to them must not tell that they were recognised.
func (l *callers) closeness(c *caller) (rank int, ok bool) {
	switch {
	case !l.listed:
		return ofAnybody, true
	case c.private:
		return ofWithheld, l.withheld
	}
	return l.has(c)
}

// has is closeness of the number, whether it is withheld or not.
func (l *callers) has(c *caller) (rank int, ok bool) {
	if c.number == 0 {
		return 0, false
	}
	if _, ok := slices.BinarySearch(l.numbers, c.number); ok {
		return ofNumber, true
	}
	if l.groups&c.groups != 0 {
		return ofGroup, true
	}
	for i := range l.spans {
		if s := &l.spans[i]; s.contains(c) {
			rank, ok = max(rank, ofPrefix+s.digits), true
		}
	}
	return rank, ok
}

// parseCallers reads what a policy lists: numbers, prefixes with a * behind them, ranges, @groups, withheld. where is its place.
func parseCallers(where string, list []string, gs groups) (c callers, err error) {
	c.listed = len(list) > 0
	for _, item := range list {
		name, isGroup := strings.CutPrefix(item, "@")
		prefix, isPrefix := strings.CutSuffix(item, "*")
		from, to, isRange := strings.Cut(item, "-+")
		var low, high MSISDN
		switch {
		case item == Withheld:
			c.withheld = true
		case isGroup:
			i := slices.IndexFunc(gs, func(g group) bool { return g.name == name })
			if i < 0 {
				return c, fmt.Errorf("%s names the group %q, which the policy doesn't have: add it to groups", where, name)
			}
			c.groups |= 1 << i
		case isPrefix:
			if low, err = ParseMSISDN(prefix); err == nil {
				c.spans = append(c.spans, span{prefix: low, digits: len(low.E164()) - 1})
			}
		case isRange:
			if low, err = ParseMSISDN(from); err == nil {
				high, err = ParseMSISDN(to)
			}
			if err == nil && low > high {
				err = fmt.Errorf("%s is %q: write the lower number first", where, item)
			}
			c.spans = append(c.spans, span{low: low, high: high, digits: commonDigits(low, high)})
		default:
			low, err = ParseMSISDN(item)
			c.numbers = append(c.numbers, low)
		}
		if err != nil {
			return c, fmt.Errorf("%s is %q: write a number like +8613800000000, a prefix like +86138*, a range like +8613800000000-+8613899999999, a group like @family, or withheld", where, item)
		}
	}
	slices.Sort(c.numbers)
	return c, nil
}

func commonDigits(a, b MSISDN) (n int) {
	x, y := a.E164()[1:], b.E164()[1:]
	for len(x) == len(y) && n < len(x) && x[n] == y[n] {
		n++
	}
	return n
}

// byPrefix are values by the prefix that they are for, like languages by country code.
type byPrefix []prefixed

type prefixed struct {
	span
	value string
}

// of is the value of the longest prefix that the caller has, "" if it has none.
func (b byPrefix) of(c *caller) (value string) {
	longest := 0
	for i := range b {
		if p := &b[i]; p.digits > longest && p.contains(c) {
			longest, value = p.digits, p.value
		}
	}
	return value
}

func parseLanguages(languages map[string]string) (b byPrefix, err error) {
	for _, code := range slices.Sorted(maps.Keys(languages)) {
		language := languages[code]
		m, err := ParseMSISDN(strings.TrimSuffix(code, "*"))
		if err != nil || !isLanguage(language) {
			return nil, fmt.Errorf("languages has %q: %q: write a country code and a language, like \"+86\": zh", code, language)
		}
		b = append(b, prefixed{span{prefix: m, digits: len(m.E164()) - 1}, language})
	}
	return b, nil
}

// isLanguage reports whether s looks like a language (RFC 5646 §2.1): letters, digits and hyphens.
func isLanguage(s string) bool {
	return len(s) >= 2 && len(s) <= 35 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-") == ""
}
