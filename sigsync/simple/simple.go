// Package simple reads texts from a SIP network's presence (SIMPLE: RFC 3856): the operator's own IMS or RCS presence. It subscribes to
// each account that is followed and renews that in time, on a port of its own; it knows nothing of calls. While it is used it has one
// port, with a goroutine and sipgo's; Watch has three more, and up to 32 that ask.
package simple

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

// Provider reads one network.
type Provider struct {
	c         Config
	endpoints *sigsync.Shared[*endpoint]
}

// New makes a Provider, which binds its port when it is used.
func New(c Config) (*Provider, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return &Provider{c: c, endpoints: sigsync.NewShared(func(ctx context.Context) (*endpoint, error) { return open(ctx, c) })}, nil
}

// Limits implements sigsync.Provider.
func (p *Provider) Limits() sigsync.Limits { return p.c.Limits() }

// Read implements sigsync.Provider. Somebody who has no note and is not there gives no change.
func (p *Provider) Read(ctx context.Context, accounts []string) ([]callsign.Change, error) {
	uri, err := p.c.address(accounts[0])
	if err != nil {
		return nil, err
	}
	e, release, err := p.endpoints.Use(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	notices := make(chan notice, 1)
	d := newDialog(uri, func(n notice) {
		select {
		case notices <- n:
		default: // one is enough
		}
	})
	e.keep(d)
	defer e.drop(d)
	began := time.Now()
	if _, err := e.subscribe(ctx, d, 0); err != nil {
		return nil, err
	}
	late := time.NewTimer(p.c.Timeout)
	defer late.Stop()
	select {
	case n := <-notices:
		switch {
		case n.err != nil:
			return nil, fmt.Errorf("simple: %w", n.err)
		case n.reason == "rejected" || n.reason == "noresource":
			return nil, fmt.Errorf("%w: %s", sigsync.ErrNoAccount, n.reason)
		case n.tells:
			return []callsign.Change{change(accounts[0], n.note, began)}, nil
		}
		return nil, nil
	case <-e.ended:
		return nil, e.err
	case <-late.C:
		return nil, fmt.Errorf("simple: no notification comes to %s within %v", p.c.Listen, p.c.Timeout)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func change(account string, n sigsync.Note, at time.Time) callsign.Change {
	return callsign.Change{Account: account, Text: n.Text, Lang: n.Lang, Stamp: callsign.TimedStamp(at), At: at}
}

// Proves implements sigsync.Prover.
func (p *Provider) Proves() bool { return p.c.Vouched }

// Number implements sigsync.Prover: an account that the operator's own agent knows is the subscriber whose number it names.
func (p *Provider) Number(ctx context.Context, account string) (callsign.MSISDN, error) {
	name, _, _ := strings.Cut(bare(account), "@")
	number, err := callsign.ParseMSISDN(name)
	if !p.Proves() || err != nil || !strings.HasPrefix(name, "+") {
		return 0, nil
	}
	if _, err := p.Read(ctx, []string{account}); err != nil {
		return 0, err
	}
	return number, nil
}
