// Package relay forwards SIP byte for byte and keeps no state. It knows nothing of signatures, looks nothing up and calls no
// code of any other room: it puts events into bounded channels and drops them when they are full. It owns one goroutine
// per UDP socket, one per listening stream socket, a reader and a writer per stream, and eight that resolve names.
package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"

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
	hops      []netip.AddrPort
	shards    []chan Event // by branch, so that one call has one reader
	metrics   *metrics
	log       *slog.Logger
	draining  atomic.Bool
	lastPanic atomic.Int64 // unix seconds: one log line a second is enough
}

// New binds the sockets: from here on the kernel keeps what arrives, and Run forwards it. The error names the socket and
// says what to do.
func New(o Options) (*Relay, error) {
	if o.Config.Secret == "" {
		return nil, errors.New("relay: no secret")
	}
	r := &Relay{config: o.Config, metrics: newMetrics(o.Metrics), log: o.Log}
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
		hop, err := hopAddr(h)
		if err != nil {
			return nil, fmt.Errorf("sip.next_hop: %w", err)
		}
		r.hops = append(r.hops, hop)
	}
	if host, _, ok := hostPort([]byte(o.Config.Advertise)); ok {
		r.own.host = string(host)
	}
	interfaces, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("read this machine's addresses: %w", err)
	}
	for _, i := range interfaces {
		if network, ok := i.(*net.IPNet); ok {
			if a, ok := netip.AddrFromSlice(network.IP); ok {
				r.own.machine = append(r.own.machine, a.Unmap())
			}
		}
	}
	for _, l := range o.Config.Listen {
		if err := r.bind(l); err != nil {
			r.Close()
			return nil, err
		}
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
		c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		if err != nil {
			return fmt.Errorf("listen on %s: %w", listen, err)
		}
		local = unmapped(c.LocalAddr().(*net.UDPAddr).AddrPort())
		r.runs = append(r.runs, func(ctx context.Context) error { return r.serveUDP(ctx, c, local) })
		r.closers = append(r.closers, c)
		if err := c.SetReadBuffer(receiveBuffer); err != nil {
			r.log.Warn("receive buffer stays at the system's default", "listen", listen, "err", err)
		}
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

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Close gives the sockets back; Run does it at its end.
func (r *Relay) Close() {
	for _, c := range r.closers {
		_ = c.Close()
	}
}

// Drain has polls answered with 503 from now on, so that who polls sends new calls elsewhere; what comes all the same is
// forwarded until Run ends.
func (r *Relay) Drain() { r.draining.Store(true) }

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
