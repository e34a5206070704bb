package relay

import (
	"bytes"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"
)

func TestDatagrams(t *testing.T) {
	for name, c := range map[string]struct {
		listen, peer string
		size         int
	}{
		"IPv4":                     {"127.0.0.1:0", "127.0.0.1:0", 1},
		"IPv6":                     {"[::1]:0", "[::1]:0", 1},
		"IPv4 to a socket of both": {"[::]:0", "127.0.0.1:0", 1},
		"IPv6 to a socket of both": {"[::]:0", "[::1]:0", 1},
		"the largest over IPv4":    {"127.0.0.1:0", "127.0.0.1:0", 65507},
		"an empty one":             {"127.0.0.1:0", "127.0.0.1:0", 0},
	} {
		t.Run(name, func(t *testing.T) {
			open := func(at string) *net.UDPConn {
				c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(at)))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = c.Close() })
				_ = c.SetDeadline(time.Now().Add(20 * time.Second))
				return c
			}
			own, peer := open(c.listen), open(c.peer)
			d, err := newDatagrams(own)
			if err != nil {
				t.Fatal(err)
			}
			from := peer.LocalAddr().(*net.UDPAddr).AddrPort()
			to := netip.AddrPortFrom(from.Addr(), own.LocalAddr().(*net.UDPAddr).AddrPort().Port())
			want := bytes.Repeat([]byte{'x'}, c.size)
			if _, err := peer.WriteToUDPAddrPort(want, to); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, maxMessage)
			n, got, err := d.read(buf)
			if err != nil || !bytes.Equal(buf[:n], want) || got != from {
				t.Fatalf("read %d bytes from %v, %v; want %d from %v", n, got, err, len(want), from)
			}
			if err := d.send(buf[:n], got); err != nil {
				t.Fatal(err)
			}
			n, back, err := peer.ReadFromUDPAddrPort(buf)
			if err != nil || n != len(want) || back != to {
				t.Errorf("sent back were %d bytes from %v, %v; want %d from %v", n, back, err, len(want), to)
			}
		})
	}
}

func TestADatagramThatCannotBeSentIsAnError(t *testing.T) {
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDatagrams(c)
	if err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"to another family": d.send([]byte("x"), netip.MustParseAddrPort("[::1]:5060")),
		"too large":         d.send(make([]byte, 65508), netip.MustParseAddrPort("127.0.0.1:5060")),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	_ = c.Close()
	if _, _, err := d.read(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("reading a closed socket: %v, want net.ErrClosed", err)
	}
	if err := d.send([]byte("x"), netip.MustParseAddrPort("127.0.0.1:5060")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("writing to a closed socket: %v, want net.ErrClosed", err)
	}
}
