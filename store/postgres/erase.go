package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
)

// eraseStep is how many calls one transaction makes anonymous.
const eraseStep = 500

// Erase forgets whom m belongs to: the subscriber, and in the tenant's calls, and in those that are nobody's to read, the
// number on either side with every text, message and identifier that leads to it. That a call was, when, and why it ended as
// it did stays. It tells how many calls these were; ErrNotFound if nothing was kept of m. After any other error some may
// be left: call it again. An opt-out stays, as m's own objection: without it m would be sent texts again.
func (e *Engine) Erase(ctx context.Context, sc callsign.Scope, m callsign.MSISDN) (calls int64, err error) {
	if m == 0 {
		return 0, e.failed("erase", callsign.ErrNotFound)
	}
	gone := e.DeleteSubscriber(ctx, sc, m, 0)
	if gone != nil && !errors.Is(gone, callsign.ErrNotFound) {
		return 0, gone
	}
	err = e.read("erase "+m.String(), func(pool *pgxpool.Pool) error {
		if _, err := pool.Exec(ctx, `UPDATE audit SET msisdn = 0 WHERE tenant = $1 AND msisdn = $2`, sc.Tenant, m); err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, `DELETE FROM keys WHERE tenant = $1 AND role = $2 AND msisdn = $3`,
			sc.Tenant, string(callsign.RoleSubscriber), m); err != nil {
			return err
		}
		if _, err := pool.Exec(ctx, `DELETE FROM consents WHERE tenant = $1 AND msisdn = $2`, sc.Tenant, m); err != nil {
			return err // of who asked and never became a subscriber
		}
		for step := int64(eraseStep); step == eraseStep; calls += step {
			tag, err := pool.Exec(ctx, `
				WITH its AS (SELECT id FROM calls WHERE tenant IN ($1, '') AND (caller = $2 OR callee = $2) LIMIT $3),
				lines AS (UPDATE call_events SET text = '', message_id = '', wire = NULL WHERE call_id IN (SELECT id FROM its))
				UPDATE calls SET caller = CASE caller WHEN $2 THEN 0 ELSE caller END, callee = CASE callee WHEN $2 THEN 0 ELSE callee END,
					sip_call_id = '', once = '' WHERE id IN (SELECT id FROM its)`, sc.Tenant, m, eraseStep)
			if err != nil {
				return err
			}
			step = tag.RowsAffected()
		}
		return nil
	})
	if err == nil && gone != nil && calls == 0 {
		return 0, gone
	}
	return calls, err
}
