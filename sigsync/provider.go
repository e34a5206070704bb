package sigsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/callsign-as/callsign"
)

// Provider reads what accounts of one IM network say. It knows nothing of subscribers: its changes name accounts, and the
// intake decides whose they are.
type Provider interface {
	Limits() Limits
	// Read asks for the accounts' texts, at most Limits.PerCall. It gives a change for each account that has one to tell: none
	// of those whose text is as it was when it was read before. Its error is for all of them; what it read before is given with
	// it. A change is stamped with its version or time in the network, else with the time at which the read began, so that a
	// slow read never overwrites what was pushed meanwhile.
	Read(ctx context.Context, accounts []string) ([]callsign.Change, error)
}

// Limits are what a network allows.
type Limits struct {
	PerCall   int     // accounts of one Read
	PerSecond float64 // calls of Read
}

// The errors of a Provider that say what to do next; all others are tried again later.
var (
	// ErrCredentials says that the network refuses who asks, whatever the account.
	ErrCredentials = errors.New("the network refuses our credentials")
	// ErrNoAccount says that the network has no such account, or doesn't show it.
	ErrNoAccount = errors.New("the network has no such account")
)

// LimitedError says that the network wants to be left alone for a while.
type LimitedError struct{ After time.Duration }

func (e *LimitedError) Error() string {
	return fmt.Sprintf("the network wants to be asked more slowly: again in %v", e.After)
}
