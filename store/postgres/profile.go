package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// signatureColumns are what scanSignature reads; g is signatures, outer joined.
const signatureColumns = `
	coalesce(g.network, ''), coalesce(g.account, ''), coalesce(g.text, ''), coalesce(g.shown, ''), coalesce(g.lang, ''),
	coalesce(g.epoch, 0), coalesce(g.version, 0), coalesce(g.at, 0), coalesce(g.expires, 0), coalesce(g.origin, '')`

// scanSignature reads the fields before it and then a signature.
func scanSignature(scan func(...any) error, s *callsign.Signature, before ...any) error {
	var at, expires int64
	err := scan(append(before, &s.Network, &s.Account, (*octets)(&s.Text), (*octets)(&s.Shown), (*octets)(&s.Lang),
		&s.Stamp.Epoch, &s.Stamp.Version, &at, &expires, (*octets)(&s.Origin))...)
	s.At, s.Expires = store.FromMicros(at), store.FromMicros(expires)
	return err
}

const profileQuery = `
SELECT s.msisdn, s.tenant, s.name, greatest(s.rev, (SELECT max(rev) FROM signatures WHERE msisdn = s.msisdn)), ` + signatureColumns + `
FROM subscribers s
LEFT JOIN signatures g ON g.msisdn = s.msisdn AND g.shown <> '' AND (g.expires = 0 OR g.expires > $2)
WHERE s.msisdn = $1
ORDER BY g.at DESC NULLS LAST, g.network COLLATE "C", g.account COLLATE "C" LIMIT 1`

// Profile is what a call needs to know of m. Of several accounts the one that spoke last is shown; ErrNotFound if m is
// nobody's.
func (e *Engine) Profile(ctx context.Context, m callsign.MSISDN) (p callsign.Profile, err error) {
	err = e.read("profile of "+m.String(), func(pool *pgxpool.Pool) error {
		return scanSignature(pool.QueryRow(ctx, profileQuery, m, time.Now().UnixMicro()).Scan, &p.Signature,
			&p.MSISDN, &p.Tenant, (*octets)(&p.Name), &p.Rev)
	})
	if err != nil {
		return callsign.Profile{}, err
	}
	return p, nil
}
