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
// later received one does, unless it says nothing new. An account that has said nothing (epoch IS NULL) takes anything.
const keepUpdate = `
UPDATE accounts SET text = ?4, shown = ?5, lang = ?6, epoch = ?7, version = ?8, at = ?9, expires = ?10, origin = ?11
WHERE tenant = ?1 AND network = ?2 AND account = ?3
  AND (epoch IS NULL OR (?7, ?8) > (epoch, version) OR (?7, ?8) = (epoch, version) AND epoch = ?12 AND text <> ?4)
RETURNING msisdn`

// Keep commits the entries in their order, all or none, and returns after the commit.
func (e *Engine) Keep(ctx context.Context, entries []callsign.Entry) ([]callsign.Status, error) {
	statuses := make([]callsign.Status, len(entries))
	err := e.write(ctx, "keep", func(w *writing) error {
		update, err := w.PrepareContext(ctx, keepUpdate)
		if err != nil {
			return err
		}
		defer func() { _ = update.Close() }()
		durable, err := w.durable(ctx, entries)
		if err != nil {
			return err
		}
		for i, entry := range entries {
			again := entry.Received && entry.Seq > 0 && entry.Seq <= durable[source{entry.Tenant, entry.Source}]
			if statuses[i], err = w.keep(ctx, update, entry, again); err != nil {
				return fmt.Errorf("entry %d of %d: %w", i+1, len(entries), err)
			}
		}
		return w.raiseSeqs(ctx, entries)
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
	var m callsign.MSISDN
	err := update.QueryRowContext(ctx, en.Tenant, en.Network, en.Account, en.Text, en.Shown, en.Lang,
		en.Stamp.Epoch, en.Stamp.Version, store.Micros(en.At), store.Micros(en.Expires), en.Origin(), callsign.TimedEpoch).Scan(&m)
	if err == nil {
		return callsign.Stored, w.raise(ctx, m)
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

// durable is the cursor of each source that numbers entries, as it stood before them.
func (w *writing) durable(ctx context.Context, entries []callsign.Entry) (map[source]int64, error) {
	seqs := map[source]int64{}
	for _, en := range entries {
		s := source{en.Tenant, en.Source}
		if _, known := seqs[s]; known || en.Seq == 0 {
			continue
		}
		var seq int64
		err := w.QueryRowContext(ctx, `SELECT seq FROM sources WHERE tenant = ? AND source = ?`, s.tenant, s.name).Scan(&seq)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return nil, fmt.Errorf("cursor of source %q: %w", s.name, err)
		}
		seqs[s] = seq
	}
	return seqs, nil
}

// raiseSeqs makes the numbers of numbered entries durable, whatever became of them: a source isn't asked for them again.
func (w *writing) raiseSeqs(ctx context.Context, entries []callsign.Entry) error {
	seqs := map[source]int64{}
	for _, en := range entries {
		s := source{en.Tenant, en.Source}
		if en.Seq > 0 {
			seqs[s] = max(seqs[s], en.Seq)
		}
	}
	for s, seq := range seqs {
		if _, err := w.ExecContext(ctx, `
			INSERT INTO sources (tenant, source, seq) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET seq = max(seq, excluded.seq)`, s.tenant, s.name, seq); err != nil {
			return fmt.Errorf("seq %d of source %q: %w", seq, s.name, err)
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
