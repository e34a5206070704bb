package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

// People is how many subscribers the updates and look-ups of a fault's test are of.
const People = 50

// Person is the number of the i-th.
func Person(i int) callsign.MSISDN { return 8613900000000 + callsign.MSISDN(i) }

func personSays(i int, version int64) string { return fmt.Sprintf("text %d of %d", version, Person(i)) }

// Acks are what the senders of updates were told: each person's greatest version that was acknowledged.
type Acks struct {
	versions [People]atomic.Int64
	n        atomic.Int64
}

// N is how many were acknowledged.
func (a *Acks) N() int64 { return a.n.Load() }

// Version is the i-th person's.
func (a *Acks) Version(i int) int64 { return a.versions[i].Load() }

func (a *Acks) add(i int, version int64) {
	a.versions[i].Store(version)
	a.n.Add(1)
}

// Profiles is an engine, or a memory before one.
type Profiles interface {
	Profile(context.Context, callsign.MSISDN) (callsign.Profile, error)
}

// Outdated reports whether something older is shown of the i-th person than what was acknowledged before.
func (a *Acks) Outdated(t *testing.T, of Profiles, i int) bool {
	t.Helper()
	acked := a.Version(i)
	p, err := of.Profile(t.Context(), Person(i))
	if err != nil {
		t.Errorf("a look-up failed with %v", err)
	}
	return err == nil && p.Signature.Stamp.Version < acked
}

// Check reads every person's text: what was acknowledged before is there exactly, or a newer one is.
func (a *Acks) Check(t *testing.T, of Profiles) {
	t.Helper()
	for i := range People {
		acked := a.Version(i)
		p, err := of.Profile(t.Context(), Person(i))
		is := p.Signature.Stamp.Version
		if err != nil || is < acked || is > 0 && p.Signature.Text != personSays(i, is) {
			t.Errorf("version %d was acknowledged, %+v is there, %v", acked, p.Signature, err)
		}
	}
}

// Updates give each person one version after the other.
type Updates struct {
	Acks
	Refusals atomic.Int64
	Acked    func(i int, version int64) // is told of each acknowledgement; may be nil
	Refused  func(error)                // and of what wraps ErrUnavailable; may be nil
	t        *testing.T
	keeper   Engine
}

// NewUpdates makes who isn't there yet, and goes on where the updates before it ended.
func NewUpdates(t *testing.T, keeper Engine) *Updates {
	t.Helper()
	u := &Updates{t: t, keeper: keeper}
	for i := range People {
		p, err := keeper.Profile(t.Context(), Person(i))
		if errors.Is(err, callsign.ErrNotFound) {
			_, err = keeper.PutSubscriber(t.Context(), ours, callsign.Subscriber{MSISDN: Person(i)})
		}
		if err != nil {
			t.Fatal(err)
		}
		u.versions[i].Store(p.Signature.Stamp.Version)
	}
	return u
}

// Run updates by two senders until ctx ends.
func (u *Updates) Run(ctx context.Context) {
	var senders sync.WaitGroup
	for first := range 2 {
		senders.Go(func() {
			for i := first; ctx.Err() == nil; i = (i + 2) % People {
				u.Next(ctx, i)
			}
		})
	}
	senders.Wait()
}

// Next gives a person the next version, again and again until it is acknowledged or ctx ends.
func (u *Updates) Next(ctx context.Context, i int) {
	version := u.Version(i) + 1
	text := personSays(i, version)
	for ctx.Err() == nil {
		statuses, err := u.keeper.Keep(ctx, []callsign.Entry{{Shown: text, Change: callsign.Change{
			Tenant: ours.Tenant, Source: "im", ID: text, Network: callsign.ManualNetwork, Account: Person(i).E164()[1:],
			Text: text, Stamp: callsign.Stamp{Version: version}, At: time.Now(),
		}}})
		switch {
		case err == nil && (statuses[0] == callsign.Stored || statuses[0] == callsign.Duplicate): // a refused one may be kept
			u.add(i, version)
			if u.Acked != nil {
				u.Acked(i, version)
			}
			return
		case err == nil:
			u.t.Errorf("version %d is %s", version, statuses[0])
		case errors.Is(err, callsign.ErrUnavailable):
			u.Refusals.Add(1)
			if u.Refused != nil {
				u.Refused(err)
			}
		case ctx.Err() == nil:
			u.t.Errorf("an update failed with %v, want ErrUnavailable", err)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
