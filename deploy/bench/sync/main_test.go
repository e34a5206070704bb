package main

import (
	"testing"
	"time"
)

func TestWhatIsLate(t *testing.T) {
	began := time.Now().Add(-30 * time.Second)
	for sentence, c := range map[string]struct {
		gap  time.Duration
		last time.Duration // before now
		sec  int           // calls in one second
		ok   bool
	}{
		"all within the interval":         {9 * time.Second, 9 * time.Second, 1, true},
		"one came late":                   {11 * time.Second, 9 * time.Second, 1, false},
		"one came no more":                {9 * time.Second, 11 * time.Second, 1, false},
		"the network was asked too often": {9 * time.Second, 9 * time.Second, 9, false},
	} {
		n := &network{
			perSecond: 2, interval: 10 * time.Second, read: []time.Time{time.Now().Add(-c.last)}, gaps: []time.Duration{c.gap},
			seconds: map[int64]int{began.Unix() + 5: 7}, calls: map[int64]int{1: c.sec},
		}
		if err := n.tell(began, time.Second); (err == nil) != c.ok {
			t.Errorf("%s: %v", sentence, err)
		}
	}
}
