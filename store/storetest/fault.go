package storetest

import (
	"cmp"
	"context"
	"os"
	"sync"
	"testing"
	"time"
)

// Lasting is for how long a fault lasts: CALLSIGN_TEST_FAULT says; a second if it doesn't.
func Lasting(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(cmp.Or(os.Getenv("CALLSIGN_TEST_FAULT"), "1s"))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Last waits for as long as a fault lasts: nothing else says when it is over.
func Last(t *testing.T, d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.Context().Done():
	}
}

// Go runs all of them until stop is called, which waits for them, or until the test ends.
func Go(t *testing.T, runs ...func(context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range runs {
		running.Go(func() { run(ctx) })
	}
	stop = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(stop)
	return stop
}
