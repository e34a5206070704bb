package sqlite

import (
	"context"
	"fmt"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// AppendEvents keeps the events, all or none. Each carries its whole call, so whichever comes first makes the call's row;
// a call that no event has named a tenant for is nobody's to read until one does.
func (e *Engine) AppendEvents(ctx context.Context, events []callsign.Event) error {
	return e.write(ctx, "append events", func(w *writing) error {
		call, err := w.PrepareContext(ctx, `
			INSERT INTO calls (id, tenant, caller, callee, sip_call_id, once, access, access_from, exempt, private, at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET tenant = excluded.tenant WHERE calls.tenant = ''`)
		if err != nil {
			return err
		}
		defer func() { _ = call.Close() }()
		event, err := w.PrepareContext(ctx, `
			INSERT INTO call_events (call_id, at, coming, tenant, kind, reason, link, message_id, text, wire)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer func() { _ = event.Close() }()
		rows := context.WithoutCancel(ctx)      // the driver starts a goroutine for each statement that could be interrupted
		written := map[callsign.CallID]string{} // the calls of these events, with their tenants
		for i, ev := range events {
			c := ev.Call
			if tenant, known := written[c.ID]; !known || tenant == "" {
				if _, err := call.ExecContext(rows, c.ID[:], ev.Tenant, c.Caller, c.Callee, c.SIPCallID, c.Once, c.Access,
					string(c.AccessFrom), c.Exempt, c.Private, store.Micros(c.At)); err != nil {
					return fmt.Errorf("call of event %d of %d: %w", i+1, len(events), err)
				}
				written[c.ID] = ev.Tenant
			}
			if i%32 == 31 {
				time.Sleep(100 * time.Microsecond) // with one core Go reads the sockets only when everybody waits
			}
			if _, err := event.ExecContext(rows, c.ID[:], store.Micros(ev.At), e.coming.Add(1), ev.Tenant, string(ev.Kind), ev.Reason,
				ev.Link, ev.MessageID, ev.Text, ev.Wire); err != nil {
				return fmt.Errorf("event %d of %d: %w", i+1, len(events), err)
			}
		}
		return nil
	})
}

const callColumns = `id, caller, callee, sip_call_id, once, access, access_from, exempt, private, at`

func scanCall(scan func(...any) error) (c callsign.Call, err error) {
	var (
		id []byte
		at int64
	)
	err = scan(&id, &c.Caller, &c.Callee, &c.SIPCallID, &c.Once, &c.Access, &c.AccessFrom, &c.Exempt, &c.Private, &at)
	copy(c.ID[:], id)
	c.At = store.FromMicros(at)
	return c, err
}

// firstCallID is the least CallID of a call at t or later in its millisecond.
func firstCallID(t time.Time) []byte {
	id := callsign.NewCallID(t, callsign.BranchKey{})
	return id[:]
}

// Calls are the tenant's that the filter selects, newest first.
func (e *Engine) Calls(ctx context.Context, sc callsign.Scope, f callsign.CallFilter) ([]callsign.Call, error) {
	query, args := `SELECT `+callColumns+` FROM calls WHERE tenant = ?`, []any{sc.Tenant}
	and := func(condition string, arg any) {
		query += ` AND ` + condition
		args = append(args, arg)
	}
	if f.Caller != 0 {
		and(`caller = ?`, f.Caller)
	}
	if f.Callee != 0 {
		and(`callee = ?`, f.Callee)
	}
	if !f.Since.IsZero() {
		and(`id >= ?`, firstCallID(f.Since)) // bounds the scan; the finer at decides
		and(`at >= ?`, store.Micros(f.Since))
	}
	if !f.Until.IsZero() {
		and(`id < ?`, firstCallID(f.Until.Add(time.Millisecond)))
		and(`at < ?`, store.Micros(f.Until))
	}
	if f.Page.After != "" {
		var after callsign.CallID
		if err := after.UnmarshalText([]byte(f.Page.After)); err != nil {
			return nil, fmt.Errorf("calls after: %w", err)
		}
		and(`id < ?`, after[:])
	}
	rows, err := e.query(ctx, query+` ORDER BY id DESC LIMIT ?`, append(args, limit(f.Page))...)
	if err != nil {
		return nil, e.failed("calls", err)
	}
	defer func() { _ = rows.Close() }()
	var cs []callsign.Call
	for rows.Next() {
		c, err := scanCall(rows.Scan)
		if err != nil {
			return nil, e.failed("calls", err)
		}
		cs = append(cs, c)
	}
	return cs, e.failed("calls", rows.Err())
}

// Timeline is a call of the tenant with its events in the order of their times, then of their coming.
func (e *Engine) Timeline(ctx context.Context, sc callsign.Scope, id callsign.CallID) (callsign.Timeline, error) {
	what := "timeline of " + id.String()
	call, err := scanCall(e.queryRow(ctx,
		`SELECT `+callColumns+` FROM calls WHERE tenant = ? AND id = ?`, sc.Tenant, id[:]))
	if err != nil {
		return callsign.Timeline{}, e.failed(what, err)
	}
	rows, err := e.query(ctx, `
		SELECT at, kind, reason, link, message_id, text, wire FROM call_events
		WHERE tenant IN (?, '') AND call_id = ? ORDER BY at, coming`, sc.Tenant, id[:])
	if err != nil {
		return callsign.Timeline{}, e.failed(what, err)
	}
	defer func() { _ = rows.Close() }()
	t := callsign.Timeline{Call: call}
	for rows.Next() {
		ev := callsign.Event{Call: call, Tenant: sc.Tenant}
		var at int64
		if err := rows.Scan(&at, &ev.Kind, &ev.Reason, &ev.Link, &ev.MessageID, &ev.Text, &ev.Wire); err != nil {
			return callsign.Timeline{}, e.failed(what, err)
		}
		ev.At = store.FromMicros(at)
		t.Events = append(t.Events, ev)
	}
	return t, e.failed(what, rows.Err())
}

// forgetStep is how many calls one transaction forgets, so that retention never keeps an update waiting for long.
const forgetStep = 500

// Forget deletes the calls set up before then, of every tenant, with their events, and tells how many; on an error n were
// forgotten all the same.
func (e *Engine) Forget(ctx context.Context, before time.Time) (n int64, err error) {
	for step := int64(forgetStep); step == forgetStep; n += step {
		step = 0
		if err := e.write(ctx, "forget calls", func(w *writing) error {
			const old = `(SELECT id FROM calls WHERE id < ? ORDER BY id LIMIT ?)`
			if _, err := w.ExecContext(ctx, `DELETE FROM call_events WHERE call_id IN `+old, firstCallID(before), forgetStep); err != nil {
				return err
			}
			r, err := w.ExecContext(ctx, `DELETE FROM calls WHERE id IN `+old, firstCallID(before), forgetStep)
			if err != nil {
				return err
			}
			step, err = r.RowsAffected()
			return err
		}); err != nil {
			return n, err
		}
	}
	return n, nil
}
