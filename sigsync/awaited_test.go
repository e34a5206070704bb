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
}

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
