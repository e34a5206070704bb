// Package relay forwards SIP byte for byte and keeps no state. It knows nothing of signatures, looks nothing up and calls no
// code of any other room: it puts events into bounded channels and drops them when they are full. It owns one goroutine
// per UDP socket, one per listening stream socket, a reader and a writer per stream, one per listener that probes next hops,
// and eight that resolve names.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
)

// Options is what New needs. Config.Secret must be set, Config valid.
type Options struct {
	Config  Config
	Shards  int    // event channels, one reader each; 1 if 0
	Queue   int    // events that each may hold; 4096 if 0
	Lookup  Lookup // how next Routes by name are resolved; by DNS if nil
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Relay is the forwarding plane.
type Relay struct {
	config    Config
	runs      []func(context.Context) error // one for each socket
	closers   []io.Closer
	own       own
	names     *names
	hops      []hop
	setups    setups
	udp       []*net.UDPConn
	shards    []chan Event // by branch, so that one call has one reader
	hushed    hushed
	metrics   *metrics
	log       *slog.Logger
	began     time.Time
	draining  atomic.Bool
	lastPanic atomic.Int64 // unix seconds: one log line a second is enough
}

// New binds the sockets: from here on the kernel keeps what arrives, and Run forwards it. The error names the socket and
// says what to do.
func New(o Options) (*Relay, error) {
	if o.Config.Secret == "" {
		return nil, errors.New("relay: no secret")
	}
	r := &Relay{config: o.Config, metrics: newMetrics(o.Metrics), log: o.Log, began: time.Now()}
	if r.log == nil {
		r.log = slog.New(slog.DiscardHandler)
	}
	r.names = newNames(o.Lookup, r.log)
	for range max(1, o.Shards) {
		queue := o.Queue
		if queue == 0 {
			queue = 4096
		}
		r.shards = append(r.shards, make(chan Event, queue))
	}
	for _, h := range o.Config.NextHop {
		hop, err := parseHop(h)
		if err != nil {
			return nil, fmt.Errorf("sip.next_hop: %w", err)
		}
		r.hops = append(r.hops, hop)
	}
	if host, _, ok := hostPort([]byte(o.Config.Advertise)); ok {
		r.own.host = string(host)
	}
	r.own.machine = &machine{addresses: net.InterfaceAddrs}
	if err := r.own.machine.readAgain(); err != nil {
		return nil, err
	}
	for _, l := range o.Config.Listen {
		if err := r.bind(l); err != nil {
			r.Close()
			return nil, err
		}
	}
	for _, l := range o.Config.Listen { // so that names are on their way before the first call
		scheme, _, _ := strings.Cut(l, "://")
		r.nextHops(scheme)
	}
	if o.Metrics != nil {
		o.Metrics.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "callsign_sip_kernel_drops_total", Help: "Datagrams that the kernel dropped because they were not read in time.",
		}, func() float64 { return kernelDrops(r.udp) }))
	}
	return r, nil
}

func (r *Relay) bind(listen string) error {
	scheme, addr, err := listenAddr(listen)
	if err != nil {
		return fmt.Errorf("sip.listen: %w", err)
	}
	var local netip.AddrPort
	switch scheme {
	case "udp":
		sockets, err := listenUDP(addr, r.config.Sockets)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", listen, err)
		}
		local = unmapped(sockets[0].LocalAddr().(*net.UDPAddr).AddrPort())
		probes := r.newProber("udp", local, func(to netip.AddrPort, msg []byte) { _, _ = sockets[0].WriteToUDPAddrPort(msg, to) }, func() bool { return true })
		r.runs = append(r.runs, func(ctx context.Context) error { probes.run(ctx); return nil })
		for _, c := range sockets {
			r.runs = append(r.runs, func(ctx context.Context) error { return r.serveUDP(ctx, c, local, probes) })
			r.closers = append(r.closers, c)
			r.buffer(c, listen)
		}
		r.udp = append(r.udp, sockets...)
	default:
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(addr))
		if err != nil {
			return fmt.Errorf("listen on %s: %w", listen, err)
		}
		local = unmapped(l.Addr().(*net.TCPAddr).AddrPort())
		streams, err := r.newStreams(scheme, l, local)
		if err != nil {
			return errors.Join(fmt.Errorf("listen on %s: %w", listen, err), l.Close())
		}
		r.runs = append(r.runs, streams.run)
		r.closers = append(r.closers, l)
	}
	r.own.addrs = append(r.own.addrs, local)
	return nil
}

// buffer sets a socket's receive buffer and says what it is: a burst that doesn't fit is lost before we see it.
func (r *Relay) buffer(c *net.UDPConn, listen string) {
	size, err := receives(c, receiveBuffer)
	log := r.log.With("listen", listen, "receive_buffer", size)
	switch {
	case err != nil:
		log.Warn("the receive buffer stays at the system's default", "err", err)
	case size < receiveBuffer:
		log.Warn("the receive buffer is smaller than it should be: raise net.core.rmem_max", "wanted", receiveBuffer)
	default:
		log.Info("receives")
	}
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Close gives the sockets back; Run does it at its end.
func (r *Relay) Close() {
	for _, c := range r.closers {
		_ = c.Close()
	}
}

// Drain has polls answered with 503 from now on, so that who polls sends new calls elsewhere. New set-ups of an S-CSCF get
// 503 too, and it goes on without us; a trunk's are forwarded until Run ends. It returns when no set-up waits for its final
// answer, or with ctx.
func (r *Relay) Drain(ctx context.Context) {
	r.draining.Store(true)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for r.setups.open() > 0 {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Addrs are the sockets' addresses, in the order of sip.listen.
func (r *Relay) Addrs() []netip.AddrPort { return r.own.addrs }

// Shards is how many event streams there are.
func (r *Relay) Shards() int { return len(r.shards) }

// Events is shard i's stream; one goroutine reads it. It is never closed.
func (r *Relay) Events(i int) <-chan Event { return r.shards[i] }

// Run forwards until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, run := range r.runs {
		group.Go(func() error { return run(ctx) })
	}
	group.Go(func() error { return r.names.run(ctx) })
	group.Go(func() error {
		<-ctx.Done()
		r.Close()
		return nil
	})
	return group.Wait()
}
