package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/api"
	"github.com/callsign-as/callsign/gsmbridge"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/sipas"
	"github.com/callsign-as/callsign/sipas/relay"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/records"
	"github.com/callsign-as/callsign/store/redis"
)

type serveCommand struct {
	Config string `short:"c" placeholder:"FILE" help:"The configuration; without it defaults and environment."`
}

// Run serves until it is told to stop.
func (c serveCommand) Run(s surroundings) error {
	config, err := loadConfig(c.Config, s.environ)
	if err != nil {
		return usageError{err}
	}
	lines, err := newLogQueue(s.stderr, config.Log)
	if err != nil {
		return usageError{err}
	}
	defer lines.flush()
	log, err := newLog(lines, config.Log)
	if err != nil {
		return usageError{err}
	}
	d, err := newDaemon(&config, log)
	if err != nil {
		return err
	}
	for _, w := range warnings(&config) {
		log.Warn("nothing will be sent", "part", w.Part, "problem", w.Problem, "do", w.Do)
	}
	http := "nowhere"
	if d.listener != nil {
		http = d.listener.Addr().String()
	}
	log.Info("serving", "sip", config.SIP.Listen, "http", http, "store", config.Store.Redacted(), "version", version())
	return d.run(s.ctx)
}

// daemon is every room of one node, wired.
type daemon struct {
	config   *Config
	log      *slog.Logger
	metrics  *prometheus.Registry
	relay    *relay.Relay
	listener net.Listener // nil without http.listen
	admin    net.Listener // nil without http.admin
	engine   engine
	redis    *redis.Client         // nil without cache.url
	profiles *redis.Profiles       // likewise
	opening  atomic.Pointer[error] // why the store is not open yet; nil: it is
	draining atomic.Bool
	cached   *store.Cached
	optOuts  *store.OptOuts
	tenants  *store.Tenants
	journal  *store.Journal
	records  *records.Records // nil without records.dir
	bridge   *gsmbridge.Bridge
	workers  *sipas.Workers
	judge    *sigsync.Moderator
	intake   *sigsync.Intake
	links    *sigsync.Links
	schedule *sigsync.Schedule
	api      *api.Server
}

// newDaemon binds the sockets and builds the rooms; it opens nothing that may be away.
func newDaemon(config *Config, log *slog.Logger) (_ *daemon, err error) {
	metrics := prometheus.NewRegistry()
	d := &daemon{config: config, log: log, metrics: metrics}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo())
	room := func(name string) *slog.Logger { return log.With("room", name) }

	sip := config.SIP
	if sip.Secret, err = sipSecret(config); err != nil {
		return nil, err
	}
	d.relay, err = relay.New(relay.Options{Config: sip, Shards: runtime.GOMAXPROCS(0), Metrics: metrics, Log: room("relay")})
	if err != nil {
		return nil, fmt.Errorf("%w: if another process has it, stop that one or change sip.listen", err)
	}
	if config.HTTP.Listen != "" {
		if d.listener, err = net.Listen("tcp", config.HTTP.Listen); err != nil {
			return nil, fmt.Errorf("%w: if another process has it, stop that one or change http.listen", err)
		}
	}
	if config.HTTP.Admin != "" {
		if d.admin, err = net.Listen("tcp", config.HTTP.Admin); err != nil {
			return nil, fmt.Errorf("%w: if another process has it, stop that one or change http.admin", err)
		}
	}
	if at, err := netip.ParseAddrPort(config.HTTP.Listen); d.listener != nil && config.HTTP.TLS.Cert == "" && (err != nil || !at.Addr().IsLoopback()) {
		log.Warn("keys travel in the clear: set http.tls, or keep http.listen behind a proxy that speaks TLS", "http.listen", config.HTTP.Listen)
	}
	d.engine = newEngine(config.Store, room("store"))
	notYet := errors.New("it is not open yet")
	d.opening.Store(&notYet)
	var truth store.Truth = d.engine
	if config.Cache.URL != "" {
		if d.redis, err = redis.New(redis.Options{URL: config.Cache.URL, Prefix: config.Cache.Prefix, Secret: sip.Secret, Metrics: metrics, Log: room("redis")}); err != nil {
			return nil, err
		}
		d.profiles = redis.NewProfiles(d.redis, d.engine, metrics)
		truth = d.profiles
	}
	d.cached = store.NewCached(store.CachedOptions{
		Truth: truth, MaxBytes: config.Store.Memory << 20, Snapshot: config.inStateDir("memory.snapshot"), Metrics: metrics, Log: room("store"),
	})
	d.optOuts = store.NewOptOuts(store.OptOutsOptions{Keeper: d.engine, Metrics: metrics, Log: room("store")})
	d.tenants = store.NewTenants(d.engine, room("store"))
	d.journal = store.NewJournal(store.JournalOptions{
		Keep: d.engine, Wire: config.Store.KeepWire, Off: !config.Store.Timelines, Metrics: metrics, Log: room("journal"),
	})
	d.links = sigsync.NewLinks(sigsync.LinksOptions{
		Keeper: d.engine,
		Number: func(ctx context.Context, network, account string) (callsign.MSISDN, error) {
			return d.schedule.Number(ctx, network, account)
		},
		Linked: d.linked, Metrics: metrics, Log: room("links"),
	})
	committers := 1
	if config.Store.IsPostgres() {
		committers = 4
	}
	if d.judge, err = sigsync.NewModerator(config.Sync.Moderation, metrics, room("sigsync")); err != nil {
		return nil, err
	}
	d.intake = sigsync.NewIntake(sigsync.Options{
		Keeper: d.engine, Codes: d.links, Policies: d.engine, Tenants: d.tenants, Moderator: d.judge, Committers: committers, Metrics: metrics, Log: room("sigsync"),
	})
	handset := &api.Handset{
		Config: config.Keywords, Profiles: d.cached, Intake: d.intake, Subscribers: d.engine, Policies: d.engine, PolicyIntake: d.intake,
		Consents: d.engine, Audits: d.engine,
	}
	told := recorders{d.journal}
	if config.Records.Dir != "" {
		if d.records, err = records.New(records.Options{Config: config.Records, Metrics: metrics, Log: room("records")}); err != nil {
			return nil, err
		}
		told = append(told, d.records)
	}
	if d.bridge, err = gsmbridge.New(gsmbridge.Options{
		Config: config.SMPP, Inbox: api.NewKeywords(d.optOuts, d.links, handset, metrics), Recorder: told,
		Learned: config.inStateDir("links.json"), Metrics: metrics, Log: room("gsmbridge"),
	}); err != nil {
		return nil, err
	}
	repeat, err := config.Show.RepeatPeriod()
	if err != nil {
		return nil, err
	}
	limits := store.ClaimsOptions{
		Repeat: repeat, PerCaller: config.Show.PerCallerPerHour, PerSecond: config.Show.PerSecond, Metrics: metrics,
	}
	own := store.NewClaims(limits)
	var claims sipas.Claims = own
	if d.redis != nil {
		claims = redis.NewClaims(d.redis, own, limits)
	}
	if d.workers, err = sipas.New(sipas.Options{
		Config: config.Show, Profiles: d.cached, Claims: claims, OptOuts: d.optOuts, Tenants: d.tenants, Bridge: d.bridge, Recorder: told,
		Hush: d.relay.Hush, Metrics: metrics, Log: room("sipas"),
	}); err != nil {
		return nil, err
	}
	d.api, err = api.New(api.Options{
		Config: config.HTTP, Intake: d.intake, Importer: d.intake,
		Subscribers: d.engine, Directory: d.engine, Accounts: d.engine, Links: d.engine, Linker: d.links, Calls: d.engine, Eraser: d.engine, Keys: d.engine, KeyHashes: d.engine, Cursors: d.engine, Audits: d.engine,
		Reviews: d.engine, Judge: d.intake, Policies: d.engine, PolicyIntake: d.intake, TenantPolicies: d.engine,
		OptOuts: d.optOuts, OptOutRows: d.engine, Consents: d.engine, Clean: sigsync.Clean,
		WhatIf: d.whatIf, TestCall: d.testCall, Linked: d.linked, Networks: d.networks, Ready: d.problems, Gatherer: metrics, Metrics: metrics, Log: room("api"), Version: version(), Admin: d.admin,
	})
	if err != nil {
		return nil, err
	}
	d.schedule, err = d.newSchedule(room("sigsync"))
	return d, err
}

// recorders are told every line of a timeline, each.
type recorders []sipas.Recorder

// Record implements sipas.Recorder.
func (rs recorders) Record(e callsign.Event) {
	for _, r := range rs {
		r.Record(e)
	}
}

// newSchedule reads the networks of sync.providers. One whose secrets can't be had is left out and said: calls don't need it.
func (d *daemon) newSchedule(log *slog.Logger) (*sigsync.Schedule, error) {
	var networks []sigsync.Network
	for _, p := range d.config.Sync.Providers {
		provider, err := p.build(log.With("network", p.Network))
		if err != nil {
			log.Error("a network is not read: mend its settings in sync.providers and start again", "network", p.Network, "err", err)
			continue
		}
		networks = append(networks, sigsync.Network{Name: p.Network, Provider: provider, Interval: p.Interval})
	}
	var leases sigsync.Leases = d.engine
	if d.redis != nil {
		leases = leasesOf{redis.NewLeases(d.redis), d.engine}
	}
	return sigsync.NewSchedule(sigsync.ScheduleOptions{
		Networks: networks, Directory: d.engine, Leases: leases, Intake: d.intake,
		Disagrees: func(tenant, network, account string) { d.api.Resync(tenant, network, account) },
		Metrics:   d.metrics, Log: log,
	})
}

// linked has an account's text asked for: what it said before it was linked was not kept.
func (d *daemon) linked(tenant, network, account string) {
	d.api.Resync(tenant, network, account)
	d.schedule.Want(tenant, network, account)
}

// networks tells how reading goes on this node.
func (d *daemon) networks() (all []api.Network) {
	connector := map[string]string{}
	for _, p := range d.config.Sync.Providers {
		connector[p.Network] = p.Connector
	}
	for _, n := range d.schedule.States() {
		all = append(all, api.Network{
			Network: n.Network, Connector: connector[n.Network], Parts: n.Parts, OfParts: n.OfParts, Interval: n.Interval, Lag: n.Lag,
			Read: n.Read, Failing: n.Failing, Resting: n.Resting, Watching: n.Watching,
		})
	}
	return all
}

// leasesOf are Redis's, and the database's while Redis is away.
type leasesOf struct{ redis, database sigsync.Leases }

// Share implements sigsync.Leases.
func (l leasesOf) Share(ctx context.Context, name string, t callsign.Turn) (map[int]time.Time, error) {
	held, err := l.redis.Share(ctx, name, t)
	if errors.Is(err, callsign.ErrUnavailable) {
		return l.database.Share(ctx, name, t)
	}
	return held, err
}

func (d *daemon) close() {
	if d.relay != nil {
		d.relay.Close()
	}
	for _, l := range []net.Listener{d.listener, d.admin} {
		if l != nil {
			_ = l.Close()
		}
	}
	if d.redis != nil {
		_ = d.redis.Close()
	}
}

// run serves until ctx ends, then stops in the order in which things are needed: set-ups that ring go through first, for
// sip.drain at the longest; then the doors, so that what they took is kept; then those who work for calls; then what they
// write to. The relay forwards to the very end.
func (d *daemon) run(ctx context.Context) error {
	relaying := start(context.WithoutCancel(ctx), d.relay.Run)
	keepers := []func(context.Context) error{d.open, d.cached.Run, d.optOuts.Run, d.tenants.Run, d.journal.Run, d.intake.Run, d.judge.Run, d.forget}
	if d.redis != nil {
		keepers = append(keepers, d.redis.Run, d.profiles.Run)
	}
	if d.records != nil {
		keepers = append(keepers, d.records.Run)
	}
	keeping := start(context.WithoutCancel(ctx), keepers...)
	streams := make([]<-chan relay.Event, d.relay.Shards())
	for i := range streams {
		streams[i] = d.relay.Events(i)
	}
	calls := start(context.WithoutCancel(ctx), d.bridge.Run, func(ctx context.Context) error { return d.workers.Run(ctx, streams...) })
	doors := start(ctx, func(ctx context.Context) error { return d.api.Run(ctx, d.listener) }, d.schedule.Run)

	select {
	case <-ctx.Done():
	case <-relaying.failed:
	case <-keeping.failed:
	case <-calls.failed:
	case <-doors.failed:
	}
	d.log.Info("stopping", "waits_for_setups", d.config.SIP.Drain)
	d.draining.Store(true)
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.config.SIP.Drain)
	defer cancel()
	d.relay.Drain(within)
	err := errors.Join(doors.stop(), calls.stop(), keeping.stop(), d.engine.Close(), relaying.stop())
	if d.redis != nil {
		err = errors.Join(err, d.redis.Close())
	}
	return err
}

// stage is things that run together and stop together.
type stage struct {
	cancel context.CancelFunc
	group  *errgroup.Group
	failed <-chan struct{}
}

func start(ctx context.Context, runs ...func(context.Context) error) stage {
	ctx, cancel := context.WithCancel(ctx)
	group, running := errgroup.WithContext(ctx)
	for _, run := range runs {
		group.Go(func() error { return run(running) })
	}
	return stage{cancel, group, running.Done()}
}

func (s stage) stop() error {
	s.cancel()
	return s.group.Wait()
}

// open opens the store, however long it takes: calls go on without it.
func (d *daemon) open(ctx context.Context) error {
	for wait := time.Second; ; wait = min(2*wait, 15*time.Second) {
		err := d.engine.Open(ctx)
		if err == nil {
			d.opening.Store(nil)
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		d.opening.Store(&err)
		d.log.Error("the store can't be opened; calls go on, nothing is shown", "err", err, "again_in", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
	}
}

// forget removes old timelines, once an hour.
func (d *daemon) forget(ctx context.Context) error {
	tick := time.NewTicker(time.Hour)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			// By whole days, which PostgreSQL drops at once.
			n, err := d.engine.Forget(ctx, now.Add(-d.config.Store.KeepCalls).Truncate(24*time.Hour))
			if err != nil {
				d.log.Warn("old timelines could not be removed; it is tried again in an hour", "err", err)
			} else if n > 0 {
				d.log.Info("old timelines are removed", "calls", n)
			}
		}
	}
}

// problems is what /readyz tells: what does not work now and what to do about it.
func (d *daemon) problems() []api.Problem {
	problems := warnings(d.config)
	if d.draining.Load() {
		problems = append(problems, api.Problem{Part: "sip", Problem: "the node is told to stop and lets its set-ups through", Do: "nothing: send new calls to another node"})
	}
	if err := d.opening.Load(); err != nil {
		problems = append(problems, api.Problem{Part: "store", Problem: (*err).Error(), Do: "see store.url; it is tried again by itself"})
	} else {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := d.engine.Ping(ctx); err != nil {
			problems = append(problems, api.Problem{Part: "store", Problem: err.Error(), Do: "see that the store of store.url can be reached"})
		} else if !d.optOuts.Loaded() {
			problems = append(problems, api.Problem{Part: "opt-outs", Problem: "they are not read yet, so nothing is sent", Do: "nothing: they are read again by themselves"})
		} else if !d.tenants.Loaded() {
			problems = append(problems, api.Problem{Part: "policy", Problem: "tenants' policies are not read yet, so nothing is sent", Do: "nothing: they are read again by themselves"})
		}
	}
	if d.redis != nil && d.redis.Down() != nil {
		problems = append(problems, api.Problem{
			Part: "cache", Problem: d.redis.Down().Error(),
			Do: "see that Redis answers at cache.url within 50 ms; until it does, each node asks the store itself, and caps and show.repeat hold on each node for itself",
		})
	}
	if d.records != nil && d.records.Err() != nil {
		problems = append(problems, api.Problem{
			Part: "records", Problem: d.records.Err().Error(), Do: "see that records.dir can be written to and has room; until then records wait, and are lost beyond 8 MiB",
		})
	}
	if err := d.judge.Err(); err != nil {
		problems = append(problems, api.Problem{
			Part: "moderation", Problem: err.Error(), Do: "see that its files can be read and its reviewer answers; until then texts are held, or as sync.moderation says",
		})
	}
	for _, l := range d.bridge.Links() {
		if !l.Bound {
			problems = append(problems, api.Problem{Part: "smpp/" + l.Name, Problem: l.LastError, Do: "see that an SMSC answers at " + l.Address + "; it is tried again by itself"})
		}
	}
	return problems
}

// warnings are settings with which nothing would ever be sent, of a node that takes calls.
func warnings(c *Config) (problems []api.Problem) {
	if len(c.SIP.Listen) == 0 {
		return nil
	}
	if len(c.Show.CallerRanges) == 0 {
		problems = append(problems, api.Problem{
			Part: "show.caller_ranges", Problem: "it is empty, so nobody is sent any text",
			Do: "set it to the callers who may get texts, like [+8613], or [any]",
		})
	}
	if len(c.SMPP.Links) == 0 {
		problems = append(problems, api.Problem{
			Part: "smpp.links", Problem: "there is none, so no text can be sent",
			Do: "name an SMSC: smpp: {links: [{name: a, address: 127.0.0.1:2775, system_id: x, password: y, channel: flash}]}",
		})
	}
	return problems
}

// whatIf runs what a call would run: the same look-up, decision and rendering.
func (d *daemon) whatIf(ctx context.Context, in api.WhatIfRequest) (out api.WhatIfResult, err error) {
	profile, err := d.cached.Profile(ctx, in.Callee)
	if err != nil {
		return out, err
	}
	call := d.workers.Access(callsign.Call{Caller: in.Caller, Callee: in.Callee, Private: in.Private, At: in.At, Access: in.Access}, netip.Addr{}, in.At)
	decision := d.workers.Decide(call, profile, in.At)
	for _, r := range decision.Considered() {
		said := r.Verdict.String()
		switch {
		case r.Verdict == callsign.Passes:
			said = "yes"
		case r.Verdict == callsign.Refuses:
			said = "no (" + r.Refusal + ")"
		case r.Refusal != "":
			said += ", and shows nothing (" + r.Refusal + ")"
		}
		out.Reasons = append(out.Reasons, r.Rule+": "+said)
		out.Rules = append(out.Rules, api.WhatIfRule{Rule: r.Rule, Verdict: r.Verdict.String(), Refusal: r.Refusal})
	}
	out.Reasons = append(out.Reasons, d.access(call))
	if out.PerDay, out.PerCallee = decision.PerDay, decision.PerCallee; out.PerDay > 0 {
		out.Reasons = append(out.Reasons, fmt.Sprintf("texts that the caller gets within 24 hours: %d", out.PerDay))
	}
	if out.PerCallee > 0 {
		out.Reasons = append(out.Reasons, fmt.Sprintf("and of this callee: %d", out.PerCallee))
	}
	if out.Refusal = decision.Refusal; !decision.Show {
		return out, nil
	}
	r, err := d.bridge.Render(decision.Delivery(call, profile), "")
	if err != nil {
		return out, err
	}
	out.Show, out.Text, out.Channel, out.Coding = true, r.Text, r.Channel, r.Encoding
	out.Units, out.MaxUnits, out.Cut, out.Parts = r.Units, r.MaxUnits, r.Cut, r.Parts
	return out, nil
}

// access says over which access a caller comes, who told it, and what the phone takes besides calls.
func (d *daemon) access(c callsign.Call) string {
	said := "the caller's access: unknown"
	if c.Access != "" {
		said = fmt.Sprintf("the caller's access: %s (told by: %s)", c.Access, c.AccessFrom)
	}
	sms, ussi, known := d.workers.Takes(c.Caller, c.At)
	if !known {
		return said
	}
	has := map[bool]string{true: "yes", false: "no"}
	return said + "; registered: SMS over IP " + has[sms] + ", USSD over IP " + has[ussi]
}

type migrateCommand struct {
	Config string `short:"c" placeholder:"FILE" help:"The configuration; without it defaults and environment."`
}

// Run brings the schema up to date.
func (c migrateCommand) Run(s surroundings) error {
	config, err := loadConfig(c.Config, s.environ)
	if err != nil {
		return usageError{err}
	}
	engine, err := openEngine(s.ctx, &config, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer engine.Close()
	_, err = fmt.Fprintf(s.stdout, "%s: the schema is up to date\n", config.Store.Redacted())
	return err
}
