package sqlite

import (
	"context"

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

// Keys are the tenant's, in the order of their IDs, revoked ones too.
func (e *Engine) Keys(ctx context.Context, sc callsign.Scope) ([]callsign.Key, error) {
	rows, err := e.query(ctx, `SELECT `+keyColumns+` FROM keys WHERE tenant = ? ORDER BY id`, sc.Tenant)
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

// RevokeKey ends a key for good; one that is revoked already stays so.
func (e *Engine) RevokeKey(ctx context.Context, sc callsign.Scope, id string) error {
	return e.write(ctx, "revoke key", func(w *writing) error {
		return w.one(ctx, `UPDATE keys SET revoked = 1 WHERE tenant = ? AND id = ?`, sc.Tenant, id)
	})
}
