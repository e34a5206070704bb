package postgres

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
)

// day is a partition of calls and call_events: a day of UTC by the time in their ids.
type day int64

const (
	dayLength = 24 * time.Hour
	dayFormat = "20060102"
)

func dayOf(id callsign.CallID) day {
	var ms int64
	for _, b := range id[:6] {
		ms = ms<<8 | int64(b)
	}
	return day(ms / dayLength.Milliseconds())
}

func (d day) begins() time.Time { return time.UnixMilli(int64(d) * dayLength.Milliseconds()).UTC() }

// bound is the least id of a day, as SQL.
func (d day) bound() string { return `'\x` + hex.EncodeToString(firstCallID(d.begins())) + `'` }

// days are those whose partitions are there, as far as this node knows.
type days struct {
	mu    sync.Mutex
	known map[day]bool
}

func (d *days) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known = nil
}

// have makes the partitions of the days on which the events' calls began, where they are missing.
func (d *days) have(ctx context.Context, pool *pgxpool.Pool, events []callsign.Event) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, ev := range events {
		of := dayOf(ev.Call.ID)
		if d.known[of] {
			continue
		}
		if err := of.make(ctx, pool); err != nil {
			return err
		}
		if d.known == nil {
			d.known = map[day]bool{}
		}
		d.known[of] = true
	}
	return nil
}

func (d day) make(ctx context.Context, pool *pgxpool.Pool) error {
	return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lockDays); err != nil {
			return err
		}
		for _, table := range []string{"calls", "call_events"} {
			if _, err := tx.Exec(ctx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s_d%s PARTITION OF %s FOR VALUES FROM (%s) TO (%s)`,
				table, d.begins().Format(dayFormat), table, d.bound(), (d+1).bound())); err != nil {
				return err
			}
		}
		return nil
	})
}

// lockDays lets one node at a time make and drop partitions: two that did would wait for each other.
const lockDays = `SELECT pg_advisory_xact_lock(hashtext('callsign days'))`

// noPartition tells an insertion into a day that is not there.
func noPartition(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "23514" && pg.ConstraintName == ""
}

// Forget deletes the calls set up before then, of every tenant, with their events, and tells how many; on an error n were
// forgotten all the same. Days that are over then are dropped as a whole; only a part of a day is deleted row by row.
func (e *Engine) Forget(ctx context.Context, before time.Time) (n int64, err error) {
	err = e.read("forget calls", func(pool *pgxpool.Pool) error {
		for {
			calls, dropped, err := dropDay(ctx, pool, before.Add(-dayLength))
			if err != nil {
				return err
			}
			if !dropped {
				break
			}
			n += calls
		}
		e.days.forget()
		return e.forgetPart(ctx, pool, before, &n)
	})
	return n, err
}

// dropDay drops the first day if it had begun by then. Its calls are counted, for as long as that takes, before anything is
// locked that calls of today need.
func dropDay(ctx context.Context, pool *pgxpool.Pool, begun time.Time) (calls int64, dropped bool, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock(hashtext('callsign forgets'))`,
			pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		var day string
		err := tx.QueryRow(ctx, `SELECT substr(c.relname, 8) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
			WHERE i.inhparent = 'calls'::regclass AND c.relname ~ '^calls_d[0-9]{8}$' ORDER BY c.relname LIMIT 1`).Scan(&day)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && day > begun.UTC().Format(dayFormat) {
			return nil
		}
		if err == nil {
			err = tx.QueryRow(ctx, `SELECT count(*) FROM calls_d`+day).Scan(&calls)
		}
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `SET LOCAL statement_timeout TO DEFAULT; `+lockDays+`; DROP TABLE calls_d`+day+`, call_events_d`+day,
			pgx.QueryExecModeSimpleProtocol)
		dropped = true
		return err
	})
	return calls, dropped && err == nil, err
}

// forgetStep is how many calls one transaction deletes.
const forgetStep = 500

func (e *Engine) forgetPart(ctx context.Context, pool *pgxpool.Pool, before time.Time, n *int64) error {
	for step := int64(forgetStep); step == forgetStep; *n += step {
		tag, err := pool.Exec(ctx, `
			WITH old AS (SELECT id FROM calls WHERE id < $1 LIMIT $2),
			gone AS (DELETE FROM calls WHERE id IN (SELECT id FROM old) RETURNING id),
			lines AS (DELETE FROM call_events WHERE call_id IN (SELECT id FROM old))
			SELECT FROM gone`, firstCallID(before), forgetStep)
		if err != nil {
			return err
		}
		step = tag.RowsAffected()
	}
	return nil
}
