package store

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

// optOutPage is how many opt-outs are read at once.
const optOutPage = 1000

// OptOutKeeper is what OptOuts asks an engine.
type OptOutKeeper interface {
	OptOut(context.Context, callsign.OptOut) (changed bool, err error)
	OptIn(ctx context.Context, caller, callee callsign.MSISDN) (changed bool, err error)
	// OptOuts are at most limit of them beyond after, in the order of caller and callee.
	OptOuts(ctx context.Context, after callsign.OptOut, limit int) ([]callsign.OptOut, error)
	OptOutsOf(ctx context.Context, caller callsign.MSISDN) ([]callsign.OptOut, error)
	// Changes tells of one with its caller's number and revision 0.
	Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error
}

// OptOutsOptions are what OptOuts are made of. Keeper is required.
type OptOutsOptions struct {
	Keeper  OptOutKeeper
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

type optOutKey struct{ caller, callee callsign.MSISDN }

// OptOuts has all opt-outs in memory, so that a lost store silences nobody and lets nobody be sent what they refused. One
// has 16 bytes, a map of them 20 to 40 for each: 100,000 take 4 MB at the most, twice that while all are read again.
type OptOuts struct {
	o    OptOutsOptions
	wake chan struct{} // holds one value while something has to be read

	mu      sync.Mutex
	refused map[optOutKey]struct{} // nil until all were read once
	own     map[optOutKey]struct{} // what this node has committed since the read under way began, which may not have it
	all     bool                   // all have to be read
	changed map[callsign.MSISDN]struct{}
}

// NewOptOuts makes them. They know nothing until Run has read them.
func NewOptOuts(o OptOutsOptions) *OptOuts {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	os := &OptOuts{o: o, wake: make(chan struct{}, 1), all: true, changed: map[callsign.MSISDN]struct{}{}}
	gauge := func(name, help string, of func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			os.mu.Lock()
			defer os.mu.Unlock()
			return of()
		})
	}
	register(o.Metrics,
		gauge("callsign_opt_outs", "Opt-outs in memory.", func() float64 { return float64(len(os.refused)) }),
		gauge("callsign_opt_outs_loaded", "1 once all opt-outs were read; until then nothing is sent.", func() float64 {
			if os.refused == nil {
				return 0
			}
			return 1
		}))
	return os
}

// Refuses tells whether the caller wants no texts of calls to callee. It is not known until all opt-outs were read once.
func (os *OptOuts) Refuses(caller, callee callsign.MSISDN) (refused, known bool) {
	os.mu.Lock()
	defer os.mu.Unlock()
	_, every := os.refused[optOutKey{caller, 0}]
	_, this := os.refused[optOutKey{caller, callee}]
	return every || this, os.refused != nil
}

// Loaded tells whether all were read once.
func (os *OptOuts) Loaded() bool {
	_, known := os.Refuses(0, 0)
	return known
}

// OptOut is the engine's. Once it returns, this node obeys.
func (os *OptOuts) OptOut(ctx context.Context, o callsign.OptOut) (changed bool, err error) {
	if changed, err = os.o.Keeper.OptOut(ctx, o); err == nil {
		os.put(optOutKey{o.Caller, o.Callee})
	}
	return changed, err
}

// OptIn is the engine's. This node, too, sends again once the feed has told it: an opt-out that another node takes
// meanwhile must not be undone here.
func (os *OptOuts) OptIn(ctx context.Context, caller, callee callsign.MSISDN) (changed bool, err error) {
	return os.o.Keeper.OptIn(ctx, caller, callee)
}

// put is of what was committed just now. It is read again, should it be undone by now.
func (os *OptOuts) put(k optOutKey) {
	os.mu.Lock()
	defer os.mu.Unlock()
	if os.own != nil {
		os.own[k] = struct{}{}
	}
	if os.refused != nil {
		os.refused[k] = struct{}{}
	}
	os.due(func() { os.changed[k.caller] = struct{}{} })
}

// due notes with mu held what has to be read.
func (os *OptOuts) due(note func()) {
	note()
	select {
	case os.wake <- struct{}{}:
	default:
	}
}

// Run reads all and follows the changes until ctx ends. What can't be read, and a feed that ends, are tried again; what
// memory has stays.
func (os *OptOuts) Run(ctx context.Context) error {
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() { os.read(ctx) })
	os.again(ctx, "the feed of opt-outs ended; it is tried again", func() error {
		return os.o.Keeper.Changes(ctx, func(m callsign.MSISDN, rev uint64) {
			if rev > 0 {
				return // a profile's
			}
			os.mu.Lock()
			defer os.mu.Unlock()
			os.due(func() { os.changed[m] = struct{}{} })
		}, func() {
			os.mu.Lock()
			defer os.mu.Unlock()
			os.due(func() { os.all = true })
		})
	})
	return nil
}

// again does it until ctx ends, sooner after it went well than after an error.
func (os *OptOuts) again(ctx context.Context, problem string, do func() error) {
	const least, most = 50 * time.Millisecond, time.Second
	for wait := least; ; wait = min(2*wait, most) {
		began, err := time.Now(), do()
		if ctx.Err() != nil {
			return
		}
		if err == nil || time.Since(began) > most {
			wait = least
		}
		if err != nil {
			os.o.Log.Debug(problem, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// read reads, as it becomes due.
func (os *OptOuts) read(ctx context.Context) {
	os.again(ctx, "opt-outs can't be read; it is tried again", func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-os.wake:
			}
			if err := os.catchUp(ctx); err != nil {
				return err
			}
		}
	})
}

// catchUp reads what is due. After an error it still is.
func (os *OptOuts) catchUp(ctx context.Context) (err error) {
	os.mu.Lock()
	all, changed := os.all, os.changed
	os.all, os.changed, os.own = false, map[callsign.MSISDN]struct{}{}, map[optOutKey]struct{}{}
	os.mu.Unlock()
	defer func() {
		os.mu.Lock()
		defer os.mu.Unlock()
		os.own = nil
		if err != nil {
			os.due(func() {
				os.all = os.all || all
				maps.Copy(os.changed, changed)
			})
		}
	}()
	if all {
		got, err := os.load(ctx)
		if err == nil {
			os.replace(got)
		}
		return err
	}
	for m := range changed {
		got, err := os.o.Keeper.OptOutsOf(ctx, m)
		if err != nil {
			return err
		}
		os.replaceOf(m, got)
	}
	return nil
}

func (os *OptOuts) load(ctx context.Context) (map[optOutKey]struct{}, error) {
	got, after := map[optOutKey]struct{}{}, callsign.OptOut{}
	for {
		page, err := os.o.Keeper.OptOuts(ctx, after, optOutPage)
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			got[optOutKey{o.Caller, o.Callee}] = struct{}{}
		}
		if len(page) < optOutPage {
			return got, nil
		}
		after = page[len(page)-1]
	}
}

func (os *OptOuts) replace(got map[optOutKey]struct{}) {
	os.mu.Lock()
	defer os.mu.Unlock()
	maps.Copy(got, os.own)
	os.refused = got
}

// replaceOf is for one caller, after all were read once.
func (os *OptOuts) replaceOf(m callsign.MSISDN, got []callsign.OptOut) {
	os.mu.Lock()
	defer os.mu.Unlock()
	maps.DeleteFunc(os.refused, func(k optOutKey, _ struct{}) bool { return k.caller == m })
	for _, o := range got {
		os.refused[optOutKey{m, o.Callee}] = struct{}{}
	}
	for k := range os.own {
		if k.caller == m {
			os.refused[k] = struct{}{}
		}
	}
}
