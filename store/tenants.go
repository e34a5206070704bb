package store

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/callsign-as/callsign"
)

// TenantDocument is a tenant's policy as an engine keeps it.
type TenantDocument struct {
	Rev  uint64
	JSON string
}

// Policy is the policy that it holds, whole as ParsePolicy has it.
func (d TenantDocument) Policy() (p callsign.TenantPolicy, err error) {
	err = readWhole(d.JSON, &p)
	return p, err
}

// TenantPolicyOf is a tenant's policy among all, with its revision; ErrNotFound if it has none.
func TenantPolicyOf(all map[string]TenantDocument, tenant string) (p callsign.TenantPolicy, rev uint64, err error) {
	d, there := all[tenant]
	if !there {
		return p, 0, callsign.ErrNotFound
	}
	p, err = d.Policy()
	return p, d.Rev, err
}

// TenantKeeper is what Tenants asks an engine. Changes tells of a tenant's policy with number 0 and a revision.
type TenantKeeper interface {
	TenantPolicies(context.Context) (map[string]TenantDocument, error)
	Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error
}

// Tenants has all tenants' policies in memory. They are few, and read together whenever one changes. What can't be read leaves those
// that are there; until all were read once nothing is known, and nothing sent.
type Tenants struct {
	keeper TenantKeeper
	log    *slog.Logger
	wake   chan struct{} // holds one value while they have to be read
	all    atomic.Pointer[map[string]*callsign.Tenant]
}

// NewTenants makes them; log may be nil. They know nothing until Run has read them.
func NewTenants(k TenantKeeper, log *slog.Logger) *Tenants {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Tenants{keeper: k, log: log, wake: make(chan struct{}, 1)}
}

// Tenant is a tenant's policy, nil if it has none; it is not known until all were read once.
func (ts *Tenants) Tenant(name string) (t *callsign.Tenant, known bool) {
	all := ts.all.Load()
	if all == nil {
		return nil, false
	}
	return (*all)[name], true
}

// Loaded tells whether all were read once.
func (ts *Tenants) Loaded() bool { return ts.all.Load() != nil }

// Run reads all and follows the changes until ctx ends.
func (ts *Tenants) Run(ctx context.Context) error {
	due := func() {
		select {
		case ts.wake <- struct{}{}:
		default:
		}
	}
	var reader sync.WaitGroup
	defer reader.Wait()
	reader.Go(func() {
		again(ctx, ts.log, "tenants' policies can't be read; it is tried again", func() error {
			due() // after an error they still are
			for {
				select {
				case <-ctx.Done():
					return nil
				case <-ts.wake:
				}
				if err := ts.read(ctx); err != nil {
					return err
				}
			}
		})
	})
	again(ctx, ts.log, "the feed of tenants' policies ended; it is tried again", func() error {
		return ts.keeper.Changes(ctx, func(m callsign.MSISDN, _ uint64) {
			if m == 0 {
				due()
			}
		}, due)
	})
	return nil
}

func (ts *Tenants) read(ctx context.Context) error {
	documents, err := ts.keeper.TenantPolicies(ctx)
	if err != nil {
		return err
	}
	all := map[string]*callsign.Tenant{}
	for name, d := range documents {
		p, err := d.Policy()
		if err == nil {
			all[name], err = p.Compile(d.Rev)
		}
		if err != nil { // a newer version's, or a time zone that this node doesn't know
			ts.log.Error("a tenant's policy can't be used; calls to its subscribers are shown nothing: put it again", "tenant", name, "err", err)
			all[name] = callsign.Silent()
		}
	}
	ts.all.Store(&all)
	return nil
}
