package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// AppendEvents keeps the events, all or none. Each carries its whole call, so whichever comes first makes the call's row;
// a call that no event has named a tenant for is nobody's to read until one does.
func (e *Engine) AppendEvents(ctx context.Context, events []callsign.Event) error {
	return e.read("append events", func(pool *pgxpool.Pool) (err error) {
		for range 2 { // another node may drop a day while we write to it
			if err = e.days.have(ctx, pool, events); err != nil {
				return err
			}
			if err = appendEvents(ctx, pool, events); !noPartition(err) {
				break
			}
			e.days.forget()
		}
		return err
	})
}

func appendEvents(ctx context.Context, pool *pgxpool.Pool, events []callsign.Event) error {
	b := &pgx.Batch{}
	tenants := map[callsign.CallID]string{}
	for _, ev := range events {
		if tenants[ev.Call.ID] == "" {
			tenants[ev.Call.ID] = ev.Tenant
		}
	}
	for _, ev := range events {
		c := ev.Call
		if tenant, first := tenants[c.ID]; first {
			delete(tenants, c.ID)
			b.Queue(`
				INSERT INTO calls (id, tenant, caller, callee, sip_call_id, once, access, access_from, exempt, private, at)
				VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
				ON CONFLICT (id) DO UPDATE SET tenant = excluded.tenant WHERE calls.tenant = ''`,
				c.ID[:], tenant, c.Caller, c.Callee, octets(c.SIPCallID), octets(c.Once), octets(c.Access), string(c.AccessFrom),
				c.Exempt, c.Private, store.Micros(c.At))
		}
		b.Queue(`
			INSERT INTO call_events (call_id, tenant, at, kind, reason, link, message_id, text, wire)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
			c.ID[:], ev.Tenant, store.Micros(ev.At), string(ev.Kind), octets(ev.Reason), ev.Link, octets(ev.MessageID), octets(ev.Text), ev.Wire)
	}
	return send(ctx, pool, b)
}

const callColumns = `id, caller, callee, sip_call_id, once, access, access_from, exempt, private, at`

func scanCall(scan func(...any) error) (c callsign.Call, err error) {
	var (
		id []byte
		at int64
	)
	err = scan(&id, &c.Caller, &c.Callee, (*octets)(&c.SIPCallID), (*octets)(&c.Once), (*octets)(&c.Access), &c.AccessFrom,
		&c.Exempt, &c.Private, &at)
	copy(c.ID[:], id)
	c.At = store.FromMicros(at)
	return c, err
}

// firstCallID is the least CallID of a call at t or later in its millisecond.
func firstCallID(t time.Time) []byte {
	id := callsign.NewCallID(t, callsign.BranchKey{})
	return id[:]
}

// selectCalls is the query of Calls: an index has the tenant, the number and the id, which is the time.
func selectCalls(sc callsign.Scope, f callsign.CallFilter) (query string, args []any, err error) {
	query, args = `SELECT `+callColumns+` FROM calls WHERE tenant = $1`, []any{sc.Tenant}
	and := func(condition string, arg any) {
		args = append(args, arg)
		query += fmt.Sprintf(" AND %s $%d", condition, len(args))
	}
	if f.Caller != 0 {
		and(`caller =`, f.Caller)
	}
	if f.Callee != 0 {
		and(`callee =`, f.Callee)
	}
	if !f.Since.IsZero() {
		and(`id >=`, firstCallID(f.Since)) // bounds the scan; the finer at decides
		and(`at >=`, store.Micros(f.Since))
	}
	if !f.Until.IsZero() {
		and(`id <`, firstCallID(f.Until.Add(time.Millisecond)))
		and(`at <`, store.Micros(f.Until))
	}
	if f.Page.After != "" {
		var after callsign.CallID
		if err := after.UnmarshalText([]byte(f.Page.After)); err != nil {
			return "", nil, fmt.Errorf("calls after: %w", err)
		}
		and(`id <`, after[:])
	}
	args = append(args, limit(f.Page))
	return query + fmt.Sprintf(" ORDER BY id DESC LIMIT $%d", len(args)), args, nil
}

// Calls are the tenant's that the filter selects, newest first.
func (e *Engine) Calls(ctx context.Context, sc callsign.Scope, f callsign.CallFilter) (cs []callsign.Call, err error) {
	query, args, err := selectCalls(sc, f)
	if err != nil {
		return nil, err
	}
	err = e.read("calls", func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			c, err := scanCall(rows.Scan)
			if err != nil {
				return err
			}
			cs = append(cs, c)
		}
		return rows.Err()
	})
	return cs, err
}

// Timeline is a call of the tenant with its events in the order of their times, then of their coming.
func (e *Engine) Timeline(ctx context.Context, sc callsign.Scope, id callsign.CallID) (t callsign.Timeline, err error) {
	err = e.read("timeline of "+id.String(), func(pool *pgxpool.Pool) error {
		call, err := scanCall(pool.QueryRow(ctx, `SELECT `+callColumns+` FROM calls WHERE tenant = $1 AND id = $2`, sc.Tenant, id[:]).Scan)
		if err != nil {
			return err
		}
		rows, err := pool.Query(ctx, `
			SELECT at, kind, reason, link, message_id, text, wire FROM call_events
			WHERE tenant IN ($1, '') AND call_id = $2 ORDER BY at, seq`, sc.Tenant, id[:])
		if err != nil {
			return err
		}
		defer rows.Close()
		t.Call = call
		for rows.Next() {
			ev := callsign.Event{Call: call, Tenant: sc.Tenant}
			var at int64
			if err := rows.Scan(&at, &ev.Kind, (*octets)(&ev.Reason), &ev.Link, (*octets)(&ev.MessageID), (*octets)(&ev.Text), &ev.Wire); err != nil {
				return err
			}
			ev.At = store.FromMicros(at)
			t.Events = append(t.Events, ev)
		}
		return rows.Err()
	})
	return t, err
}
