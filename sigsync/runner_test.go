package sigsync

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// runner is a provider whose Run does what it is told, the first times.
type runner struct {
	reader
	runs []func(context.Context) error
	ran  atomic.Int32
}

func (r *runner) Run(ctx context.Context) error {
	if n := int(r.ran.Add(1)) - 1; n < len(r.runs) {
		return r.runs[n](ctx)
	}
	<-ctx.Done()
	return nil
}

func TestARunnerThatEndsIsRunAgainAndEndsWithTheSchedule(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(1)
		p := &runner{reader: reader{fleet: f, limits: Limits{PerCall: 1, PerSecond: 1}}, runs: []func(context.Context) error{
			func(context.Context) error { return errors.New("the address is taken") },
			func(context.Context) error { panic("at what a server said") },
			func(context.Context) error { return nil },
		}}
		s, err := NewSchedule(ScheduleOptions{Networks: []Network{{Name: "im", Provider: p, Interval: time.Minute}}, Directory: f, Leases: f, Intake: f})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		began := time.Now()
		go func() { ended <- s.Run(ctx) }()
		for want, at := range []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second} {
			time.Sleep(time.Until(began.Add(at + time.Millisecond)))
			synctest.Wait()
			if got := int(p.ran.Load()); got != want+1 {
				t.Errorf("after %v it was run %d times, want %d", at, got, want+1)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := p.ran.Load(); n != 4 {
			t.Errorf("it was run %d times, want 4", n)
		}
	})
}
