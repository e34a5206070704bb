// Package xmpp reads texts from an XMPP server, of its users and of all whom it reaches: as an external component (XEP-0114), a contact
// whom users let see their presence. A Provider keeps what the accounts that are followed say, and nothing else. While it is used
// it has one connection with two goroutines; Watch has two more.
package xmpp

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"mellium.im/xmpp/jid"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

// Provider reads one server.
type Provider struct {
	c     Config
	links *sigsync.Shared[*link]
}

// New makes a Provider, which connects when it is used.
func New(c Config) (*Provider, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Provider{c: c, links: sigsync.NewShared(func(ctx context.Context) (*link, error) { return connect(ctx, c) })}, nil
}

// Limits implements sigsync.Provider.
func (p *Provider) Limits() sigsync.Limits { return p.c.Limits() }

// address is an account's; an account is written like bob@example.net.
func address(account string) (jid.JID, error) {
	to, err := jid.Parse(account)
	if err != nil || to.Localpart() == "" {
		return to, fmt.Errorf("%w: %q is not like bob@example.net", sigsync.ErrNoAccount, account)
	}
	return to.Bare(), nil
}

var errFails = fmt.Errorf("%w: its server can't be reached, or refuses us", sigsync.ErrNoAccount)

// Read implements sigsync.Provider. An account none of whose clients is there gives no change.
func (p *Provider) Read(ctx context.Context, accounts []string) ([]callsign.Change, error) {
	to, err := address(accounts[0])
	if err != nil {
		return nil, err
	}
	l, release, err := p.links.Use(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	type answer struct {
		changes []callsign.Change
		err     error
	}
	answers, began := make(chan answer, 1), time.Now()
	l.ask(to, func(c *contact, answered bool) {
		var a answer
		switch {
		case !answered:
			a.err = fmt.Errorf("xmpp: nothing is told of %s within %v", to, p.c.Timeout)
		case len(c.clients) > 0:
			a.changes = []callsign.Change{change(accounts[0], c.says(), began)}
		case c.fails:
			a.err = errFails
		case !c.shows:
			a.err = fmt.Errorf("%w: it was asked to let %s see its presence", sigsync.ErrNoAccount, l.us)
		}
		answers <- a
	})
	select {
	case a := <-answers:
		return a.changes, a.err
	case <-l.ended:
		return nil, l.why()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Watch implements sigsync.Watcher.
func (p *Provider) Watch(ctx context.Context, follow <-chan sigsync.Follow, put func([]callsign.Change)) error {
	l, release, err := p.links.Use(ctx)
	if err != nil {
		return err
	}
	defer release()
	changes := &sigsync.Latest{}
	return changes.PutWhile(put, func() error {
		running, stop := context.WithCancel(ctx)
		l.listen(changes)
		defer l.listen(nil)
		var following sync.WaitGroup
		defer following.Wait()
		defer stop()
		following.Go(func() { p.followAll(running, l, follow) })
		select {
		case <-l.ended:
			return l.why()
		case <-ctx.Done():
			return nil
		}
	})
}

// followAll asks what new accounts say, as fast as it may, until ctx ends.
func (p *Provider) followAll(ctx context.Context, l *link, follow <-chan sigsync.Follow) {
	limit := rate.NewLimiter(rate.Limit(p.c.PerSecond), 1)
	for {
		var f sigsync.Follow
		select {
		case f = <-follow:
		case <-ctx.Done():
			return
		}
		for _, account := range f.Accounts {
			to, err := address(account)
			switch {
			case err != nil:
				f.Failed(account, err)
			case f.Gone:
				l.leave(account, to)
			case limit.Wait(ctx) != nil:
				return
			default:
				l.follow(account, to, f.Failed)
			}
		}
	}
}
