package msn

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
)

// state is how far a client is.
type state int

const (
	connected state = iota
	versioned
	known
	named
	in
	synced
	seen
)

// Serve is a client's session.
func (s *Server) Serve(nc net.Conn) {
	c := &conn{Conn: nc, r: bufio.NewReader(nc)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		_ = nc.Close()
		return
	}
	s.conns[c] = true
	s.mu.Unlock()
	defer func() {
		_ = nc.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
		if u := s.users[c.account]; u != nil && u.session == c {
			u.session = nil
		}
	}()
	for {
		line, err := c.r.ReadString('\n')
		if err != nil || !strings.HasSuffix(line, "\r\n") {
			return
		}
		f := strings.Split(strings.TrimSuffix(line, "\r\n"), " ")
		var payload []byte
		if f[0] == "QRY" || f[0] == "UUX" {
			n, err := strconv.Atoi(f[len(f)-1])
			if err != nil || n > 1<<16 {
				return
			}
			payload, f = make([]byte, n), f[:len(f)-1]
			if _, err := io.ReadFull(c.r, payload); err != nil {
				return
			}
		}
		s.mu.Lock()
		if f[0] == "USR" && len(f) > 4 && f[3] == "S" {
			s.heard = append(s.heard, "USR S")
		} else {
			s.heard = append(s.heard, strings.Join(f, " "))
		}
		more := f[0] == s.Mute || s.command(c, f, payload)
		s.mu.Unlock()
		if !more {
			return
		}
	}
}

// command answers one; false: the client is put out.
func (s *Server) command(c *conn, f []string, payload []byte) bool {
	switch f[0] {
	case "PNG":
		c.write("QNG 50")
		return c.state >= in && len(f) == 1
	case "OUT":
		return false
	}
	number := 0
	if len(f) > 1 {
		number, _ = strconv.Atoi(f[1])
	}
	if number <= c.number {
		return false
	}
	c.number = number
	fail := func(code string, more bool) bool {
		c.write(code + " " + f[1])
		return more
	}
	at := func(state state, n int) bool { return c.state == state && len(f) == n }
	switch {
	case f[0] == "VER" && c.state == connected:
		if !strings.Contains(strings.Join(f[2:], " ")+" ", "MSNP12 ") {
			c.write("VER " + f[1] + " 0")
			return false
		}
		c.state = versioned
		c.write("VER " + f[1] + " MSNP12")
	case f[0] == "CVR" && at(versioned, 10):
		c.state, c.account = known, f[9]
		c.write("CVR " + f[1] + " 7.5.0324 7.5.0324 1.0.0000 http://msgr.test/a http://msgr.test/b")
	case f[0] == "USR" && at(known, 5) && f[2] == "TWN" && f[3] == "I" && f[4] == c.account:
		if s.SendTo != "" {
			c.write("XFR " + f[1] + " NS " + s.SendTo + " 0 " + s.Address)
			return false
		}
		if s.users[c.account] == nil {
			return fail("911", false)
		}
		c.state = named
		c.write("USR " + f[1] + " TWN S " + challenge)
	case f[0] == "USR" && at(named, 5) && f[2] == "TWN" && f[3] == "S":
		owner, valid := s.tickets[f[4]]
		if delete(s.tickets, f[4]); !valid || owner != c.account {
			return fail("911", false)
		}
		u := s.users[c.account]
		if u.session != nil {
			u.session.write("OUT OTH")
			_ = u.session.Close()
		}
		u.session, c.state = c, in
		s.logins++
		c.write("USR " + f[1] + " OK " + c.account + " 1 0")
		c.write("SBS 0 null")
		profile := "MIME-Version: 1.0\r\nContent-Type: text/x-msmsgsprofile; charset=UTF-8\r\nEmailEnabled: 1\r\n\r\n"
		_, _ = fmt.Fprintf(c, "MSG Hotmail Hotmail %d\r\n%s", len(profile), profile)
	case f[0] == "SYN" && at(in, 4):
		c.state = synced
		s.sync(c, f[1])
	case f[0] == "CHG" && c.state == synced && len(f) >= 4 && f[2] == "NLN":
		c.state = seen
		c.write("CHG " + f[1] + " NLN " + f[3])
		for account, lists := range s.users[c.account].lists {
			if u := s.users[account]; lists&FL != 0 && u != nil {
				c.presence("ILN "+f[1], account, u)
			}
		}
		c.challenge = "15570131571988941333"
		c.write("CHL 0 " + c.challenge)
	case f[0] == "QRY" && c.state == seen && len(f) == 3:
		want := c.challenge
		if c.challenge = ""; want == "" || f[2] != productID || string(payload) != Digest(want) {
			return fail("540", false)
		}
		c.write("QRY " + f[1])
	case (f[0] == "ADC" || f[0] == "REM") && c.state >= synced && len(f) >= 4:
		return s.change(c, f, fail)
	default:
		return fail("715", false)
	}
	return true
}

// sync tells all lists.
func (s *Server) sync(c *conn, number string) {
	u := s.users[c.account]
	c.write(fmt.Sprintf("SYN %s 2005-04-23T18:57:44.8130000-07:00 2005-04-23T18:57:54.2070000-07:00 %d 1", number, len(u.lists)))
	c.write("GTC A")
	c.write("BLP AL")
	c.write("PRP MFN Buddy%20of%20all")
	c.write("LSG Friends 124153dc-a695-4f6c-93e8-8e07c9775251")
	for account, lists := range u.lists {
		id := ""
		if other := s.users[account]; lists&FL != 0 && other != nil {
			id = " C=" + other.id
		}
		c.write(fmt.Sprintf("LST N=%s F=%s%s %d 1", account, "A%20name", id, lists))
	}
}

// change changes a list: ADC n FL N=account F=name, ADC n AL N=account, REM n FL id, REM n AL account.
func (s *Server) change(c *conn, f []string, fail func(string, bool) bool) bool {
	u, list := s.users[c.account], listNames[f[2]]
	account, named := strings.CutPrefix(f[3], "N=")
	if f[0] == "REM" {
		account, named = f[3], f[2] != "FL"
		for name, other := range s.users {
			if f[2] == "FL" && other.id == f[3] {
				account, named = name, true
			}
		}
	}
	forward := 0
	for _, lists := range u.lists {
		forward += lists & FL
	}
	switch {
	case list == 0 || f[0] == "REM" && list == RL || f[0] == "ADC" && list == PL:
		return fail("201", false)
	case f[0] == "ADC" && (!named || !strings.Contains(account, "@") || list == FL && (len(f) != 5 || !strings.HasPrefix(f[4], "F="))):
		return fail("201", true)
	case s.users[account] == nil:
		return fail("205", true)
	case f[0] == "ADC" && u.lists[account]&list != 0:
		return fail("215", true)
	case f[0] == "REM" && u.lists[account]&list == 0:
		return fail("216", true)
	case f[0] == "ADC" && list == FL && forward >= s.Contacts:
		return fail("210", true)
	}
	if f[0] == "REM" {
		u.lists[account] &^= list
		c.write(strings.Join(f, " "))
		return true
	}
	u.lists[account] |= list
	if list != FL {
		c.write(strings.Join(f[:4], " "))
		return true
	}
	c.write(strings.Join(f, " ") + " C=" + s.users[account].id)
	if c.state == seen {
		c.presence("ILN "+f[1], account, s.users[account])
	}
	return true
}
