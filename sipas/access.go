package sipas

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sipas/ims"
)

// PeerAccess says over which access those come whose calls a network of peers sends.
type PeerAccess struct {
	Network netip.Prefix `yaml:"network" doc:"addresses of the peers, like 192.0.2.0/24"`
	Access  string       `yaml:"access" doc:"access type as in P-Access-Network-Info, like 3GPP-GERAN"`
}

// RangeAccess says over which access those come who have numbers of a range.
type RangeAccess struct {
	Range  string `yaml:"range" doc:"a prefix like +8613, or a range like +8613800000000-+8613899999999"`
	Access string `yaml:"access" doc:"access type as in P-Access-Network-Info, like 3GPP-GERAN"`
}

// ladder is what the configuration tells of access: the last rungs.
type ladder struct {
	peers  []PeerAccess
	ranges []rangeAccess
	rest   string
}

type rangeAccess struct {
	numberRange
	access string
}

func newLadder(c Config) (l ladder, err error) {
	isType := func(key, access string) error {
		if ims.IsAccessType(access) {
			return nil
		}
		return fmt.Errorf("%s is %q: use an access type like 3GPP-GERAN", key, access)
	}
	for i, p := range c.AccessByPeer {
		key := fmt.Sprintf("show.access_by_peer[%d]", i)
		if !p.Network.IsValid() {
			return l, fmt.Errorf("%s.network is missing: use the peers' addresses, like 192.0.2.0/24", key)
		}
		if err := isType(key+".access", p.Access); err != nil {
			return l, err
		}
	}
	l.peers = c.AccessByPeer
	for i, r := range c.AccessByRange {
		key := fmt.Sprintf("show.access_by_range[%d]", i)
		parsed, ok := parseRange(r.Range)
		if !ok {
			return l, fmt.Errorf("%s.range is %q: use a prefix like +8613, or a range like +8613800000000-+8613899999999", key, r.Range)
		}
		if err := isType(key+".access", r.Access); err != nil {
			return l, err
		}
		l.ranges = append(l.ranges, rangeAccess{parsed, r.Access})
	}
	if l.rest = c.AccessDefault; l.rest != "" {
		err = isType("show.access_default", l.rest)
	}
	return l, err
}

// Access is the call with the access network over which its caller comes, and who told it: the call itself, the caller's
// registration, the peer that sent the call, the caller's number, or the configuration's default. Calls and what-if ask it;
// peer may be the zero Addr.
func (ws *Workers) Access(c callsign.Call, peer netip.Addr, now time.Time) callsign.Call {
	set := func(access string, from callsign.AccessFrom) callsign.Call {
		c.Access, c.AccessFrom = access, from
		return c
	}
	if c.Access != "" {
		return set(c.Access, callsign.AccessNetwork)
	}
	if r, known := ws.registrations.of(c.Caller, now); known && r.access.Value() != "" {
		return set(r.access.Value(), callsign.AccessRegistration)
	}
	for _, p := range ws.ladder.peers {
		if p.Network.Contains(peer.Unmap()) {
			return set(p.Access, callsign.AccessPeer)
		}
	}
	for _, r := range ws.ladder.ranges {
		if c.Caller != 0 && r.contains(c.Caller) {
			return set(r.access, callsign.AccessRange)
		}
	}
	if ws.ladder.rest != "" {
		return set(ws.ladder.rest, callsign.AccessDefault)
	}
	return c
}
