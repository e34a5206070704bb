package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/callsign-as/callsign"
)

// limit bounds what a page may ask for.
func limit(p callsign.Page) int { return min(cmp.Or(max(p.Limit, 0), 100), 1000) }

// manual is the name of a number's own account.
func manual(m callsign.MSISDN) string { return strconv.FormatUint(uint64(m), 10) }

// PutSubscriber creates s, with the account for texts set by hand, or renames it: only its MSISDN, Name and Rev are read.
// A number that belongs to another tenant is ErrConflict. With a Rev it changes only what is at it, or gives ErrChanged.
func (e *Engine) PutSubscriber(ctx context.Context, sc callsign.Scope, s callsign.Subscriber) (created bool, err error) {
	err = e.write(ctx, "put subscriber "+s.MSISDN.String(), func(w *writing) (err error) {
		if err := w.unchanged(ctx, sc.Tenant, s.MSISDN, s.Rev); err != nil {
			return err
		}
		created, err = w.put(ctx, sc.Tenant, s.MSISDN, s.Name, true)
		return err
	})
	return created && err == nil, err
}

// unchanged is ErrChanged unless a tenant's subscriber is at rev; rev 0 is any, and none.
func (w *writing) unchanged(ctx context.Context, tenant string, m callsign.MSISDN, rev uint64) error {
	if rev == 0 {
		return nil
	}
	var now uint64
	err := w.QueryRowContext(ctx, `SELECT rev FROM subscribers WHERE tenant = ? AND msisdn = ?`, tenant, m).Scan(&now)
	if errors.Is(err, sql.ErrNoRows) || err == nil && now != rev {
		return callsign.ErrChanged
	}
	return err
}

// put creates a subscriber, or renames it: to nothing only if rename says so.
func (w *writing) put(ctx context.Context, tenant string, m callsign.MSISDN, name string, rename bool) (created bool, err error) {
	var owner string
	err = w.QueryRowContext(ctx, `SELECT tenant FROM subscribers WHERE msisdn = ?`, m).Scan(&owner)
	created = errors.Is(err, sql.ErrNoRows)
	switch {
	case created:
	case err != nil:
		return false, err
	case owner != tenant:
		return false, callsign.ErrNumberTaken
	}
	rev, err := w.revision(ctx, m)
	if err != nil {
		return false, err
	}
	if !created {
		_, err = w.ExecContext(ctx, `UPDATE subscribers SET name = iif(?, ?, name), rev = ? WHERE tenant = ? AND msisdn = ?`,
			rename || name != "", name, rev, tenant, m)
		return false, err
	}
	if _, err := w.ExecContext(ctx, `INSERT INTO subscribers (msisdn, tenant, name, rev) VALUES (?, ?, ?, ?)`, m, tenant, name, rev); err != nil {
		return false, err
	}
	return true, w.insertAccount(ctx, tenant, m, callsign.ManualNetwork, manual(m))
}

func (w *writing) insertAccount(ctx context.Context, tenant string, m callsign.MSISDN, network, account string) error {
	_, err := w.ExecContext(ctx, `INSERT INTO accounts (tenant, network, account, msisdn, phase) VALUES (?, ?, ?, ?, random() & 2147483647)`,
		tenant, network, account, m)
	return err
}

// Subscriber is m with its accounts, in the order of network and account; ErrNotFound if it isn't this tenant's.
func (e *Engine) Subscriber(ctx context.Context, sc callsign.Scope, m callsign.MSISDN) (callsign.Subscriber, error) {
	what := "subscriber " + m.String()
	ss, err := e.subscribers(ctx, what, oneSubscriber, sc.Tenant, m)
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
	return e.subscribers(ctx, "subscribers", pageOfSubscribers, sc.Tenant, after, limit(p))
}

const (
	oneSubscriber     = `SELECT * FROM subscribers WHERE tenant = ? AND msisdn = ?`
	pageOfSubscribers = `SELECT * FROM subscribers WHERE tenant = ? AND msisdn > ? ORDER BY msisdn LIMIT ?`
)

// withAccounts reads whom the query selects. The join leaves nobody out: everyone has the manual account. The + keeps the
// planner from reading all of a tenant's accounts for each of its subscribers.
func withAccounts(query string) string {
	return `
		SELECT s.msisdn, s.tenant, s.name, s.rev, ` + signatureColumns + reviewColumns + `
		FROM (` + query + `) s JOIN accounts a ON a.msisdn = s.msisdn AND +a.tenant = s.tenant
		ORDER BY s.msisdn, a.network, a.account`
}

func (e *Engine) subscribers(ctx context.Context, what, query string, args ...any) (_ []callsign.Subscriber, err error) {
	rows, err := e.query(ctx, withAccounts(query), args...)
	if err != nil {
		return nil, e.failed(what, err)
	}
	defer func() { _ = rows.Close() }()
	var ss []callsign.Subscriber
	for rows.Next() {
		var (
			s   callsign.Subscriber
			sig callsign.Signature
		)
		if err := scanReviewed(rows.Scan, &sig, &s.MSISDN, &s.Tenant, &s.Name, &s.Rev); err != nil {
			return nil, e.failed(what, err)
		}
		if n := len(ss); n == 0 || ss[n-1].MSISDN != s.MSISDN {
			ss = append(ss, s)
		}
		last := &ss[len(ss)-1]
		last.Accounts = append(last.Accounts, sig)
	}
	return ss, e.failed(what, rows.Err())
}

// DeleteSubscriber forgets m, its accounts and their texts, and revokes its keys. Its revision is used up: should m come
// again, it goes on above. With a rev it deletes only what is at it, or gives ErrChanged.
func (e *Engine) DeleteSubscriber(ctx context.Context, sc callsign.Scope, m callsign.MSISDN, rev uint64) error {
	return e.write(ctx, "delete subscriber "+m.String(), func(w *writing) error {
		if err := w.unchanged(ctx, sc.Tenant, m, rev); err != nil {
			return err
		}
		if err := w.one(ctx, `DELETE FROM subscribers WHERE tenant = ? AND msisdn = ?`, sc.Tenant, m); err != nil {
			return err
		}
		// Numbers are given to others: a key of this one must not open the next owner's data.
		if _, err := w.ExecContext(ctx, `UPDATE keys SET revoked = 1 WHERE tenant = ? AND role = ? AND msisdn = ?`,
			sc.Tenant, callsign.RoleSubscriber, m); err != nil {
			return err
		}
		if _, err := w.ExecContext(ctx, `DELETE FROM consents WHERE tenant = ? AND msisdn = ?`, sc.Tenant, m); err != nil {
			return err
		}
		_, err := w.revision(ctx, m)
		return err
	})
}

// one runs a statement that must meet a row, and gives ErrNotFound if it didn't.
func (w *writing) one(ctx context.Context, query string, args ...any) error {
	r, err := w.ExecContext(ctx, query, args...)
	if err != nil {
		return err
	}
	if n, err := r.RowsAffected(); err != nil || n > 0 {
		return err
	}
	return callsign.ErrNotFound
}

// LinkAccount gives m an account; created is false if it has it already. An account of another subscriber, and anybody
// else's manual account, are ErrConflict; those of a policy's texts too.
func (e *Engine) LinkAccount(ctx context.Context, sc callsign.Scope, m callsign.MSISDN, network, account string) (created bool, err error) {
	err = e.write(ctx, "link account of "+m.String(), func(w *writing) (err error) {
		if created, err = w.link(ctx, sc.Tenant, m, network, account); err != nil || !created {
			return err
		}
		return w.tie(ctx, sc.Tenant, callsign.Word(sc, m, network, account, time.Now()))
	})
	return created && err == nil, err
}

func (w *writing) link(ctx context.Context, tenant string, m callsign.MSISDN, network, account string) (created bool, err error) {
	if free, err := w.free(ctx, tenant, m, network, account); err != nil || !free {
		return false, err
	}
	if err := w.insertAccount(ctx, tenant, m, network, account); err != nil {
		return false, err
	}
	return true, w.raise(ctx, m)
}

// free tells that nobody has an account yet, and is false if m has it.
func (w *writing) free(ctx context.Context, tenant string, m callsign.MSISDN, network, account string) (bool, error) {
	var known bool
	if err := w.QueryRowContext(ctx, `SELECT 1 FROM subscribers WHERE tenant = ? AND msisdn = ?`, tenant, m).Scan(&known); err != nil {
		return false, err
	}
	var owner callsign.MSISDN
	err := w.QueryRowContext(ctx, `SELECT msisdn FROM accounts WHERE tenant = ? AND network = ? AND account = ?`, tenant, network, account).Scan(&owner)
	switch {
	case err == nil && owner == m:
		return false, nil
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return false, err
	case err == nil, network == callsign.ManualNetwork, network == callsign.PolicyNetwork:
		return false, callsign.ErrAccountTaken
	}
	return true, nil
}

// UnlinkAccount takes an account, and what it said, from m. The manual one, and those of a policy's texts, stay: ErrConflict.
func (e *Engine) UnlinkAccount(ctx context.Context, sc callsign.Scope, m callsign.MSISDN, network, account string) error {
	return e.write(ctx, "unlink account of "+m.String(), func(w *writing) error {
		if err := w.one(ctx, `DELETE FROM accounts WHERE tenant = ? AND msisdn = ? AND network = ? AND account = ?`,
			sc.Tenant, m, network, account); err != nil {
			return err
		}
		if network == callsign.ManualNetwork || network == callsign.PolicyNetwork {
			return callsign.ErrConflict // and so the deletion is undone
		}
		if _, err := w.ExecContext(ctx, `DELETE FROM links WHERE tenant = ? AND network = ? AND account = ?`, sc.Tenant, network, account); err != nil {
			return err
		}
		return w.raise(ctx, m)
	})
}
