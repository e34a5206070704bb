package sqlite

import (
	"context"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// OptOut keeps o, committed when it returns; changed is false if its caller had opted out of it already, and the row stays
// as it was; but the caller's own takes an operator's place, and of two operators' the stricter, or the later of one tenant's.
func (e *Engine) OptOut(ctx context.Context, o callsign.OptOut) (changed bool, err error) {
	return e.opt(ctx, "opt out", o.Caller, `INSERT INTO opt_outs (caller, callee, tenant, at, origin, per_day) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
		ON CONFLICT DO UPDATE SET tenant = excluded.tenant, at = excluded.at, origin = excluded.origin, per_day = excluded.per_day
		WHERE substr(opt_outs.origin, 1, length(?7)) = ?7 AND (substr(excluded.origin, 1, length(?7)) <> ?7
			OR excluded.per_day < opt_outs.per_day OR excluded.per_day > opt_outs.per_day AND excluded.tenant = opt_outs.tenant)`,
		o.Caller, o.Callee, o.Tenant, store.Micros(o.At), o.Origin, o.PerDay, callsign.OptOutByOperator)
}

// OptIn forgets what OptOut kept of the caller and callee, if it is still what o's tenant and origin told: not what took its place since.
// changed is false if there was no such thing.
func (e *Engine) OptIn(ctx context.Context, o callsign.OptOut) (changed bool, err error) {
	return e.opt(ctx, "opt in", o.Caller, `DELETE FROM opt_outs WHERE caller = ? AND callee = ? AND tenant = ? AND origin = ?`,
		o.Caller, o.Callee, o.Tenant, o.Origin)
}

// OptInAll forgets all that OptOut kept of the caller; changed is false if there was nothing.
func (e *Engine) OptInAll(ctx context.Context, caller callsign.MSISDN) (changed bool, err error) {
	return e.opt(ctx, "opt in", caller, `DELETE FROM opt_outs WHERE caller = ?`, caller)
}

func (e *Engine) opt(ctx context.Context, what string, caller callsign.MSISDN, query string, args ...any) (changed bool, err error) {
	err = e.write(ctx, what+" "+caller.String(), func(w *writing) error {
		result, err := w.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		if changed = n > 0; changed {
			w.changed[caller] = struct{}{} // told with revision 0: no profile changes
		}
		return err
	})
	return changed && err == nil, err
}

// OptOuts are at most limit of them beyond after, in the order of caller and callee.
func (e *Engine) OptOuts(ctx context.Context, after callsign.OptOut, limit int) ([]callsign.OptOut, error) {
	return e.optOuts(ctx, `(caller, callee) > (?, ?) ORDER BY caller, callee LIMIT ?`, after.Caller, after.Callee, limit)
}

// OptOutsOf are one caller's, in the order of callee.
func (e *Engine) OptOutsOf(ctx context.Context, caller callsign.MSISDN) ([]callsign.OptOut, error) {
	return e.optOuts(ctx, `caller = ? ORDER BY callee`, caller)
}

func (e *Engine) optOuts(ctx context.Context, where string, args ...any) (os []callsign.OptOut, err error) {
	rows, err := e.query(ctx, `SELECT caller, callee, tenant, at, origin, per_day FROM opt_outs WHERE `+where, args...)
	if err != nil {
		return nil, e.failed("opt-outs", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			o  callsign.OptOut
			at int64
		)
		if err := rows.Scan(&o.Caller, &o.Callee, &o.Tenant, &at, &o.Origin, &o.PerDay); err != nil {
			return nil, e.failed("opt-outs", err)
		}
		o.At = store.FromMicros(at)
		os = append(os, o)
	}
	return os, e.failed("opt-outs", rows.Err())
}
