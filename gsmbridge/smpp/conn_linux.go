//go:build (amd64 || arm64) && !portable

package smpp

import (
	"io"
	"net"
	"os"
	"syscall"
	"unsafe"
)

// quiet is c, whose system calls Go's scheduler isn't told of if it is a TCP connection: it is non-blocking, so they never
// wait. Told, it would wake its monitor thread for each message on an otherwise idle node, which costs more than the message.
// Where a call would wait, it waits in Go's poller as any other, with c's deadlines.
func quiet(c net.Conn) net.Conn {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return c
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return c
	}
	q := &quietConn{TCPConn: tcp, raw: raw}
	q.in.try = func(fd uintptr) bool { return q.in.call(syscall.SYS_READ, fd) }
	q.out.try = func(fd uintptr) bool { return q.out.call(syscall.SYS_WRITE, fd) }
	return q
}

// quietConn may have one reader and one writer at a time.
type quietConn struct {
	*net.TCPConn
	raw     syscall.RawConn
	in, out transfer
}

// transfer is one read or write: what it takes and gives.
type transfer struct {
	try   func(fd uintptr) (done bool)
	buf   []byte
	n     int
	errno syscall.Errno
}

func (t *transfer) call(trap, fd uintptr) (done bool) {
	for t.errno = syscall.EINTR; t.errno == syscall.EINTR; {
		var n uintptr
		n, _, t.errno = syscall.RawSyscall(trap, fd, uintptr(unsafe.Pointer(unsafe.SliceData(t.buf))), uintptr(len(t.buf)))
		t.n = int(n)
	}
	return t.errno != syscall.EAGAIN
}

func (q *quietConn) Read(b []byte) (int, error) {
	q.in.buf = b
	switch err := q.raw.Read(q.in.try); {
	case err != nil:
		return 0, err
	case q.in.errno != 0:
		return 0, os.NewSyscallError("read", q.in.errno)
	case q.in.n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	return q.in.n, nil
}

func (q *quietConn) Write(b []byte) (written int, err error) {
	for written < len(b) {
		q.out.buf = b[written:]
		if err := q.raw.Write(q.out.try); err != nil {
			return written, err
		}
		if q.out.errno != 0 {
			return written, os.NewSyscallError("write", q.out.errno)
		}
		written += q.out.n
	}
	return written, nil
}
