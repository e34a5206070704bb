package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// OptOut keeps o, committed when it returns; changed is false if its caller had opted out of it already, and the row stays
// as it was; but the caller's own takes an operator's place, and of two operators' the stricter, or the later of one tenant's.
func (e *Engine) OptOut(ctx context.Context, o callsign.OptOut) (changed bool, err error) {
	return e.opt(ctx, "opt out", o.Caller, `INSERT INTO opt_outs (caller, callee, tenant, at, origin, per_day) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (caller, callee) DO UPDATE SET tenant = excluded.tenant, at = excluded.at, origin = excluded.origin, per_day = excluded.per_day
		WHERE substr(opt_outs.origin, 1, length($7::bytea)) = $7 AND (substr(excluded.origin, 1, length($7::bytea)) <> $7
			OR excluded.per_day < opt_outs.per_day OR excluded.per_day > opt_outs.per_day AND excluded.tenant = opt_outs.tenant)`,
		o.Caller, o.Callee, o.Tenant, store.Micros(o.At), octets(o.Origin), o.PerDay, octets(callsign.OptOutByOperator))
}

// OptIn forgets what OptOut kept of the caller and callee, if it is still what o's tenant and origin told: not what took its place since.
// changed is false if there was no such thing.
func (e *Engine) OptIn(ctx context.Context, o callsign.OptOut) (changed bool, err error) {
	return e.opt(ctx, "opt in", o.Caller, `DELETE FROM opt_outs WHERE caller = $1 AND callee = $2 AND tenant = $3 AND origin = $4`,
		o.Caller, o.Callee, o.Tenant, octets(o.Origin))
}

// OptInAll forgets all that OptOut kept of the caller; changed is false if there was nothing.
func (e *Engine) OptInAll(ctx context.Context, caller callsign.MSISDN) (changed bool, err error) {
	return e.opt(ctx, "opt in", caller, `DELETE FROM opt_outs WHERE caller = $1`, caller)
}

func (e *Engine) opt(ctx context.Context, what string, caller callsign.MSISDN, query string, args ...any) (changed bool, err error) {
	err = e.write(ctx, what+" "+caller.String(), func(w *writing) error {
		tag, err := w.Exec(ctx, query, args...)
		if err != nil {
			return err
		}
		if changed = tag.RowsAffected() > 0; changed {
			w.changed[caller] = 0 // told with revision 0: no profile changes
		}
		return nil
	})
	return changed && err == nil, err
}

// OptOuts are at most limit of them beyond after, in the order of caller and callee.
func (e *Engine) OptOuts(ctx context.Context, after callsign.OptOut, limit int) ([]callsign.OptOut, error) {
	return e.optOuts(ctx, `(caller, callee) > ($1, $2) ORDER BY caller, callee LIMIT $3`, after.Caller, after.Callee, limit)
}

// OptOutsOf are one caller's, in the order of callee.
func (e *Engine) OptOutsOf(ctx context.Context, caller callsign.MSISDN) ([]callsign.OptOut, error) {
	return e.optOuts(ctx, `caller = $1 ORDER BY callee`, caller)
}

func (e *Engine) optOuts(ctx context.Context, where string, args ...any) (os []callsign.OptOut, err error) {
	err = e.read("opt-outs", func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, `SELECT caller, callee, tenant, at, origin, per_day FROM opt_outs WHERE `+where, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var (
				o  callsign.OptOut
				at int64
			)
			if err := rows.Scan(&o.Caller, &o.Callee, &o.Tenant, &at, (*octets)(&o.Origin), &o.PerDay); err != nil {
				return err
			}
			o.At = store.FromMicros(at)
			os = append(os, o)
		}
		return rows.Err()
	})
	return os, err
}
