package main

import (
	"testing"
	"time"
)

func TestACallFailsOnceNobodyWaitsForItAnyMore(t *testing.T) {
	r := &run{o: options{answerAfter: time.Second, patience: 8 * time.Second}, calls: make([]call, 4)}
	r.calls[0].sent.Store(int64(time.Second))
	r.calls[0].answered.Store(int64(3 * time.Second))
	r.calls[1].sent.Store(int64(time.Second))
	r.calls[2].sent.Store(int64(2 * time.Second))
	for at, want := range map[time.Duration]string{
		10 * time.Second:     "progress seconds=10 sent=3 completed=1 failed=0 retransmitted=0 strange=0",
		10*time.Second + 1e6: "progress seconds=10 sent=3 completed=1 failed=1 retransmitted=0 strange=0",
		12 * time.Second:     "progress seconds=12 sent=3 completed=1 failed=2 retransmitted=0 strange=0",
	} {
		if got := r.progress(at); got != want {
			t.Errorf("after %v: %s, want %s", at, got, want)
		}
	}
}
