package sigsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/callsign-as/callsign"
)

// Provider reads what accounts of one IM network say. It knows nothing of subscribers: its changes name accounts, and the
// intake decides whose they are. Its methods may be called at the same time, Watch's among them.
type Provider interface {
	Limits() Limits
	// Read asks for the accounts' texts, at most Limits.PerCall. It gives a change for each account that has one to tell, also where that
	// is as it was when it was read before: the store may have another one, or none, of an account that is another subscriber's since.
	// Its error is for all of them; what it read before is given with it. A change is stamped with its version or time in the network, else with the time at which the read began, so that a
	// slow read never overwrites what was pushed meanwhile. Of a Change it fills Account, Text, Lang, Stamp, At and Expires. A text with
	// U+FFFD in it came damaged, and is not taken: decoders of JSON make that of what is no UTF-8 in silence. A Watcher that knows
	// nothing without its connection gives ErrUnwatched.
	Read(ctx context.Context, accounts []string) ([]callsign.Change, error)
}

// Watcher is a Provider whose network tells of changes by itself.
type Watcher interface {
	Provider
	// Watch connects, follows the accounts that come over follow, and gives put what the network tells of them, until ctx ends
	// (nil) or its connection does (why). It is called again then, after a pause that grows while it fails, and is told all
	// accounts anew. put returns once the changes are kept or ctx has ended; it may be called from several goroutines, but
	// Watch returns after the last of them. What it heard is stamped with when it was heard, also where it is told again or later.
	// Changes of accounts that nobody asked for are dropped.
	Watch(ctx context.Context, follow <-chan Follow, put func([]callsign.Change)) error
}

// Runner is a Provider whose reads need connections that it keeps, or a listener.
type Runner interface {
	Provider
	// Run keeps them until ctx ends (nil), or says why it can't: it is called again then, after a pause that grows. Every node
	// runs it, whichever accounts it has. Read waits for what it needs of it, within its own ctx.
	Run(ctx context.Context) error
}

// Prover is a Provider whose network has verified its accounts' telephone numbers: its word links an account to a subscriber.
type Prover interface {
	Provider
	// Proves tells whether it is configured to: else it isn't asked.
	Proves() bool
	// Number is the number that the network has verified for an account; 0: it tells none. Its errors are Read's.
	Number(ctx context.Context, account string) (callsign.MSISDN, error)
}

// Follow names accounts that are to be followed from now on or, if Gone, no longer; one that is named after it was Gone is told anew. Failed, which is there wherever accounts are named, is told
// of one that can't be followed, and why; it is followed no more then, until it is named again at the next listing.
type Follow struct {
	Accounts []string
	Gone     bool
	Failed   func(account string, why error)
}

// Limits are what a network allows.
type Limits struct {
	PerCall   int     // accounts of one Read, 1 or more
	PerSecond float64 // calls of Read, by all nodes together; 0: it is watched and never polled. A Prover is asked a tenth as often beside, by each node
	// OneNode: the network lets one node in at a time, as it knows us by one login. Its accounts are not shared by nodes then. Where
	// it knows us by more of them, see Several.
	OneNode bool
}

// The errors of a Provider that say what to do next; all others are tried again later.
var (
	// ErrCredentials says that the network refuses who asks, whatever the account.
	ErrCredentials = errors.New("the network refuses our credentials")
	// ErrNoAccount says that the network has no such account, or doesn't show it.
	ErrNoAccount = errors.New("the network has no such account")
	// ErrUnwatched says that a Watcher knows nothing without its connection; see ReadOnce.
	ErrUnwatched = errors.New("the network tells nothing but to who is connected, and this node isn't")
)

// LimitedError says that the network wants to be left alone for a while.
type LimitedError struct{ After time.Duration }

func (e *LimitedError) Error() string {
	return fmt.Sprintf("the network wants to be asked more slowly: again in %v", e.After)
}
