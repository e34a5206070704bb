package fetion

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/callsign-as/callsign/sigsync"
)

const (
	// keepAlive is how often we tell that we are there; a server from which nothing comes for quietFor is gone.
	keepAlive, quietFor = time.Minute, 3 * time.Minute
	// maxContacts bounds whom one account of ours can follow; more are left out, and said.
	maxContacts = 10_000
	// onOurList is the answer for whom we asked for before.
	onOurList = 521
)

// session is one login, over one connection. Its fields are its loop's alone.
type session struct {
	c        *Config
	conn     net.Conn
	r        *bufio.Reader
	calls    int
	contacts map[string]string // on our list: numbers inside the service to Fetion numbers
	listed   map[string]bool   // Fetion numbers on it, or asked for
	asking   []string          // to be asked for their consent
	consent  bool              // one is asked now
	asked    map[string]string // call to the account that it is about, "" for what is about none
	since    time.Time         // when the oldest of these was sent
	heard    func(account string, p profile)
	log      *slog.Logger
}

// send sends a request with the fields that all have. It gives the call's number.
func (s *session) send(method, sequence, event string, body string, more ...field) (string, error) {
	call := strconv.Itoa(max(1, s.calls))
	m := message{Method: method, To: s.c.Domain, Body: []byte(body), Fields: append([]field{
		{"F", s.c.SID}, {"I", call}, {"Q", sequence + " " + method},
	}, more...)}
	if event != "" {
		m.Fields = append(m.Fields, field{"N", event})
	}
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.c.Timeout)) // fails where the writing does
	_, err := s.conn.Write(m.append(nil))
	return call, err
}

// login registers: it asks for a challenge and answers it. Both are one call.
func (s *session) login(password string) error {
	_ = s.conn.SetReadDeadline(time.Now().Add(s.c.Timeout))
	if _, err := s.send("R", "1", "", "", field{"CN", "C0FFEE00C0FFEE00"}, field{"CL", `type="pc",version="4.0.2510"`}); err != nil {
		return err
	}
	asked, err := readMessage(s.r)
	if err != nil {
		return err
	}
	if asked.Code != 401 {
		return refusal("the login", asked)
	}
	c, err := parseChallenge(asked.field("W"))
	if err != nil {
		return err
	}
	response, err := c.response(s.c.UserID, password)
	if err != nil {
		return err
	}
	body := `<args><device accept-language="default" machine-code="" /><caps value="3FF" /><events value="7F" /><user-info mobile-no="` + s.c.Mobile +
		`" user-id="` + strconv.FormatUint(uint64(s.c.UserID), 10) + `"><personal version="0" attributes="v4default" /><custom-config version="0" />` +
		`<contact-list version="0" buddy-attributes="v4default" /></user-info><credentials domains="` + s.c.Domain + `" /><presence><basic value="400" desc="" /></presence></args>`
	if _, err := s.send("R", "2", "", body, field{"A", `Digest algorithm="SHA1-sess-v4",response="` + response + `"`}); err != nil {
		return err
	}
	in, err := readMessage(s.r)
	if err != nil {
		return err
	}
	if in.Code != 200 {
		return refusal("our credentials", in)
	}
	s.contacts, err = parseContacts(in.Body)
	for _, sid := range s.contacts {
		s.listed[sid] = true
	}
	s.calls = 1
	return err
}

// refusal is what an answer of the server means: 4xx to a login is about who asks.
func refusal(what string, m message) error {
	err := fmt.Errorf("fetion: the server answers %d %.40q to %s", m.Code, m.Reason, what)
	if m.Code == 420 || m.Code == 421 {
		return fmt.Errorf("%w: %w: it wants a picture read: log in once with a client of its own", sigsync.ErrCredentials, err)
	}
	if m.Code >= 400 && m.Code < 500 {
		return fmt.Errorf("%w: %w", sigsync.ErrCredentials, err)
	}
	return err
}

var errDeregistered = errors.New("fetion: somebody else logged in with our account: give it to Callsign alone")

// run follows until the connection ends or ctx does, and says why. It owns a goroutine that reads.
func (s *session) run(ctx context.Context, follow <-chan sigsync.Follow) error {
	if err := s.request("SUB", "PresenceV4", `<args><subscription self="v4default;mail-count" buddy="v4default" version="0" /></args>`, ""); err != nil {
		return err
	}
	read, ended := make(chan message), make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(read)
		for {
			_ = s.conn.SetReadDeadline(time.Now().Add(quietFor))
			m, err := readMessage(s.r)
			if err != nil {
				ended <- err
				return
			}
			select {
			case read <- m:
			case <-done:
				return
			}
		}
	}()
	defer func() {
		close(done)
		_ = s.conn.Close()
		for range read { // until the reader is gone
		}
	}()
	alive, check := time.NewTicker(keepAlive), time.NewTicker(time.Second)
	defer alive.Stop()
	defer check.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			_, _ = s.send("R", "3", "", "", field{"X", "0"}) // we log out
			return nil
		case m, open := <-read:
			if !open {
				return <-ended
			}
			err = s.take(m)
		case f := <-follow:
			err = s.follow(f)
		case <-alive.C:
			err = s.request("R", "KeepAlive", `<args><credentials domains="`+s.c.Domain+`" /></args>`, "")
		case now := <-check.C:
			if len(s.asked) > 0 && now.Sub(s.since) > s.c.Timeout {
				err = fmt.Errorf("fetion: the server doesn't answer within %v", s.c.Timeout)
			}
		}
		if err != nil {
			return err
		}
	}
}

// request sends what is answered later; account is whom it is about.
func (s *session) request(method, event, body, account string) error {
	s.calls++
	call, err := s.send(method, "1", event, body)
	if len(s.asked) == 0 {
		s.since = time.Now()
	}
	s.asked[call] = account
	return err
}

// take takes what the server sent.
func (s *session) take(m message) error {
	if m.Method == "BN" {
		return s.notice(m)
	}
	call := m.field("I")
	account, ours := s.asked[call]
	if !ours || m.Code < 200 {
		return nil
	}
	delete(s.asked, call)
	s.since = time.Now()
	switch {
	case account != "":
		if m.Code >= 300 && m.Code != onOurList {
			s.log.Warn("an account can't be followed: see its number, and whether there is room on our list", "code", m.Code)
		}
		s.consent = false
		return s.ask()
	case m.Code >= 300:
		return refusal("a request", m)
	}
	return nil
}

// notice tells of contacts, or that our login has ended. Of an account whose state alone was told, as when it goes offline, the text stays.
func (s *session) notice(m message) error {
	kind := m.field("N")
	if kind != "PresenceV4" && kind != "registration" {
		return nil
	}
	events, err := parseEvents(m.Body)
	if err != nil {
		return err
	}
	for _, e := range events {
		if kind == "registration" && strings.EqualFold(e.Type, "deregistered") {
			return errDeregistered
		}
		for _, c := range e.Contacts {
			if isSID(c.Profile.SID) && (s.contacts[c.ID] != "" || len(s.contacts) < maxContacts) {
				s.contacts[c.ID] = c.Profile.SID
			}
			if account := s.contacts[c.ID]; account != "" && kind == "PresenceV4" {
				s.heard(account, c.Profile)
			}
		}
	}
	return nil
}

// follow asks for those who aren't on our list. Who is gone stays on it: it costs nothing, and they may come back.
func (s *session) follow(f sigsync.Follow) error {
	for _, account := range f.Accounts {
		switch {
		case f.Gone || s.listed[account]:
		case !isSID(account) || len(s.listed) >= maxContacts:
			s.log.Warn("an account can't be followed: its name is no Fetion number, or we follow too many", "at_most", maxContacts)
		default:
			s.listed[account] = true
			s.asking = append(s.asking, account)
		}
	}
	return s.ask()
}

// ask asks the next one for consent, one at a time.
func (s *session) ask() error {
	if len(s.asking) == 0 || s.consent {
		return nil
	}
	account := s.asking[0]
	s.asking, s.consent = s.asking[1:], true
	return s.request("S", "AddBuddyV4", `<args><contacts><buddies><buddy uri="sip:`+account+`@`+s.c.Domain+`" local-name="" buddy-lists="" desc="`+quoted(s.c.Name)+
		`" expose-mobile-no="0" expose-name="1" addbuddy-phrase-id="0" /></buddies></contacts></args>`, account)
}
