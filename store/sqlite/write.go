package sqlite

import (
	"context"
	"database/sql"
	"errors"

	"github.com/callsign-as/callsign"
)

// writing is a write transaction with the subscribers that it has changed so far.
type writing struct {
	*sql.Tx
	rev     uint64 // of this transaction; 0 until something changes
	changed map[callsign.MSISDN]struct{}
}

// write runs f in a transaction, commits it and tells the feed, all in this process's one turn: so the feed hears of
// changes in the order of their commits. Nothing is kept if f fails or ctx ends before the commit.
func (e *Engine) write(ctx context.Context, what string, f func(*writing) error) error {
	if err := e.take(ctx); err != nil {
		return e.failed(what, err)
	}
	defer e.release()
	file := e.file.Load()
	if file == nil {
		return e.failed(what, errNotOpen)
	}
	tx, err := file.writer.BeginTx(ctx, nil)
	if err != nil {
		return e.failed(what, err)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	w := &writing{Tx: tx, changed: map[callsign.MSISDN]struct{}{}}
	if err = f(w); err == nil {
		err = tx.Commit()
	}
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		err = ctx.Err() // with it the transaction was rolled back
	}
	if err != nil {
		return e.failed(what, err)
	}
	for m := range w.changed {
		e.feed.Tell(m, w.rev)
	}
	return nil
}

// revision notes that m changes and gives this transaction's revision, the next of the one counter.
func (w *writing) revision(ctx context.Context, m callsign.MSISDN) (uint64, error) {
	if w.rev == 0 {
		if err := w.QueryRowContext(ctx, `UPDATE revision SET rev = rev + 1 RETURNING rev`).Scan(&w.rev); err != nil {
			return 0, err
		}
	}
	w.changed[m] = struct{}{}
	return w.rev, nil
}

// raise gives m the transaction's revision, once.
func (w *writing) raise(ctx context.Context, m callsign.MSISDN) error {
	if _, done := w.changed[m]; done {
		return nil
	}
	rev, err := w.revision(ctx, m)
	if err != nil {
		return err
	}
	_, err = w.ExecContext(ctx, `UPDATE subscribers SET rev = ? WHERE msisdn = ?`, rev, m)
	return err
}
