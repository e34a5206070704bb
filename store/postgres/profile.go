package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// signatureColumns are what scanSignature reads; g is signatures.
const signatureColumns = `
	g.network, g.account, g.text, g.shown, g.lang, coalesce(g.epoch, 0), g.version, g.at, g.expires, g.origin`

// scanSignature reads the fields before it and then a signature.
func scanSignature(scan func(...any) error, s *callsign.Signature, before ...any) error {
	var at, expires int64
	err := scan(append(before, &s.Network, &s.Account, (*octets)(&s.Text), (*octets)(&s.Shown), (*octets)(&s.Lang),
		&s.Stamp.Epoch, &s.Stamp.Version, &at, &expires, (*octets)(&s.Origin))...)
	s.At, s.Expires = store.FromMicros(at), store.FromMicros(expires)
	if s.Network == callsign.PolicyNetwork {
		s.Expires = time.Time{}
	}
	return err
}

// reviewColumns are what scanReviewed reads behind them: what administrators see and calls don't.
const reviewColumns = `, g.review, g.reason, g.reviewed`

// scanReviewed reads the fields before it and then a signature with its review.
func scanReviewed(scan func(...any) error, s *callsign.Signature, before ...any) error {
	var reviewed int64
	err := scanSignature(func(fields ...any) error {
		return scan(append(fields, (*string)(&s.Review), (*octets)(&s.Reason), &reviewed)...)
	}, s, before...)
	s.Reviewed = store.FromMicros(reviewed)
	return err
}

// profileQuery reads all that a subscriber's accounts say, first what may be shown, of that the latest.
const profileQuery = `
SELECT g.shown <> '' AND (g.expires = 0 OR g.expires > $2) AND g.network <> 'policy'
        AND (coalesce(p.account, '') = '' OR p.account = g.network || '/' || g.account) AS showable,
    s.msisdn, s.tenant, s.name, greatest(s.rev, max(g.rev) OVER ()), coalesce(p.rev, 0), coalesce(p.document, ''), ` + signatureColumns + `
FROM subscribers s JOIN signatures g ON g.msisdn = $1 LEFT JOIN policies p ON p.msisdn = $1
WHERE s.msisdn = $1
ORDER BY showable DESC, g.at DESC, g.network COLLATE "C", g.account COLLATE "C" LIMIT 1`

// Profile is what a call needs to know of m. Of several accounts the one that spoke last is shown, if the policy names none;
// ErrNotFound if m is nobody's.
func (e *Engine) Profile(ctx context.Context, m callsign.MSISDN) (p callsign.Profile, err error) {
	var (
		showable  bool
		policyRev uint64
		policy    octets
	)
	err = e.read("profile of "+m.String(), func(pool *pgxpool.Pool) error {
		err := scanSignature(pool.QueryRow(ctx, profileQuery, m, time.Now().UnixMicro()).Scan, &p.Signature,
			&showable, &p.MSISDN, &p.Tenant, (*octets)(&p.Name), &p.Rev, &policyRev, &policy)
		if err != nil || policy == "" {
			return err
		}
		// What changes meanwhile is told with a greater revision than p's.
		texts, err := policyTexts(ctx, pool, m)
		if err == nil {
			p.Policy, err = store.ReadPolicy(m, policyRev, string(policy), texts)
		}
		return err
	})
	if err != nil {
		return callsign.Profile{}, err
	}
	if !showable {
		p.Signature = callsign.Signature{}
	}
	return p, nil
}
