// Package qq reads QQ's signatures (long_nick) from bots that speak OneBot 11, by HTTP or by a websocket that either side dials. It
// knows nothing of subscribers, and asks for texts only: QQ tells of no change by itself. Its goroutines are Run's: one for each bot
// that is dialled or dials, and net/http's.
package qq

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

// Provider reads one network of one or several bots.
type Provider struct {
	c    Config
	log  *slog.Logger
	pace *rate.Limiter // of calls

	mu   sync.Mutex
	bots []*bot        // that can be asked now
	turn int           // who was asked last
	came chan struct{} // closed when a bot comes, and another one then
	away error         // why there is none
}

// New makes a Provider. Modes ws and reverse read only while it Runs.
func New(c Config, log *slog.Logger) (*Provider, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if _, err := c.Token.Read(); err != nil {
		return nil, fmt.Errorf("token: %w", err)
	}
	p := &Provider{c: c, log: log, pace: rate.NewLimiter(rate.Limit(c.PerSecond), max(1, int(c.PerSecond))), came: make(chan struct{}), away: errors.New("no bot is connected")}
	if c.Mode == "http" {
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // else the token goes elsewhere
		for _, u := range c.URLs {
			p.add(newBot(p, u, &httpAPI{u, c.Token, client}))
		}
	}
	return p, nil
}

// Limits implements sigsync.Provider.
func (p *Provider) Limits() sigsync.Limits { return p.c.Limits() }

// Run implements sigsync.Runner: it dials the bots, or listens for them.
func (p *Provider) Run(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	ctx, cancel := context.WithCancel(ctx) // a listener that fails ends the rest too
	defer cancel()
	switch p.c.Mode {
	case "reverse":
		return p.listen(ctx, &all)
	case "ws":
		for _, u := range p.c.URLs {
			all.Go(func() { p.keepDialled(ctx, u) })
		}
	}
	<-ctx.Done()
	return nil
}

// Read implements sigsync.Provider: the next bot is asked, for its friends with one call where its list tells, and for others one by
// one. An account of several that can't be read gives no change.
func (p *Provider) Read(ctx context.Context, accounts []string) (changes []callsign.Change, err error) {
	if len(accounts) == 0 || len(accounts) > p.c.PerCall {
		return nil, fmt.Errorf("qq: %d accounts in one call, 1 to %d may be", len(accounts), p.c.PerCall)
	}
	b, err := p.next(ctx)
	if err != nil {
		return nil, fmt.Errorf("qq: %w", err)
	}
	friends, listed, err := b.friendsSay(ctx)
	if err != nil {
		return nil, fmt.Errorf("qq: bot %s: %w", b.name, err)
	}
	for _, account := range accounts {
		text, known := friends[account]
		began := listed
		if !known {
			began = time.Now()
			text, err = b.stranger(ctx, account)
		}
		switch {
		case err == nil:
			changes = append(changes, callsign.Change{Account: account, Text: text, Stamp: callsign.TimedStamp(began), At: began})
		case len(accounts) == 1 || !errors.Is(err, errOfAccount) && !errors.Is(err, sigsync.ErrNoAccount):
			return changes, fmt.Errorf("qq: bot %s: %w", b.name, err)
		}
	}
	return changes, nil
}

// next is the bot whose turn it is; it waits until there is one.
func (p *Provider) next(ctx context.Context) (*bot, error) {
	ctx, cancel := context.WithTimeout(ctx, p.c.Timeout)
	defer cancel()
	for {
		p.mu.Lock()
		came := p.came
		if n := len(p.bots); n > 0 {
			p.turn = (p.turn + 1) % n
			defer p.mu.Unlock()
			return p.bots[p.turn], nil
		}
		p.mu.Unlock()
		select {
		case <-came:
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			return nil, p.away
		}
	}
}

// add has a bot asked; its connection of before is asked no more.
func (p *Provider) add(b *bot) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bots = append(slices.DeleteFunc(p.bots, func(other *bot) bool { return other.name == b.name }), b)
	close(p.came)
	p.came = make(chan struct{})
}

// remove has a bot (nil: one that never came) asked no more; why is told to who asks while there is none.
func (p *Provider) remove(b *bot, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bots = slices.DeleteFunc(p.bots, func(other *bot) bool { return other == b })
	p.away = fmt.Errorf("no bot is connected: %w", why)
}
