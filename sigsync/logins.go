package sigsync

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"
	"time"

	"github.com/callsign-as/callsign"
)

// Several is a Provider that its network knows by several logins. Each is watched for itself and follows its share of the accounts;
// nodes share the logins, and one node at a time has a login.
type Several interface {
	Provider
	// Logins are at least one, by name; always the same ones. Which accounts a login has depends on the names alone.
	Logins() map[string]Watcher
}

// slots is what the accounts of a network with several logins are divided into. A new login takes over whole slots, so the others keep
// all accounts but its share.
const slots = 1024

// watched is a Watcher with the accounts that it follows: those of the parts that this node holds or, where the network has several
// logins, those of its slots while this node holds its part.
type watched struct {
	Watcher
	name  string
	part  int
	slots []int // nil: it is the network's only one
}

// watchedOf are the Watchers of a Provider, in the order of their names.
func watchedOf(p Provider) (all []watched) {
	several, is := p.(Several)
	if !is {
		if w, watches := p.(Watcher); watches {
			all = append(all, watched{Watcher: w})
		}
		return all
	}
	logins := several.Logins()
	for i, name := range slices.Sorted(maps.Keys(logins)) {
		all = append(all, watched{Watcher: logins[name], name: name, part: i, slots: []int{}})
	}
	if len(all) == 0 {
		return nil
	}
	for slot := range slots {
		winner := slices.MaxFunc(all, func(a, b watched) int { return cmp.Compare(score(a.name, slot), score(b.name, slot)) })
		all[winner.part].slots = append(all[winner.part].slots, slot)
	}
	return all
}

// score decides for a slot by rendezvous hashing, the same on every node.
func score(login string, slot int) uint64 {
	sum := sha256.Sum256(binary.BigEndian.AppendUint16([]byte(login), uint16(slot)))
	return binary.BigEndian.Uint64(sum[:])
}

// held are the parts that this node holds and w is to follow.
func (w *watched) held(p *poller) []int {
	held := p.held(time.Now())
	if w.slots == nil {
		return held
	}
	if !slices.Contains(held, w.part) {
		return nil
	}
	return []int{w.part}
}

// steps are the slices over which the accounts of held parts are listed. A login has no more than a few thousand.
func (w *watched) steps(p *poller, held []int) (all []callsign.Slice) {
	if w.slots != nil {
		return []callsign.Slice{{Network: p.Name, To: callsign.Phases, Parts: slots, Of: w.slots}}
	}
	for step := range int64(listSteps) {
		all = append(all, callsign.Slice{
			Network: p.Name, From: step * callsign.Phases / listSteps, To: (step + 1) * callsign.Phases / listSteps, Parts: p.parts, Of: held,
		})
	}
	return all
}
