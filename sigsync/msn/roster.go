package msn

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

// A contact is on some of a login's lists: of those whom it follows, who may see it, who have it on theirs, and who wait for its word.
const (
	forward = 1
	allow   = 2
	reverse = 8
	pending = 16
)

// maxContacts are kept of a list, whoever put them there.
const maxContacts = 5000

var listNames = map[string]int{"FL": forward, "AL": allow, "RL": reverse, "PL": pending}

var errFull = errors.New("the login's list of contacts is full: add a login")

// contact is an account as a login's lists have it.
type contact struct {
	account  string
	lists    int
	id       string           // by which it is taken off the forward list
	followed []string         // the spellings under which it is
	said     *callsign.Change // last, in this session
	leaves   bool             // it is to be taken off
}

// waiting is a change of our lists that was sent.
type waiting struct {
	contact            *contact
	number, name, list string
	until              time.Time
}

func (c *contact) wanted() bool     { return len(c.followed) > 0 }
func (c *contact) on(list int) bool { return c.lists&list != 0 }

// next is the change that a contact needs now; "": none.
func (c *contact) next() (name, list string) {
	switch {
	case c.wanted() && !c.on(forward):
		return "ADC", "FL"
	case c.wanted() && !c.on(allow):
		return "ADC", "AL"
	case c.wanted() && c.on(pending) && !c.on(reverse):
		return "ADC", "RL"
	case c.wanted() && c.on(pending):
		return "REM", "PL"
	case c.leaves && c.on(forward) && c.id != "":
		return "REM", "FL"
	case c.leaves && c.on(allow):
		return "REM", "AL"
	}
	return "", ""
}

// roster is the contacts of a login. Its list is its own: for who finds it full somebody leaves whom nobody follows.
type roster struct {
	contacts map[string]*contact // by account, in small letters
	full     bool                // the server takes no more onto the forward list
	waiting  *waiting            // the change that was sent
	failed   func(account string, why error)
}

// contact finds one, or makes one that is on no list.
func (s *roster) contact(account string) *contact {
	key := strings.ToLower(account)
	if s.contacts[key] == nil {
		s.contacts[key] = &contact{account: account}
	}
	return s.contacts[key]
}

// follow takes on accounts, or gives them up.
func (s *session) follow(f sigsync.Follow) {
	if f.Failed != nil {
		s.failed = f.Failed
	}
	for _, account := range f.Accounts {
		if !isAccount(account) {
			s.fail(account, fmt.Errorf("%w: a Passport is written like bob@example.com", sigsync.ErrNoAccount))
			continue
		}
		c := s.contact(account)
		c.followed = slices.DeleteFunc(c.followed, func(a string) bool { return a == account })
		if !f.Gone {
			c.followed = append(c.followed, account)
			s.tell(c, account)
		}
		c.leaves = !c.wanted()
	}
}

func (s *roster) fail(account string, why error) {
	if s.failed != nil {
		s.failed(account, why)
	}
}

// drop tells who follows a contact why there will be none.
func (s *roster) drop(c *contact, why error) {
	for _, account := range c.followed {
		s.fail(account, why)
	}
	c.followed, c.leaves = nil, true
}

// change sends one change of our lists, if none waits for its answer: servers punish haste.
func (s *session) change(now time.Time) {
	var stranger *contact
	if s.full {
		stranger = s.stranger()
	}
	for key, c := range s.contacts {
		if s.waiting != nil {
			return
		}
		name, list := c.next()
		if name == "ADC" && list == "FL" && s.full {
			if stranger == nil {
				s.drop(c, errFull)
				continue
			}
			c, name = stranger, "REM"
			c.leaves = true // also off the others
		}
		if name == "" {
			if !c.wanted() && c.lists == 0 {
				delete(s.contacts, key)
			}
			continue
		}
		args := []string{list, "N=" + c.account}
		switch {
		case name == "REM" && list == "FL":
			args[1] = c.id
		case name == "REM":
			args[1] = c.account
		case list == "FL":
			args = append(args, "F="+c.account)
		}
		s.waiting = &waiting{c, s.send(command{name: name, args: args}), name, list, now.Add(s.l.c.Timeout)}
	}
}

// stranger is a contact that takes a place on the forward list for nobody.
func (s *roster) stranger() *contact {
	for _, c := range s.contacts {
		if c.on(forward) && c.id != "" && !c.wanted() {
			return c
		}
	}
	return nil
}

// listed takes over a contact from our lists, as they were before this session: LST N=account F=name C=id lists ….
func (s *roster) listed(args []string) error {
	account := value(args, "N=")
	i := slices.IndexFunc(args, func(a string) bool { return len(a) < 2 || a[1] != '=' })
	if account == "" || i < 0 || len(s.contacts) >= maxContacts {
		return fmt.Errorf("the list has %.80q after %d contacts, up to %d may be", args, len(s.contacts), maxContacts)
	}
	lists, err := strconv.ParseUint(args[i], 10, 8)
	c := s.contact(account)
	c.lists, c.id = int(lists), value(args, "C=")
	return err
}

func value(args []string, name string) string {
	for _, a := range args {
		if v, is := strings.CutPrefix(a, name); is {
			return v
		}
	}
	return ""
}

// changed is the server's word on a change of our lists: ours, or that somebody put us on theirs.
func (s *roster) changed(c command) {
	if w := s.waiting; w != nil && w.number == c.arg(0) {
		if id := value(c.args, "C="); id != "" {
			w.contact.id = id
		}
		s.settle(w)
	} else if known := s.contacts[strings.ToLower(value(c.args, "N="))]; known != nil && c.name == "ADC" {
		known.lists |= listNames[c.arg(1)] & (reverse | pending)
	}
}

// settle notes that a change was made.
func (s *roster) settle(w *waiting) {
	s.waiting = nil
	w.contact.lists |= listNames[w.list]
	if w.name == "REM" {
		w.contact.lists &^= listNames[w.list]
		s.full = s.full && w.list != "FL"
	}
}

// refused is an error. One that answers no change is the session's end.
func (s *roster) refused(c command, code error) error {
	w := s.waiting
	switch {
	case w == nil || w.number != c.arg(0):
		return code
	case c.name == "215" || c.name == "216" || w.list != "FL": // it is so already; and who may not see us tells us all the same
		s.settle(w)
	case w.name == "REM":
		w.contact.id = "" // it stays until the next session
	case c.name == "210":
		s.full = true
	case c.name == "201" || c.name == "205" || c.name == "208":
		s.drop(w.contact, fmt.Errorf("%w: %w", sigsync.ErrNoAccount, code))
	default:
		s.drop(w.contact, code)
	}
	s.waiting = nil
	return nil
}
