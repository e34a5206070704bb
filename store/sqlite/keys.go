package sqlite

import (
	"context"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

const keyColumns = `tenant, id, hash, name, role, network, source, msisdn, created, expires, revoked`

func scanKey(scan func(...any) error) (k callsign.Key, err error) {
	var (
		hash             []byte
		created, expires int64
	)
	err = scan(&k.Scope.Tenant, &k.ID, &hash, &k.Name, &k.Scope.Role, &k.Scope.Network, &k.Scope.Source, &k.Scope.MSISDN,
		&created, &expires, &k.Revoked)
	copy(k.Hash[:], hash)
	k.Scope.KeyID = k.ID
	k.Created, k.Expires = store.FromMicros(created), store.FromMicros(expires)
	return k, err
}

// PutKey keeps a new key. Its Scope names its tenant; an ID that the tenant has, or a Hash that anybody has, is ErrConflict.
func (e *Engine) PutKey(ctx context.Context, k callsign.Key) error {
	return e.write(ctx, "put key", func(w *writing) error {
		_, err := w.ExecContext(ctx, `INSERT INTO keys (`+keyColumns+`) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			k.Scope.Tenant, k.ID, k.Hash[:], k.Name, string(k.Scope.Role), k.Scope.Network, k.Scope.Source, k.Scope.MSISDN,
			store.Micros(k.Created), store.Micros(k.Expires), k.Revoked)
		return err
	})
}

// KeyByHash is the key with this SHA-256. It may be revoked or expired: the caller judges.
func (e *Engine) KeyByHash(ctx context.Context, hash [32]byte) (callsign.Key, error) {
	k, err := scanKey(e.queryRow(ctx, `SELECT `+keyColumns+` FROM keys WHERE hash = ?`, hash[:]))
	return k, e.failed("key", err)
}

// Keys are the tenant's, in the order of their IDs, revoked ones too; Page.After is an ID.
func (e *Engine) Keys(ctx context.Context, sc callsign.Scope, p callsign.Page) ([]callsign.Key, error) {
	rows, err := e.query(ctx, `SELECT `+keyColumns+` FROM keys WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?`, sc.Tenant, p.After, limit(p))
	if err != nil {
		return nil, e.failed("keys", err)
	}
	defer func() { _ = rows.Close() }()
	var ks []callsign.Key
	for rows.Next() {
		k, err := scanKey(rows.Scan)
		if err != nil {
			return nil, e.failed("keys", err)
		}
		ks = append(ks, k)
	}
	return ks, e.failed("keys", rows.Err())
}

// RotateKey keeps next, which takes over name, scope and lifetime of the key id, and lets that one end at until, if it doesn't
// sooner. A revoked or unknown key is ErrNotFound; an ID that the tenant has, or a Hash that anybody has, ErrConflict.
func (e *Engine) RotateKey(ctx context.Context, sc callsign.Scope, id string, until time.Time, next callsign.Key) (kept callsign.Key, err error) {
	err = e.write(ctx, "rotate key", func(w *writing) error {
		kept, err = scanKey(w.QueryRowContext(ctx, `
			INSERT INTO keys (`+keyColumns+`)
			SELECT tenant, ?1, ?2, name, role, network, source, msisdn, ?3, iif(expires = 0, 0, ?3 + expires - created), 0
			FROM keys WHERE tenant = ?4 AND id = ?5 AND revoked = 0
			RETURNING `+keyColumns, next.ID, next.Hash[:], store.Micros(next.Created), sc.Tenant, id).Scan)
		if err != nil {
			return err
		}
		_, err = w.ExecContext(ctx, `UPDATE keys SET expires = ?1 WHERE tenant = ?2 AND id = ?3 AND (expires = 0 OR expires > ?1)`,
			store.Micros(until), sc.Tenant, id)
		return err
	})
	return kept, err
}

// RevokeKey ends a key for good; one that is revoked already stays so.
func (e *Engine) RevokeKey(ctx context.Context, sc callsign.Scope, id string) error {
	return e.write(ctx, "revoke key", func(w *writing) error {
		return w.one(ctx, `UPDATE keys SET revoked = 1 WHERE tenant = ? AND id = ?`, sc.Tenant, id)
	})
}
