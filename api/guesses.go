package api

import (
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How many keys that nobody has an address may send: guessBurst at once, then one in guessEvery.
const (
	guessBurst = 20
	guessEvery = 3 * time.Second
	// guessersRemembered bounds the memory for it; when it is full, all are forgiven.
	guessersRemembered = 10_000
)

// guesses keeps an address from asking the store for one wrong key after another. A key that was found before is not asked
// for its address, so that nobody is locked out by others behind the same one.
type guesses struct {
	mu sync.Mutex
	of map[netip.Prefix]*rate.Limiter
}

// addressOf is whom a request comes from. It is invalid where there is no address, as on a pipe.
func addressOf(r *http.Request) netip.Addr {
	from, _ := netip.ParseAddrPort(r.RemoteAddr) // invalid if it is none
	return from.Addr().Unmap().WithZone("")
}

// partyOf is the addresses that one party has: an IPv4 address, or an IPv6 /64.
func partyOf(r *http.Request) netip.Prefix {
	address := addressOf(r)
	if !address.IsValid() {
		return netip.Prefix{}
	}
	prefix, _ := address.Prefix(min(address.BitLen(), 64)) // never fails
	return prefix
}

// spent is why an address may not guess now, or nil.
func (g *guesses) spent(from netip.Prefix, now time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if l := g.of[from]; l == nil || l.TokensAt(now) >= 1 {
		return nil
	}
	p := newProblem(http.StatusTooManyRequests, "too_many_attempts", "this address has sent too many wrong keys: wait, then send a right one")
	p.header = http.Header{"Retry-After": {strconv.Itoa(int(guessEvery.Seconds()))}}
	return p
}

func (g *guesses) wrong(from netip.Prefix, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !from.IsValid() {
		return
	}
	l := g.of[from]
	if l == nil {
		if len(g.of) >= guessersRemembered {
			clear(g.of)
		}
		l = rate.NewLimiter(rate.Every(guessEvery), guessBurst)
		g.of[from] = l
	}
	l.AllowN(now, 1)
}
