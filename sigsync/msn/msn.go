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
	c      Config
	logins []*login
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
	p := &Provider{c: c}
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

// Read implements sigsync.Provider: nothing is told but to who is signed in.
func (p *Provider) Read(context.Context, []string) ([]callsign.Change, error) {
	return nil, sigsync.ErrUnwatched
}
