package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
)

// limit bounds what a page may ask for.
func limit(p callsign.Page) int { return min(cmp.Or(max(p.Limit, 0), 100), 1000) }

// manual is the name of a number's own account.
func manual(m callsign.MSISDN) string { return strconv.FormatUint(uint64(m), 10) }

// PutSubscriber creates s, with the account for texts set by hand, or renames it: only its MSISDN, Name and Rev are read.
// A number that belongs to another tenant is ErrConflict. With a Rev it changes only what is at it, or gives ErrChanged.
func (e *Engine) PutSubscriber(ctx context.Context, sc callsign.Scope, s callsign.Subscriber) (created bool, err error) {
	err = e.write(ctx, "put subscriber "+s.MSISDN.String(), func(w *writing) error {
		if err := w.unchanged(ctx, sc.Tenant, s.MSISDN, s.Rev); err != nil {
			return err
		}
		tag, err := w.Exec(ctx, `INSERT INTO subscribers (msisdn, tenant, name, rev) VALUES ($1, $2, $3, 0) ON CONFLICT DO NOTHING`,
			s.MSISDN, sc.Tenant, octets(s.Name))
		if err != nil {
			return err
		}
		if created = tag.RowsAffected() > 0; created {
			return w.insertAccount(ctx, sc.Tenant, s.MSISDN, callsign.ManualNetwork, manual(s.MSISDN))
		}
		if err := w.lock(ctx, sc.Tenant, s.MSISDN); errors.Is(err, pgx.ErrNoRows) {
			return callsign.ErrNumberTaken
		} else if err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `UPDATE subscribers SET name = $2 WHERE msisdn = $1`, s.MSISDN, octets(s.Name)); err != nil {
			return err
		}
		return w.raise(ctx, s.MSISDN)
	})
	return created && err == nil, err
}

// unchanged is ErrChanged unless a tenant's subscriber is at rev, and locks it; rev 0 is any, and none. A text that comes
// meanwhile is no change that anybody decided on.
func (w *writing) unchanged(ctx context.Context, tenant string, m callsign.MSISDN, rev uint64) error {
	if rev == 0 {
		return nil
	}
	err := w.lock(ctx, tenant, m)
	var now uint64
	if err == nil {
		err = w.QueryRow(ctx, `SELECT greatest(s.rev, (SELECT max(rev) FROM signatures g WHERE g.msisdn = s.msisdn)) FROM subscribers s
			WHERE s.msisdn = $1`, m).Scan(&now)
	}
	if errors.Is(err, pgx.ErrNoRows) || err == nil && now != rev {
		return callsign.ErrChanged
	}
	return err
}

// insertAccount links an account that nobody has; ErrConflict if somebody has it after all. Its revision is drawn while the
// subscriber's row is ours, even a new one that had to wait for the end of another's deletion.
func (w *writing) insertAccount(ctx context.Context, tenant string, m callsign.MSISDN, network, account string) error {
	if _, err := w.Exec(ctx, `INSERT INTO accounts (tenant, network, account, msisdn) VALUES ($1, $2, $3, $4)`,
		tenant, network, account, m); err != nil {
		return err
	}
	rows, err := w.Query(ctx, `INSERT INTO signatures (msisdn, network, account, tenant, rev) VALUES ($1, $2, $3, $4, nextval('revisions'))
		RETURNING msisdn, rev`, m, network, account, tenant)
	if err != nil {
		return err
	}
	return w.changes(rows)
}

// Subscriber is m with its accounts, in the order of network and account; ErrNotFound if it isn't this tenant's.
func (e *Engine) Subscriber(ctx context.Context, sc callsign.Scope, m callsign.MSISDN) (callsign.Subscriber, error) {
	what := "subscriber " + m.String()
	ss, err := e.subscribers(ctx, what, `SELECT * FROM subscribers WHERE tenant = $1 AND msisdn = $2`, sc.Tenant, m)
	if err != nil {
		return callsign.Subscriber{}, err
	}
	if len(ss) == 0 {
		return callsign.Subscriber{}, e.failed(what, callsign.ErrNotFound)
	}
	return ss[0], nil
}

// Subscribers are the tenant's, in the order of their numbers; Page.After is a MSISDN.
func (e *Engine) Subscribers(ctx context.Context, sc callsign.Scope, p callsign.Page) ([]callsign.Subscriber, error) {
	var after callsign.MSISDN
	if p.After != "" {
		if err := after.UnmarshalText([]byte(p.After)); err != nil {
			return nil, fmt.Errorf("subscribers after: %w", err)
		}
	}
	return e.subscribers(ctx, "subscribers",
		`SELECT * FROM subscribers WHERE tenant = $1 AND msisdn > $2 ORDER BY msisdn LIMIT $3`, sc.Tenant, after, limit(p))
}

// subscribers reads whom the query selects. The join leaves nobody out: everyone has the manual account.
func (e *Engine) subscribers(ctx context.Context, what, query string, args ...any) (ss []callsign.Subscriber, err error) {
	err = e.read(what, func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, `
			SELECT s.msisdn, s.tenant, s.name, greatest(s.rev, max(g.rev) OVER (PARTITION BY s.msisdn)), `+signatureColumns+reviewColumns+`
			FROM (`+query+`) s JOIN signatures g ON g.msisdn = s.msisdn
			ORDER BY s.msisdn, g.network COLLATE "C", g.account COLLATE "C"`, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var (
				s   callsign.Subscriber
				sig callsign.Signature
			)
			if err := scanReviewed(rows.Scan, &sig, &s.MSISDN, &s.Tenant, (*octets)(&s.Name), &s.Rev); err != nil {
				return err
			}
			if n := len(ss); n == 0 || ss[n-1].MSISDN != s.MSISDN {
				ss = append(ss, s)
			}
			last := &ss[len(ss)-1]
			last.Accounts = append(last.Accounts, sig)
		}
		return rows.Err()
	})
	return ss, err
}

// DeleteSubscriber forgets m, its accounts and their texts, and revokes its keys. Its revision is used up: should m come
// again, it goes on above. With a rev it deletes only what is at it, or gives ErrChanged.
func (e *Engine) DeleteSubscriber(ctx context.Context, sc callsign.Scope, m callsign.MSISDN, rev uint64) error {
	return e.write(ctx, "delete subscriber "+m.String(), func(w *writing) error {
		if err := w.unchanged(ctx, sc.Tenant, m, rev); err != nil {
			return err
		}
		if err := w.lock(ctx, sc.Tenant, m); err != nil {
			return err
		}
		if err := w.one(ctx, `DELETE FROM subscribers WHERE tenant = $1 AND msisdn = $2`, sc.Tenant, m); err != nil {
			return err
		}
		// Numbers are given to others: a key of this one must not open the next owner's data.
		if _, err := w.Exec(ctx, `UPDATE keys SET revoked = true WHERE tenant = $1 AND role = $2 AND msisdn = $3`,
			sc.Tenant, string(callsign.RoleSubscriber), m); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `DELETE FROM consents WHERE tenant = $1 AND msisdn = $2`, sc.Tenant, m); err != nil {
			return err
		}
		var rev uint64
		err := w.QueryRow(ctx, `SELECT nextval('revisions')`).Scan(&rev)
		w.changed[m] = rev
		return err
	})
}

// LinkAccount gives m an account; created is false if it has it already. An account of another subscriber, and anybody
// else's manual account, are ErrConflict; those of a policy's texts too.
func (e *Engine) LinkAccount(ctx context.Context, sc callsign.Scope, m callsign.MSISDN, network, account string) (created bool, err error) {
	err = e.write(ctx, "link account of "+m.String(), func(w *writing) error {
		created = false
		if err := w.lock(ctx, sc.Tenant, m); err != nil {
			return err
		}
		if free, err := w.free(ctx, sc.Tenant, m, network, account); err != nil || !free {
			return err
		}
		if err := w.insertAccount(ctx, sc.Tenant, m, network, account); err != nil {
			return err
		}
		created = true
		return w.tie(ctx, sc.Tenant, callsign.Word(sc, m, network, account, time.Now()))
	})
	return created && err == nil, err
}

// free tells that nobody has an account yet, and is false if m has it.
func (w *writing) free(ctx context.Context, tenant string, m callsign.MSISDN, network, account string) (bool, error) {
	var owner callsign.MSISDN
	err := w.QueryRow(ctx, `SELECT msisdn FROM accounts WHERE tenant = $1 AND network = $2 AND account = $3`, tenant, network, account).Scan(&owner)
	switch {
	case err == nil && owner == m:
		return false, nil
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return false, err
	case err == nil, network == callsign.ManualNetwork, network == callsign.PolicyNetwork:
		return false, callsign.ErrAccountTaken
	}
	return true, nil
}

// UnlinkAccount takes an account, and what it said, from m. The manual one, and those of a policy's texts, stay: ErrConflict.
func (e *Engine) UnlinkAccount(ctx context.Context, sc callsign.Scope, m callsign.MSISDN, network, account string) error {
	return e.write(ctx, "unlink account of "+m.String(), func(w *writing) error {
		if err := w.lock(ctx, sc.Tenant, m); err != nil {
			return err
		}
		if err := w.one(ctx, `DELETE FROM accounts WHERE tenant = $1 AND msisdn = $2 AND network = $3 AND account = $4`,
			sc.Tenant, m, network, account); err != nil {
			return err
		}
		if network == callsign.ManualNetwork || network == callsign.PolicyNetwork {
			return callsign.ErrConflict // and so the deletion is undone
		}
		if _, err := w.Exec(ctx, `DELETE FROM signatures WHERE msisdn = $1 AND network = $2 AND account = $3`, m, network, account); err != nil {
			return err
		}
		if _, err := w.Exec(ctx, `DELETE FROM links WHERE tenant = $1 AND network = $2 AND account = $3`, sc.Tenant, network, account); err != nil {
			return err
		}
		return w.raise(ctx, m)
	})
}
