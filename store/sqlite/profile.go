package sqlite

import (
	"context"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// signatureColumns are what signatureFields scan; a is accounts, outer joined.
const signatureColumns = `
	coalesce(a.network, ''), coalesce(a.account, ''), coalesce(a.text, ''), coalesce(a.shown, ''), coalesce(a.lang, ''),
	coalesce(a.epoch, 0), coalesce(a.version, 0), coalesce(a.at, 0), coalesce(a.expires, 0), coalesce(a.origin, '')`

func signatureFields(s *callsign.Signature, at, expires *int64) []any {
	return []any{
		&s.Network, &s.Account, &s.Text, &s.Shown, &s.Lang,
		&s.Stamp.Epoch, &s.Stamp.Version, at, expires, &s.Origin,
	}
}

// reviewColumns are what scanReviewed reads behind them: what administrators see and calls don't.
const reviewColumns = `, a.review, a.reason, a.reviewed`

// scanReviewed reads the fields before it and then a signature with its review.
func scanReviewed(scan func(...any) error, s *callsign.Signature, before ...any) error {
	var at, expires, reviewed int64
	err := scan(append(append(before, signatureFields(s, &at, &expires)...), &s.Review, &s.Reason, &reviewed)...)
	s.At, s.Expires, s.Reviewed = store.FromMicros(at), store.FromMicros(expires), store.FromMicros(reviewed)
	return err
}

const profileQuery = `
SELECT s.msisdn, s.tenant, s.name, s.rev, coalesce(p.rev, 0), coalesce(p.document, ''), ` + signatureColumns + `
FROM subscribers s LEFT JOIN policies p ON p.msisdn = s.msisdn
LEFT JOIN accounts a ON a.msisdn = s.msisdn AND a.shown <> '' AND (a.expires = 0 OR a.expires > ?2) AND a.network <> 'policy'
    AND (coalesce(p.account, '') = '' OR p.account = a.network || '/' || a.account)
WHERE s.msisdn = ?1
ORDER BY a.at DESC, a.network, a.account LIMIT 1`

// Profile is what a call needs to know of m. Of several accounts the one that spoke last is shown, if the policy names none;
// ErrNotFound if m is nobody's.
func (e *Engine) Profile(ctx context.Context, m callsign.MSISDN) (callsign.Profile, error) {
	f := e.file.Load()
	if f == nil {
		return callsign.Profile{}, e.failed("profile of "+m.String(), errNotOpen)
	}
	var (
		p           callsign.Profile
		at, expires int64
		policyRev   uint64
		policy      string
	)
	fields := append([]any{&p.MSISDN, &p.Tenant, &p.Name, &p.Rev, &policyRev, &policy}, signatureFields(&p.Signature, &at, &expires)...)
	if err := f.profile.QueryRowContext(ctx, m, time.Now().UnixMicro()).Scan(fields...); err != nil {
		return callsign.Profile{}, e.failed("profile of "+m.String(), err)
	}
	p.Signature.At, p.Signature.Expires = store.FromMicros(at), store.FromMicros(expires)
	if policy == "" {
		return p, nil
	}
	// What changes meanwhile is told with a greater revision than p's.
	texts, err := e.policyTexts(ctx, m)
	if err == nil {
		p.Policy, err = store.ReadPolicy(m, policyRev, policy, texts)
	}
	if err != nil {
		return callsign.Profile{}, e.failed("profile of "+m.String(), err)
	}
	return p, nil
}
