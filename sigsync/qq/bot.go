package qq

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/callsign-as/callsign/sigsync"
)

// api carries calls to a bot.
type api interface {
	call(ctx context.Context, action string, p params) (json.RawMessage, error)
}

// bot is a QQ account's client that speaks OneBot 11.
type bot struct {
	p    *Provider
	name string // its own QQ number, or its URL where we call it
	api  api

	turn    chan struct{}     // has room for who reads the list of friends: others wait, and take what was read
	known   bool              // whether the list has texts
	tells   bool              // it has
	friends map[string]string // what each said when the list was read last
	read    time.Time         // when that began
}

func newBot(p *Provider, name string, a api) *bot {
	return &bot{p: p, name: name, api: a, turn: make(chan struct{}, 1)}
}

func (b *bot) call(ctx context.Context, action string, p params, into any) error {
	if err := b.p.pace.Wait(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.p.c.Timeout)
	defer cancel()
	raw, err := b.api.call(ctx, action, p)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("the bot's %s is none of OneBot 11: %w", action, err)
	}
	return nil
}

// stranger is what an account says, whether it is a friend or not.
func (b *bot) stranger(ctx context.Context, account string) (string, error) {
	n, err := parseAccount(account)
	if err != nil {
		return "", fmt.Errorf("%w: %w", sigsync.ErrNoAccount, err)
	}
	var p profile
	err = b.call(ctx, "get_stranger_info", params{UserID: n, NoCache: true}, &p)
	switch {
	case errors.Is(err, errRefused):
		var status struct{ Online bool }
		if b.call(ctx, "get_status", params{}, &status) != nil || !status.Online { // it says nothing of the account then
			return "", fmt.Errorf("the bot is not logged in at QQ: log it in again: %w", err)
		}
		return "", fmt.Errorf("%w: %w", sigsync.ErrNoAccount, err)
	case err != nil:
		return "", err
	case p.UserID != bare(account):
		return "", fmt.Errorf("%w: the bot answers with the profile of %.20q", sigsync.ErrNoAccount, p.UserID)
	}
	return p.text()
}

// friendsSay is what the bot's friends say, and when reading that began; nothing where its list doesn't tell.
func (b *bot) friendsSay(ctx context.Context) (map[string]string, time.Time, error) {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return nil, time.Time{}, ctx.Err()
	}
	if !b.p.c.Friends || b.known && (!b.tells || time.Since(b.read) < b.p.c.FriendsAge) {
		return b.friends, b.read, nil
	}
	began := time.Now()
	var list []profile
	err := b.call(ctx, "get_friend_list", params{NoCache: true}, &list)
	if err != nil && !errors.Is(err, errNoAction) {
		return nil, began, err
	}
	said := make(map[string]string, len(list))
	for _, p := range list {
		if text, err := p.text(); err == nil {
			said[string(p.UserID)] = text
			b.tells = b.tells || text != "" // in some builds all are empty: such a list would clear everybody's
		}
	}
	if !b.known {
		b.known = true
		b.p.log.Info("it is known how this bot's friends are read", "bot", b.name, "with_one_call", b.tells)
	}
	if b.tells {
		b.friends, b.read = said, began
	}
	return b.friends, b.read, nil
}
