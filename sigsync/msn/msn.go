// Package msn follows what people say on an MSN network (MSNP12), as one of their contacts: buddy accounts of ours have them on their
// lists, and the server tells of each change. It knows nothing of messages, files and calls. A login that is watched has three
// goroutines: its caller's reads, one follows and keeps time, one puts what was heard.
package msn

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

// Provider is one network with its logins.
type Provider struct {
	c       Config
	logins  []*login
	reading chan struct{} // has room for the read that goes on: a login has one session
}

// login is one buddy account.
type login struct {
	*Provider
	Login
	client *http.Client
	dial   func(ctx context.Context, network, address string) (net.Conn, error)
}

// New makes a Provider; client's own transport carries the logins (nil: Go's default).
func New(c Config, client *http.Client) (*Provider, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	own := http.Client{}
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p := &Provider{c: c, reading: make(chan struct{}, 1)}
	for _, l := range c.Logins {
		if _, err := l.Password.Read(); err != nil {
			return nil, fmt.Errorf("logins: password of %s: %w", l.Account, err)
		}
		p.logins = append(p.logins, &login{p, l, &own, (&net.Dialer{}).DialContext})
	}
	return p, nil
}

// Limits implements sigsync.Provider.
func (p *Provider) Limits() sigsync.Limits { return p.c.Limits() }

// Logins implements sigsync.Several.
func (p *Provider) Logins() map[string]sigsync.Watcher {
	all := make(map[string]sigsync.Watcher, len(p.logins))
	for _, l := range p.logins {
		all[l.Account] = l
	}
	return all
}

// Read implements sigsync.Provider: the first login follows the account until it says something, in a session of its own. Its other
// session, wherever that runs, ends by that and is begun again.
func (p *Provider) Read(ctx context.Context, accounts []string) (changes []callsign.Change, err error) {
	select {
	case p.reading <- struct{}{}:
		defer func() { <-p.reading }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, 3*p.c.Timeout) // connecting, signing in, waiting
	defer cancel()
	follow := make(chan sigsync.Follow, 1)
	var failed error
	follow <- sigsync.Follow{Accounts: accounts, Failed: func(_ string, why error) {
		failed = why
		cancel()
	}}
	err = p.logins[0].Watch(ctx, follow, func(heard []callsign.Change) {
		changes = heard
		cancel()
	})
	switch {
	case len(changes) > 0:
		return changes, nil
	case failed != nil:
		return nil, failed
	case err == nil:
		err = fmt.Errorf("msn: %s tells %s nothing: who is offline, or has blocked it, doesn't", accounts, p.logins[0].Account)
	}
	return nil, err
}
