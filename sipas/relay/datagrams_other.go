//go:build !linux || !(amd64 || arm64) || portable

package relay

import (
	"net"
	"net/netip"
)

// datagrams reads and writes a UDP socket for one goroutine; on Linux it costs less.
type datagrams struct{ conn *net.UDPConn }

func newDatagrams(c *net.UDPConn) (*datagrams, error) { return &datagrams{c}, nil }

// read waits for a datagram. An IPv4 address comes as one, also through a socket for both.
func (d *datagrams) read(buf []byte) (n int, from netip.AddrPort, err error) {
	n, from, err = d.conn.ReadFromUDPAddrPort(buf)
	return n, unmapped(from), err
}

// send writes one datagram.
func (d *datagrams) send(msg []byte, to netip.AddrPort) error {
	_, err := d.conn.WriteToUDPAddrPort(msg, to)
	return err
}
