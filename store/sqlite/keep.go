package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// keepUpdate is Stamp.Newer as a WHERE: the greater (epoch, version) wins; of two timed writes of one microsecond the
// later received one does, unless it says nothing new. An account that has said nothing (epoch IS NULL) takes anything. stands is
// Signature.Stands.
const (
	keepUpdate = `
UPDATE accounts SET text = ?4, lang = ?6, epoch = ?7, version = ?8, at = ?9, expires = ?10, origin = ?11,
  shown = iif(` + stands + `, shown, ?5), review = iif(` + stands + `, review, ?13), reason = iif(` + stands + `, reason, ?14),
  reviewed = iif(` + stands + `, reviewed, 0)
WHERE tenant = ?1 AND network = ?2 AND account = ?3
  AND (epoch IS NULL OR (?7, ?8) > (epoch, version) OR (?7, ?8) = (epoch, version) AND epoch = ?12 AND text <> ?4)
RETURNING msisdn, review`
	stands = `text = ?4 AND (reviewed <> 0 OR review = '' AND ?13 = 'pending')`
)

// Keep commits the entries in their order, all or none, and returns after the commit.
func (e *Engine) Keep(ctx context.Context, entries []callsign.Entry) ([]callsign.Status, error) {
	statuses := make([]callsign.Status, len(entries))
	err := e.write(ctx, "keep", func(w *writing) error {
		update, err := w.PrepareContext(ctx, keepUpdate)
		if err != nil {
			return err
		}
		defer func() { _ = update.Close() }()
		cursors, err := w.cursors(ctx, entries)
		if err != nil {
			return err
		}
		for i, entry := range entries {
			of := source{entry.Tenant, entry.Source}
			again := entry.Received && entry.Seq > 0 && entry.Seq <= cursors[of]
			if entry.Seq > 0 { // whatever becomes of it: a source isn't asked for it again
				cursors[of] = max(cursors[of], entry.Seq)
			}
			if statuses[i], err = w.keep(ctx, update, entry, again); err != nil {
				return fmt.Errorf("entry %d of %d: %w", i+1, len(entries), err)
			}
		}
		return w.raiseCursors(ctx, cursors)
	})
	if err != nil {
		return nil, err
	}
	return statuses, nil
}

// keep writes one entry. One that comes again under the time of its receipt wins over nothing that was said: what it once
// lost to, or what came after it, stands.
func (w *writing) keep(ctx context.Context, update *sql.Stmt, en callsign.Entry, again bool) (callsign.Status, error) {
	if en.Refused {
		return callsign.Rejected, nil
	}
	if again {
		var silent bool
		err := w.QueryRowContext(ctx, `SELECT epoch IS NULL FROM accounts WHERE tenant = ? AND network = ? AND account = ?`,
			en.Tenant, en.Network, en.Account).Scan(&silent)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return callsign.Unlinked, nil
		case err != nil:
			return "", err
		case !silent:
			return callsign.Duplicate, nil
		}
	}
	var (
		m      callsign.MSISDN
		review callsign.Review
	)
	err := update.QueryRowContext(ctx, en.Tenant, en.Network, en.Account, en.Text, en.Shown, en.Lang,
		en.Stamp.Epoch, en.Stamp.Version, store.Micros(en.At), store.Micros(en.Expires), en.Origin(), callsign.TimedEpoch, en.Review, en.Reason).Scan(&m, &review)
	if err == nil {
		return review.Status(), w.raise(ctx, m)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	// It lost, and this transaction holds the only lock: the row says why.
	var same bool
	err = w.QueryRowContext(ctx, `
		SELECT (epoch, version) = (?, ?) FROM accounts WHERE tenant = ? AND network = ? AND account = ?`,
		en.Stamp.Epoch, en.Stamp.Version, en.Tenant, en.Network, en.Account).Scan(&same)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return callsign.Unlinked, nil
	case err != nil:
		return "", err
	case same:
		return callsign.Duplicate, nil
	}
	return callsign.Stale, nil
}

// source is whose events are numbered together.
type source struct{ tenant, name string }

// cursors are the greatest durable Seq of each source that numbers entries, as they stand before them.
func (w *writing) cursors(ctx context.Context, entries []callsign.Entry) (map[source]int64, error) {
	cursors := map[source]int64{}
	for _, en := range entries {
		of := source{en.Tenant, en.Source}
		if _, known := cursors[of]; known || en.Seq == 0 {
			continue
		}
		var seq int64
		err := w.QueryRowContext(ctx, `SELECT seq FROM sources WHERE tenant = ? AND source = ?`, of.tenant, of.name).Scan(&seq)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("cursor of source %q: %w", of.name, err)
		}
		cursors[of] = seq
	}
	return cursors, nil
}

// raiseCursors makes them durable.
func (w *writing) raiseCursors(ctx context.Context, cursors map[source]int64) error {
	for of, seq := range cursors {
		if _, err := w.ExecContext(ctx, `
			INSERT INTO sources (tenant, source, seq) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)`, of.tenant, of.name, seq); err != nil {
			return fmt.Errorf("seq %d of source %q: %w", seq, of.name, err)
		}
	}
	return nil
}

// Cursor is the greatest durable Seq of a source, 0 if it has none: the source resumes with the next.
func (e *Engine) Cursor(ctx context.Context, tenant, source string) (int64, error) {
	var seq int64
	err := e.queryRow(ctx, `SELECT seq FROM sources WHERE tenant = ? AND source = ?`, tenant, source)(&seq)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return seq, e.failed("cursor", err)
}
