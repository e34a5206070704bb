package fetion

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/callsign-as/callsign/sigsync"
)

const (
	// keepAlive is how often we tell that we are there; a server from which nothing comes for quietFor is gone.
	keepAlive, quietFor = time.Minute, 3 * time.Minute
	domain              = "fetion.com.cn"
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
	asked    string            // who is asked now
	consent  string            // the call by which that is; "": nobody is
	heard    func(account string, p profile)
	failed   func(account string, why error)
}

// send sends a request of the call that is the last, with the fields that all have.
func (s *session) send(method, sequence, body string, more ...field) error {
	m := message{Method: method, To: domain, Body: []byte(body), Fields: append([]field{
		{"F", s.c.SID}, {"I", strconv.Itoa(s.calls)}, {"Q", sequence + " " + method},
	}, more...)}
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.c.Timeout)) // fails where the writing does
	_, err := s.conn.Write(m.append(nil))
	return err
}

// login registers: it asks for a challenge and answers it. Both are one call.
func (s *session) login(password string) error {
	_ = s.conn.SetReadDeadline(time.Now().Add(s.c.Timeout))
	asked, err := s.register("1", 401, "", field{"CN", "C0FFEE00C0FFEE00"}, field{"CL", `type="pc",version="4.0.2510"`})
	if err != nil {
		return err
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
		`<contact-list version="0" buddy-attributes="v4default" /></user-info><credentials domains="` + domain + `" /><presence><basic value="400" desc="" /></presence></args>`
	in, err := s.register("2", 200, body, field{"A", `Digest algorithm="SHA1-sess-v4",response="` + response + `"`})
	if err != nil {
		return err
	}
	s.contacts, err = parseContacts(in.Body)
	for _, sid := range s.contacts {
		s.listed[sid] = true
	}
	return err
}

// register sends one of the two requests of a login, and wants it answered by want.
func (s *session) register(sequence string, want int, body string, more ...field) (m message, err error) {
	if err := s.send("R", sequence, body, more...); err != nil {
		return m, err
	}
	if m, err = readMessage(s.r); err == nil && m.Code != want {
		err = refusal("our login", m)
	}
	return m, err
}

// refusal is what an answer means: 4xx is about who asks.
func refusal(what string, m message) error {
	err := fmt.Errorf("fetion: the server answers %d %.40q to %s", m.Code, m.Reason, what)
	switch {
	case m.Code == 420 || m.Code == 421:
		return fmt.Errorf("%w: %w: it wants a picture read: log in once with a client of its own", sigsync.ErrCredentials, err)
	case m.Code >= 400 && m.Code < 500:
		return fmt.Errorf("%w: %w", sigsync.ErrCredentials, err)
	}
	return err
}

// run follows until the connection ends or ctx does, and says why. It owns a goroutine that reads.
func (s *session) run(ctx context.Context, follow <-chan sigsync.Follow) error {
	if err := s.request("SUB", "PresenceV4", `<args><subscription self="v4default;mail-count" buddy="v4default" version="0" /></args>`); err != nil {
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
	alive := time.NewTicker(keepAlive)
	defer alive.Stop()
	for waits := ""; ; {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case m, open := <-read:
			if !open {
				return <-ended
			}
			err = s.take(m)
		case f := <-follow:
			err = s.follow(f)
		case <-alive.C:
			if s.consent != "" && s.consent == waits {
				return fmt.Errorf("fetion: the server doesn't answer AddBuddyV4 within %v", keepAlive)
			}
			waits = s.consent
			err = s.request("R", "KeepAlive", `<args><credentials domains="`+domain+`" /></args>`)
		}
		if err != nil {
			return err
		}
	}
}

// request sends a request of a new call, which is answered later.
func (s *session) request(method, event, body string) error {
	s.calls++
	return s.send(method, "1", body, field{"N", event})
}

// take takes what the server sent.
func (s *session) take(m message) error {
	switch {
	case m.Method == "BN":
		return s.notice(m)
	case m.Code >= 200 && s.consent != "" && m.field("I") == s.consent:
		if m.Code >= 300 && m.Code != onOurList {
			delete(s.listed, s.asked)
			s.failed(s.asked, fmt.Errorf("fetion: the server answers %d %.40q to whom we ask for consent: see the number, and whether there is room on our list", m.Code, m.Reason))
		}
		s.consent = ""
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
			return errors.New("fetion: somebody else logged in with our account: give it to Callsign alone")
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

// follow asks for those who aren't on our list, and tells of the others what was heard before they were followed. Who is gone stays on
// it: it costs nothing, and they may come back.
func (s *session) follow(f sigsync.Follow) error {
	if f.Failed != nil {
		s.failed = f.Failed
	}
	for _, account := range f.Accounts {
		switch {
		case f.Gone:
		case s.listed[account]:
			s.heard(account, profile{}) // once more what was heard
		case !isSID(account):
			s.failed(account, fmt.Errorf("%w: a Fetion number is digits", sigsync.ErrNoAccount))
		case len(s.listed) >= maxContacts:
			s.failed(account, fmt.Errorf("fetion: %d accounts are followed, and no more can be", maxContacts))
		default:
			s.listed[account] = true
			s.asking = append(s.asking, account)
		}
	}
	return s.ask()
}

// ask asks the next one for consent, one at a time.
func (s *session) ask() error {
	if len(s.asking) == 0 || s.consent != "" {
		return nil
	}
	s.asked, s.asking, s.consent = s.asking[0], s.asking[1:], strconv.Itoa(s.calls+1)
	return s.request("S", "AddBuddyV4", `<args><contacts><buddies><buddy uri="sip:`+s.asked+`@`+domain+`" local-name="" buddy-lists="" desc="`+s.c.Name+
		`" expose-mobile-no="0" expose-name="1" addbuddy-phrase-id="0" /></buddies></contacts></args>`)
}
