// Package providertest watches a connector as the schedule does, for connectors' tests against real servers.
package providertest

import (
	"context"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

// within is how long anything may take.
const within = 20 * time.Second

// Watched is a running Watch.
type Watched struct {
	t      testing.TB
	p      sigsync.Watcher
	follow chan sigsync.Follow
	Heard  chan callsign.Change // what was told and not yet taken
	ended  chan error
	stop   context.CancelFunc
}

// Watch begins to watch, until the test ends.
func Watch(t testing.TB, p sigsync.Watcher) *Watched {
	t.Helper()
	w := &Watched{t: t, p: p}
	w.Again()
	return w
}

// Again watches once more, as the schedule does after an end.
func (w *Watched) Again() {
	ctx, stop := context.WithCancel(context.Background())
	w.stop, w.follow, w.Heard, w.ended = stop, make(chan sigsync.Follow), make(chan callsign.Change, 1000), make(chan error, 1)
	heard, follow, ended, done := w.Heard, w.follow, w.ended, make(chan struct{})
	go func() {
		defer close(done)
		ended <- w.p.Watch(ctx, follow, func(changes []callsign.Change) {
			for _, c := range changes {
				heard <- c
			}
		})
	}()
	w.t.Cleanup(func() { stop(); <-done })
}

// Follow has accounts followed; it returns once they were taken.
func (w *Watched) Follow(accounts ...string) {
	w.t.Helper()
	w.tell(sigsync.Follow{Accounts: accounts, Failed: w.failed})
}

// Leave has them followed no more; it returns once that was taken, and all that was told to follow before was done.
func (w *Watched) Leave(accounts ...string) {
	w.t.Helper()
	w.tell(sigsync.Follow{Accounts: accounts, Gone: true, Failed: w.failed})
	w.tell(sigsync.Follow{})
}

func (w *Watched) failed(account string, why error) {
	w.t.Logf("%s can't be followed: %v", account, why)
}

func (w *Watched) tell(f sigsync.Follow) {
	w.t.Helper()
	select {
	case w.follow <- f:
	case err := <-w.ended:
		w.t.Fatalf("Watch ended: %v", err)
	case <-time.After(within):
		w.t.Fatal("Watch takes nobody to follow")
	}
}

// Next waits for what is told next.
func (w *Watched) Next() callsign.Change {
	w.t.Helper()
	select {
	case c := <-w.Heard:
		return c
	case err := <-w.ended:
		w.t.Fatalf("Watch ended: %v", err)
	case <-time.After(within):
		w.t.Fatal("nothing is told")
	}
	panic("not reached")
}

// Hears waits for what is told next: it is to be of this account, and this text.
func (w *Watched) Hears(account, text string) callsign.Change {
	w.t.Helper()
	c := w.Next()
	if c.Account != account || c.Text != text {
		w.t.Fatalf("%s says %q, want %s and %q", c.Account, c.Text, account, text)
	}
	return c
}

// Ends waits for Watch to end by itself, and says why it did.
func (w *Watched) Ends() error {
	w.t.Helper()
	select {
	case err := <-w.ended:
		return err
	case <-time.After(within):
		w.t.Fatal("Watch doesn't end")
	}
	panic("not reached")
}

// Stop has it end: without an error.
func (w *Watched) Stop() {
	w.t.Helper()
	w.stop()
	if err := w.Ends(); err != nil {
		w.t.Errorf("Watch ended: %v", err)
	}
}
