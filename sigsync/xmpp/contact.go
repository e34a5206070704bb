package xmpp

import (
	"slices"
	"time"

	"github.com/callsign-as/callsign/sigsync"
)

// maxClients bounds the clients of one account that are known; one more takes the place of who said something the longest ago.
const maxClients = 16

// contact is an account that is followed, or read now, with what its clients say.
type contact struct {
	accounts []string // as they are linked: two spellings may be one address
	asking   int      // probes whose answers are not complete: what comes meanwhile may be a part of the truth
	clients  map[string]client
	shows    bool      // we may see its presence
	denies   bool      // it said that we may not
	seen     bool      // a presence came since it was asked
	fails    bool      // an error did
	since    time.Time // when something changed what it says
	told     sigsync.Note
	tells    bool // told was told
}

// client is one of an account's clients (RFC 6121 calls it a resource) that is there.
type client struct {
	note     sigsync.Note
	priority int8
	at       time.Time
}

// hears takes a presence of one of the contact's clients, and reports whether it changes anything: the same may come twice, to us and to
// all subscribers.
func (c *contact) hears(resource string, p presence, now time.Time) bool {
	c.seen = true
	if p.kind == "unavailable" {
		delete(c.clients, resource)
		c.since = now
		return c.says().Text != "" // one who is gone clears nothing, but another may say something
	}
	c.shows, c.denies = true, false
	known, there := c.clients[resource]
	if there && known.note == p.note && known.priority == p.priority {
		return false
	}
	if !there && len(c.clients) >= maxClients {
		oldest := ""
		for name, other := range c.clients {
			if oldest == "" || other.at.Before(c.clients[oldest].at) {
				oldest = name
			}
		}
		delete(c.clients, oldest)
	}
	c.clients[resource] = client{p.note, p.priority, now}
	c.since = now
	return true
}

// leave has it followed under a name no more.
func (c *contact) leave(account string) {
	c.accounts = slices.DeleteFunc(c.accounts, func(a string) bool { return a == account })
}

// says is the text of the client with the greatest priority that has one (RFC 6121 §4.7.2.3), of alike ones the newest.
func (c *contact) says() (note sigsync.Note) {
	var best client
	for _, other := range c.clients {
		if other.note.Text == "" {
			continue
		}
		if best.note.Text == "" || other.priority > best.priority || other.priority == best.priority && other.at.After(best.at) {
			best = other
		}
	}
	return best.note
}
