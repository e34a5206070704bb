package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// caller is call n's, from 1 on as SIPp counts: nobody else has this number, so that a text tells its call.
func caller(n int) string { return fmt.Sprintf("+86138%08d", n) }

func callee(n, of int) string { return fmt.Sprintf("+86139%08d", n%of) }

func calls(w io.Writer, n, of int) error {
	fmt.Fprintln(w, "SEQUENTIAL")
	for i := range n {
		fmt.Fprintf(w, "%s;%s\n", caller(i+1), callee(i, of))
	}
	return nil
}

// flood sends INVITEs, each a set-up of its own to a callee of its own, and prints how many a second it sent.
func flood(as, next string, d time.Duration, rate int) error {
	c, err := net.Dial("udp", as)
	if err != nil {
		return err
	}
	defer c.Close()
	sent := 0
	begin := time.Now()
	var invite []byte
	for ; time.Since(begin) < d; sent++ {
		for rate > 0 && sent > int(time.Since(begin).Seconds()*float64(rate)) {
			time.Sleep(100 * time.Microsecond)
		}
		invite = fmt.Appendf(invite[:0], "INVITE sip:+86150%08d@ims.test;user=phone SIP/2.0\r\n"+
			"Via: SIP/2.0/UDP %s;branch=z9hG4bK-flood-%d-%d\r\nRoute: <sip:as@%s;lr>\r\nRoute: <sip:odi@%s;lr>\r\nMax-Forwards: 68\r\n"+
			"From: <sip:+8615100000000@ims.test>;tag=1\r\nTo: <sip:+86150%08d@ims.test;user=phone>\r\nCall-ID: flood-%d-%d\r\nCSeq: 1 INVITE\r\n"+
			"P-Asserted-Identity: <tel:+8615100000000>\r\nContent-Length: 0\r\n\r\n",
			sent, c.LocalAddr(), os.Getpid(), sent, as, next, sent, os.Getpid(), sent)
		if _, err := c.Write(invite); err != nil {
			return err
		}
	}
	fmt.Printf("%d INVITEs a second\n", int(float64(sent)/time.Since(begin).Seconds()))
	return nil
}

// lock holds, as another process would, every lock that SQLite asks for in WAL mode: no read and no commit gets through.
// They are bytes 120 to 127 of the -shm file (sqlite.org/walformat.html, 2.2).
func lock(database string, d time.Duration) error {
	f, err := os.OpenFile(database+"-shm", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := syscall.FcntlFlock(f.Fd(), syscall.F_SETLKW, &syscall.Flock_t{Type: syscall.F_WRLCK, Start: 120, Len: 8}); err != nil {
		return err
	}
	time.Sleep(d)
	return nil
}
