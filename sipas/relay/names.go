package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	maxNames  = 1024             // kept; one more is not resolved and gets 503 until another is unused
	maxAsking = 8                // questions under way at once
	askTime   = 3 * time.Second  // for one
	freshFor  = 60 * time.Second // then it is asked again, beside; longer than a transaction (RFC 3261 §17.1.1.2)
	againIn   = 5 * time.Second  // after a failure
	unusedFor = 5 * time.Minute  // then a name may go for another
)

// Lookup resolves a host for a transport, "udp", "tcp" or "tls"; port 0 asks for the host's own (RFC 3263 §4.2).
type Lookup func(ctx context.Context, transport, host string, port uint16) ([]Target, error)

// names are next Routes and next hops by name. A socket's goroutine never waits for one: what is not known yet is asked beside and gets
// 503 until it is, what was known once is used until something newer is.
type names struct {
	lookup Lookup
	log    *slog.Logger
	ask    chan question // bounded: who finds it full asks again with the next message

	mu    sync.Mutex
	known map[question]*answers
}

type question struct {
	transport, host string
	port            uint16
}

type answers struct {
	hops   []Target
	until  time.Time // then they are asked for again
	used   time.Time
	asking bool
}

func newNames(l Lookup, log *slog.Logger) *names {
	if l == nil {
		l = lookupDNS
	}
	return &names{lookup: l, log: log, ask: make(chan question, 64), known: map[question]*answers{}}
}

// hops are where a name leads, as far as it is known now.
func (n *names) hops(q question) []Target {
	now := time.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.known[q]
	if a == nil {
		if len(n.known) >= maxNames && !n.forget(now) {
			return nil
		}
		a = &answers{}
		n.known[q] = a
	}
	a.used = now
	if !a.asking && !now.Before(a.until) {
		select {
		case n.ask <- q:
			a.asking = true
		default:
		}
	}
	return a.hops
}

// forget makes room: it drops one name that no call has used for a while, if it finds one. n.mu is held.
func (n *names) forget(now time.Time) bool {
	for q, a := range n.known {
		if !a.asking && now.Sub(a.used) > unusedFor {
			delete(n.known, q)
			return true
		}
	}
	return false
}

// name is the name that led to an address last, "" if there is none: a certificate speaks for names (RFC 5922 §7.1).
func (n *names) name(addr netip.AddrPort) (host string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var used time.Time
	for q, a := range n.known {
		if a.used.After(used) && slices.ContainsFunc(a.hops, func(t Target) bool { return t.Addr == addr }) {
			host, used = q.host, a.used
		}
	}
	return host
}

// run answers questions until ctx ends.
func (n *names) run(ctx context.Context) error {
	var asking sync.WaitGroup
	defer asking.Wait()
	for range maxAsking {
		asking.Go(func() {
			for {
				select {
				case q := <-n.ask:
					n.resolve(ctx, q)
				case <-ctx.Done():
					return
				}
			}
		})
	}
	return nil
}

func (n *names) resolve(ctx context.Context, q question) {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	hops, err := n.lookup(ctx, q.transport, q.host, q.port)
	failed := err != nil || len(hops) == 0
	if failed {
		n.log.Warn("a next hop's name can't be resolved; what was known of it stays in use", "host", q.host, "err", err)
	}
	n.mu.Lock() // not while the log may block: a socket's goroutine waits for it
	defer n.mu.Unlock()
	a := n.known[q]
	a.asking = false
	if failed {
		a.until = time.Now().Add(againIn)
		return
	}
	a.hops, a.until = hops, time.Now().Add(freshFor)
}

// lookupDNS asks for SRV where no port is given, then for addresses (RFC 3263 §4.2).
// Deviation: NAPTR is not asked, the transport is the one that the message came by; answers are used for freshFor, whatever
// their TTL.
func lookupDNS(ctx context.Context, transport, host string, port uint16) (hops []Target, err error) {
	targets := []*net.SRV{{Target: host, Port: port}}
	if port == 0 {
		service, proto, usual := "sip", transport, uint16(sipPort)
		if transport == "tls" {
			service, proto, usual = "sips", "tcp", sipsPort
		}
		targets[0].Port = usual
		_, found, err := net.DefaultResolver.LookupSRV(ctx, service, proto, host)
		var none *net.DNSError
		switch {
		case err == nil && len(found) > 0:
			targets = found
		case err != nil && !(errors.As(err, &none) && none.IsNotFound):
			return nil, fmt.Errorf("look up SRV of %s: %w", host, err) // that there is none was not said
		}
	}
	for _, t := range targets {
		addrs, lookupErr := net.DefaultResolver.LookupNetIP(ctx, "ip", strings.TrimSuffix(t.Target, "."))
		if lookupErr != nil {
			err = errors.Join(err, fmt.Errorf("look up %s: %w", t.Target, lookupErr))
		}
		for _, a := range addrs {
			if a = a.Unmap(); !a.IsUnspecified() && !a.IsMulticast() {
				hops = append(hops, Target{netip.AddrPortFrom(a, t.Port), uint32(t.Priority), uint32(t.Weight)})
			}
		}
	}
	return hops, err // an error even if some are known: a part of them would move calls under way
}
