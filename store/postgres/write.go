package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/callsign-as/callsign"
)

// channel is where NOTIFY tells of changes, as "MSISDN REV,MSISDN REV…".
const channel = "callsign_changes"

// toldAtOnce is how many changes one NOTIFY tells: 8000 bytes are its limit, a change has 36 at the most.
const toldAtOnce = 200

// writing is a write transaction with the subscribers that it has changed so far.
type writing struct {
	pgx.Tx
	changed map[callsign.MSISDN]uint64
}

// write runs f in a transaction, with NOTIFY for what it changed. Where two writers wait for each other, one of them is
// run again. Nothing is kept if f fails or ctx ends before the commit.
func (e *Engine) write(ctx context.Context, what string, f func(*writing) error) error {
	pool, err := e.opened()
	if err != nil {
		return e.failed(what, err)
	}
	for range 3 {
		err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			w := &writing{tx, map[callsign.MSISDN]uint64{}}
			if err := f(w); err != nil {
				return err
			}
			return w.notify(ctx)
		})
		if !deadlock(err) {
			break
		}
	}
	return e.failed(what, err)
}

func deadlock(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "40P01" || pg.Code == "40001")
}

func (w *writing) notify(ctx context.Context) error {
	var payloads []string
	var b strings.Builder
	n := 0
	for m, rev := range w.changed {
		if n++; n > 1 && n%toldAtOnce == 1 {
			payloads = append(payloads, b.String())
			b.Reset()
		}
		if b.Len() > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%d %d", m, rev)
	}
	if b.Len() > 0 {
		payloads = append(payloads, b.String())
	}
	if payloads == nil {
		return nil
	}
	_, err := w.Exec(ctx, `SELECT pg_notify($1, p) FROM unnest($2::text[]) AS p`, channel, payloads)
	return err
}

// lock keeps other writers from a tenant's subscriber until the commit; ErrNotFound if it has none of that number.
func (w *writing) lock(ctx context.Context, tenant string, m callsign.MSISDN) error {
	var one int
	return w.QueryRow(ctx, `SELECT 1 FROM subscribers WHERE tenant = $1 AND msisdn = $2 FOR NO KEY UPDATE`, tenant, m).Scan(&one)
}

// raise gives a locked subscriber its next revision.
func (w *writing) raise(ctx context.Context, m callsign.MSISDN) error {
	var rev uint64
	err := w.QueryRow(ctx, `UPDATE subscribers SET rev = nextval('revisions') WHERE msisdn = $1 RETURNING rev`, m).Scan(&rev)
	w.changed[m] = rev
	return err
}

// changes notes the numbers and revisions that a statement returns.
func (w *writing) changes(rows pgx.Rows) error {
	var (
		m   callsign.MSISDN
		rev uint64
	)
	_, err := pgx.ForEachRow(rows, []any{&m, &rev}, func() error {
		w.changed[m] = max(w.changed[m], rev)
		return nil
	})
	return err
}

// one runs a statement that must meet a row, and gives ErrNotFound if it didn't.
func (w *writing) one(ctx context.Context, query string, args ...any) error {
	tag, err := w.Exec(ctx, query, args...)
	if err == nil && tag.RowsAffected() == 0 {
		return callsign.ErrNotFound
	}
	return err
}
