package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/callsign-as/callsign/api"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/postgres"
	"github.com/callsign-as/callsign/store/sqlite"
)

// engine is what a node has of its store: what each room uses, and what keeps it.
type engine interface {
	api.Subscribers
	api.Directory
	api.Accounts
	api.Links
	api.Calls
	api.Eraser
	api.Keys
	api.KeyHashes
	api.Cursors
	api.Audits
	api.Reviews
	sigsync.LinkKeeper
	api.Policies
	api.TenantPolicies
	api.Consents
	sigsync.Keeper
	sigsync.Policies
	sigsync.Directory
	sigsync.Leases
	store.Truth
	store.EventKeeper
	store.OptOutKeeper
	store.TenantKeeper

	Forget(ctx context.Context, before time.Time) (n int64, err error)
	Open(context.Context) error
	Ping(context.Context) error
	Close() error
}

// newEngine makes the engine of store.url. It isn't open yet.
func newEngine(c store.Config, log *slog.Logger) engine {
	if c.IsPostgres() {
		return postgres.New(postgres.Options{URL: c.URL, Log: log})
	}
	return sqlite.New(sqlite.Options{Path: c.Path(), Log: log})
}

// openEngine opens the store for a command.
func openEngine(ctx context.Context, c *Config, log *slog.Logger) (engine, error) {
	e := newEngine(c.Store, log)
	if err := e.Open(ctx); err != nil {
		return nil, err
	}
	return e, nil
}
