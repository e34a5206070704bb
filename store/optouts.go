package store

import (
	"context"
	"log/slog"
	"maps"
	"slices"
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
	OptIn(context.Context, callsign.OptOut) (changed bool, err error)
	OptInAll(ctx context.Context, caller callsign.MSISDN) (changed bool, err error)
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

// refusals are, by caller, the callees of whose calls they want no texts, or only some.
type refusals map[callsign.MSISDN][]refusal

// refusal is 16 bytes.
type refusal struct {
	callee callsign.MSISDN // 0: all
	perDay int16           // as a callsign.OptOut's
}

// add lets the stricter stand of two of one callee.
func (r refusals) add(caller callsign.MSISDN, more ...refusal) {
	for _, m := range more {
		i := slices.IndexFunc(r[caller], func(is refusal) bool { return is.callee == m.callee })
		if i < 0 {
			r[caller] = append(r[caller], m)
		} else {
			r[caller][i].perDay = min(r[caller][i].perDay, m.perDay)
		}
	}
}

func refusalOf(o callsign.OptOut) refusal { return refusal{o.Callee, int16(o.PerDay)} }

// OptOuts has all opt-outs in memory, so that a lost store silences nobody and lets nobody be sent what they refused. A
// caller who has opted out of everything takes some 68 bytes: 100,000 of them 7 MB, twice that while all are read again.
type OptOuts struct {
	o    OptOutsOptions
	wake chan struct{} // holds one value while something has to be read

	mu      sync.Mutex
	refused refusals // nil until all were read once
	own     refusals // what this node has committed since the read under way began, which may not have it
	all     bool     // all have to be read
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
		gauge("callsign_opt_outs", "Callers in memory who have opted out, or want only so many texts a day.", func() float64 { return float64(len(os.refused)) }),
		gauge("callsign_opt_outs_loaded", "1 once all opt-outs were read; until then nothing is sent.", func() float64 {
			if os.refused == nil {
				return 0
			}
			return 1
		}))
	return os
}

// Wants tells what the caller wants of calls to callee. It is not known until all opt-outs were read once.
func (os *OptOuts) Wants(caller, callee callsign.MSISDN) (w callsign.Wants, known bool) {
	os.mu.Lock()
	defer os.mu.Unlock()
	for _, r := range os.refused[caller] {
		switch r.callee {
		case 0:
			w.PerDay = int(r.perDay)
		case callee:
			w.PerCallee = int(r.perDay)
		default:
			continue
		}
		w.None = w.None || r.perDay == 0
	}
	return w, os.refused != nil
}

// Loaded tells whether all were read once.
func (os *OptOuts) Loaded() bool {
	_, known := os.Wants(0, 0)
	return known
}

// OptOut is the engine's. Once it returns, this node obeys; one that is less strict than what it takes the place of holds here, too, once
// the feed has told it.
func (os *OptOuts) OptOut(ctx context.Context, o callsign.OptOut) (changed bool, err error) {
	if changed, err = os.o.Keeper.OptOut(ctx, o); err == nil {
		os.put(o)
	}
	return changed, err
}

// OptIn is the engine's. This node, too, sends again once the feed has told it: an opt-out that another node takes
// meanwhile must not be undone here.
func (os *OptOuts) OptIn(ctx context.Context, o callsign.OptOut) (changed bool, err error) {
	return os.o.Keeper.OptIn(ctx, o)
}

// OptInAll is the engine's, and told as OptIn is.
func (os *OptOuts) OptInAll(ctx context.Context, caller callsign.MSISDN) (changed bool, err error) {
	return os.o.Keeper.OptInAll(ctx, caller)
}

// put is of what was committed just now, or of what is no stricter than the row that stands in its place. It is read again, should it be
// undone by now.
func (os *OptOuts) put(o callsign.OptOut) {
	os.mu.Lock()
	defer os.mu.Unlock()
	if os.own != nil {
		os.own.add(o.Caller, refusalOf(o))
	}
	if os.refused != nil {
		os.refused.add(o.Caller, refusalOf(o))
	}
	os.due(func() { os.changed[o.Caller] = struct{}{} })
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
	again(ctx, os.o.Log, "the feed of opt-outs ended; it is tried again", func() error {
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
func again(ctx context.Context, log *slog.Logger, problem string, do func() error) {
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
			log.Debug(problem, "err", err)
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
	again(ctx, os.o.Log, "opt-outs can't be read; it is tried again", func() error {
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
	os.all, os.changed, os.own = false, map[callsign.MSISDN]struct{}{}, refusals{}
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

func (os *OptOuts) load(ctx context.Context) (refusals, error) {
	got, after := refusals{}, callsign.OptOut{}
	for {
		page, err := os.o.Keeper.OptOuts(ctx, after, optOutPage)
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			got.add(o.Caller, refusalOf(o))
		}
		if len(page) < optOutPage {
			return got, nil
		}
		after = page[len(page)-1]
	}
}

func (os *OptOuts) replace(got refusals) {
	os.mu.Lock()
	defer os.mu.Unlock()
	for caller, own := range os.own {
		got.add(caller, own...)
	}
	os.refused = got
}

// replaceOf is for one caller, after all were read once.
func (os *OptOuts) replaceOf(m callsign.MSISDN, got []callsign.OptOut) {
	os.mu.Lock()
	defer os.mu.Unlock()
	delete(os.refused, m)
	for _, o := range got {
		os.refused.add(m, refusalOf(o))
	}
	os.refused.add(m, os.own[m]...)
}
