package relay

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"github.com/callsign-as/callsign"
)

// Target is one place to which requests can go. The lowest Priority that is up counts; within it calls are shared by Weight
// (0 counts as 1), as RFC 2782 has it.
type Target struct {
	Addr             netip.AddrPort
	Priority, Weight uint32
}

// hop is one value of sip.next_hop.
type hop struct {
	Target        // without Addr where it is a name
	host   string // "" where it is an address
	port   uint16 // of a name; 0: SRV says
}

var errHop = errors.New("write ADDRESS:PORT or a name, like 192.0.2.7:5060 or trunk.example.net, with ;priority=N and ;weight=N (1 to 65535) behind it if there are several")

// parseHop reads HOST[:PORT][;priority=N][;weight=N].
func parseHop(s string) (h hop, err error) {
	place, params, _ := strings.Cut(strings.TrimPrefix(s, "udp://"), ";")
	h.Weight = 1
	for params != "" {
		var p string
		p, params, _ = strings.Cut(params, ";")
		name, value, _ := strings.Cut(p, "=")
		n, err := strconv.ParseUint(value, 10, 16)
		switch {
		case err == nil && name == "priority":
			h.Priority = uint32(n)
		case err == nil && name == "weight" && n > 0:
			h.Weight = uint32(n)
		default:
			return h, fmt.Errorf("%q: %q can't be used: %w", s, p, errHop)
		}
	}
	host, port, ok := hostPort([]byte(place))
	addr, isIP := address(host)
	switch {
	case !ok, isIP && (port == 0 || addr.IsUnspecified()), strings.Trim(string(host), "0123456789.") == "" && !isIP:
		return h, fmt.Errorf("%q: %w", s, errHop)
	case isIP:
		h.Addr = netip.AddrPortFrom(addr, port)
	default:
		h.host, h.port = strings.ToLower(string(host)), port
	}
	return h, nil
}

// nextHops are where requests without a further Route may go now, by way of one transport.
func (r *Relay) nextHops(transport string) (targets []Target) {
	for _, h := range r.hops {
		if h.host == "" {
			targets = append(targets, h.Target)
			continue
		}
		for _, t := range r.names.hops(question{transport, h.host, h.port}) {
			targets = append(targets, Target{t.Addr, h.Priority<<16 | t.Priority, max(h.Weight, t.Weight)})
		}
	}
	return targets
}

// choose picks a target for a new set-up: of those that are up the most preferred, or of all if none is, for a probe can
// be wrong and a refused call can't be. Among equals it is weighted rendezvous hashing: the same set-up gets the same one on
// every node and after every restart, and a change of the list moves no more set-ups than it must.
func choose(targets []Target, key callsign.BranchKey, up func(netip.AddrPort) bool) (best netip.AddrPort, ok bool) {
	for _, all := range []bool{false, true} {
		var least float64
		var priority uint32
		for _, t := range targets {
			if !all && up != nil && !up(t.Addr) || ok && t.Priority > priority {
				continue
			}
			if score := t.score(key); !ok || t.Priority < priority || score < least {
				best, least, priority, ok = t.Addr, score, t.Priority, true
			}
		}
		if ok {
			break
		}
	}
	return best, ok
}

// score is exponentially distributed with Weight as its rate, so that each target has the least one in its share of the calls.
func (t Target) score(key callsign.BranchKey) float64 {
	var b [34]byte
	addr := t.Addr.Addr().As16()
	copy(b[:], addr[:])
	binary.BigEndian.PutUint16(b[16:], t.Addr.Port())
	copy(b[18:], key[:])
	sum := sha256.Sum256(b[:])
	uniform := (float64(binary.BigEndian.Uint64(sum[:])>>11) + 0.5) / (1 << 53) // in (0, 1)
	return -math.Log(uniform) / float64(max(1, t.Weight))
}
