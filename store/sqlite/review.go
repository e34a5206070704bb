package sqlite

import (
	"context"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// reviewsQuery names what its index holds, else the planner takes another.
const reviewsQuery = `
SELECT a.msisdn, ` + signatureColumns + reviewColumns + ` FROM accounts a
WHERE a.tenant = ? AND a.review = ? AND a.review <> '' AND (a.at, a.network, a.account) > (?, ?, ?)
ORDER BY a.at, a.network, a.account LIMIT ?`

// Reviews are the tenant's texts in a state, but Unasked, those that were said first first; Page.After is a Place.
func (e *Engine) Reviews(ctx context.Context, sc callsign.Scope, state callsign.Review, p callsign.Page) (_ []callsign.Reviewable, err error) {
	at, network, account, err := callsign.ParsePlace(p.After)
	if err != nil {
		return nil, err
	}
	rows, err := e.query(ctx, reviewsQuery, sc.Tenant, state, at, network, account, limit(p))
	if err != nil {
		return nil, e.failed("reviews", err)
	}
	defer func() { _ = rows.Close() }()
	var rs []callsign.Reviewable
	for rows.Next() {
		var r callsign.Reviewable
		if err := scanReviewed(rows.Scan, &r.Signature, &r.MSISDN); err != nil {
			return nil, e.failed("reviews", err)
		}
		rs = append(rs, r)
	}
	return rs, e.failed("reviews", rows.Err())
}

// Review keeps a verdict; an approved text shows what clean makes of it. ErrNotFound if the tenant's subscriber has no such account,
// ErrChanged if it doesn't say what the verdict is on.
func (e *Engine) Review(ctx context.Context, sc callsign.Scope, v callsign.Verdict, clean func(text string) string) error {
	return e.write(ctx, "review of "+v.MSISDN.String(), func(w *writing) error {
		var (
			text, shown string
			same        bool
		)
		if err := w.QueryRowContext(ctx, `
			SELECT text, epoch IS NOT NULL AND (epoch, version) = (?, ?) FROM accounts WHERE tenant = ? AND network = ? AND account = ? AND msisdn = ?`,
			v.Stamp.Epoch, v.Stamp.Version, sc.Tenant, v.Network, v.Account, v.MSISDN).Scan(&text, &same); err != nil {
			return err
		}
		if !same {
			return callsign.ErrChanged
		}
		if v.Review == callsign.Approved {
			shown = clean(text)
		}
		if _, err := w.ExecContext(ctx, `
			UPDATE accounts SET shown = ?, review = ?, reason = ?, reviewed = ? WHERE tenant = ? AND network = ? AND account = ?`,
			shown, v.Review, v.Reason, store.Micros(v.At), sc.Tenant, v.Network, v.Account); err != nil {
			return err
		}
		return w.raise(ctx, v.MSISDN)
	})
}
