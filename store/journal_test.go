package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callsign-as/callsign"
)

// eventKeeper fails as long as err is set; hang makes it wait for the end of its context.
type eventKeeper struct {
	mu      sync.Mutex
	err     error
	hang    bool
	batches [][]string
	tries   int
}

func (k *eventKeeper) AppendEvents(ctx context.Context, es []callsign.Event) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.tries++
	switch {
	case k.hang:
		<-ctx.Done()
		return ctx.Err()
	case ctx.Err() != nil:
		return ctx.Err()
	case k.err != nil:
		return k.err
	}
	var reasons []string
	for _, e := range es {
		reasons = append(reasons, e.Reason)
	}
	k.batches = append(k.batches, reasons)
	return nil
}

func (k *eventKeeper) fail(err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.err = err
}

// written checks that the events came in order without a gap and tells how many.
func (k *eventKeeper) written(t *testing.T) (n int) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, b := range k.batches {
		for _, reason := range b {
			if want := fmt.Sprint(n); reason != want {
				t.Errorf("event %s came where %s was due", reason, want)
			}
			n++
		}
	}
	return n
}

func record(j *Journal, from, to int) {
	for n := from; n < to; n++ {
		j.Record(callsign.Event{Reason: fmt.Sprint(n)})
	}
}

func TestOfAPrivateCallTheCallerIsNotKept(t *testing.T) {
	for private, want := range map[bool]callsign.MSISDN{true: 0, false: 8613800000001} {
		j := NewJournal(JournalOptions{Keep: &eventKeeper{}, Wire: 100})
		j.Record(callsign.Event{
			Call: callsign.Call{Caller: 8613800000001, Callee: 8613900000002, Private: private}, Kind: callsign.EventSubmitted,
			Text: "hello", Wire: []byte("to 8613800000001"),
		})
		got := <-j.queue
		if got.Call.Caller != want || (got.Wire == nil) != private || got.Text != "hello" || got.Call.Callee != 8613900000002 {
			t.Errorf("private %v: %+v goes to the store", private, got)
		}
	}
}

func TestHowMuchOfAMessageIsKept(t *testing.T) {
	for sentence, c := range map[string]struct {
		o    JournalOptions
		want string
	}{
		"all of a short one":          {JournalOptions{Wire: 9}, "submit_sm"},
		"the beginning of a long one": {JournalOptions{Wire: 6}, "submit"},
		"nothing, if so configured":   {JournalOptions{}, ""},
	} {
		j := NewJournal(c.o)
		j.Record(callsign.Event{Wire: []byte("submit_sm")})
		if got := string((<-j.queue).Wire); got != c.want {
			t.Errorf("%s: %q is kept, want %q", sentence, got, c.want)
		}
	}
	j := NewJournal(JournalOptions{Off: true})
	j.Record(callsign.Event{})
	if got := len(j.queue); got != 0 {
		t.Errorf("switched off it keeps %d events", got)
	}
}

func TestJournal(t *testing.T) {
	for sentence, test := range map[string]func(t *testing.T, j *Journal, k *eventKeeper, stop func()){
		"events that come together are written together, within 100 ms": func(t *testing.T, j *Journal, k *eventKeeper, _ func()) {
			record(j, 0, 3)
			time.Sleep(101 * time.Millisecond)
			if k.written(t) != 3 || len(k.batches) != 1 {
				t.Errorf("written as %v, want one batch of 3", k.batches)
			}
		},
		"a batch has at most 500": func(t *testing.T, j *Journal, k *eventKeeper, _ func()) {
			record(j, 0, 1200)
			time.Sleep(time.Second)
			if k.written(t) != 1200 || len(k.batches[0]) != 500 {
				t.Errorf("%d were written in %d batches, the first of %d", k.written(t), len(k.batches), len(k.batches[0]))
			}
		},
		"an absent store is tried again, in order": func(t *testing.T, j *Journal, k *eventKeeper, _ func()) {
			k.fail(errDown)
			record(j, 0, 10)
			time.Sleep(30 * time.Second)
			record(j, 10, 20)
			k.fail(nil)
			time.Sleep(6 * time.Second)
			if got := k.written(t); got != 20 {
				t.Errorf("%d were written, want 20", got)
			}
			if k.tries < 5 || k.tries > 20 {
				t.Errorf("%d tries in 30 s", k.tries)
			}
		},
		"while it is absent the queue bounds memory": func(t *testing.T, j *Journal, k *eventKeeper, _ func()) {
			k.fail(errDown)
			record(j, 0, 10)
			time.Sleep(time.Second) // these ten are in a batch, the queue is empty
			record(j, 10, 10+2000+7)
			if got := testutil.ToFloat64(j.dropped); got != 7 {
				t.Errorf("%v are counted as dropped, want 7", got)
			}
			k.fail(nil)
			time.Sleep(6 * time.Second)
			if got := k.written(t); got != 2010 {
				t.Errorf("%d were written, want 2010", got)
			}
		},
		"what the store refuses is not tried again": func(t *testing.T, j *Journal, k *eventKeeper, _ func()) {
			k.fail(errors.New("no such column"))
			record(j, 100, 103)
			time.Sleep(time.Second)
			k.fail(nil)
			record(j, 0, 2)
			time.Sleep(time.Second)
			if got := testutil.ToFloat64(j.refused); k.written(t) != 2 || got != 3 {
				t.Errorf("%d were written, %v refused, want 2 and 3", k.written(t), got)
			}
		},
		"the end writes what is queued": func(t *testing.T, j *Journal, k *eventKeeper, stop func()) {
			record(j, 0, 1300)
			stop()
			if got := k.written(t); got != 1300 {
				t.Errorf("%d were written, want 1300", got)
			}
		},
		"the end writes what could not be written before": func(t *testing.T, j *Journal, k *eventKeeper, stop func()) {
			k.fail(errDown)
			record(j, 0, 10)
			time.Sleep(10 * time.Second)
			k.fail(nil)
			stop()
			if got := k.written(t); got != 10 {
				t.Errorf("%d were written, want 10", got)
			}
		},
		"the end takes two seconds at the most": func(t *testing.T, j *Journal, k *eventKeeper, stop func()) {
			k.mu.Lock()
			k.hang = true
			k.mu.Unlock()
			record(j, 0, 700)
			began := time.Now()
			stop()
			if got := time.Since(began); got != 2*time.Second {
				t.Errorf("it took %v", got)
			}
			if got := testutil.ToFloat64(j.dropped); got != 700 {
				t.Errorf("%v are counted as dropped, want 700", got)
			}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &eventKeeper{}
				j := NewJournal(JournalOptions{Keep: k, Queue: 2000, Metrics: prometheus.NewRegistry()})
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- j.Run(ctx) }()
				synctest.Wait()
				stopped := false
				stop := func() {
					cancel()
					if err := <-ended; err != nil {
						t.Errorf("Run: %v, want nil", err)
					}
					stopped = true
				}
				test(t, j, k, stop)
				if !stopped {
					stop()
				}
			})
		})
	}
}
