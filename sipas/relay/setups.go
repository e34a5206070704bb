package relay

import (
	"net/netip"
	"sync"
	"time"

	"github.com/callsign-as/callsign"
)

const (
	pinnedFor  = 4 * time.Minute // longer than a set-up rings: Timer C's three (RFC 3261 §16.6)
	maxPinned  = 1 << 17         // in each of two generations; beyond it the older goes early
	pinnedSize = 1 << 10         // to begin with
)

// setups remembers where requests went, so that what belongs to one set-up follows it though health or DNS answers have
// changed since. It is soft: what a restart or the bound forgets, rendezvous hashing finds again. It has two generations,
// of which the older goes as a whole, so that forgetting costs nothing.
type setups struct {
	mu       sync.Mutex
	now, old generation
	since    time.Time // when now began
}

type generation struct {
	byBranch map[callsign.BranchKey]pin
	open     int // INVITEs without a final answer
}

// pin holds no pointer: the garbage collector passes it by.
type pin struct {
	addr [16]byte
	port uint16
	open bool // an INVITE without a final answer
	kept bool // beyond it: what follows must go there too
}

func newGeneration() generation {
	return generation{byBranch: make(map[callsign.BranchKey]pin, pinnedSize)}
}

// began remembers where a request went. open: it is an INVITE, whose final answer is awaited; kept: it is remembered beyond
// that, for its place was chosen here. It reports whether that is new: else it is a retransmission, or belongs to what was.
func (s *setups) began(key callsign.BranchKey, to netip.AddrPort, open, kept bool, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.find(key); known != nil {
		return false
	}
	if s.now.byBranch == nil || len(s.now.byBranch) >= maxPinned || at.Sub(s.since) >= pinnedFor {
		s.old, s.now, s.since = s.now, newGeneration(), at
	}
	s.now.byBranch[key] = pin{to.Addr().As16(), to.Port(), open, kept}
	if open {
		s.now.open++
	}
	return true
}

// target is where a set-up went; known is false where that is forgotten, or no longer needed.
func (s *setups) target(key callsign.BranchKey) (to netip.AddrPort, known bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, in := s.find(key)
	return netip.AddrPortFrom(netip.AddrFrom16(p.addr).Unmap(), p.port), in != nil
}

// ended notes a final answer.
func (s *setups) ended(key callsign.BranchKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p, in := s.find(key); in != nil && p.open {
		in.open--
		if !p.kept {
			delete(in.byBranch, key)
			return
		}
		p.open = false
		in.byBranch[key] = p
	}
}

// open is how many set-ups wait for their final answer.
func (s *setups) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.open + s.old.open
}

// find looks into both generations; s.mu is held.
func (s *setups) find(key callsign.BranchKey) (pin, *generation) {
	for _, g := range []*generation{&s.now, &s.old} {
		if p, ok := g.byBranch[key]; ok {
			return p, g
		}
	}
	return pin{}, nil
}
