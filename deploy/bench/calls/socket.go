package main

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"
)

const (
	socketBuffer = 8 << 20 // asked for; the kernel caps it at net.core.rmem_max
	wakeUp       = 100 * time.Millisecond
)

// socket is a UDP socket that talks to one peer. Its calls block their thread and pass Go's poller by, whose timers are
// as coarse as a millisecond.
type socket struct {
	fd     int
	buffer int // what the kernel gave for receiving
}

func dial(from, to netip.AddrPort) (s socket, err error) {
	if s.fd, err = syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0); err != nil {
		return s, err
	}
	for _, o := range []int{syscall.SO_RCVBUF, syscall.SO_SNDBUF} {
		if err := syscall.SetsockoptInt(s.fd, syscall.SOL_SOCKET, o, socketBuffer); err != nil {
			return s, err
		}
	}
	if s.buffer, err = syscall.GetsockoptInt(s.fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF); err != nil {
		return s, err
	}
	s.buffer /= 2 // the kernel tells twice what it gave, its own bookkeeping included
	timeout := syscall.NsecToTimeval(int64(wakeUp))
	if err := syscall.SetsockoptTimeval(s.fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &timeout); err != nil {
		return s, err
	}
	if err := syscall.Bind(s.fd, address(from)); err != nil {
		return s, fmt.Errorf("listen on %s: %w", from, err)
	}
	return s, syscall.Connect(s.fd, address(to))
}

func address(a netip.AddrPort) *syscall.SockaddrInet4 {
	return &syscall.SockaddrInet4{Port: int(a.Port()), Addr: a.Addr().As4()}
}

// read waits for a message for as long as wakeUp; nothing came if it is empty.
func (s socket) read(buf []byte) []byte {
	n, err := syscall.Read(s.fd, buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

// write sends a message. That nobody listens yet or any more (ECONNREFUSED, of an earlier one) is a lost datagram as any other.
func (s socket) write(msg []byte) error {
	for {
		_, err := syscall.Write(s.fd, msg)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.ECONNREFUSED):
			return nil
		default:
			return err
		}
	}
}

// sharpTimers lets this thread's sleeps end within a microsecond of their time instead of 50.
func sharpTimers() {
	const prSetTimerSlack = 29
	_, _, _ = syscall.RawSyscall(syscall.SYS_PRCTL, prSetTimerSlack, 1000, 0)
}

func sleep(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&ts, nil)
}

// cpuTime is what this process used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
