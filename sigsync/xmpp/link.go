package xmpp

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"

	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/component"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/stanza"
	"mellium.im/xmpp/stream"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

const (
	maxStanza = 64 << 10 // bytes
	// aliveEvery is how often the server is to give something of ours back; in twice that something must come.
	aliveEvery = 30 * time.Second
	writeIn    = 10 * time.Second
)

// link is one connection with the server. It owns two goroutines: one reads, one asks whether the server is alive.
type link struct {
	c       Config
	us      jid.JID
	conn    net.Conn
	session *xmpp.Session
	budget  int // bytes that may still come before the stanza ends; the reader's own
	ended   chan struct{}
	stop    context.CancelFunc
	all     sync.WaitGroup

	mu       sync.Mutex
	err      error // why it ended
	contacts map[string]*contact
	fences   map[string]*fence
	last     int
	changes  *sigsync.Latest // nil: nobody watches
}

// fence is a question behind another one, to the same address: its answer comes after all that the other brings (RFC 6120 §10.1).
type fence struct {
	to       jid.JID
	probed   bool // behind a probe
	deadline time.Time
	done     func(answered bool)
}

// connect opens the connection and its stream.
func connect(ctx context.Context, c Config) (*link, error) {
	secret, err := c.Secret.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: secret: %w", sigsync.ErrCredentials, err)
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", c.Server)
	if err != nil {
		return nil, fmt.Errorf("xmpp: %w", err)
	}
	return join(ctx, c, conn, secret)
}

// join opens the stream on conn, which it keeps, until ctx ends.
func join(ctx context.Context, c Config, conn net.Conn, secret string) (*link, error) {
	us, err := jid.New(c.Name, c.Domain, "")
	if err != nil {
		return nil, err
	}
	l := &link{c: c, us: us, conn: conn, budget: maxStanza, ended: make(chan struct{}), contacts: map[string]*contact{}, fences: map[string]*fence{}}
	late := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer late()
	l.session, err = component.NewSession(ctx, us.Domain(), []byte(secret), struct { // no net.Conn: its deadlines are ours
		io.Reader
		io.Writer
	}{l, patient{conn}})
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("the server at %s opens no stream within %v", c.Server, c.Timeout)
		}
		return nil, refusal(err)
	}
	running, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.all.Go(func() {
		err := l.serve()
		l.mu.Lock()
		l.err = refusal(err)
		l.mu.Unlock()
		_ = conn.Close()
		close(l.ended)
	})
	l.all.Go(func() { l.keep(running) })
	return l, nil
}

// serve reads until the stream ends, and says why it did. What a server writes is not to end a node, whatever a library makes of it.
func (l *link) serve() (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the connector panicked: please report it: %v", r)
		}
	}()
	if err := l.session.Serve(l); err != nil {
		return err
	}
	return errors.New("the server closed the stream")
}

// refusal says which errors of a stream mean that we are not let in.
func refusal(err error) error {
	var e stream.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("xmpp: %w", err)
	}
	switch e.Err {
	case "not-authorized", "host-unknown":
		return fmt.Errorf("%w: %w: see domain and secret, here and in the server's configuration", sigsync.ErrCredentials, err)
	case "conflict":
		return fmt.Errorf("xmpp: %w: another connection has the component's name: stop the node that has it, or use a component of its own", err)
	}
	return fmt.Errorf("xmpp: the server ended the stream: %w", err)
}

// patient gives each write its time.
type patient struct{ net.Conn }

func (p patient) Write(b []byte) (int, error) {
	_ = p.SetWriteDeadline(time.Now().Add(writeIn))
	return p.Conn.Write(b)
}

// Read reads for the session, which keeps what it reads until a stanza ends: so much may come and no more.
func (l *link) Read(b []byte) (int, error) {
	if l.budget <= 0 {
		return 0, fmt.Errorf("a stanza is longer than %d bytes", maxStanza)
	}
	_ = l.conn.SetReadDeadline(time.Now().Add(2 * aliveEvery))
	n, err := l.conn.Read(b[:min(len(b), l.budget)])
	l.budget -= n
	return n, err
}

// Done implements sigsync.Connection.
func (l *link) Done() <-chan struct{} { return l.ended }

// Close implements sigsync.Connection.
func (l *link) Close() {
	_ = l.conn.Close()
	l.stop()
	l.all.Wait()
}

func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

// keep has the server give us something back before the reader's patience ends, and gives up on answers that don't come.
func (l *link) keep(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for next := time.Now().Add(aliveEvery); ; {
		select {
		case <-tick.C:
		case <-l.ended:
			return
		case <-ctx.Done():
			return
		}
		now := time.Now()
		if now.After(next) {
			next = now.Add(aliveEvery)
			l.send(stanza.IQ{ID: "alive", Type: stanza.ResultIQ, From: l.us, To: l.us}.Wrap(nil)) // an answer that nobody asked for gets none
		}
		l.mu.Lock()
		for id, f := range l.fences {
			if now.After(f.deadline) {
				delete(l.fences, id)
				f.done(false)
			}
		}
		l.mu.Unlock()
	}
}

// send sends a stanza; a connection that takes it no more ends.
func (l *link) send(r xml.TokenReader) {
	if err := l.session.Send(context.Background(), r); err != nil {
		_ = l.conn.Close()
	}
}

func (l *link) sendPresence(kind stanza.PresenceType, to jid.JID) {
	l.send(stanza.Presence{Type: kind, From: l.us, To: to}.Wrap(nil))
}

// HandleXMPP takes a stanza from the session's reader.
func (l *link) HandleXMPP(t xmlstream.TokenReadEncoder, start *xml.StartElement) error {
	defer func() { l.budget = maxStanza }() // the session reads to the stanza's end, which this one has passed
	switch start.Name.Local {
	case "presence":
		p, err := readPresence(xmlstream.MultiReader(xmlstream.Token(*start), t), l.c.Languages)
		if err != nil {
			return err
		}
		l.present(p)
	case "iq":
		l.answered(*start)
	}
	return nil
}

// answered takes an answer behind a probe, and refuses questions (RFC 6120 §8.2.3).
func (l *link) answered(start xml.StartElement) {
	iq, err := stanza.NewIQ(start)
	if err != nil {
		return
	}
	if iq.Type == stanza.GetIQ || iq.Type == stanza.SetIQ {
		l.send(stanza.IQ{ID: iq.ID, Type: stanza.ErrorIQ, From: iq.To, To: iq.From}.Wrap(
			stanza.Error{Type: stanza.Cancel, Condition: stanza.ServiceUnavailable}.TokenReader()))
		return
	}
	l.mu.Lock()
	f := l.fences[iq.ID]
	if f == nil || f.to.String() != iq.From.Bare().String() {
		l.mu.Unlock()
		return
	}
	delete(l.fences, iq.ID)
	c := l.contact(f.to)
	more := c.shows && !c.seen && !f.probed // it may see, and was told nothing yet: some servers answer to a probe only
	if !more {
		f.done(true)
	}
	l.mu.Unlock()
	if more {
		l.question(f.to, true, f.done)
	}
}

// present draws the consequences of a presence.
func (l *link) present(p presence) {
	from, err := jid.Parse(p.from)
	if err != nil {
		return // nobody
	}
	switch p.kind {
	case "subscribe": // somebody added our contact (RFC 6121 §3.1.3): we may be seen, and want to see
		l.sendPresence(stanza.SubscribedPresence, from.Bare())
		l.sendPresence(stanza.SubscribePresence, from.Bare())
		return
	case "unsubscribe":
		l.sendPresence(stanza.UnsubscribedPresence, from.Bare())
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.contacts[from.Bare().String()]
	if c == nil {
		return // nobody asked for it
	}
	switch p.kind {
	case "", "unavailable":
		if c.hears(from.Resourcepart(), p, time.Now()) && c.asking == 0 {
			l.tell(c)
		}
	case "subscribed":
		c.shows, c.denies = true, false
	case "unsubscribed":
		c.shows, c.denies = false, true
	case "error":
		c.fails = true
	}
}

// tell tells what a contact says now, unless nobody watches, none of its clients is there, or it was told already.
func (l *link) tell(c *contact) {
	note := c.says()
	if l.changes == nil || len(c.clients) == 0 || c.tells && c.told == note {
		return
	}
	c.told, c.tells = note, true
	for _, account := range c.accounts {
		l.changes.Add(change(account, note, c.since))
	}
}

func change(account string, note sigsync.Note, at time.Time) callsign.Change {
	return callsign.Change{Account: account, Text: note.Text, Lang: note.Lang, Stamp: callsign.TimedStamp(at), At: at}
}

// listen has changes hear what accounts say that are followed from now on; nil: nobody does.
func (l *link) listen(changes *sigsync.Latest) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.changes = changes
	if changes != nil {
		return
	}
	for key, c := range l.contacts {
		if c.accounts = nil; c.asking == 0 {
			delete(l.contacts, key)
		}
	}
}

// contact gives, with l locked, what is known of an address.
func (l *link) contact(to jid.JID) *contact {
	c := l.contacts[to.String()]
	if c == nil {
		c = &contact{clients: map[string]client{}}
		l.contacts[to.String()] = c
	}
	return c
}

// ask asks what a contact says. Done is called, with l locked, when all that it says has come, or not in time. Whom we are not known to
// see is asked to show itself: its server answers at once if it does already, keeps the question if not, and would drop that again
// (Prosody 0.12 does) at a probe (RFC 6121 §3.1.3, §4.3).
func (l *link) ask(to jid.JID, done func(c *contact, answered bool)) {
	l.mu.Lock()
	c := l.contact(to)
	if c.asking++; c.asking == 1 {
		c.seen, c.fails = false, false
	}
	probed := c.shows || c.denies
	l.mu.Unlock()
	l.question(to, probed, func(answered bool) {
		c.asking--
		done(c, answered)
		l.forget(to, c)
	})
}

// question sends one, and a fence behind it.
func (l *link) question(to jid.JID, probe bool, done func(answered bool)) {
	l.mu.Lock()
	l.last++
	id := "callsign-" + strconv.Itoa(l.last)
	l.fences[id] = &fence{to: to, probed: probe, deadline: time.Now().Add(l.c.Timeout), done: done}
	l.mu.Unlock()
	kind := stanza.SubscribePresence
	if probe {
		kind = stanza.ProbePresence
	}
	l.sendPresence(kind, to)
	l.send(stanza.IQ{ID: id, Type: stanza.GetIQ, From: l.us, To: to}.Wrap(xmlstream.Wrap(nil, xml.StartElement{Name: xml.Name{Space: "urn:xmpp:ping", Local: "ping"}})))
}

// forget forgets, with l locked, a contact whom nobody follows or reads.
func (l *link) forget(to jid.JID, c *contact) {
	if len(c.accounts) == 0 && c.asking == 0 {
		delete(l.contacts, to.String())
	}
}

// follow tells what an account says from now on, or that it can't be followed.
func (l *link) follow(account string, to jid.JID, failed func(string, error)) {
	l.mu.Lock()
	c := l.contact(to)
	if !slices.Contains(c.accounts, account) {
		c.accounts, c.tells = append(c.accounts, account), false
	}
	l.mu.Unlock()
	l.ask(to, func(c *contact, _ bool) {
		if c.fails && len(c.clients) == 0 && slices.Contains(c.accounts, account) {
			c.leave(account) // until it is named again
			failed(account, errFails)
			return
		}
		l.tell(c)
	})
}

// leave follows an account no more.
func (l *link) leave(account string, to jid.JID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c := l.contacts[to.String()]; c != nil {
		c.leave(account)
		l.forget(to, c)
	}
}
