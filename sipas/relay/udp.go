package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
)

const (
	maxMessage    = 65535   // of a datagram, and what we take from a stream
	receiveBuffer = 4 << 20 // asked for; the kernel caps it at net.core.rmem_max
)

// serveUDP is one UDP socket's goroutine: two buffers for its life.
func (r *Relay) serveUDP(ctx context.Context, c *net.UDPConn, own netip.AddrPort, probes *prober) error {
	d, err := newDatagrams(c)
	switch {
	case ctx.Err() != nil: // it is closed already
		return nil
	case err != nil:
		return fmt.Errorf("read %s: %w", own, err)
	}
	f := r.newForwarder(probes)
	f.write = func(to, _ netip.AddrPort, msg []byte, _ func() ownAnswer) error { return d.send(msg, to) }
	in := make([]byte, maxMessage)
	for failed := false; ; {
		n, from, err := d.read(in)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("read %s: %w", own, err)
		case err != nil:
			r.log.Warn("a datagram could not be read", "listen", own, "err", err)
			if failed { // it lasts: not the whole core for it
				pause(ctx)
			}
			failed = true
			continue
		}
		failed = false
		f.message(in[:n], from)
	}
}
