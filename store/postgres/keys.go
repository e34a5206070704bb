package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

const keyColumns = `tenant, id, hash, name, role, network, source, msisdn, created, expires, revoked`

func scanKey(scan func(...any) error) (k callsign.Key, err error) {
	var (
		hash             []byte
		created, expires int64
	)
	err = scan(&k.Scope.Tenant, &k.ID, &hash, (*octets)(&k.Name), &k.Scope.Role, &k.Scope.Network, &k.Scope.Source, &k.Scope.MSISDN,
		&created, &expires, &k.Revoked)
	copy(k.Hash[:], hash)
	k.Scope.KeyID = k.ID
	k.Created, k.Expires = store.FromMicros(created), store.FromMicros(expires)
	return k, err
}

// PutKey keeps a new key. Its Scope names its tenant; an ID that the tenant has, or a Hash that anybody has, is ErrConflict.
func (e *Engine) PutKey(ctx context.Context, k callsign.Key) error {
	return e.write(ctx, "put key", func(w *writing) error {
		_, err := w.Exec(ctx, `INSERT INTO keys (`+keyColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			k.Scope.Tenant, k.ID, k.Hash[:], octets(k.Name), string(k.Scope.Role), k.Scope.Network, k.Scope.Source, k.Scope.MSISDN,
			store.Micros(k.Created), store.Micros(k.Expires), k.Revoked)
		return err
	})
}

// KeyByHash is the key with this SHA-256. It may be revoked or expired: the caller judges.
func (e *Engine) KeyByHash(ctx context.Context, hash [32]byte) (k callsign.Key, err error) {
	err = e.read("key", func(pool *pgxpool.Pool) error {
		k, err = scanKey(pool.QueryRow(ctx, `SELECT `+keyColumns+` FROM keys WHERE hash = $1`, hash[:]).Scan)
		return err
	})
	return k, err
}

// Keys are the tenant's, in the order of their IDs, revoked ones too; Page.After is an ID.
func (e *Engine) Keys(ctx context.Context, sc callsign.Scope, p callsign.Page) (ks []callsign.Key, err error) {
	err = e.read("keys", func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, `SELECT `+keyColumns+` FROM keys WHERE tenant = $1 AND id COLLATE "C" > $2 ORDER BY id COLLATE "C" LIMIT $3`,
			sc.Tenant, p.After, limit(p))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			k, err := scanKey(rows.Scan)
			if err != nil {
				return err
			}
			ks = append(ks, k)
		}
		return rows.Err()
	})
	return ks, err
}

// RotateKey keeps next, which takes over name, scope and lifetime of the key id, and lets that one end at until, if it doesn't
// sooner. A revoked or unknown key is ErrNotFound; an ID that the tenant has, or a Hash that anybody has, ErrConflict.
func (e *Engine) RotateKey(ctx context.Context, sc callsign.Scope, id string, until time.Time, next callsign.Key) (kept callsign.Key, err error) {
	err = e.write(ctx, "rotate key", func(w *writing) error {
		kept, err = scanKey(w.QueryRow(ctx, `
			INSERT INTO keys (`+keyColumns+`)
			SELECT tenant, $1, $2, name, role, network, source, msisdn, $3, CASE expires WHEN 0 THEN 0 ELSE $3 + expires - created END, false
			FROM keys WHERE tenant = $4 AND id = $5 AND NOT revoked
			RETURNING `+keyColumns, next.ID, next.Hash[:], store.Micros(next.Created), sc.Tenant, id).Scan)
		if err != nil {
			return err
		}
		_, err = w.Exec(ctx, `UPDATE keys SET expires = $1 WHERE tenant = $2 AND id = $3 AND (expires = 0 OR expires > $1)`,
			store.Micros(until), sc.Tenant, id)
		return err
	})
	return kept, err
}

// RevokeKey ends a key for good; one that is revoked already stays so.
func (e *Engine) RevokeKey(ctx context.Context, sc callsign.Scope, id string) error {
	return e.write(ctx, "revoke key", func(w *writing) error {
		return w.one(ctx, `UPDATE keys SET revoked = true WHERE tenant = $1 AND id = $2`, sc.Tenant, id)
	})
}
