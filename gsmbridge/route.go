package gsmbridge

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/callsign-as/callsign"
)

// ussdCapable reports whether the caller is known to come over an access that carries USSD beside a call (TS 24.090 §5).
func ussdCapable(c callsign.Call) bool {
	return strings.HasPrefix(c.Access, "3GPP-GERAN") || strings.HasPrefix(c.Access, "3GPP-UTRAN")
}

// reaches reports whether m can be written as the link writes numbers: where a country code is left away, another country's number
// would be somebody else's.
func (l *link) reaches(m callsign.MSISDN) bool {
	return strings.HasPrefix(number(m), l.Destination.Strip)
}

// route is the links that may take d, in the order in which they are tried.
func (b *Bridge) route(d callsign.Delivery) []*link {
	type place struct {
		link *link
		draw float64
	}
	var places []place
	for _, l := range b.links {
		if l.Bind != "receiver" && l.reaches(d.Call.Caller) && (d.Channel == "" || d.Channel == l.Channel) && (l.Channel != USSD || ussdCapable(d.Call)) {
			// Sorted by these, each order comes as often as drawing by weight without putting back; a weight of 0 makes it infinite.
			places = append(places, place{l, rand.ExpFloat64() / float64(l.Weight)})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int {
		first := func(p place) int { // USSD, where it can be had, is on the screen sooner
			if p.link.Channel == USSD {
				return 0
			}
			return 1
		}
		return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(a.link.Priority, b.link.Priority), cmp.Compare(a.draw, b.draw))
	})
	links := make([]*link, len(places))
	for i, p := range places {
		links[i] = p.link
	}
	if b.habits != nil {
		b.habits.order(links, d.Call)
	}
	return links
}
