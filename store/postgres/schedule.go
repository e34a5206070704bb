package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
)

// linkedColumns are what linked scans; a is accounts and g what they last said. inSlice is that an account is of a slice's parts.
const (
	linkedColumns = `a.tenant, a.account, a.phase, g.text, coalesce(g.epoch, 0), g.version, g.epoch IS NOT NULL`
	inSlice       = `a.network = $1 AND a.network <> 'manual' AND a.phase % $2 = ANY($3)`

	sliceQuery = `SELECT ` + linkedColumns + ` FROM accounts a JOIN signatures g USING (msisdn, network, account)
		WHERE ` + inSlice + ` AND a.phase >= $4 AND a.phase < $5 ORDER BY a.phase`
	calledQuery = `SELECT ` + linkedColumns + ` FROM (SELECT DISTINCT callee FROM calls WHERE id >= $4) c
		JOIN accounts a ON a.msisdn = c.callee JOIN signatures g USING (msisdn, network, account) WHERE ` + inSlice + ` LIMIT $5`
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
	err = e.read("accounts of "+s.Network, func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, query, append([]any{s.Network, s.Parts, s.Of}, args...)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var l callsign.Linked
			if err := rows.Scan(&l.Tenant, &l.Account, &l.Phase, (*octets)(&l.Text), &l.Stamp.Epoch, &l.Stamp.Version, &l.Said); err != nil {
				return err
			}
			all = append(all, l)
		}
		return rows.Err()
	})
	return all, err
}

// Share lets a node take its turn at a work that nodes share, by the database's clock.
func (e *Engine) Share(ctx context.Context, name string, t callsign.Turn) (held map[int]time.Time, err error) {
	err = e.write(ctx, "share "+name, func(w *writing) error {
		// The row is there and locked before it is read: of two first ones, one would overwrite the other.
		if _, err := w.Exec(ctx, `INSERT INTO shares (name, state) VALUES ($1, '{}') ON CONFLICT DO NOTHING`, name); err != nil {
			return err
		}
		var (
			raw    []byte
			now    time.Time
			shares callsign.Shares
		)
		// The clock is read once the row is ours.
		if err := w.QueryRow(ctx, `SELECT state FROM shares WHERE name = $1 FOR UPDATE`, name).Scan(&raw); err != nil {
			return err
		}
		if err := w.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &shares); err != nil {
			return fmt.Errorf("shares of %q: %w", name, err)
		}
		held = shares.Take(t, now)
		if raw, err = json.Marshal(shares); err != nil {
			return err
		}
		_, err := w.Exec(ctx, `UPDATE shares SET state = $2 WHERE name = $1`, name, raw)
		return err
	})
	if err != nil {
		return nil, err
	}
	return held, nil
}
