package callsign

import (
	"maps"
	"slices"
	"time"
)

// Shares says which nodes do which parts of a work, and how far each part is done. It is the whole of the rule: a store keeps
// its JSON, reads it, lets a node take its Turn and writes it back, in one step for all nodes.
type Shares struct {
	Nodes map[string]time.Time `json:"nodes,omitempty"` // until when each is taken for alive, by the store's clock
	Parts map[int]Share        `json:"parts,omitempty"`
}

// Share is one part: who has it, nobody where Node is empty, and up to when it is done, by the nodes' clocks.
type Share struct {
	Node string    `json:"node,omitempty"`
	Done time.Time `json:"done,omitzero"`
}

// Turn is what a node says when it asks for its parts. Done is how far it is with those that it has. A Term of 0 gives all back.
type Turn struct {
	Node  string
	Parts int
	Term  time.Duration
	Done  map[int]time.Time
}

// Take gives the node its fair share: what it has up to that, then what nobody has. Of a node that hasn't asked for its Term
// nothing is left. held tells how far each part is done (zero: nobody ever did it).
func (s *Shares) Take(t Turn, now time.Time) (held map[int]time.Time) {
	if s.Nodes == nil {
		s.Nodes = map[string]time.Time{}
	}
	if s.Parts == nil {
		s.Parts = map[int]Share{}
	}
	s.Nodes[t.Node] = now.Add(t.Term)
	maps.DeleteFunc(s.Nodes, func(_ string, until time.Time) bool { return !now.Before(until) })
	maps.DeleteFunc(s.Parts, func(part int, _ Share) bool { return part >= t.Parts })
	held = map[int]time.Time{}
	_, alive := s.Nodes[t.Node]
	fair := 0
	if alive {
		fair = (t.Parts + len(s.Nodes) - 1) / len(s.Nodes)
	}
	for _, part := range slices.Sorted(maps.Keys(s.Parts)) {
		share := s.Parts[part]
		if share.Node == t.Node {
			if done, told := t.Done[part]; told {
				share.Done = done
			}
			if len(held) == fair {
				share.Node = ""
			} else {
				held[part] = share.Done
			}
		} else if _, alive := s.Nodes[share.Node]; !alive {
			share.Node = ""
		}
		s.Parts[part] = share
	}
	for part := range t.Parts {
		if share := s.Parts[part]; share.Node == "" && len(held) < fair {
			share.Node = t.Node
			s.Parts[part], held[part] = share, share.Done
		}
	}
	return held
}
