package relay

import (
	"bytes"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSeveralSocketsShareAnAddressAndNobodyElseGetsIt(t *testing.T) {
	for _, n := range []int{1, 4} {
		b := newBench(t, func(o *Options) { o.Config.Sockets = n })
		own := b.relay.Addrs()[0]
		for _, others := range []int{1, 4} {
			if c, err := listenUDP(own, others); err == nil {
				_ = c[0].Close()
				t.Errorf("another process could take the address of %d sockets with %d of its own", n, others)
			} else if !strings.Contains(err.Error(), "address already in use") {
				t.Errorf("got %v, want address already in use", err)
			}
		}
		for range 20 { // from many ports, so that all sockets get some
			b.up = listen(t)
			b.send(b.up, b.fill(invite))
			relayed := b.receive(b.down)
			_, rest, _ := strings.Cut(relayed, "\r\n")
			b.send(b.down, "SIP/2.0 200 OK\r\n"+rest)
			if got := b.receive(b.up); !strings.HasPrefix(got, "SIP/2.0 200") {
				t.Errorf("the answer came back as\n%s", got)
			}
		}
	}
}

func TestTheReceiveBufferIsToldAsItIs(t *testing.T) {
	c := listen(t)
	small, err := receives(c, 8192)
	if err != nil || small < 4096 || small > 16384 {
		t.Errorf("8192 asked, %d told, %v", small, err)
	}
	var log bytes.Buffer
	r := &Relay{log: slog.New(slog.NewTextHandler(&log, nil))}
	r.buffer(c, "udp://here")
	if !strings.Contains(log.String(), "receive_buffer=") || !strings.Contains(log.String(), "udp://here") {
		t.Errorf("logged %q", log.String())
	}
}

func TestWhatTheKernelDropsIsCounted(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells")
	}
	c := listen(t)
	if got := kernelDrops([]*net.UDPConn{c}); got != 0 {
		t.Errorf("%v drops of a new socket", got)
	}
	if _, err := receives(c, 4096); err != nil {
		t.Fatal(err)
	}
	from := listen(t)
	for range 200 {
		if _, err := from.WriteToUDPAddrPort(make([]byte, 2000), addrOf(c)); err != nil {
			t.Fatal(err)
		}
	}
	if got := kernelDrops([]*net.UDPConn{c}); got < 100 || got > 200 {
		t.Errorf("%v drops of 200 datagrams for a buffer of two or three", got)
	}
}

func TestADeadPeerIsNoticed(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux does")
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.DialTCP("tcp", nil, l.Addr().(*net.TCPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	diesIn(c, silence)
	if err := control(c, func(fd int) error {
		got, err := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, tcpUserTimeout)
		if got != int(silence.Milliseconds()) {
			t.Errorf("TCP_USER_TIMEOUT is %d ms, want %v", got, silence)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
