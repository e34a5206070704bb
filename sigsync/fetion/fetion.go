// Package fetion watches the signatures (impresa) of 飞信 users as a contact of theirs, over SIP-C/4.0. The service is shut down: the
// package stands for the patent's third network, and for what an operator may have kept. It knows nothing of subscribers. Watch owns
// two goroutines: one that reads, one that puts.
package fetion

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

// Provider is one account's view of the network.
type Provider struct {
	c    Config
	dial func(ctx context.Context, network, address string) (net.Conn, error)

	mu   sync.Mutex
	said map[string]said // by account, at most maxContacts; nil: no connection stands
}

// said is what an account was heard to say last.
type said struct {
	callsign.Change
	number callsign.MSISDN
	tells  bool // a text was among it
}

// New makes a Provider.
func New(c Config) (*Provider, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if _, err := c.Password.Read(); err != nil {
		return nil, fmt.Errorf("password: %w", err)
	}
	return &Provider{c: c, dial: (&net.Dialer{Timeout: c.Timeout}).DialContext}, nil
}

// Limits implements sigsync.Provider.
func (p *Provider) Limits() sigsync.Limits { return p.c.Limits() }

// Watch implements sigsync.Watcher.
func (p *Provider) Watch(ctx context.Context, follow <-chan sigsync.Follow, put func([]callsign.Change)) error {
	var changes sigsync.Latest
	return changes.PutWhile(put, func() error { return p.login(ctx, follow, changes.Add) })
}

// login connects, and has changed told of each text that is heard, until ctx ends (nil) or the connection does.
func (p *Provider) login(ctx context.Context, follow <-chan sigsync.Follow, changed func(callsign.Change)) error {
	password, err := p.c.Password.Read()
	if err != nil {
		return fmt.Errorf("%w: password: %w", sigsync.ErrCredentials, err)
	}
	conn, err := p.dial(ctx, "tcp", p.c.Address)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	s := &session{c: &p.c, conn: conn, r: bufio.NewReaderSize(conn, maxLine), listed: map[string]bool{}, calls: 1, failed: func(string, error) {}}
	s.heard = func(account string, heard profile) { p.heard(account, heard, changed) }
	if err = s.login(password); err == nil {
		p.setSaid(map[string]said{})
		defer p.setSaid(nil)
		err = s.run(ctx, follow)
	}
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func (p *Provider) setSaid(said map[string]said) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said = said
}

// heard keeps what was heard, and passes on what the account says, which may be as before.
func (p *Provider) heard(account string, heard profile, changed func(callsign.Change)) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	says, known := p.said[account]
	if !known && len(p.said) >= maxContacts {
		return // more than we have on our list: somebody makes them up
	}
	if m := number(heard.Mobile); m != 0 {
		says.number = m
	}
	if heard.Impresa != nil && len(*heard.Impresa) <= maxLine { // no intake takes more
		says.Change, says.tells = callsign.Change{Account: account, Text: *heard.Impresa, Stamp: callsign.TimedStamp(now), At: now}, true
	}
	if says.tells {
		changed(says.Change)
	}
	p.said[account] = says
}

// Read implements sigsync.Provider: nothing is told but to who is connected.
func (p *Provider) Read(context.Context, []string) ([]callsign.Change, error) {
	return nil, sigsync.ErrUnwatched
}

// Proves implements sigsync.Prover.
func (*Provider) Proves() bool { return true }

// Number implements sigsync.Prover: who ran the service knew each account's number by its SIM. It is told of contacts that show it to us.
func (p *Provider) Number(_ context.Context, account string) (callsign.MSISDN, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	says, known := p.said[account]
	switch {
	case p.said == nil:
		return 0, sigsync.ErrUnwatched
	case !known:
		return 0, fmt.Errorf("%w: it has not consented, or tells nothing", sigsync.ErrNoAccount)
	}
	return says.number, nil
}
