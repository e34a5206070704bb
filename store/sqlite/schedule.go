package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/callsign-as/callsign"
)

// linkedColumns are what linked scans; a is accounts. inSlice is that an account is of a slice's parts, given as JSON.
const (
	linkedColumns = `a.tenant, a.account, a.phase, a.text, coalesce(a.epoch, 0), a.version, a.epoch IS NOT NULL`
	inSlice       = `a.network = ?1 AND a.network <> 'manual' AND a.phase % ?2 IN (SELECT value FROM json_each(?3))`

	sliceQuery  = `SELECT ` + linkedColumns + ` FROM accounts a WHERE ` + inSlice + ` AND a.phase >= ?4 AND a.phase < ?5 ORDER BY a.phase`
	calledQuery = `SELECT ` + linkedColumns + ` FROM (SELECT DISTINCT callee FROM calls WHERE id >= ?4) c
		JOIN accounts a ON a.msisdn = c.callee WHERE ` + inSlice + ` LIMIT ?5`
)

// Linked are the accounts of a slice, in the order of their phases.
func (e *Engine) Linked(ctx context.Context, s callsign.Slice) ([]callsign.Linked, error) {
	return e.linked(ctx, sliceQuery, s, s.From, s.To)
}

// Called are accounts of the slice's parts, whatever their phase, whose subscribers were called since then: at most limit.
func (e *Engine) Called(ctx context.Context, s callsign.Slice, since time.Time, limit int) ([]callsign.Linked, error) {
	return e.linked(ctx, calledQuery, s, firstCallID(since), limit)
}

func (e *Engine) linked(ctx context.Context, query string, s callsign.Slice, args ...any) (all []callsign.Linked, err error) {
	of, err := json.Marshal(s.Of)
	if err != nil {
		return nil, err
	}
	rows, err := e.query(ctx, query, append([]any{s.Network, s.Parts, string(of)}, args...)...)
	if err != nil {
		return nil, e.failed("accounts of "+s.Network, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var l callsign.Linked
		if err := rows.Scan(&l.Tenant, &l.Account, &l.Phase, &l.Text, &l.Stamp.Epoch, &l.Stamp.Version, &l.Said); err != nil {
			return nil, e.failed("accounts of "+s.Network, err)
		}
		all = append(all, l)
	}
	return all, e.failed("accounts of "+s.Network, rows.Err())
}

// Share lets a node take its turn at a work that nodes share.
func (e *Engine) Share(ctx context.Context, name string, t callsign.Turn) (held map[int]time.Time, err error) {
	err = e.write(ctx, "share "+name, func(w *writing) error {
		var (
			state  string
			shares callsign.Shares
		)
		err := w.QueryRowContext(ctx, `SELECT state FROM shares WHERE name = ?`, name).Scan(&state)
		if err == nil {
			err = json.Unmarshal([]byte(state), &shares)
		}
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("shares of %q: %w", name, err)
		}
		held = shares.Take(t, time.Now())
		raw, err := json.Marshal(shares)
		if err != nil {
			return err
		}
		_, err = w.ExecContext(ctx, `INSERT INTO shares (name, state) VALUES (?, ?) ON CONFLICT DO UPDATE SET state = excluded.state`, name, string(raw))
		return err
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}
