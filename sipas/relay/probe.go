package relay

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/callsign-as/callsign"
)

const (
	probeCookie = magicCookie + "-cp-" // begins a probe's branch
	missesDown  = 2                    // probes without an answer after which a next hop is down
)

// prober asks the next hops by OPTIONS (RFC 3261 §11) whether they are there, from one listening socket. A next hop is up until
// it leaves two in a row unanswered or answers 503; any other answer brings it back.
type prober struct {
	*Relay
	transport string // "udp", "tcp", "tls"
	sentBy    string
	write     func(to netip.AddrPort, msg []byte)
	used      func() bool // whether calls go by this socket; a trunk over UDP needs no idle TCP connection beside it

	mu     sync.Mutex
	health map[netip.AddrPort]*health
}

type health struct {
	probe  callsign.BranchKey // the last one's
	misses int
	down   bool
}

func (r *Relay) newProber(transport string, listen netip.AddrPort, write func(netip.AddrPort, []byte), used func() bool) *prober {
	return &prober{Relay: r, transport: transport, sentBy: r.sentBy(listen), write: write, used: used, health: map[netip.AddrPort]*health{}}
}

// up reports whether new set-ups may go to a next hop.
func (p *prober) up(hop netip.AddrPort) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	h := p.health[hop]
	return h == nil || !h.down
}

// run probes every sip.probe until ctx ends.
func (p *prober) run(ctx context.Context) {
	if p.config.Probe <= 0 || len(p.hops) == 0 {
		return
	}
	signer := newSigner([]byte(p.config.Secret), nil)
	tick := time.NewTicker(p.config.Probe)
	defer tick.Stop()
	for n := uint64(1); ; n++ {
		if p.used() {
			p.round(signer, n)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// round judges what the last round's probes brought, and sends the next ones.
func (p *prober) round(signer *signer, n uint64) {
	targets := p.nextHops(p.transport)
	now := map[netip.AddrPort]*health{} // what is no next hop any more is forgotten
	for _, t := range targets {
		key := signer.probe(t.Addr, n)
		p.mu.Lock()
		h := p.health[t.Addr]
		if h == nil {
			h = &health{}
			p.health[t.Addr] = h // its answer may come before this round ends
		}
		missed := h.probe != callsign.BranchKey{}
		h.probe = key
		if missed {
			h.misses++
		}
		now[t.Addr] = h
		missed = missed && h.misses >= missesDown
		p.mu.Unlock()
		if missed {
			p.judge(t.Addr, h, true, "it does not answer")
		}
		p.write(t.Addr, fmt.Appendf(nil, "OPTIONS sip:%[1]s SIP/2.0\r\nVia: SIP/2.0/%[2]s %[3]s;branch=%[4]s%[5]x\r\nMax-Forwards: 70\r\n"+
			"From: <sip:callsign@%[3]s>;tag=%[6]x\r\nTo: <sip:%[1]s>\r\nCall-ID: %[5]x\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n",
			t.Addr, strings.ToUpper(p.transport), p.sentBy, probeCookie, key, key[:4]))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.health = now
}

// answered takes an answer to a probe; it reports whether msg is one.
func (p *prober) answered(branch []byte, status uint16, from netip.AddrPort) bool {
	var key callsign.BranchKey
	if len(branch) != len(probeCookie)+2*len(key) || string(branch[:len(probeCookie)]) != probeCookie {
		return false
	}
	if _, err := hex.Decode(key[:], branch[len(probeCookie):]); err != nil {
		return false
	}
	p.mu.Lock()
	var asked netip.AddrPort
	var h *health
	for addr, known := range p.health {
		if known.probe == key {
			asked, h = addr, known
			h.probe, h.misses = callsign.BranchKey{}, 0
		}
	}
	p.mu.Unlock()
	if h != nil {
		p.judge(asked, h, status == 503, fmt.Sprintf("it answers %d from %s", status, from))
	}
	return true
}

func (p *prober) judge(hop netip.AddrPort, h *health, down bool, why string) {
	p.mu.Lock()
	changed := h.down != down
	h.down = down
	p.mu.Unlock()
	up := 1.0
	if down {
		up = 0
	}
	p.metrics.hops.WithLabelValues(p.transport, hop.String()).Set(up)
	if changed && down {
		p.log.Warn("a next hop is down: new calls go to another", "transport", p.transport, "hop", hop, "why", why)
	} else if changed {
		p.log.Info("a next hop is up again", "transport", p.transport, "hop", hop, "why", why)
	}
}
