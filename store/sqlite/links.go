package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// PutLink has a link wait for its proof, in place of what waited for the same, or makes one whose proof is there. ErrNotFound if the
// tenant has no such subscriber, ErrLinked or ErrAccountTaken if somebody has the account, ErrTooMany if as many wait already for the
// number or for the account as may.
func (e *Engine) PutLink(ctx context.Context, sc callsign.Scope, l callsign.Link) error {
	return e.write(ctx, "link of "+l.MSISDN.String(), func(w *writing) error {
		if !l.Proved.IsZero() {
			created, err := w.link(ctx, sc.Tenant, l.MSISDN, l.Network, l.Account)
			if err != nil || !created {
				return orLinked(err)
			}
			return w.tie(ctx, sc.Tenant, l)
		}
		if free, err := w.free(ctx, sc.Tenant, l.MSISDN, l.Network, l.Account); err != nil || !free {
			return orLinked(err)
		}
		if _, err := w.ExecContext(ctx, `DELETE FROM links WHERE network = ? AND proved = 0 AND expires <= ?`, l.Network, store.Micros(l.Asked)); err != nil {
			return err
		}
		var ofNumber, ofAccount int
		if err := w.QueryRowContext(ctx, `
			SELECT (SELECT count(*) FROM links WHERE msisdn = ?1 AND proved = 0 AND expires > ?5 AND NOT (network = ?3 AND account = ?4)),
				(SELECT count(*) FROM links WHERE tenant = ?2 AND network = ?3 AND account = ?4 AND proved = 0 AND msisdn <> ?1)`,
			l.MSISDN, sc.Tenant, l.Network, l.Account, store.Micros(l.Asked)).Scan(&ofNumber, &ofAccount); err != nil {
			return err
		}
		if max(ofNumber, ofAccount) >= callsign.MaxWaiting {
			return callsign.ErrTooMany
		}
		return w.putLink(ctx, sc.Tenant, l)
	})
}

// orLinked is err, or where there is none that the number has the account already.
func orLinked(err error) error {
	if err == nil {
		return callsign.ErrLinked
	}
	return err
}

func (w *writing) putLink(ctx context.Context, tenant string, l callsign.Link) error {
	_, err := w.ExecContext(ctx, `
		INSERT OR REPLACE INTO links (tenant, network, account, msisdn, proof, by, code, asked, expires, proved, phase)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, random() & 2147483647)`,
		tenant, l.Network, l.Account, l.MSISDN, l.Proof, l.By, l.Code[:], store.Micros(l.Asked), store.Micros(l.Expires), store.Micros(l.Proved))
	return err
}

// tie notes how an account that has just been linked was proved; what others asked for it waits in vain.
func (w *writing) tie(ctx context.Context, tenant string, l callsign.Link) error {
	if _, err := w.ExecContext(ctx, `DELETE FROM links WHERE tenant = ? AND network = ? AND account = ?`, tenant, l.Network, l.Account); err != nil {
		return err
	}
	l.Code = callsign.CodeHash{}
	return w.putLink(ctx, tenant, l)
}

const linkColumns = `tenant, network, account, msisdn, proof, by, code, tries, asked, expires, proved`

func scanLink(scan func(...any) error) (l callsign.Link, err error) {
	var (
		code                   []byte
		asked, expires, proved int64
	)
	err = scan(&l.Tenant, &l.Network, &l.Account, &l.MSISDN, &l.Proof, &l.By, &code, &l.Tries, &asked, &expires, &proved)
	copy(l.Code[:], code)
	l.Asked, l.Expires, l.Proved = store.FromMicros(asked), store.FromMicros(expires), store.FromMicros(proved)
	return l, err
}

// Links are the number's, those that are proved and those that wait, or waited in vain, in the order of network and account.
func (e *Engine) Links(ctx context.Context, sc callsign.Scope, m callsign.MSISDN) (all []callsign.Link, err error) {
	rows, err := e.query(ctx, `SELECT `+linkColumns+` FROM links WHERE msisdn = ? AND tenant = ? ORDER BY network, account`, m, sc.Tenant)
	if err != nil {
		return nil, e.failed("links", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		l, err := scanLink(rows.Scan)
		if err != nil {
			return nil, e.failed("links", err)
		}
		all = append(all, l)
	}
	return all, e.failed("links", rows.Err())
}

// WithdrawLink forgets what waits for its proof; ErrNotFound if nothing does.
func (e *Engine) WithdrawLink(ctx context.Context, sc callsign.Scope, m callsign.MSISDN, network, account string) error {
	return e.write(ctx, "withdraw link of "+m.String(), func(w *writing) error {
		return w.one(ctx, `DELETE FROM links WHERE tenant = ? AND network = ? AND account = ? AND msisdn = ? AND proved = 0`, sc.Tenant, network, account, m)
	})
}

// Of what waits: for a code that an account shows, or a number. Both are asked for with the account's name, the number and the time.
const (
	waitsFor        = ` FROM links WHERE proved = 0 AND expires > ?5 AND tries < ?6 AND `
	forAccount      = `tenant = ?1 AND network = ?2 AND account = ?3 AND proof = 'signature'`
	forNumber       = `msisdn = ?4 AND proof = 'sms'`
	awaitedAccounts = `SELECT a.tenant, a.account, a.phase, '', 0, 0, 0 FROM links a
		WHERE a.network = ?1 AND a.phase % ?2 IN (SELECT value FROM json_each(?3)) AND a.proved = 0 AND a.expires > ?4 AND a.tries < ?5 AND a.proof = 'signature'`
)

// The + keeps the planner from reading, for each account, all that wait in its network.
const expectedCodes = `SELECT e.key FROM json_each(?) e WHERE EXISTS (SELECT 1 FROM links
		WHERE tenant = e.value->>0 AND network = e.value->>1 AND account = e.value->>2 AND +expires > e.value->>3 AND tries < ? AND proved = 0 AND proof = 'signature')`

// Expected tells of each account that shows a code whether somebody waits for one there, so that the others needn't be looked at one by one.
func (e *Engine) Expected(ctx context.Context, shown []callsign.Showing) ([]bool, error) {
	asked := make([][4]any, len(shown))
	for i, s := range shown {
		asked[i] = [4]any{s.Tenant, s.Network, s.Account, store.Micros(s.At)}
	}
	list, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	rows, err := e.query(ctx, expectedCodes, string(list), callsign.MaxTries)
	if err != nil {
		return nil, e.failed("expected codes", err)
	}
	defer func() { _ = rows.Close() }()
	expected := make([]bool, len(shown))
	for rows.Next() {
		var i int
		if err := rows.Scan(&i); err != nil {
			return nil, e.failed("expected codes", err)
		}
		expected[i] = true
	}
	return expected, e.failed("expected codes", rows.Err())
}

// ShowCode links what waits for the code that is shown, and writes so into the audit; a wrong code is counted, once. What nobody waits
// for costs a read.
func (e *Engine) ShowCode(ctx context.Context, s callsign.Showing) (is callsign.Proving, l callsign.Link, err error) {
	waits := waitsFor + forAccount
	if s.MSISDN != 0 {
		waits = waitsFor + forNumber
	}
	args := []any{s.Tenant, s.Network, s.Account, s.MSISDN, store.Micros(s.At), callsign.MaxTries}
	var one int
	err = e.queryRow(ctx, `SELECT 1`+waits+` LIMIT 1`, args...)(&one)
	if errors.Is(err, sql.ErrNoRows) {
		return callsign.Unawaited, l, nil
	}
	if err != nil {
		return "", l, e.failed("show code", err)
	}
	err = e.write(ctx, "show code", func(w *writing) (err error) {
		is, l, err = w.showCode(ctx, s, waits, append(args, s.Code[:]))
		return err
	})
	return is, l, err
}

func (w *writing) showCode(ctx context.Context, s callsign.Showing, waits string, args []any) (is callsign.Proving, l callsign.Link, err error) {
	l, err = scanLink(w.QueryRowContext(ctx, `SELECT `+linkColumns+waits+` AND code = ?7`, args...).Scan)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		_, err = w.ExecContext(ctx, `UPDATE links SET tries = tries + 1, wrong = ?7 WHERE wrong <> ?7 AND (tenant, network, account, msisdn) IN
			(SELECT tenant, network, account, msisdn`+waits+`)`, args...)
		return callsign.Wrong, callsign.Link{}, err
	case err != nil:
		return "", l, err
	}
	_, err = w.link(ctx, l.Tenant, l.MSISDN, l.Network, l.Account)
	if errors.Is(err, callsign.ErrAccountTaken) {
		return callsign.Taken, l, nil
	}
	if err != nil {
		return "", l, err
	}
	l.Proved = s.At
	if err := w.tie(ctx, l.Tenant, l); err != nil {
		return "", l, err
	}
	_, err = w.ExecContext(ctx, `INSERT INTO audit (tenant, id, at, key_id, address, action, msisdn, object, status) VALUES (?, ?, ?, ?, '', ?, ?, ?, 200)`,
		l.Tenant, store.AuditID(s.At), store.Micros(s.At), l.By, callsign.AuditProved+string(l.Proof), l.MSISDN, l.Network)
	return callsign.Proved, l, err
}

// Awaited are the accounts of a slice's parts, whatever their phase, that are to say a code.
func (e *Engine) Awaited(ctx context.Context, s callsign.Slice, now time.Time) ([]callsign.Linked, error) {
	return e.linked(ctx, awaitedAccounts, s, store.Micros(now), callsign.MaxTries)
}
