package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// tellProgress prints a line each o.every until stop is called.
func (r *run) tellProgress(w io.Writer) (stop func()) {
	if r.o.every == 0 {
		return func() {}
	}
	ended := make(chan struct{})
	var telling sync.WaitGroup
	telling.Go(func() {
		tick := time.NewTicker(r.o.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintln(w, r.progress(r.now()))
			case <-ended:
				return
			}
		}
	})
	return func() {
		close(ended)
		telling.Wait()
	}
}

// progress is how the calls get on: one counts as failed once its caller has waited for longer than it rings and his patience.
func (r *run) progress(now time.Duration) string {
	var sent, completed, failed int
	for i := range r.calls {
		c := &r.calls[i]
		at := c.sent.Load()
		switch {
		case at == 0:
			continue
		case c.answered.Load() != 0:
			completed++
		case now-time.Duration(at) > r.o.answerAfter+r.o.patience:
			failed++
		}
		sent++
	}
	return fmt.Sprintf("progress seconds=%.0f sent=%d completed=%d failed=%d retransmitted=%d strange=%d",
		now.Seconds(), sent, completed, failed, r.retransmitted.Load(), r.strange.Load())
}
