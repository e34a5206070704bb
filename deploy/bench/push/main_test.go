package main

import (
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	var v []time.Duration
	for i := range 100 {
		v = append(v, time.Duration(100-i)*time.Millisecond)
	}
	for p, want := range map[int]time.Duration{1: 1, 50: 50, 99: 99, 100: 100} {
		if got := percentile(v, p); got != want*time.Millisecond {
			t.Errorf("p%d is %v, want %v", p, got, want*time.Millisecond)
		}
	}
	if got := percentile(nil, 50); got != 0 {
		t.Errorf("of nothing it is %v", got)
	}
}
