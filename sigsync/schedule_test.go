package sigsync

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

// fleet is what the nodes of a simulation share: the accounts of a network, who has which part, and what was read when.
type fleet struct {
	mu     sync.Mutex
	all    []callsign.Linked // by phase
	index  map[string]int    // by account
	shares callsign.Shares
	read   []time.Time     // last, by place in all
	gap    []time.Duration // longest between two reads
	calls  map[int64]int   // reads in each second
	most   int             // accounts of one read
	texts  func(account string) string
	puts   int
	// awaited are to say a code; nobody has them.
	awaited []callsign.Linked
	err     error
	dead    map[string]bool // nodes whose lease calls fail
}

func newFleet(n int) *fleet {
	f := &fleet{index: make(map[string]int, n), read: make([]time.Time, n), gap: make([]time.Duration, n), calls: map[int64]int{}}
	for i := range n {
		// An even, shuffled spread: the multiplier is odd.
		f.all = append(f.all, callsign.Linked{Tenant: "t", Account: fmt.Sprint(i), Phase: int64(i) * 2654435761 % callsign.Phases, Said: true})
	}
	slices.SortFunc(f.all, func(a, b callsign.Linked) int { return int(a.Phase - b.Phase) })
	for i, l := range f.all {
		f.index[l.Account] = i
	}
	return f
}

func (f *fleet) Linked(_ context.Context, s callsign.Slice) (out []callsign.Linked, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	from := sort.Search(len(f.all), func(i int) bool { return f.all[i].Phase >= s.From })
	for _, l := range f.all[from:] {
		if l.Phase >= s.To {
			break
		}
		if slices.Contains(s.Of, int(l.Phase%int64(s.Parts))) {
			out = append(out, l)
		}
	}
	return out, f.err
}

func (f *fleet) Awaited(context.Context, callsign.Slice, time.Time) ([]callsign.Linked, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.awaited, f.err
}

func (*fleet) Called(context.Context, callsign.Slice, time.Time, int) ([]callsign.Linked, error) {
	return nil, nil
}

func (f *fleet) Share(ctx context.Context, _ string, t callsign.Turn) (map[int]time.Time, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil || t.Term == 0 && f.dead != nil || ctx.Err() != nil {
		return nil, callsign.ErrUnavailable // one that dies says nothing
	}
	return f.shares.Take(t, time.Now()), nil
}

func (f *fleet) Put(_ context.Context, cs []callsign.Change) ([]callsign.Status, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.puts += len(cs)
	out := make([]callsign.Status, len(cs))
	for i := range out {
		out[i] = callsign.Stored
	}
	return out, nil
}

// reader is a network as one node sees it.
type reader struct {
	*fleet
	limits Limits
	fails  func(accounts []string) error
}

func (r *reader) Limits() Limits { return r.limits }

func (r *reader) Read(_ context.Context, accounts []string) ([]callsign.Change, error) {
	now := time.Now()
	time.Sleep(50 * time.Millisecond)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls[now.Unix()]++
	r.most = max(r.most, len(accounts))
	if r.fails != nil {
		if err := r.fails(accounts); err != nil {
			return nil, err
		}
	}
	var out []callsign.Change
	for _, a := range accounts {
		i := r.index[a]
		if !r.read[i].IsZero() {
			r.gap[i] = max(r.gap[i], now.Sub(r.read[i]))
		}
		r.read[i] = now
		if r.texts != nil {
			out = append(out, callsign.Change{Account: a, Text: r.texts(a), Stamp: callsign.TimedStamp(now), At: now})
		}
	}
	return out, nil
}

func (r *reader) node(t *testing.T, interval time.Duration) *Schedule {
	t.Helper()
	s, err := NewSchedule(ScheduleOptions{
		Networks:  []Network{{Name: "im", Provider: r, Interval: interval}},
		Directory: r.fleet, Leases: r.fleet, Intake: r.fleet,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// late are accounts that were not read within the interval before now, or ever were read further apart.
func (f *fleet) late(now time.Time, interval time.Duration) (n int, worst time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, gap := range f.gap {
		gap = max(gap, now.Sub(f.read[i]))
		worst = max(worst, gap)
		if gap > interval {
			n++
		}
	}
	return n, worst
}

func (f *fleet) busiest() (most int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, n := range f.calls {
		most = max(most, n)
	}
	return most
}

func TestEveryAccountIsReadWithinItsIntervalAlsoWhenANodeDies(t *testing.T) {
	accounts := 1_000_000
	if testing.Short() {
		accounts = 50_000
	}
	const interval = 10 * time.Minute
	// A quarter more than is needed.
	limits := Limits{PerCall: 100, PerSecond: float64(accounts) / 100 / (interval.Seconds() * 4 / 5) * 1.25}
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(accounts)
		f.dead = map[string]bool{}
		var nodes [2]context.CancelFunc
		var running sync.WaitGroup
		for i := range nodes {
			var ctx context.Context
			ctx, nodes[i] = context.WithCancel(t.Context())
			s := (&reader{fleet: f, limits: limits}).node(t, interval)
			running.Go(func() { _ = s.Run(ctx) })
		}
		time.Sleep(interval + time.Minute)
		if n, worst := f.late(time.Now(), interval); n > 0 {
			t.Errorf("two nodes: %d of %d accounts were not read within %v; the worst took %v", n, accounts, interval, worst)
		}
		nodes[0]()
		time.Sleep(2 * interval)
		n, worst := f.late(time.Now(), interval)
		if n > 0 {
			t.Errorf("one died: %d of %d accounts were not read within %v; the worst took %v", n, accounts, interval, worst)
		}
		if most := f.busiest(); float64(most) > limits.PerSecond+3 {
			t.Errorf("%d reads in a second, %.2f may be", most, limits.PerSecond)
		}
		if f.most > limits.PerCall {
			t.Errorf("%d accounts in a read, %d may be", f.most, limits.PerCall)
		}
		t.Logf("%d accounts: longest between two reads of one %v, most reads in a second %d of %.2f", accounts, worst, f.busiest(), limits.PerSecond)
		nodes[1]()
		running.Wait()
	})
}

func TestAnAccountThatIsLinkedIsReadAtOnceAndAChangerMoreOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(10)
		n := 0
		f.texts = func(a string) string {
			if a != "3" {
				return ""
			}
			n++
			return fmt.Sprint("text ", n)
		}
		ctx, cancel := context.WithCancel(t.Context())
		s := (&reader{fleet: f, limits: Limits{PerCall: 1, PerSecond: 10}}).node(t, time.Hour)
		var running sync.WaitGroup
		running.Go(func() { _ = s.Run(ctx) })
		time.Sleep(time.Second)
		s.Want("t", "im", "3")
		time.Sleep(5 * time.Second)
		f.mu.Lock()
		if n != 1 || f.puts != 1 {
			t.Errorf("read %d times and put %d, want once", n, f.puts)
		}
		f.mu.Unlock()
		time.Sleep(time.Hour)
		f.mu.Lock()
		if n < 6 || n > 12 {
			t.Errorf("a changer was read %d times in an hour, want about eight", n)
		}
		if f.puts != n {
			t.Errorf("%d texts put of %d: the others were as known", f.puts, n)
		}
		f.mu.Unlock()
		if state := s.States()[0]; state.Parts != shareParts || state.Failing != "" || state.Read.IsZero() {
			t.Errorf("state %+v", state)
		}
		cancel()
		running.Wait()
	})
}

func TestANetworkThatFailsIsLeftAloneAndComesBack(t *testing.T) {
	for name, test := range map[string]struct {
		err  error
		most int // reads in the ten minutes in which it fails
	}{
		"credentials are refused":  {ErrCredentials, 6},
		"it wants to be left":      {&LimitedError{5 * time.Minute}, 4},
		"it fails":                 {context.DeadlineExceeded, 40},
		"the account is not there": {ErrNoAccount, 100},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(20)
				broken, asked := true, 0
				r := &reader{fleet: f, limits: Limits{PerCall: 1, PerSecond: 1}, fails: func([]string) error {
					if asked++; broken {
						return test.err
					}
					return nil
				}}
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				s := r.node(t, time.Minute)
				running.Go(func() { _ = s.Run(ctx) })
				time.Sleep(10 * time.Minute)
				f.mu.Lock()
				if asked > test.most || asked == 0 {
					t.Errorf("asked %d times in ten minutes, want at most %d", asked, test.most)
				}
				broken = false
				f.mu.Unlock()
				time.Sleep(40 * time.Minute)
				if n, _ := f.late(time.Now(), time.Hour); n > 0 || s.States()[0].Failing != "" {
					t.Errorf("%d accounts are not read again; %+v", n, s.States()[0])
				}
				cancel()
				running.Wait()
			})
		})
	}
}

// stuck is a network whose reads of some accounts end with their context, and a store that takes nothing of others.
type stuck struct {
	*reader
	reads, puts string
}

func (n *stuck) Read(ctx context.Context, accounts []string) ([]callsign.Change, error) {
	if accounts[0] == n.reads {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return n.reader.Read(ctx, accounts)
}

func (n *stuck) Put(ctx context.Context, changes []callsign.Change) ([]callsign.Status, error) {
	if changes[0].Account == n.puts {
		return nil, callsign.ErrUnavailable
	}
	return n.fleet.Put(ctx, changes)
}

func TestWhoTakesOverReadsWhatAStopCutShort(t *testing.T) {
	for sentence, n := range map[string]*stuck{
		"nothing":                 {},
		"a read":                  {reads: "5"},
		"a text that is not kept": {puts: "5"},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFleet(20)
				f.texts = func(string) string { return "new" }
				n.reader = &reader{fleet: f, limits: Limits{PerCall: 1, PerSecond: 10}}
				const interval = 100 * time.Second // a pass takes 80 of them
				s, err := NewSchedule(ScheduleOptions{Networks: []Network{{Name: "im", Provider: n, Interval: interval}}, Directory: f, Leases: f, Intake: n})
				if err != nil {
					t.Fatal(err)
				}
				now := time.Now().UnixMilli()
				phase := f.all[f.index["5"]].Phase
				pass := (interval * 4 / 5).Milliseconds()
				due := time.UnixMilli(now - now%pass + phase*pass/callsign.Phases)
				if due.Before(time.Now()) {
					due = due.Add(interval * 4 / 5)
				}
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { _ = s.Run(ctx) })
				time.Sleep(time.Until(due) + 20*time.Second)
				cancel()
				stopped := time.Now()
				running.Wait()
				for part, done := range f.shares.Take(callsign.Turn{Node: "other", Parts: shareParts, Term: shareTerm}, time.Now()) {
					if cut := n.reads+n.puts != ""; cut != !done.After(due) {
						t.Fatalf("who takes over part %d begins %v before the stop, and the account was due %v before", part, stopped.Sub(done), stopped.Sub(due))
					}
				}
			})
		})
	}
}

func TestTheStateIsToldWhilePartsComeAndGo(t *testing.T) {
	f := newFleet(1)
	s := (&reader{fleet: f, limits: Limits{PerCall: 1, PerSecond: 1}}).node(t, time.Minute)
	p := s.pollers["im"]
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for range 100_000 {
			p.setHeld(map[int]time.Time{0: time.Now()}, time.Now().Add(time.Minute))
			p.setHeld(nil, time.Now().Add(time.Minute))
		}
	}()
	for told := false; !told; {
		select {
		case <-ended:
			told = true
		default:
		}
		if state := s.States()[0]; state.Parts == 0 && state.Lag != 0 {
			t.Fatalf("nothing is held, and it is late: %+v", state)
		}
	}
}

func TestANodeThatGetsPartsLateReadsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFleet(20)
		s := (&reader{fleet: f, limits: Limits{PerCall: 1, PerSecond: 10}}).node(t, time.Minute)
		p := s.pollers["im"]
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		p.parts = 1
		hold := func() { p.setHeld(map[int]time.Time{0: time.Now()}, time.Now().Add(time.Hour)) }
		hold()
		p.limiter.SetLimit(0) // as where the parts are lost between plan's look and its wait
		running.Go(func() { p.plan(ctx) })
		time.Sleep(10 * time.Minute) // its one token is spent, and it waits for another
		f.mu.Lock()
		clear(f.read)
		clear(f.gap)
		f.mu.Unlock()
		hold()
		time.Sleep(2 * time.Minute)
		if n, worst := f.late(time.Now(), 2*time.Minute); n > 0 {
			t.Errorf("%d accounts are not read once the node may; the worst took %v", n, worst)
		}
		cancel()
		running.Wait()
	})
}
