//go:build (amd64 || arm64) && !portable

package relay

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// datagrams reads and writes a UDP socket for one goroutine. The socket is non-blocking, so its system calls never wait;
// they are made without telling Go's scheduler of each. Told, it would wake its monitor thread for nearly every datagram,
// which costs a fifth of what relaying a call does. Where a call would wait, it waits in Go's poller like any other.
type datagrams struct {
	conn           syscall.RawConn
	v6             bool
	receive, write func(fd uintptr) (done bool) // made once: what they take and give stands below

	buf   []byte
	n     uintptr
	errno syscall.Errno
	peer  [unix.SizeofSockaddrInet6]byte
	size  uint32 // of peer
}

func newDatagrams(c *net.UDPConn) (*datagrams, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	d := &datagrams{conn: raw}
	err = control(c, func(fd int) error {
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		d.v6 = domain == unix.AF_INET6
		return err
	})
	d.receive = func(fd uintptr) bool {
		d.size = uint32(len(d.peer))
		d.n, _, d.errno = syscall.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(unsafe.SliceData(d.buf))), uintptr(len(d.buf)),
			0, uintptr(unsafe.Pointer(&d.peer)), uintptr(unsafe.Pointer(&d.size)))
		return d.errno != unix.EAGAIN
	}
	d.write = func(fd uintptr) bool {
		d.n, _, d.errno = syscall.RawSyscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(unsafe.SliceData(d.buf))), uintptr(len(d.buf)),
			0, uintptr(unsafe.Pointer(&d.peer)), uintptr(d.size))
		return d.errno != unix.EAGAIN
	}
	return d, err
}

// read waits for a datagram. An IPv4 address comes as one, also through a socket for both.
func (d *datagrams) read(buf []byte) (n int, from netip.AddrPort, err error) {
	d.buf = buf
	if err := d.conn.Read(d.receive); err != nil {
		return 0, from, err
	}
	if d.errno != 0 {
		return 0, from, os.NewSyscallError("recvfrom", d.errno)
	}
	port := binary.BigEndian.Uint16(d.peer[2:])
	if !d.v6 {
		return int(d.n), netip.AddrPortFrom(netip.AddrFrom4([4]byte(d.peer[4:8])), port), nil
	}
	addr := netip.AddrFrom16([16]byte(d.peer[8:24])).Unmap()
	if scope := binary.NativeEndian.Uint32(d.peer[24:]); scope != 0 {
		addr = addr.WithZone(strconv.FormatUint(uint64(scope), 10))
	}
	return int(d.n), netip.AddrPortFrom(addr, port), nil
}

// send writes one datagram.
func (d *datagrams) send(msg []byte, to netip.AddrPort) error {
	d.peer = [unix.SizeofSockaddrInet6]byte{}
	binary.BigEndian.PutUint16(d.peer[2:], to.Port())
	switch {
	case d.v6:
		binary.NativeEndian.PutUint16(d.peer[:], unix.AF_INET6)
		addr := to.Addr().As16()
		copy(d.peer[8:], addr[:])
		d.size = unix.SizeofSockaddrInet6
	case to.Addr().Is4():
		binary.NativeEndian.PutUint16(d.peer[:], unix.AF_INET)
		addr := to.Addr().As4()
		copy(d.peer[4:], addr[:])
		d.size = unix.SizeofSockaddrInet4
	default:
		return &net.AddrError{Err: "an IPv4 socket can't send to it", Addr: to.String()}
	}
	d.buf = msg
	if err := d.conn.Write(d.write); err != nil {
		return err
	}
	if d.errno != 0 {
		return os.NewSyscallError("sendto", d.errno)
	}
	return nil
}
