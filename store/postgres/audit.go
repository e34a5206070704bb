package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// PutAudit keeps a, committed when it returns. One that is there already gets a's Status and Object, and a's MSISDN if it has none and
// the Status is not known yet: at its end that would undo an erasure.
func (e *Engine) PutAudit(ctx context.Context, a callsign.Audit) error {
	return e.write(ctx, "audit "+a.Action, func(w *writing) error {
		_, err := w.Exec(ctx, `
			INSERT INTO audit (tenant, id, at, key_id, address, action, msisdn, object, status) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (tenant, id) DO UPDATE SET status = excluded.status, object = excluded.object, msisdn = CASE WHEN audit.msisdn = 0 AND excluded.status = 0 THEN excluded.msisdn ELSE audit.msisdn END`,
			a.Tenant, a.ID, store.Micros(a.At), a.KeyID, a.Address, a.Action, a.MSISDN, octets(a.Object), a.Status)
		return err
	})
}

// Audits are the tenant's, newest first; Page.After is an ID.
func (e *Engine) Audits(ctx context.Context, sc callsign.Scope, p callsign.Page) (as []callsign.Audit, err error) {
	err = e.read("audit", func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, `
			SELECT id, at, key_id, address, action, msisdn, object, status FROM audit
			WHERE tenant = $1 AND ($2 = '' OR id < $2) ORDER BY id DESC LIMIT $3`, sc.Tenant, p.After, limit(p))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			a := callsign.Audit{Tenant: sc.Tenant}
			var at int64
			if err := rows.Scan(&a.ID, &at, &a.KeyID, &a.Address, &a.Action, &a.MSISDN, (*octets)(&a.Object), &a.Status); err != nil {
				return err
			}
			a.At = store.FromMicros(at)
			as = append(as, a)
		}
		return rows.Err()
	})
	return as, err
}
