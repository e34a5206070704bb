package relay

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tcpUserTimeout is Linux's option of that name (RFC 5482): how long what was sent may stay unacknowledged.
const tcpUserTimeout = 18

// diesIn ends a connection whose peer has died without a word, after so long.
func diesIn(c *net.TCPConn, d time.Duration) {
	if runtime.GOOS == "linux" {
		control(c, func(fd int) error {
			return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, tcpUserTimeout, int(d.Milliseconds()))
		})
	}
}

func control(c syscall.Conn, do func(fd int) error) (err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	controlErr := raw.Control(func(fd uintptr) { err = do(int(fd)) })
	if controlErr != nil {
		return controlErr
	}
	return err
}

// listenUDP binds n sockets to one address. Several share what arrives by its sender (SO_REUSEPORT), which would let a
// second process bind beside us unseen: so the address is tried without it first.
func listenUDP(addr netip.AddrPort, n int) (all []*net.UDPConn, err error) {
	first, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil || n <= 1 {
		return []*net.UDPConn{first}, err
	}
	addr = first.LocalAddr().(*net.UDPAddr).AddrPort()
	_ = first.Close()
	shared := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlErr := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		if controlErr != nil {
			return controlErr
		}
		return err
	}}
	for range n {
		c, err := shared.ListenPacket(context.Background(), "udp", addr.String())
		if err != nil {
			for _, c := range all {
				_ = c.Close()
			}
			return nil, err
		}
		all = append(all, c.(*net.UDPConn))
	}
	return all, nil
}

// receives sets a socket's receive buffer and tells what the kernel made of it, in bytes.
func receives(c *net.UDPConn, size int) (effective int, err error) {
	if err := c.SetReadBuffer(size); err != nil {
		return 0, err
	}
	err = control(c, func(fd int) (err error) {
		effective, err = unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF)
		return err
	})
	if runtime.GOOS == "linux" {
		effective /= 2 // the kernel doubles what is asked, for its own bookkeeping (socket(7))
	}
	return effective, err
}

// kernelDrops is how many datagrams the kernel dropped since these sockets were bound, because they were not read in time
// (proc(5), /proc/net/udp). Elsewhere than on Linux it is 0.
func kernelDrops(sockets []*net.UDPConn) (n float64) {
	drops := map[string]float64{} // by inode: a table that changes while it is read may tell a socket twice
	for _, c := range sockets {
		_ = control(c, func(fd int) error {
			var stat unix.Stat_t
			err := unix.Fstat(fd, &stat)
			drops[fmt.Sprint(stat.Ino)] = 0
			return err
		})
	}
	for _, table := range []string{"/proc/net/udp", "/proc/net/udp6"} {
		f, err := os.Open(table)
		if err != nil {
			continue
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			fields := strings.Fields(lines.Text())
			if len(fields) < 13 {
				continue
			}
			if before, ours := drops[fields[9]]; ours {
				now, _ := strconv.ParseFloat(fields[12], 64)
				drops[fields[9]] = max(before, now)
			}
		}
		_ = f.Close()
	}
	for _, d := range drops {
		n += d
	}
	return n
}
