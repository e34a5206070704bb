// Package sqlite is the embedded engine: one file, one writer, no server. It refuses to know what a text means or who may
// ask. It owns no goroutine; what an engine must keep is written down in storetest.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	driver "modernc.org/sqlite"
	codes "modernc.org/sqlite/lib"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// Options say where the database is. Path is required; it is created if its directory exists.
type Options struct {
	Path string
	Log  *slog.Logger // nil: silent
}

// Engine keeps everything in one SQLite file. Its methods may be called by many goroutines; writes wait for each other.
// Other processes may use the same file meanwhile. Until it is open, and once it is closed, it answers ErrUnavailable.
type Engine struct {
	o      Options
	file   atomic.Pointer[file] // nil until it is open
	feed   store.Feed
	turn   chan struct{} // holds one value while a write transaction runs, and for ever once closed
	closed chan struct{}
	once   sync.Once    // of Close
	coming atomic.Int64 // the place of the last event among those of its call and microsecond
}

// file is an open database.
type file struct {
	writer  *sql.DB // one connection
	readers *sql.DB // a pool; they see what is committed and never wait for the writer
	profile *sql.Stmt
}

// New makes an engine that isn't open yet, so that what needs it can be built before its disk is there.
func New(o Options) *Engine {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	e := &Engine{o: o, turn: make(chan struct{}, 1), closed: make(chan struct{})}
	e.coming.Store(time.Now().UnixMicro()) // above what another life of this node gave
	return e
}

// Open is New and Engine.Open.
func Open(ctx context.Context, o Options) (*Engine, error) {
	e := New(o)
	if err := e.Open(ctx); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Open opens or creates the database and brings its schema up to date. After an error it may be called again: one that
// wraps ErrUnavailable may pass by itself (another process holds the file), any other needs somebody to act, and says how.
func (e *Engine) Open(ctx context.Context) error {
	if err := e.take(ctx); err != nil {
		return e.failed("open", err)
	}
	defer e.release()
	if e.file.Load() != nil {
		return nil
	}
	path, err := place(e.o.Path)
	if err != nil {
		return err
	}
	f := &file{}
	schema, err := f.open(ctx, path)
	if err != nil {
		return errors.Join(openError(path, err), f.close())
	}
	e.file.Store(f)
	e.o.Log.Info("database is open", "engine", "sqlite", "path", path, "schema", schema)
	return nil
}

func (f *file) open(ctx context.Context, path string) (schema int64, err error) {
	if f.writer, err = pool(path, 1, url.Values{"_txlock": {"immediate"}}); err != nil {
		return 0, err
	}
	if schema, err = migrate(ctx, f.writer); err != nil {
		return 0, err
	}
	if f.readers, err = pool(path, max(4, runtime.GOMAXPROCS(0)), url.Values{"_query_only": {"1"}}); err != nil {
		return 0, err
	}
	f.profile, err = f.readers.PrepareContext(ctx, profileQuery)
	return schema, err
}

func (f *file) close() (err error) {
	for _, db := range []*sql.DB{f.readers, f.writer} { // the last to leave empties the write-ahead log
		if db != nil {
			err = errors.Join(err, db.Close())
		}
	}
	return err
}

// place makes the path absolute and tells the mistakes that SQLite reports in riddles. A new file is private: it holds
// who calls whom.
func place(path string) (string, error) {
	if path == "" {
		return "", errors.New("no path of a database: set store.url, like sqlite://callsign.db")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("path of the database: %w", err)
	}
	dir := filepath.Dir(path)
	if st, err := os.Stat(dir); err != nil {
		return "", fmt.Errorf("the directory of the database %s: %w: create it, or set store.url to another path", path, err)
	} else if !st.IsDir() {
		return "", fmt.Errorf("%s is no directory, so no database can be in it: set store.url to another path", dir)
	}
	if st, err := os.Stat(path); err == nil && st.IsDir() {
		return "", fmt.Errorf("the database %s is a directory: set store.url to a file in it", path)
	}
	// Only a new file is opened here: closing a descriptor drops the POSIX locks that this process has on its file.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	switch {
	case err == nil:
		err = f.Close()
	case errors.Is(err, os.ErrExist):
		return path, nil
	}
	if err != nil {
		return "", fmt.Errorf("create the database: %w: let this user write to %s, or set store.url to another path", err, dir)
	}
	return path, nil
}

func pool(path string, size int, parameters url.Values) (*sql.DB, error) {
	parameters["_pragma"] = []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}
	parameters.Set("_dqs", "0")
	parameters.Set("_error_rc", "1")
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: parameters.Encode()}
	c, err := driver.NewConnector(dsn.String())
	if err != nil {
		return nil, err
	}
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}

func openError(path string, err error) error {
	if full(err) {
		return fmt.Errorf("open database %s: %w: its disk is full: make room on it", path, err)
	}
	var hint string
	switch code(err) {
	case codes.SQLITE_NOTADB:
		hint = "it is no SQLite database: move the file away, or set store.url to another path"
	case codes.SQLITE_CANTOPEN, codes.SQLITE_PERM, codes.SQLITE_READONLY, codes.SQLITE_AUTH:
		hint = "let this user read and write the file and its directory"
	case codes.SQLITE_CORRUPT:
		hint = "the file is damaged: restore it from a backup"
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED:
		return fmt.Errorf("open database %s: %w: another process holds it: %w", path, callsign.ErrUnavailable, err)
	default:
		return fmt.Errorf("open database %s: %w", path, err)
	}
	return fmt.Errorf("open database %s: %w: %s", path, err, hint)
}

// Close waits for the write that runs and closes the file.
func (e *Engine) Close() (err error) {
	e.once.Do(func() {
		e.turn <- struct{}{}
		close(e.closed)
		if f := e.file.Load(); f != nil {
			err = f.close()
		}
	})
	return err
}

// take waits for this process's one turn to write.
func (e *Engine) take(ctx context.Context) error {
	select {
	case e.turn <- struct{}{}:
		return nil
	case <-e.closed:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *Engine) release() { <-e.turn }

var (
	errClosed  = fmt.Errorf("%w: it is closed", callsign.ErrUnavailable)
	errNotOpen = fmt.Errorf("%w: it is not open yet", callsign.ErrUnavailable)
)

// query and queryRow read what is committed.
func (e *Engine) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	f := e.file.Load()
	if f == nil {
		return nil, errNotOpen
	}
	return f.readers.QueryContext(ctx, query, args...)
}

func (e *Engine) queryRow(ctx context.Context, query string, args ...any) func(...any) error {
	f := e.file.Load()
	if f == nil {
		return func(...any) error { return errNotOpen }
	}
	return f.readers.QueryRowContext(ctx, query, args...).Scan
}

// Ping reports whether the database answers.
func (e *Engine) Ping(ctx context.Context) error {
	var rev int64
	return e.failed("ping", e.queryRow(ctx, `SELECT rev FROM revision`)(&rev))
}

// failed maps what the driver says to what every engine says.
func (e *Engine) failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		err = callsign.ErrNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, callsign.ErrUnavailable):
	case full(err):
		err = fmt.Errorf("%w: %w: the disk of %s is full: make room on it, a restart isn't needed", callsign.ErrUnavailable, err, e.o.Path)
	case e.isClosed(), errors.Is(err, sql.ErrConnDone), errors.Is(err, sql.ErrTxDone), transient(err):
		err = fmt.Errorf("%w: %w", callsign.ErrUnavailable, err)
	case unique(err):
		err = fmt.Errorf("%w: %w", callsign.ErrConflict, err)
	}
	return fmt.Errorf("sqlite: %s: %w", what, err)
}

func (e *Engine) isClosed() bool {
	select {
	case <-e.closed:
		return true
	default:
		return false
	}
}

// code is SQLite's primary result code, 0 if err is none of its.
func code(err error) int { return extended(err) & 0xff }

func extended(err error) int {
	if de, ok := errors.AsType[*driver.Error](err); ok {
		return de.Code()
	}
	return 0
}

// transient tells what ends when the disk, the lock or the operator does: the same call may succeed later.
func transient(err error) bool {
	switch code(err) {
	case codes.SQLITE_BUSY, codes.SQLITE_LOCKED, codes.SQLITE_IOERR, codes.SQLITE_FULL, codes.SQLITE_CANTOPEN,
		codes.SQLITE_READONLY, codes.SQLITE_NOMEM, codes.SQLITE_INTERRUPT, codes.SQLITE_PROTOCOL, codes.SQLITE_CORRUPT,
		codes.SQLITE_NOTADB:
		return true
	}
	return false
}

// full tells that the disk has no room for what is written, or for the index of the write-ahead log, which is made first.
func full(err error) bool {
	return code(err) == codes.SQLITE_FULL || extended(err) == codes.SQLITE_IOERR_SHMSIZE
}

func unique(err error) bool {
	x := extended(err)
	return x == codes.SQLITE_CONSTRAINT_UNIQUE || x == codes.SQLITE_CONSTRAINT_PRIMARYKEY
}
