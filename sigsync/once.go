package sigsync

import (
	"context"
	"errors"
	"fmt"

	"github.com/callsign-as/callsign"
)

// ReadOnce gives what one account says, as a Provider that isn't running tells it: it is run, or watched by its first login, as long as
// that takes. Nothing, and no error: it tells nothing of the account.
func ReadOnce(ctx context.Context, p Provider, account string) (changes []callsign.Change, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	if r, runs := p.(Runner); runs {
		go func() {
			ended <- r.Run(ctx)
			cancel() // without it the read waits in vain
		}()
	} else {
		ended <- nil
	}
	changes, err = p.Read(ctx, []string{account})
	if w := watchedOf(p); errors.Is(err, ErrUnwatched) && len(w) > 0 {
		changes, err = watchOne(ctx, w[0], account)
	}
	cancel()
	if why := <-ended; why != nil {
		return changes, why
	}
	if err == nil {
		changes, err = sound(changes)
	}
	return changes, err
}

// watchOne watches until the network tells what an account says, or that it can't be followed.
func watchOne(ctx context.Context, w Watcher, account string) (changes []callsign.Change, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	follow := make(chan Follow, 1)
	failed := make(chan error, 1)
	follow <- Follow{Accounts: []string{account}, Failed: func(_ string, why error) {
		select {
		case failed <- why:
			cancel()
		default: // the first is enough
		}
	}}
	heard := make(chan callsign.Change, 1)
	err = w.Watch(ctx, follow, func(changes []callsign.Change) {
		for _, c := range changes {
			if c.Account == account {
				select {
				case heard <- c:
					cancel()
				default: // the first is enough
				}
			}
		}
	})
	select {
	case c := <-heard:
		return []callsign.Change{c}, nil
	case why := <-failed:
		return nil, why
	default:
	}
	if err == nil {
		err = fmt.Errorf("%w: it told nothing in time: who is offline, has blocked us or has not consented doesn't", ErrNoAccount)
	}
	return nil, err
}
