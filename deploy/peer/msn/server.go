// Package msn is an MSN network for tests, written from the protocol's documents: a nexus, a login server and a notification server
// that speaks MSNP12. It is strict: who comes with the wrong command, order, number, ticket or answer to a challenge is refused as the
// real one refuses, or put out. It owns a goroutine for each connection; Close ends them.
package msn

import (
	"bufio"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
)

// Lists of a contact, as LST gives them.
const (
	FL = 1
	AL = 2
	RL = 8
	PL = 16
)

var listNames = map[string]int{"FL": FL, "AL": AL, "RL": RL, "PL": PL}

// Server is a network. Its fields may be set before anybody connects.
type Server struct {
	Address  string // of the notification server
	Nexus    string
	Contacts int    // that a list may have
	SendTo   string // where a login is sent on to (XFR), if anywhere
	Mute     string // a command that is not answered
	Redirect int    // how often the login server sends on

	http     *httptest.Server
	listener net.Listener
	all      sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	users   map[string]*user
	tickets map[string]string // whose
	conns   map[*conn]bool
	logins  int
	heard   []string // commands of clients
}

// user is an account, with whom it has on its lists.
type user struct {
	password, id, text string
	silent             bool // its client knows no personal messages
	online             bool
	lists              map[string]int
	session            *conn
}

const challenge = "lc=1033,id=507,tw=40,fs=1,ru=http%3A%2F%2Fmessenger%2Emsn%2Ecom,ct=1,kpp=1,kv=5,ver=2.1.0173.1,tpf=43f8a4c8ed940c04"

// Start begins one on a loopback address; its nexus is on another port of it.
func Start(host string) (*Server, error) {
	s := &Server{Contacts: 600, users: map[string]*user{}, tickets: map[string]string{}, conns: map[*conn]bool{}}
	web, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		return nil, err
	}
	s.http = httptest.NewUnstartedServer(http.HandlerFunc(s.web))
	_ = s.http.Listener.Close()
	s.http.Listener = web
	s.http.Start()
	s.Nexus = s.http.URL + "/rdr/pprdr.asp"
	if err := s.Listen(net.JoinHostPort(host, "0")); err != nil {
		s.http.Close()
		return nil, err
	}
	return s, nil
}

// Listen takes connections (again, after Stop).
func (s *Server) Listen(address string) (err error) {
	if s.listener, err = net.Listen("tcp", address); err != nil {
		return err
	}
	s.Address, s.closed = s.listener.Addr().String(), false
	l := s.listener
	s.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.all.Go(func() { s.Serve(c) })
		}
	})
	return nil
}

// Stop ends the notification server, with a word (OUT SSD) or without one.
func (s *Server) Stop(word bool) {
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		if word {
			c.write("OUT SSD")
		}
		_ = c.Close()
	}
	s.mu.Unlock()
	_ = s.listener.Close()
	s.all.Wait()
}

// Close ends all of it.
func (s *Server) Close() {
	s.Stop(false)
	s.http.Close()
}

// User makes an account that is online; with a password it may log in.
func (s *Server) User(account, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.users)
	s.users[account] = &user{password: password, id: fmt.Sprintf("00000000-0000-0000-0000-%012d", n), online: password == "", lists: map[string]int{}}
}

// Put puts an account on lists of another.
func (s *Server) Put(account, on string, lists int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[on].lists[account] |= lists
}

// Lists are those of one account on which another is.
func (s *Server) Lists(account, on string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[on].lists[account]
}

// Says changes a personal message, and tells who has the account on its list.
func (s *Server) Says(account, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[account]
	u.text = text
	s.each(account, func(c *conn) { c.ubx(account, u) })
}

// Raw sends who follows an account what is no server's to send.
func (s *Server) Raw(account, wire string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.each(account, func(c *conn) { _, _ = io.WriteString(c, wire) })
}

// Online has an account come or go.
func (s *Server) Online(account string, online bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[account]
	u.online = online
	s.each(account, func(c *conn) {
		if online {
			c.presence("NLN", account, u)
		} else {
			c.write("FLN " + account)
		}
	})
}

// Silent has an account use a client without personal messages.
func (s *Server) Silent(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[account].silent = true
}

// Adds has an account put another on its list, which is told.
func (s *Server) Adds(account, other string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[other].lists[account] |= RL
	if c := s.users[other].session; c != nil {
		c.write("ADC 0 RL N=" + account + " F=" + account)
	}
}

// Challenge sends a CHL to a login that is in.
func (s *Server) Challenge(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.users[login].session; c != nil {
		c.challenge = fmt.Sprintf("%020d", len(s.heard)*7919+1)
		c.write("CHL 0 " + c.challenge)
	}
}

// Cut ends a login's connection.
func (s *Server) Cut(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.users[login].session; c != nil {
		_ = c.Close()
	}
}

// Logins is how often somebody logged in.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// In reports whether a login is in, and seen.
func (s *Server) In(login string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users[login].session != nil && s.users[login].session.state == seen
}

// Heard are the commands that clients sent, but for tickets.
func (s *Server) Heard() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.heard...)
}

// each is for those who have an account on their list and are in.
func (s *Server) each(account string, do func(*conn)) {
	for _, u := range s.users {
		if u.session != nil && u.session.state == seen && u.lists[account]&FL != 0 {
			do(u.session)
		}
	}
}

// web is the nexus and the login server (Passport 1.4).
func (s *Server) web(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/rdr/pprdr.asp" {
		w.Header().Set("PassportURLs", "DARealm=Passport.Net,DALogin="+s.http.URL+"/login2.srf,DAReg="+s.http.URL+"/reg,ConfigVersion=11")
		return
	}
	var step int
	if _, _ = fmt.Sscanf(r.URL.Path, "/login%d.srf", &step); step >= 2 && step < 2+s.Redirect {
		w.Header().Set("Location", fmt.Sprintf("%s/login%d.srf", s.http.URL, step+1))
		w.WriteHeader(http.StatusFound)
		return
	}
	fields, rest := map[string]string{}, strings.TrimPrefix(r.Header.Get("Authorization"), "Passport1.4 ")
	for _, key := range []string{"OrgVerb", "OrgURL", "sign-in", "pwd"} { // in this order
		var field string
		field, rest, _ = strings.Cut(rest, ",")
		name, value, _ := strings.Cut(field, "=")
		if plain, err := url.PathUnescape(value); err == nil && name == key {
			fields[key] = plain
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := s.users[fields["sign-in"]]
	if u == nil || u.password == "" || fields["pwd"] != u.password || fields["OrgVerb"] != "GET" || fields["OrgURL"] != "http://messenger.msn.com" || rest != challenge {
		w.Header().Set("WWW-Authenticate", "Passport1.4 da-status=failed,srealm=Passport.NET,ts=-3,prompt,cburl=http://messenger.msn.com,cbtxt=Wrong")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	ticket := "t=" + rand.Text() + "&p="
	s.tickets[ticket] = fields["sign-in"]
	w.Header().Set("Authentication-Info", "Passport1.4 da-status=success,tname=MSPAuth,tname=MSPProf,tname=MSPSec,from-PP='"+ticket+"',ru=http://messenger.msn.com")
}

// ubx tells what an account says.
func (c *conn) ubx(account string, u *user) {
	if u.silent || !u.online {
		return
	}
	var text strings.Builder
	_ = xml.EscapeText(&text, []byte(u.text))
	payload := "<Data><PSM>" + text.String() + "</PSM><CurrentMedia></CurrentMedia></Data>"
	_, _ = fmt.Fprintf(c, "UBX %s %d\r\n%s", account, len(payload), payload)
}

func (c *conn) presence(how, account string, u *user) {
	if u.online {
		c.write(fmt.Sprintf("%s NLN %s %s 1073741824 %%3Cmsnobj%%2F%%3E", how, account, account))
		c.ubx(account, u)
	}
}

func (c *conn) write(line string) { _, _ = io.WriteString(c, line+"\r\n") }

// conn is a client's connection.
type conn struct {
	net.Conn
	r         *bufio.Reader
	number    int
	account   string
	challenge string
	state     state
}
