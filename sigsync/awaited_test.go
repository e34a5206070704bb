package sigsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

func TestAnAccountThatIsToSayACodeIsReadSoonAndOnlyThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(10)
		var read []time.Duration
		began := time.Now()
		r := &reader{fleet: f, limits: Limits{PerCall: 1, PerSecond: 1}, fails: func(accounts []string) error {
			if accounts[0] == "new" {
				read = append(read, time.Since(began))
			}
			return nil
		}}
		f.index["new"], f.read, f.gap = len(f.read), append(f.read, time.Time{}), append(f.gap, 0)
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = r.node(t, time.Hour).Run(ctx) })
		time.Sleep(10 * time.Minute)
		f.mu.Lock()
		if len(read) != 0 {
			t.Errorf("read at %v, though nobody awaits it", read)
		}
		began = time.Now()
		f.awaited = []callsign.Linked{{Tenant: "t", Account: "new"}}
		f.mu.Unlock()
		time.Sleep(10 * time.Minute)
		f.mu.Lock()
		if len(read) < 18 || len(read) > 21 || read[0] > 35*time.Second {
			t.Errorf("read %d times in ten minutes, first after %v: want every half minute", len(read), read[:min(1, len(read))])
		}
		f.awaited, read = nil, nil
		f.mu.Unlock()
		time.Sleep(10 * time.Minute)
		f.mu.Lock()
		if len(read) > 1 {
			t.Errorf("read at %v once nobody awaits it any more", read)
		}
		f.mu.Unlock()
		cancel()
		running.Wait()
	})
}

// watcher is a network that tells by itself, and remembers what it is told to follow.
type watcher struct {
	*reader
	follows map[string]bool
	number  func(account string) (callsign.MSISDN, error)
	unable  bool
}

func (w *watcher) Proves() bool { return !w.unable }

func (w *watcher) Watch(ctx context.Context, follow <-chan Follow, _ func([]callsign.Change)) error {
	for {
		select {
		case f := <-follow:
			w.mu.Lock()
			for _, a := range f.Accounts {
				w.follows[a] = !f.Gone
			}
			w.mu.Unlock()
		case <-ctx.Done():
			return nil
		}
	}
}

func (w *watcher) Number(_ context.Context, account string) (callsign.MSISDN, error) {
	return w.number(account)
}

func (w *watcher) followed() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for a, is := range w.follows {
		if is {
			all = append(all, a)
		}
	}
	slices.Sort(all)
	return all
}

func watching(t *testing.T, limits Limits, test func(w *watcher, s *Schedule)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &watcher{reader: &reader{fleet: newFleet(2), limits: limits}, follows: map[string]bool{}}
		s, err := NewSchedule(ScheduleOptions{
			Networks: []Network{{Name: "im", Provider: w, Interval: time.Minute}}, Directory: w.fleet, Leases: w.fleet, Intake: w.fleet,
		})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { _ = s.Run(ctx) })
		time.Sleep(5 * time.Second)
		test(w, s)
		cancel()
		running.Wait()
	})
}

func TestAnAccountThatIsToSayACodeIsFollowedUntilItDidOrItIsTooLate(t *testing.T) {
	watching(t, Limits{PerCall: 1}, func(w *watcher, _ *Schedule) {
		if got := fmt.Sprint(w.followed()); got != "[0 1]" {
			t.Errorf("followed %s, want those that are linked", got)
		}
		w.mu.Lock()
		w.awaited = []callsign.Linked{{Tenant: "t", Account: "new"}}
		w.mu.Unlock()
		time.Sleep(5 * time.Second)
		if got := fmt.Sprint(w.followed()); got != "[0 1 new]" {
			t.Errorf("followed %s, want the awaited one too", got)
		}
		time.Sleep(10 * time.Minute)
		if got := fmt.Sprint(w.followed()); got != "[0 1 new]" {
			t.Errorf("after ten listings followed %s, want the awaited one too", got)
		}
		w.mu.Lock()
		w.awaited = nil
		w.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if got := fmt.Sprint(w.followed()); got != "[0 1]" {
			t.Errorf("followed %s, though nobody awaits it any more", got)
		}
	})
}

// teller is a network that tells once what each account says when it is to be followed.
type teller struct {
	*watcher
	texts map[string]string
}

func (n *teller) Watch(ctx context.Context, follow <-chan Follow, put func([]callsign.Change)) error {
	followed := map[string]bool{}
	for {
		select {
		case f := <-follow:
			for _, a := range f.Accounts {
				if !f.Gone && !followed[a] {
					put([]callsign.Change{{Account: a, Text: n.texts[a], Stamp: callsign.TimedStamp(time.Now()), At: time.Now()}})
				}
				followed[a] = !f.Gone
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// rows keeps what tenants' accounts say.
type rows struct {
	*fleet
	puts []string
}

func (r *rows) Put(_ context.Context, changes []callsign.Change) ([]callsign.Status, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range changes {
		r.fleet.puts++
		r.puts = append(r.puts, c.Tenant+" "+c.Account+" "+c.Text)
		for i := range r.all {
			if l := &r.all[i]; l.Tenant == c.Tenant && l.Account == c.Account {
				l.Text, l.Stamp, l.Said = c.Text, c.Stamp, true
			}
		}
	}
	return slices.Repeat([]callsign.Status{callsign.Stored}, len(changes)), nil
}

func TestAFollowedAccountWhoseRowSaysNothingIsToldAnew(t *testing.T) {
	for sentence, test := range map[string]struct {
		happens func(s *Schedule, r *rows)
		want    []string
	}{
		"nothing happens": {func(*Schedule, *rows) {}, nil},
		"it was unlinked and linked to another number between two listings": {func(_ *Schedule, r *rows) {
			r.all[0] = callsign.Linked{Tenant: "t", Account: r.all[0].Account, Phase: r.all[0].Phase + 1}
		}, []string{"t 0 hi"}},
		"it was so and is wanted at once": {func(s *Schedule, r *rows) {
			r.all[0] = callsign.Linked{Tenant: "t", Account: r.all[0].Account, Phase: r.all[0].Phase + 1}
			go s.Want("t", "im", "0")
		}, []string{"t 0 hi"}},
		"another number is to say its code, and it says none": {func(_ *Schedule, r *rows) {
			r.awaited = []callsign.Linked{{Tenant: "t", Account: "0"}}
		}, nil},
		"another tenant awaited it and has it now": {func(s *Schedule, r *rows) {
			r.awaited = []callsign.Linked{{Tenant: "u", Account: "0"}}
			go func() {
				time.Sleep(80 * time.Second)
				r.mu.Lock()
				defer r.mu.Unlock()
				r.awaited, r.all = nil, append(r.all, callsign.Linked{Tenant: "u", Account: "0", Phase: callsign.Phases - 1})
			}()
		}, []string{"u 0 hi"}},
		"another tenant links it too": {func(_ *Schedule, r *rows) {
			r.all = append(r.all, callsign.Linked{Tenant: "u", Account: "0", Phase: callsign.Phases - 1})
		}, []string{"u 0 hi"}},
		"another tenant has an older text of it": {func(_ *Schedule, r *rows) {
			r.all = append(r.all, callsign.Linked{Tenant: "u", Account: "0", Phase: callsign.Phases - 1, Text: "old", Said: true})
		}, []string{"u 0 hi"}},
		"another tenant has its text": {func(_ *Schedule, r *rows) {
			r.all = append(r.all, callsign.Linked{Tenant: "u", Account: "0", Phase: callsign.Phases - 1, Text: "hi", Said: true})
		}, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rows{fleet: newFleet(2)}
				n := &teller{&watcher{reader: &reader{fleet: r.fleet, limits: Limits{PerCall: 1}}}, map[string]string{"0": "hi", "1": "ho"}}
				s, err := NewSchedule(ScheduleOptions{Networks: []Network{{Name: "im", Provider: n, Interval: time.Minute}}, Directory: r, Leases: r, Intake: r})
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { _ = s.Run(ctx) })
				time.Sleep(90 * time.Second) // two listings
				r.mu.Lock()
				if len(r.puts) != 2 {
					t.Errorf("put %v at first, want both once", r.puts)
				}
				r.puts = nil
				test.happens(s, r)
				r.mu.Unlock()
				time.Sleep(3 * time.Minute)
				r.mu.Lock()
				if !slices.Equal(r.puts, test.want) {
					t.Errorf("put %q, want %q", r.puts, test.want)
				}
				r.mu.Unlock()
				cancel()
				running.Wait()
			})
		})
	}
}

func TestANetworkIsAskedForANumberThatItVerified(t *testing.T) {
	watching(t, Limits{PerCall: 1}, func(w *watcher, s *Schedule) {
		for sentence, c := range map[string]struct {
			network string
			number  func(string) (callsign.MSISDN, error)
			want    callsign.MSISDN
			err     error
		}{
			"a number":               {"im", func(string) (callsign.MSISDN, error) { return 86138, nil }, 86138, nil},
			"none":                   {"im", func(string) (callsign.MSISDN, error) { return 0, nil }, 0, nil},
			"no account":             {"im", func(string) (callsign.MSISDN, error) { return 0, ErrNoAccount }, 0, nil},
			"it is away":             {"im", func(string) (callsign.MSISDN, error) { return 0, context.DeadlineExceeded }, 0, callsign.ErrUnavailable},
			"it refuses us":          {"im", func(string) (callsign.MSISDN, error) { return 0, ErrCredentials }, 0, callsign.ErrUnavailable},
			"the connector is wrong": {"im", func(string) (callsign.MSISDN, error) { panic("a bug") }, 0, callsign.ErrUnavailable},
			"another network":        {"qq", nil, 0, errors.ErrUnsupported},
		} {
			w.number = c.number
			if got, err := s.Number(t.Context(), c.network, "a"); got != c.want || !errors.Is(err, c.err) {
				t.Errorf("%s: %d, %v, want %d, %v", sentence, got, err, c.want, c.err)
			}
		}
	})
}

func TestManyWhoAskForANumberAreRefusedAndKeepNobodyFromBeingRead(t *testing.T) {
	watching(t, Limits{PerCall: 1, PerSecond: 1}, func(w *watcher, s *Schedule) {
		proved, refused := 0, 0
		w.number = func(string) (callsign.MSISDN, error) { proved++; return 86138, nil }
		w.mu.Lock()
		clear(w.calls)
		w.mu.Unlock()
		const while = 10 * time.Minute
		for range 10 * int(while/time.Second) {
			asked := time.Now()
			switch _, err := s.Number(t.Context(), "im", "a"); {
			case errors.Is(err, callsign.ErrUnavailable):
				refused++
			case err != nil:
				t.Fatal(err)
			}
			if waited := time.Since(asked); waited > 0 {
				t.Fatalf("who asks waits for %v", waited)
			}
			time.Sleep(time.Second / 10)
		}
		if most := int(while/time.Second)/10 + proofsAtOnce; proved < most-2 || proved > most || refused == 0 {
			t.Errorf("%d numbers are asked for and %d refused in %v, want %d", proved, refused, while, most)
		}
		if n, worst := w.late(time.Now(), time.Minute); n > 0 {
			t.Errorf("%d accounts were not read within their interval; the worst took %v", n, worst)
		}
		w.unable = true
		for range 2 * proofsAtOnce {
			if _, err := s.Number(t.Context(), "im", "a"); !errors.Is(err, errors.ErrUnsupported) {
				t.Fatalf("a network that verifies none: %v", err)
			}
		}
	})
}
