package msn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

// A server that said nothing for pingAfter, or for as long as its QNG says, is asked by PNG.
const pingAfter, pingMin, pingMax = 45 * time.Second, 15 * time.Second, 3 * time.Minute

// session is one connection of a login.
type session struct {
	l    *login
	conn net.Conn
	r    *bufio.Reader

	mu            sync.Mutex
	number        int       // of the last command
	broken        error     // why nothing can be sent any more
	spoke, pinged time.Time // the server; it was asked to
	ping          time.Duration
	roster
	heard sigsync.Latest
}

func newSession(l *login, conn net.Conn) *session {
	return &session{
		l: l, conn: conn, r: bufio.NewReaderSize(conn, maxLine), spoke: time.Now(), ping: pingAfter,
		roster: roster{contacts: map[string]*contact{}},
	}
}

// Watch implements sigsync.Watcher.
func (l *login) Watch(ctx context.Context, follow <-chan sigsync.Follow, put func([]callsign.Change)) error {
	running, end := context.WithCancel(ctx)
	defer end()
	s, err := l.connect(running)
	if err == nil {
		err = s.heard.PutWhile(put, func() error {
			var serving sync.WaitGroup
			serving.Go(func() { s.serve(running, follow) })
			defer serving.Wait()
			defer end()
			return s.read()
		})
		if s.broken != nil { // then we ended it
			err = s.broken
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("msn: %s: %w", l.Account, err)
}

// read hears what the server sends, until the connection ends.
func (s *session) read() error {
	err := s.conn.SetReadDeadline(time.Time{})
	for err == nil {
		var c command
		if c, err = readCommand(s.r); err == nil {
			s.mu.Lock()
			s.spoke = time.Now()
			err = s.hear(c, s.spoke)
			s.change(s.spoke)
			s.mu.Unlock()
		}
	}
	return err
}

// serve follows accounts and keeps time. When ctx ends, or nothing can be sent any more, it ends the connection.
func (s *session) serve(ctx context.Context, follow <-chan sigsync.Follow) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	defer s.conn.Close()
	for {
		var f sigsync.Follow
		select {
		case f = <-follow:
		case <-tick.C:
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			s.send(command{name: "OUT"})
			return
		}
		s.mu.Lock()
		s.follow(f)
		s.pass(time.Now())
		s.change(time.Now())
		broken := s.broken
		s.mu.Unlock()
		if broken != nil {
			return
		}
	}
}

// send writes a command, with a number where it has one, and gives that.
func (s *session) send(c command) (number string) {
	if c.name != "PNG" && c.name != "OUT" {
		s.number++
		number = strconv.Itoa(s.number)
		c.args = append([]string{number}, c.args...)
	}
	err := s.conn.SetWriteDeadline(time.Now().Add(s.l.c.Timeout))
	if err == nil {
		_, err = s.conn.Write(c.append(nil))
	}
	if err != nil && s.broken == nil {
		s.broken = fmt.Errorf("%s can't be sent: %w", c.name, err)
	}
	return number
}

// hear does what a command asks for. What it doesn't know it passes over: messages, mail, telephone numbers, calls.
func (s *session) hear(c command, now time.Time) error {
	switch c.name {
	case "UBX":
		s.says(c.arg(0), c.payload, now)
	case "LST":
		return s.listed(c.args)
	case "ADC", "REM":
		s.changed(c)
	case "CHL":
		s.send(command{name: "QRY", args: []string{productID}, payload: []byte(answer(c.arg(1), productID, productKey))})
	case "QNG":
		if seconds, err := strconv.ParseUint(c.arg(0), 10, 16); err == nil {
			s.ping = min(max(time.Duration(seconds)*time.Second, pingMin), pingMax)
		}
	case "OUT":
		if c.arg(0) == "OTH" {
			return errors.New("the login is used elsewhere (OUT OTH): see that nothing but Callsign uses it")
		}
		return errors.New("the server stops (OUT)")
	case "XFR":
		return errors.New("the server sends us to another one (XFR)")
	default:
		if code := failure(c); code != nil {
			return s.refused(c, code)
		}
	}
	return nil
}

// says keeps what a contact says now, for who follows it, or will: after a sign-in all contacts' texts come at once. Of strangers, and
// where it can't be read, nothing is kept: their last text stays.
func (s *session) says(account string, payload []byte, now time.Time) {
	c := s.contacts[strings.ToLower(account)]
	if c == nil || !c.wanted() && !c.on(forward) {
		return
	}
	text, told, err := message(payload)
	if err != nil || !told {
		return
	}
	c.said = &callsign.Change{Text: text, Stamp: callsign.TimedStamp(now), At: now}
	for _, spelling := range c.followed {
		s.tell(c, spelling)
	}
}

// tell has what a contact said put, under a name by which it is followed.
func (s *session) tell(c *contact, spelling string) {
	if c.said == nil {
		return
	}
	change := *c.said
	change.Account = spelling
	s.heard.Add(change)
}

// pass does what time asks for: a PNG, and an end where the server owes an answer.
func (s *session) pass(now time.Time) {
	silent := now.Sub(s.spoke)
	switch {
	case silent > s.ping+s.l.c.Timeout:
		s.broken = fmt.Errorf("the server said nothing for %v, to a PNG neither", silent.Round(time.Second))
	case s.waiting != nil && now.After(s.waiting.until):
		s.broken = fmt.Errorf("the server doesn't answer %s %s", s.waiting.name, s.waiting.list)
	case silent >= s.ping && s.pinged.Before(s.spoke):
		s.pinged = now
		s.send(command{name: "PNG"})
	}
}
