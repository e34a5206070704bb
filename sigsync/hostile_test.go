package sigsync

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

// crowd is a network that is away, as many nodes see it.
type crowd struct {
	reader
	tried map[int64]int // in each second
}

func (c *crowd) Run(context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tried[time.Now().Unix()]++
	return errors.New("connection refused")
}

func TestNodesThatLostTheirNetworkTogetherDoNotComeBackTogether(t *testing.T) {
	const nodes = 32
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(1)
		c := &crowd{reader{fleet: f, limits: Limits{PerCall: 1, PerSecond: 1}}, map[int64]int{}}
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		for range nodes {
			s, err := NewSchedule(ScheduleOptions{Networks: []Network{{Name: "im", Provider: c, Interval: time.Minute}}, Directory: f, Leases: f, Intake: f})
			if err != nil {
				t.Fatal(err)
			}
			running.Go(func() { _ = s.Run(ctx) })
		}
		began := time.Now().Unix()
		time.Sleep(5 * time.Minute)
		cancel()
		running.Wait()
		all, most := 0, 0
		for at, n := range c.tried {
			if at > began+20 {
				all, most = all+n, max(most, n)
			}
		}
		if all < 4*nodes || most > nodes/2 {
			t.Errorf("%d attempts, up to %d of %d nodes in one second: want at most half of them", all, most, nodes)
		}
	})
}

func TestWhatCameDamagedLeavesTheTextBefore(t *testing.T) {
	for sentence, test := range map[string]struct {
		answer string // JSON
		puts   int
	}{
		"a text":                      {`"在高铁上 🚄"`, 1},
		"an emptied one":              {`""`, 1},
		"GBK":                         {"\"\xc4\xe3\xba\xc3\"", 0},
		"half of a surrogate pair":    {`"x\ud83d"`, 0},
		"the other half":              {`"\ude84x"`, 0},
		"a character that stands for": {`"x�"`, 0},
	} {
		var text string
		if err := json.Unmarshal([]byte(test.answer), &text); err != nil {
			t.Fatal(err)
		}
		f := newFleet(2)
		s := (&reader{fleet: f, limits: Limits{PerCall: 2, PerSecond: 1}}).node(t, time.Minute)
		of := map[string][]callsign.Linked{}
		for _, account := range []string{"0", "1"} {
			of[account] = []callsign.Linked{{Tenant: "t", Account: account, Text: "before", Said: true}}
		}
		heard := []callsign.Change{{Account: "0", Text: text, Stamp: callsign.TimedStamp(time.Now())}, {Account: "1", Text: "good", Stamp: callsign.TimedStamp(time.Now())}}
		s.pollers["im"].keep(t.Context(), heard, of)
		if f.puts != 1+test.puts || of["0"][0].Text == "before" != (test.puts == 0) || of["1"][0].Text != "good" {
			t.Errorf("%s: %d changes are put, %+v; want %d beside the other account's", sentence, f.puts, of, test.puts)
		}
		changes, err := sound(heard[:1])
		if len(changes) != test.puts || (err == nil) != (test.puts > 0) {
			t.Errorf("%s: %+v, %v", sentence, changes, err)
		}
	}
}

// What nobody keeps need not be held for as long as it is followed; cut, the intake still refuses it.
func TestOfANoteThatIsTooLongNoMoreIsHeldThanTheIntakeNeedsToRefuseIt(t *testing.T) {
	for bytes, want := range map[int]int{maxText: maxText, maxText + 1: maxText + 1, 64 << 10: maxText + 1} {
		if got := len(Choose([]Note{{Text: strings.Repeat("x", bytes)}}, nil).Text); got != want {
			t.Errorf("of %d bytes %d are held, want %d", bytes, got, want)
		}
	}
}
