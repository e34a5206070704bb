package msn

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/callsign-as/callsign/sigsync"
)

// maxTransfers is how often a notification server may send us to another.
const maxTransfers = 5

// connect signs in, at the server to which the first one sends us.
func (l *login) connect(ctx context.Context) (*session, error) {
	address := l.c.Address
	for range maxTransfers {
		dialing, cancel := context.WithTimeout(ctx, l.c.Timeout)
		conn, err := l.dial(dialing, "tcp", address)
		cancel()
		if err != nil {
			return nil, err
		}
		s := newSession(l, conn)
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		next, err := s.signIn(ctx)
		if stop() && err == nil && next == "" {
			return s, nil
		}
		_ = conn.Close()
		if err == nil && next != "" {
			_, _, err = net.SplitHostPort(next)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", address, err)
		}
		address = next
	}
	return nil, fmt.Errorf("%s: its servers sent us on %d times", l.c.Address, maxTransfers)
}

// signIn goes from VER to being seen; the server tells all contacts on the way. next is the server to which this one sends us.
func (s *session) signIn(ctx context.Context) (next string, err error) {
	c, err := s.ask("VER", "MSNP12", "CVR0")
	if err == nil && !slices.Contains(c.args[1:], "MSNP12") {
		err = fmt.Errorf("it speaks %.40q, and not MSNP12", c.args[1:])
	}
	if err == nil {
		_, err = s.ask("CVR", "0x0409", "winnt", "5.1", "i386", "MSNMSGR", "7.5.0324", "msmsgs", s.l.Account)
	}
	if err == nil {
		c, err = s.ask("USR", "TWN", "I", s.l.Account)
	}
	if err != nil || c.name == "XFR" {
		return c.arg(2), err
	}
	ticket, err := s.l.ticket(ctx, c.arg(3))
	if err == nil {
		c, err = s.ask("USR", "TWN", "S", ticket)
	}
	if err == nil && c.arg(1) != "OK" {
		err = fmt.Errorf("%w: it answers USR with %.60q", sigsync.ErrCredentials, c.args)
	}
	if err == nil {
		_, err = s.ask("SYN", "0", "0")
	}
	if err == nil {
		_, err = s.ask("CHG", "NLN", "0")
	}
	return "", err
}

// ask sends a command and waits for what bears its number; what comes between is heard.
func (s *session) ask(name string, args ...string) (c command, err error) {
	number := s.send(command{name: name, args: args})
	if err := s.conn.SetReadDeadline(time.Now().Add(s.l.c.Timeout)); err != nil {
		return c, err
	}
	for s.broken == nil {
		if c, err = readCommand(s.r); err != nil {
			return c, fmt.Errorf("%s: %w", name, err)
		}
		if c.arg(0) == number && (c.name == name || c.name == "XFR") {
			return c, nil
		}
		if err := s.hear(c, time.Now()); err != nil {
			return c, fmt.Errorf("%s: %w", name, err)
		}
	}
	return c, s.broken
}

// failure is what an error's code says, nil where c is none.
func failure(c command) error {
	switch c.name {
	case "911", "917", "923", "924", "928":
		return fmt.Errorf("%w: the server answers with error %s", sigsync.ErrCredentials, c.name)
	}
	if c.name[0] > '9' {
		return nil
	}
	return fmt.Errorf("the server answers with error %s", c.name)
}
