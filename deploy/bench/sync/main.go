// Sync reads a network's accounts in real time: the product's schedule, intake and SQLite engine, and a network that is a function. It
// tells how many accounts were read in a second, and whether each was within its interval.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/store/sqlite"
)

const (
	first  = callsign.MSISDN(8613900000000)
	tenant = "default"
	batch  = 1000
)

func main() {
	accounts := flag.Int("accounts", 50_000, "how many accounts are linked")
	rate := flag.Int("rate", 5000, "how many of them are to be read in a second")
	perCall := flag.Int("per-call", 50, "how many the network takes in a call")
	changed := flag.Int("changed", 100, "one in so many says something new whenever it is read")
	seconds := flag.Int("seconds", 60, "for how long")
	flag.Parse()
	if *accounts < 1 || *rate < 1 || *perCall < 1 || *changed < 1 || *seconds < 1 {
		fmt.Fprintln(os.Stderr, "every number must be 1 or more")
		os.Exit(2)
	}
	n := &network{perCall: *perCall, changed: *changed, read: make([]time.Time, *accounts), said: make([]int, *accounts)}
	// A pass takes four fifths of the interval; a tenth more than is needed is allowed.
	n.interval = max(10*time.Second, time.Duration(float64(*accounts)/float64(*rate)*1.25*float64(time.Second)))
	n.perSecond = float64(*rate) / float64(*perCall) * 1.1
	if err := n.run(context.Background(), time.Duration(*seconds)*time.Second); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// network answers after a while, as one does, and notes what it is asked.
type network struct {
	perCall, changed int
	perSecond        float64
	interval         time.Duration

	mu      sync.Mutex
	read    []time.Time // last, by account
	said    []int       // how often each said something new
	gaps    []time.Duration
	seconds map[int64]int
	calls   map[int64]int
}

func (n *network) Limits() sigsync.Limits {
	return sigsync.Limits{PerCall: n.perCall, PerSecond: n.perSecond}
}

const takes = 20 * time.Millisecond

func text(times int) string { return fmt.Sprintf("On the road; I changed my mind %d times", times) }

func (n *network) Read(ctx context.Context, accounts []string) ([]callsign.Change, error) {
	began := time.Now()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[began.Unix()]++
	n.seconds[began.Unix()] += len(accounts)
	var out []callsign.Change
	for _, a := range accounts {
		i, err := strconv.Atoi(a)
		if err != nil {
			return nil, err
		}
		if !n.read[i].IsZero() {
			n.gaps = append(n.gaps, began.Sub(n.read[i]))
		}
		n.read[i] = began
		if i%n.changed == int(began.Unix())%n.changed {
			n.said[i]++
		}
		out = append(out, callsign.Change{Account: a, Text: text(n.said[i]), Stamp: callsign.TimedStamp(began), At: began})
	}
	return out, nil
}

func (n *network) run(ctx context.Context, long time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "callsign-sync-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	engine, err := sqlite.Open(ctx, sqlite.Options{Path: filepath.Join(dir, "callsign.db")})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	if err := fill(ctx, engine, len(n.read)); err != nil {
		return err
	}
	intake := sigsync.NewIntake(sigsync.Options{Keeper: engine})
	schedule, err := sigsync.NewSchedule(sigsync.ScheduleOptions{
		Networks: []sigsync.Network{{Name: "im", Provider: n, Interval: n.interval}}, Directory: engine, Leases: engine, Intake: intake,
	})
	if err != nil {
		return err
	}
	n.seconds, n.calls = map[int64]int{}, map[int64]int{}
	keeping, stop := context.WithCancel(ctx)
	reading, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	kept := make(chan error, 1)
	go func() { kept <- intake.Run(keeping) }()
	began, cpu := time.Now(), used()
	err = schedule.Run(reading)
	spent := used() - cpu
	stop()
	if err := errors.Join(err, <-kept); err != nil {
		return err
	}
	return n.tell(began, spent)
}

func fill(ctx context.Context, engine *sqlite.Engine, accounts int) error {
	var rows []callsign.ImportRow
	now := time.Now()
	for i := range accounts {
		rows = append(rows, callsign.ImportRow{MSISDN: first + callsign.MSISDN(i), Signature: callsign.Signature{
			Network: "im", Account: strconv.Itoa(i), Text: text(0), Shown: text(0), Stamp: callsign.TimedStamp(now), At: now,
		}})
		if len(rows) < batch && i < accounts-1 {
			continue
		}
		if _, err := engine.Import(ctx, callsign.Scope{Tenant: tenant}, rows); err != nil {
			return err
		}
		rows = nil
	}
	return nil
}

// used is the CPU time of this process.
func used() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// tell prints what was seen. An account that was not read at all, or not within its interval, is late.
func (n *network) tell(began time.Time, spent time.Duration) error {
	ended := time.Now()
	var whole []int // accounts in each whole second once the first pass began
	total := 0
	for second := began.Unix() + 3; second < ended.Unix(); second++ {
		whole = append(whole, n.seconds[second])
		total += n.seconds[second]
	}
	if len(whole) < 10 {
		return errors.New("it ran for less than thirteen seconds: give --seconds more")
	}
	slices.Sort(whole)
	slices.Sort(n.gaps)
	late := 0
	for _, gap := range n.gaps {
		if gap > n.interval {
			late++
		}
	}
	for _, at := range n.read {
		if ended.Sub(at) > n.interval {
			late++
		}
	}
	most := 0
	for _, calls := range n.calls {
		most = max(most, calls)
	}
	fmt.Printf("accounts linked            %d, each within %v\n", len(n.read), n.interval)
	fmt.Printf("accounts read a second     %d (%d to %d in one second)\n", total/len(whole), whole[0], whole[len(whole)-1])
	if len(n.gaps) > 0 {
		fmt.Printf("between two reads of one   p50 %v, p99 %v, longest %v\n", n.gaps[len(n.gaps)/2].Round(time.Millisecond), n.gaps[len(n.gaps)*99/100].Round(time.Millisecond), n.gaps[len(n.gaps)-1].Round(time.Millisecond))
	}
	fmt.Printf("calls in a second          at most %d of %.0f\n", most, n.perSecond)
	fmt.Printf("CPU s per 1000 accounts    %.4f\n", spent.Seconds()*1000/float64(max(1, total)))
	fmt.Printf("late %d\n", late)
	if late > 0 || float64(most) > n.perSecond+2 {
		return errors.New("accounts were late, or the network was asked too often")
	}
	return nil
}
