package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	ringing  = 400 * time.Millisecond
	patience = 15 * time.Second // behind the last call
)

// phones are a caller and a callee over TCP, each at an address at which it also listens: whoever lost a connection may make
// a new one. SIPp is no use here: it does not survive a reset. What could not be written is written again on a new connection;
// what was written and lost is lost, as for any element over TCP, but for the 200, which a callee repeats until its ACK
// (RFC 3261 §13.3.1.4). The ACK goes past the AS: the callee is told by hand.
type phones struct {
	as, caller, callee string
	mu                 sync.Mutex
	calls              []call
}

func tcp(w io.Writer, as, from, to string, n, callees, rate int, messages string) error {
	p := &phones{as: as, caller: from, callee: to, calls: make([]call, n+1)}
	outCaller := &stream{to: as, from: from, read: p.answered}
	outCallee := &stream{to: as, from: to, read: func(*stream, string) {}}
	for _, at := range []struct {
		address string
		read    func(*stream, string)
	}{{from, p.answered}, {to, func(s *stream, m string) { go p.called(s, outCallee, m) }}} {
		l, err := net.Listen("tcp", at.address)
		if err != nil {
			return err
		}
		defer l.Close()
		go accept(l, at.read)
	}
	begin := time.Now()
	for i := 1; i <= n; i++ {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		p.mu.Lock()
		p.calls[i].invite = time.Now()
		p.mu.Unlock()
		if err := outCaller.send(p.invite(i, callees)); err != nil {
			return err
		}
	}
	for end := time.Now().Add(patience); time.Now().Before(end) && p.good() < n; {
		time.Sleep(100 * time.Millisecond)
	}
	if err := p.write(messages); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "Successful call||%d\n", p.good()) // as SIPp says it
	return err
}

func (p *phones) invite(n, callees int) string {
	to := callee(n-1, callees)
	return fmt.Sprintf("INVITE sip:%s@ims.test;user=phone SIP/2.0\r\nVia: SIP/2.0/TCP %s;branch=z9hG4bK-%d-%d\r\n"+
		"Route: <sip:as@%s;lr;transport=tcp>\r\nRoute: <sip:odi@%s;lr;transport=tcp>\r\nMax-Forwards: 68\r\nFrom: <sip:%s@ims.test>;tag=%d\r\n"+
		"To: <sip:%s@ims.test;user=phone>\r\nCall-ID: harm-%d-\r\nCSeq: 1 INVITE\r\nP-Asserted-Identity: <tel:%s>\r\nContent-Length: 0\r\n\r\n",
		to, p.caller, os.Getpid(), n, p.as, p.callee, caller(n), n, to, n, caller(n))
}

// called answers an INVITE on the stream by which it came, or on one of the callee's own where that is gone.
func (p *phones) called(s, own *stream, m string) {
	if !strings.HasPrefix(m, "INVITE ") {
		return
	}
	answer := func(status string) {
		var b strings.Builder
		b.WriteString("SIP/2.0 " + status + "\r\n")
		for line := range strings.SplitSeq(m, "\r\n") {
			name, _, _ := strings.Cut(line, ":")
			switch name {
			case "Via", "From", "Call-ID", "CSeq":
				b.WriteString(line + "\r\n")
			case "To":
				b.WriteString(line + ";tag=callee\r\n")
			}
		}
		b.WriteString("Content-Length: 0\r\n\r\n")
		if s.send(b.String()) != nil {
			_ = own.send(b.String()) // the AS is away for longer: the 200 goes out again
		}
	}
	answer("180 Ringing")
	time.Sleep(ringing)
	n := number(m)
	for again := 500 * time.Millisecond; ; again = min(2*again, 4*time.Second) {
		answer("200 OK")
		time.Sleep(again)
		p.mu.Lock()
		done := n == 0 || !p.calls[n].answered.IsZero()
		p.mu.Unlock()
		if done {
			return
		}
	}
}

func (p *phones) answered(_ *stream, m string) {
	n, now := number(m), time.Now()
	if n < 1 || n >= len(p.calls) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := &p.calls[n]
	switch {
	case strings.HasPrefix(m, "SIP/2.0 180") && c.rang.IsZero():
		c.rang = now
	case strings.HasPrefix(m, "SIP/2.0 200") && c.answered.IsZero():
		c.answered = now
	}
}

// number is the call's, from its Call-ID.
func number(m string) int {
	_, id, _ := strings.Cut(m, "\r\nCall-ID: harm-")
	digits, _, _ := strings.Cut(id, "-")
	n, _ := strconv.Atoi(digits)
	return n
}

func (p *phones) good() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.calls {
		if !c.answered.IsZero() {
			n++
		}
	}
	return n
}

// write tells of the calls in the form of SIPp's -trace_shortmsg.
func (p *phones) write(path string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b bytes.Buffer
	for n, c := range p.calls {
		for _, m := range []struct {
			at              time.Time
			direction, line string
		}{{c.invite, "S", "INVITE sip:callee SIP/2.0"}, {c.rang, "R", "SIP/2.0 180 Ringing"}, {c.answered, "R", "SIP/2.0 200 OK"}} {
			if !m.at.IsZero() {
				fmt.Fprintf(&b, "-\t-\t%d.%06d\t%s\tharm-%d-\tCSeq:1 INVITE\t%s\n", m.at.Unix(), m.at.Nanosecond()/1000, m.direction, n, m.line)
			}
		}
	}
	return os.WriteFile(path, b.Bytes(), 0o600)
}

// stream is a connection that was accepted, or one to an address that is made when something is to be sent.
type stream struct {
	to   string // "": accepted
	from string // whose address it has, but for the port
	read func(*stream, string)
	mu   sync.Mutex
	conn net.Conn
}

// send writes a message, on a new connection where the old one can't be written to; for two seconds it tries to make one.
func (s *stream) send(m string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for tries := 0; ; tries++ {
		if s.conn != nil {
			_ = s.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
			if _, err := s.conn.Write([]byte(m)); err == nil {
				return nil
			}
			_ = s.conn.Close()
			s.conn = nil
		}
		if s.to == "" {
			return net.ErrClosed
		}
		conn, err := s.dial()
		if err != nil {
			if tries > 40 {
				return err
			}
			time.Sleep(50 * time.Millisecond)
			continue
		}
		s.conn = conn
		go s.receive(conn)
	}
}

func (s *stream) dial() (net.Conn, error) {
	from, err := netip.ParseAddrPort(s.from)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: time.Second, LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(from.Addr(), 0))}
	return d.Dial("tcp", s.to)
}

func (s *stream) receive(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.conn == conn {
			s.conn = nil
		}
	}()
	r := bufio.NewReader(conn)
	for {
		var m strings.Builder
		size := 0
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line == "\r\n" {
				if m.Len() == 0 {
					continue // a keepalive
				}
				break
			}
			m.WriteString(line)
			if name, value, _ := strings.Cut(line, ":"); textproto.CanonicalMIMEHeaderKey(name) == "Content-Length" {
				size, _ = strconv.Atoi(strings.TrimSpace(value))
			}
		}
		if _, err := r.Discard(size); err != nil {
			return
		}
		s.read(s, m.String())
	}
}

func accept(l net.Listener, read func(*stream, string)) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		s := &stream{conn: conn, read: read}
		go s.receive(conn)
	}
}
