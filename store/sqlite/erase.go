package sqlite

import (
	"context"
	"errors"

	"github.com/callsign-as/callsign"
)

// eraseStep is how many calls one transaction makes anonymous, so that updates don't wait for long.
const eraseStep = 500

// Erase forgets whom m belongs to: the subscriber, and in the tenant's calls, and in those that are nobody's to read, the
// number on either side with every text, message and identifier that leads to it. That a call was, when, and why it ended as
// it did stays. It tells how many calls these were; ErrNotFound if nothing was kept of m. After any other error some may
// be left: call it again. An opt-out stays, as m's own objection: without it m would be sent texts again.
func (e *Engine) Erase(ctx context.Context, sc callsign.Scope, m callsign.MSISDN) (calls int64, err error) {
	what := "erase " + m.String()
	if m == 0 {
		return 0, e.failed(what, callsign.ErrNotFound)
	}
	gone := e.DeleteSubscriber(ctx, sc, m, 0)
	if gone != nil && !errors.Is(gone, callsign.ErrNotFound) {
		return 0, gone
	}
	if err := e.write(ctx, what, func(w *writing) error {
		if _, err := w.ExecContext(ctx, `UPDATE audit SET msisdn = 0 WHERE tenant = ? AND msisdn = ?`, sc.Tenant, m); err != nil {
			return err
		}
		if _, err := w.ExecContext(ctx, `DELETE FROM consents WHERE tenant = ? AND msisdn = ?`, sc.Tenant, m); err != nil {
			return err // of who asked and never became a subscriber
		}
		_, err := w.ExecContext(ctx, `DELETE FROM keys WHERE tenant = ? AND role = ? AND msisdn = ?`, sc.Tenant, callsign.RoleSubscriber, m)
		return err
	}); err != nil {
		return 0, err
	}
	const its = `(SELECT id FROM calls WHERE tenant IN (?1, '') AND (caller = ?2 OR callee = ?2) ORDER BY id LIMIT ?3)`
	for step := int64(eraseStep); step == eraseStep; calls += step {
		step = 0
		if err := e.write(ctx, what, func(w *writing) error {
			if _, err := w.ExecContext(ctx, `UPDATE call_events SET text = '', message_id = '', wire = NULL WHERE call_id IN `+its,
				sc.Tenant, m, eraseStep); err != nil {
				return err
			}
			r, err := w.ExecContext(ctx, `
				UPDATE calls SET caller = iif(caller = ?2, 0, caller), callee = iif(callee = ?2, 0, callee), sip_call_id = '', once = ''
				WHERE id IN `+its, sc.Tenant, m, eraseStep)
			if err != nil {
				return err
			}
			step, err = r.RowsAffected()
			return err
		}); err != nil {
			return calls, err
		}
	}
	if gone != nil && calls == 0 {
		return 0, gone
	}
	return calls, nil
}
