// Package postgres is the engine for production: several nodes share one PostgreSQL. It refuses to know what a text means or
// who may ask. It owns the pool's goroutines and one for each feed; what an engine must keep is written down in storetest.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
)

const (
	// statementTimeout bounds every statement in the server itself: what waits for longer is of no use to anybody.
	statementTimeout = 5 * time.Second
	connectTimeout   = 3 * time.Second
	// connections is how many a node holds at the most, unless the URL's pool_max_conns says otherwise.
	connections = 10
)

// Options say where the database is. URL is required: postgres://USER:PASSWORD@HOST:PORT/DATABASE, with libpq's parameters
// and pgxpool's (pool_max_conns).
type Options struct {
	URL string
	Log *slog.Logger // nil: silent
}

// Engine keeps everything in one PostgreSQL database. Its methods may be called by many goroutines and nodes. Until it is
// open, once it is closed, and while the server can't be reached it answers ErrUnavailable.
type Engine struct {
	o      Options
	pool   atomic.Pointer[pgxpool.Pool] // nil until it is open
	days   days
	mu     sync.Mutex // one Open at a time
	closed chan struct{}
	once   sync.Once // of Close
}

// New makes an engine that isn't open yet, so that what needs it can be built before its server is there.
func New(o Options) *Engine {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Engine{o: o, closed: make(chan struct{})}
}

// Open connects and brings the schema up to date. After an error it may be called again: one that wraps ErrUnavailable
// may pass by itself (the server is away), any other needs somebody to act, and says how.
func (e *Engine) Open(ctx context.Context) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.isClosed():
		return e.failed("open", errClosed)
	case e.pool.Load() != nil:
		return nil
	}
	config, err := e.config()
	if err != nil {
		return err
	}
	schema, err := migrate(ctx, config.ConnConfig)
	if err != nil {
		return e.openError(config, err)
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return e.openError(config, err)
	}
	e.pool.Store(pool)
	e.o.Log.Info("database is open", "engine", "postgres", "host", config.ConnConfig.Host, "database", config.ConnConfig.Database, "schema", schema)
	return nil
}

func (e *Engine) config() (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(e.o.URL)
	if err != nil { // its own text holds the URL, and so the password
		return nil, errors.New("store.url can't be used: write postgres://USER:PASSWORD@HOST:PORT/DATABASE; special characters in the password as %XX")
	}
	if u, err := url.Parse(e.o.URL); err == nil && !u.Query().Has("pool_max_conns") {
		config.MaxConns = connections
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = connectTimeout
	}
	for name, value := range map[string]string{
		"application_name": "callsign", "synchronous_commit": "on",
		// Every statement finds its few rows by their keys, so one plan serves for all: the planner can't know how few rows an
		// array brings, nor that a key leads to one partition, and would plan anew for each look-up.
		"plan_cache_mode": "force_generic_plan", "enable_hashjoin": "off", "enable_mergejoin": "off",
		"statement_timeout":                   fmt.Sprint(statementTimeout.Milliseconds()),
		"idle_in_transaction_session_timeout": fmt.Sprint(statementTimeout.Milliseconds()),
	} {
		if _, said := config.ConnConfig.RuntimeParams[name]; !said {
			config.ConnConfig.RuntimeParams[name] = value
		}
	}
	return config, nil
}

func (e *Engine) openError(c *pgxpool.Config, err error) error {
	where := fmt.Sprintf("open database %s at %s:%d", c.ConnConfig.Database, c.ConnConfig.Host, c.ConnConfig.Port)
	hint := ""
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pg.Code {
		case "28000", "28P01":
			hint = "see user and password of store.url, and the server's pg_hba.conf"
		case "3D000":
			hint = "create the database: createdb -O " + c.ConnConfig.User + " " + c.ConnConfig.Database
		case "42501":
			hint = "let the user of store.url create tables: GRANT CREATE ON SCHEMA public TO " + c.ConnConfig.User
		}
	}
	if hint == "" {
		return e.failed(where, err)
	}
	return fmt.Errorf("%s: %w: %s", where, err, hint)
}

// Close ends the connections; what runs is ended too.
func (e *Engine) Close() error {
	e.once.Do(func() {
		close(e.closed)
		if pool := e.pool.Load(); pool != nil {
			pool.Close()
		}
	})
	return nil
}

var (
	errClosed  = fmt.Errorf("%w: it is closed", callsign.ErrUnavailable)
	errNotOpen = fmt.Errorf("%w: it is not open yet", callsign.ErrUnavailable)
)

// opened is the pool, once it is open and until it is closed.
func (e *Engine) opened() (*pgxpool.Pool, error) {
	switch pool := e.pool.Load(); {
	case e.isClosed():
		return nil, errClosed
	case pool == nil:
		return nil, errNotOpen
	default:
		return pool, nil
	}
}

// Ping reports whether the database answers.
func (e *Engine) Ping(ctx context.Context) error {
	pool, err := e.opened()
	if err == nil {
		_, err = pool.Exec(ctx, `SELECT 1 FROM revisions`)
	}
	return e.failed("ping", err)
}

// read runs f on the pool; what it says is mapped as every engine's.
func (e *Engine) read(what string, f func(*pgxpool.Pool) error) error {
	pool, err := e.opened()
	if err == nil {
		err = f(pool)
	}
	return e.failed(what, err)
}

// failed maps what the driver says to what every engine says.
func (e *Engine) failed(what string, err error) error {
	pg, fromServer := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		err = callsign.ErrNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, callsign.ErrUnavailable), errors.Is(err, callsign.ErrNotFound), errors.Is(err, callsign.ErrConflict),
		errors.Is(err, callsign.ErrChanged), errors.Is(err, callsign.ErrTooMany):
	case fromServer && pg.Code == "23505":
		err = fmt.Errorf("%w: %w", callsign.ErrConflict, err)
	case fromServer && !transient(pg.Code), errors.Is(err, errNewer):
	default: // the network, the pool, or a server in trouble
		err = fmt.Errorf("%w: %w", callsign.ErrUnavailable, err)
	}
	return fmt.Errorf("postgres: %s: %w", what, err)
}

// transient tells of an SQLSTATE whether the same call may succeed later: the server is starting, stopping, full, read-only
// for now, or gave up waiting (PostgreSQL's Appendix A).
func transient(code string) bool {
	switch code[:min(2, len(code))] {
	case "08", "25", "40", "53", "55", "57", "58", "XX":
		return true
	}
	return false
}

func (e *Engine) isClosed() bool {
	select {
	case <-e.closed:
		return true
	default:
		return false
	}
}

// octets is a string that PostgreSQL keeps as bytea, since it may hold any byte.
type octets string

// ScanBytes implements pgtype.BytesScanner.
func (o *octets) ScanBytes(b []byte) error {
	*o = octets(b)
	return nil
}

// BytesValue implements pgtype.BytesValuer.
func (o octets) BytesValue() ([]byte, error) { return []byte(o), nil }
