package sipas

import (
	"fmt"
	"strings"

	"github.com/callsign-as/callsign"
)

// numbers is a set of numbers as the configuration writes it.
type numbers []numberRange

type numberRange struct {
	any       bool
	prefix    callsign.MSISDN // 0 if it is low to high
	low, high callsign.MSISDN
}

// parseNumbers reads a list of ranges; key is where it stands, for the error.
func parseNumbers(key string, list []string) (ns numbers, err error) {
	for i, s := range list {
		r, ok := parseRange(strings.TrimSpace(s))
		if !ok {
			return nil, fmt.Errorf("%s[%d] is %q: use a prefix like +8613, a range like +8613800000000-+8613899999999, or any", key, i, s)
		}
		ns = append(ns, r)
	}
	return ns, nil
}

func parseRange(s string) (r numberRange, ok bool) {
	if s == "any" || s == "*" || s == "+" {
		return numberRange{any: true}, true
	}
	if from, to, found := strings.Cut(s, "-"); found {
		low, errLow := callsign.ParseMSISDN(from)
		high, errHigh := callsign.ParseMSISDN(to)
		return numberRange{low: low, high: high}, errLow == nil && errHigh == nil && low <= high
	}
	m, err := callsign.ParseMSISDN(strings.TrimSuffix(s, "*"))
	return numberRange{prefix: m}, err == nil
}

func (ns numbers) contain(m callsign.MSISDN) bool {
	for _, r := range ns {
		if r.contains(m) {
			return true
		}
	}
	return false
}

// contains is asked for every call's Request-URI: it writes no digits.
func (r numberRange) contains(m callsign.MSISDN) bool {
	if r.any || r.prefix == 0 {
		return r.any || r.low <= m && m <= r.high
	}
	for m > r.prefix {
		m /= 10
	}
	return m == r.prefix
}
