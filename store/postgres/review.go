package postgres

import (
	"context"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// Reviews are the tenant's texts in a state, but Unasked, those that were said first first; Page.After is a Place.
func (e *Engine) Reviews(ctx context.Context, sc callsign.Scope, state callsign.Review, p callsign.Page) (rs []callsign.Reviewable, err error) {
	at, network, account, err := callsign.ParsePlace(p.After)
	if err != nil {
		return nil, err
	}
	err = e.read("reviews", func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, `
			SELECT g.msisdn, `+signatureColumns+reviewColumns+` FROM signatures g
			WHERE g.tenant = $1 AND g.review = $2 AND g.review <> '' AND (g.queued, g.network COLLATE "C", g.account COLLATE "C") > ($3, $4, $5)
			ORDER BY g.queued, g.network COLLATE "C", g.account COLLATE "C" LIMIT $6`, sc.Tenant, string(state), at, network, account, limit(p))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r callsign.Reviewable
			if err := scanReviewed(rows.Scan, &r.Signature, &r.MSISDN); err != nil {
				return err
			}
			rs = append(rs, r)
		}
		return rows.Err()
	})
	return rs, err
}

// Review keeps a verdict; an approved text shows what clean makes of it. ErrNotFound if the tenant's subscriber has no such account,
// ErrChanged if it doesn't say what the verdict is on.
func (e *Engine) Review(ctx context.Context, sc callsign.Scope, v callsign.Verdict, clean func(text string) string) error {
	return e.write(ctx, "review of "+v.MSISDN.String(), func(w *writing) error {
		if err := w.lock(ctx, sc.Tenant, v.MSISDN); err != nil {
			return err
		}
		var (
			text octets
			same bool
		)
		if err := w.QueryRow(ctx, `
			SELECT text, epoch IS NOT NULL AND (epoch, version) = ($1, $2) FROM signatures WHERE msisdn = $3 AND network = $4 AND account = $5`,
			v.Stamp.Epoch, v.Stamp.Version, v.MSISDN, v.Network, v.Account).Scan(&text, &same); err != nil {
			return err
		}
		if !same {
			return callsign.ErrChanged
		}
		shown := ""
		if v.Review == callsign.Approved {
			shown = clean(string(text))
		}
		if _, err := w.Exec(ctx, `
			UPDATE signatures SET shown = $1, review = $2, reason = $3, reviewed = $4, queued = at WHERE msisdn = $5 AND network = $6 AND account = $7`,
			octets(shown), string(v.Review), octets(v.Reason), store.Micros(v.At), v.MSISDN, v.Network, v.Account); err != nil {
			return err
		}
		return w.raise(ctx, v.MSISDN)
	})
}
