package sigsync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

// messenger is a network that knows us by several logins, as all nodes see it.
type messenger struct {
	mu       sync.Mutex
	in       map[string]int             // sessions of a login, now
	most     int                        // of one login, at any time
	followed map[string]map[string]bool // by login
	refuses  string                     // a login whose credentials are refused
	missing  string                     // an account that isn't there
	tried    int                        // how often it was to be followed
}

type buddy struct {
	*messenger
	name string
}

func (*messenger) Limits() Limits { return Limits{PerCall: 1} }
func (*messenger) Read(_ context.Context, accounts []string) ([]callsign.Change, error) {
	return []callsign.Change{{Account: accounts[0], Text: "read", Stamp: callsign.TimedStamp(time.Now())}}, nil
}

func (b buddy) Watch(ctx context.Context, follow <-chan Follow, put func([]callsign.Change)) error {
	b.mu.Lock()
	if b.name == b.refuses {
		b.mu.Unlock()
		return ErrCredentials
	}
	b.in[b.name]++
	b.most = max(b.most, b.in[b.name])
	b.followed[b.name] = map[string]bool{}
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.in[b.name]--
		clear(b.followed[b.name])
		b.mu.Unlock()
	}()
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-follow:
			for _, account := range f.Accounts {
				b.mu.Lock()
				if account == b.missing {
					b.tried++
					b.mu.Unlock()
					f.Failed(account, ErrNoAccount)
					continue
				}
				b.followed[b.name][account] = !f.Gone
				b.mu.Unlock()
				put([]callsign.Change{{Account: account, Text: "from " + b.name, Stamp: callsign.TimedStamp(time.Now())}})
			}
		}
	}
}

type severalLogins struct {
	*messenger
	names []string
}

func (s severalLogins) Logins() map[string]Watcher {
	all := map[string]Watcher{}
	for _, n := range s.names {
		all[n] = buddy{s.messenger, n}
	}
	return all
}

// by is which login follows each account.
func (m *messenger) by() map[string][]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	by := map[string][]string{}
	for login, accounts := range m.followed {
		for account, yes := range accounts {
			if yes {
				by[account] = append(by[account], login)
			}
		}
	}
	return by
}

func TestSeveralLoginsShareAccountsAndNodesShareLogins(t *testing.T) {
	const accounts = 600
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(accounts)
		f.dead = map[string]bool{}
		m := &messenger{in: map[string]int{}, followed: map[string]map[string]bool{}, refuses: "refused", missing: "7"}
		provider := severalLogins{m, []string{"a", "b", "c"}}
		var nodes [2]context.CancelFunc
		var schedules [2]*Schedule
		var running sync.WaitGroup
		for i := range nodes {
			var ctx context.Context
			ctx, nodes[i] = context.WithCancel(t.Context())
			s, err := NewSchedule(ScheduleOptions{Networks: []Network{{Name: "im", Provider: provider, Interval: time.Minute}}, Directory: f, Leases: f, Intake: f})
			if err != nil {
				t.Fatal(err)
			}
			schedules[i] = s
			running.Go(func() { _ = s.Run(ctx) })
		}
		whole := func(when string) {
			t.Helper()
			by := m.by()
			if len(by) != accounts-1 {
				t.Errorf("%s: %d accounts are followed, want all but the one that isn't there: %d", when, len(by), accounts-1)
			}
			for account, logins := range by {
				if len(logins) != 1 {
					t.Errorf("%s: %s is followed by %v", when, account, logins)
				}
			}
		}
		time.Sleep(20 * time.Second)
		whole("two nodes")
		if a, b := schedules[0].States()[0], schedules[1].States()[0]; a.Parts+b.Parts != 3 || a.Parts == 0 || b.Parts == 0 || !a.Watching {
			t.Errorf("the nodes have %d and %d of three logins", a.Parts, b.Parts)
		}
		f.mu.Lock()
		f.all = append(f.all, callsign.Linked{Tenant: "t", Account: "new", Phase: callsign.Phases - 1})
		f.mu.Unlock()
		schedules[0].Want("t", "im", "new")
		schedules[1].Want("t", "im", "new") // only one of them has its login
		time.Sleep(2 * time.Second)
		if by := m.by()["new"]; len(by) != 1 {
			t.Errorf("an account that was linked two seconds ago is followed by %v", by)
		}
		f.mu.Lock()
		f.all = f.all[:accounts]
		f.mu.Unlock()
		time.Sleep(2 * time.Minute)
		whole("one is not linked any more")
		m.mu.Lock()
		if m.tried < 3 || m.tried > 6 {
			t.Errorf("the account that isn't there was tried %d times in two minutes, want once in each", m.tried)
		}
		m.mu.Unlock()
		nodes[0]()
		time.Sleep(15 * time.Second)
		whole("one node died")
		nodes[1]()
		running.Wait()
		if m.most > 1 {
			t.Errorf("a login had %d sessions at a time", m.most)
		}
	})
}

func TestALoginThatIsRefusedLeavesTheOthersAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(300)
		m := &messenger{in: map[string]int{}, followed: map[string]map[string]bool{}, refuses: "b"}
		s, err := NewSchedule(ScheduleOptions{Networks: []Network{{Name: "im", Provider: severalLogins{m, []string{"a", "b", "c"}}, Interval: time.Minute}}, Directory: f, Leases: f, Intake: f})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = s.Run(ctx) })
		time.Sleep(10 * time.Second)
		if n := len(m.by()); n < 100 || n == 300 {
			t.Errorf("%d of 300 are followed, want two thirds", n)
		}
		m.mu.Lock()
		m.refuses = ""
		m.mu.Unlock()
		time.Sleep(credentialsRest + 5*time.Second)
		if n := len(m.by()); n != 300 {
			t.Errorf("%d of 300 are followed once the credentials are right", n)
		}
		cancel()
		running.Wait()
	})
}

func TestANewLoginMovesItsShareOnly(t *testing.T) {
	names := []string{}
	for i := range 10 {
		names = append(names, fmt.Sprintf("buddy%d@callsign.test", i))
	}
	owners := func(names []string) map[int]string {
		of := map[int]string{}
		for _, w := range watchedOf(severalLogins{&messenger{}, names}) {
			for _, slot := range w.slots {
				of[slot] = w.name
			}
		}
		return of
	}
	nine, ten := owners(names[:9]), owners(names)
	load := map[string]int{}
	for slot, owner := range ten {
		load[owner]++
		if owner != nine[slot] && owner != names[9] {
			t.Errorf("slot %d went from %s to %s, neither of which is new", slot, nine[slot], owner)
		}
	}
	if len(ten) != slots || load[names[9]] == 0 {
		t.Fatalf("%d slots have an owner; the new login has %d", len(ten), load[names[9]])
	}
	most := slices.Max(slices.Collect(maps.Values(load)))
	t.Logf("the fullest of ten logins has %.0f%% of an even share", 1000*float64(most)/slots)
	if shuffled := owners([]string{names[3], names[9], names[0], names[1], names[2], names[4], names[5], names[6], names[7], names[8]}); !maps.Equal(shuffled, ten) {
		t.Error("their order in the configuration makes a difference")
	}
	if _, err := NewSchedule(ScheduleOptions{Networks: []Network{{Name: "im", Provider: severalLogins{&messenger{}, nil}, Interval: time.Minute}}}); err == nil {
		t.Error("a network without a login is taken")
	}
}
