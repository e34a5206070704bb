package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// PutLink has a link wait for its proof, in place of what waited for the same, or makes one whose proof is there. ErrNotFound if the
// tenant has no such subscriber, ErrLinked or ErrAccountTaken if somebody has the account, ErrTooMany if as many wait already for the
// number or for the account as may.
func (e *Engine) PutLink(ctx context.Context, sc callsign.Scope, l callsign.Link) error {
	return e.write(ctx, "link of "+l.MSISDN.String(), func(w *writing) error {
		if err := w.lock(ctx, sc.Tenant, l.MSISDN); err != nil {
			return err
		}
		if free, err := w.free(ctx, sc.Tenant, l.MSISDN, l.Network, l.Account); err != nil || !free {
			return orLinked(err)
		}
		if !l.Proved.IsZero() {
			if err := w.insertAccount(ctx, sc.Tenant, l.MSISDN, l.Network, l.Account); err != nil {
				return err
			}
			return w.tie(ctx, sc.Tenant, l)
		}
		if _, err := w.Exec(ctx, `DELETE FROM links WHERE ctid = ANY (ARRAY (SELECT ctid FROM links WHERE network = $1 AND proved = 0 AND expires <= $2
			FOR UPDATE SKIP LOCKED))`, l.Network, store.Micros(l.Asked)); err != nil {
			return err
		}
		// Those of an account are counted one after the other, so that many numbers at once don't each find room.
		if _, err := w.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended($1, 0))`, sc.Tenant+"/"+l.Network+"/"+l.Account); err != nil {
			return err
		}
		var ofNumber, ofAccount int
		if err := w.QueryRow(ctx, `
			SELECT (SELECT count(*) FROM links WHERE msisdn = $1 AND proved = 0 AND expires > $5 AND NOT (network = $3 AND account = $4)),
				(SELECT count(*) FROM links WHERE tenant = $2 AND network = $3 AND account = $4 AND proved = 0 AND expires > $5 AND msisdn <> $1)`,
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
	_, err := w.Exec(ctx, `
		INSERT INTO links (tenant, network, account, msisdn, proof, by, code, asked, expires, proved) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (tenant, network, account, msisdn) DO UPDATE SET proof = excluded.proof, by = excluded.by, code = excluded.code, wrong = '', tries = 0,
			asked = excluded.asked, expires = excluded.expires, proved = excluded.proved`,
		tenant, l.Network, l.Account, l.MSISDN, string(l.Proof), l.By, l.Code[:], store.Micros(l.Asked), store.Micros(l.Expires), store.Micros(l.Proved))
	return err
}

// tie notes how an account that has just been linked was proved; what others asked for it waits in vain.
func (w *writing) tie(ctx context.Context, tenant string, l callsign.Link) error {
	if _, err := w.Exec(ctx, `DELETE FROM links WHERE tenant = $1 AND network = $2 AND account = $3`, tenant, l.Network, l.Account); err != nil {
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
	err = scan(&l.Tenant, &l.Network, &l.Account, &l.MSISDN, (*string)(&l.Proof), &l.By, &code, &l.Tries, &asked, &expires, &proved)
	copy(l.Code[:], code)
	l.Asked, l.Expires, l.Proved = store.FromMicros(asked), store.FromMicros(expires), store.FromMicros(proved)
	return l, err
}

// Links are the number's, those that are proved and those that wait, or waited in vain, in the order of network and account.
func (e *Engine) Links(ctx context.Context, sc callsign.Scope, m callsign.MSISDN) (all []callsign.Link, err error) {
	err = e.read("links", func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, `SELECT `+linkColumns+` FROM links WHERE msisdn = $1 AND tenant = $2 ORDER BY network COLLATE "C", account COLLATE "C"`,
			m, sc.Tenant)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			l, err := scanLink(rows.Scan)
			if err != nil {
				return err
			}
			all = append(all, l)
		}
		return rows.Err()
	})
	return all, err
}

// WithdrawLink forgets what waits for its proof; ErrNotFound if nothing does.
func (e *Engine) WithdrawLink(ctx context.Context, sc callsign.Scope, m callsign.MSISDN, network, account string) error {
	return e.write(ctx, "withdraw link of "+m.String(), func(w *writing) error {
		return w.one(ctx, `DELETE FROM links WHERE tenant = $1 AND network = $2 AND account = $3 AND msisdn = $4 AND proved = 0`, sc.Tenant, network, account, m)
	})
}

// Of what waits for a code that an account shows, or a number, at the time of $2.
const (
	waits           = ` FROM links WHERE proved = 0 AND expires > $1 AND tries < $2 AND `
	forAccount      = `proof = 'signature' AND tenant = $3 AND network = $4 AND account = $5`
	forNumber       = `proof = 'sms' AND msisdn = $3`
	awaitedAccounts = `SELECT a.tenant, a.account, a.phase, ''::bytea, 0, 0, false FROM links a
		WHERE a.network = $1 AND a.phase % $2 = ANY($3) AND a.proved = 0 AND a.expires > $4 AND a.tries < $5 AND a.proof = 'signature'`
)

// Expected tells of each account that shows a code whether somebody waits for one there, so that the others needn't be looked at one by one.
func (e *Engine) Expected(ctx context.Context, shown []callsign.Showing) (expected []bool, err error) {
	var (
		tenant, network, account []string
		at                       []int64
	)
	for _, s := range shown {
		tenant, network, account = append(tenant, s.Tenant), append(network, s.Network), append(account, s.Account)
		at = append(at, store.Micros(s.At))
	}
	err = e.read("expected codes", func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, `
			SELECT e.i FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) WITH ORDINALITY AS e(tenant, network, account, at, i)
			WHERE EXISTS (SELECT 1 FROM links l WHERE (l.tenant, l.network, l.account) = (e.tenant, e.network, e.account)
				AND l.expires > e.at AND l.tries < $5 AND l.proved = 0 AND l.proof = 'signature')`, tenant, network, account, at, callsign.MaxTries)
		if err != nil {
			return err
		}
		expected = make([]bool, len(shown))
		var i int
		_, err = pgx.ForEachRow(rows, []any{&i}, func() error {
			expected[i-1] = true
			return nil
		})
		return err
	})
	return expected, err
}

// ShowCode links what waits for the code that is shown, and writes so into the audit; a wrong code is counted, once. What nobody waits
// for costs a read.
func (e *Engine) ShowCode(ctx context.Context, s callsign.Showing) (is callsign.Proving, l callsign.Link, err error) {
	which, args := waits+forAccount, []any{store.Micros(s.At), callsign.MaxTries, s.Tenant, s.Network, s.Account}
	if s.MSISDN != 0 {
		which, args = waits+forNumber, []any{store.Micros(s.At), callsign.MaxTries, s.MSISDN}
	}
	err = e.read("show code", func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, `SELECT `+linkColumns+which, args...)
		if err != nil {
			return err
		}
		is = callsign.Unawaited
		defer rows.Close()
		for rows.Next() {
			waiting, err := scanLink(rows.Scan)
			switch {
			case err != nil:
				return err
			case waiting.Code == s.Code:
				is, l = callsign.Proved, waiting
			case is == callsign.Unawaited:
				is = callsign.Wrong
			}
		}
		return rows.Err()
	})
	switch {
	case err != nil || is == callsign.Unawaited:
		return is, l, err
	case is == callsign.Wrong:
		code := fmt.Sprintf("$%d", len(args)+1)
		return is, l, e.write(ctx, "count a wrong code", func(w *writing) error {
			_, err := w.Exec(ctx, `UPDATE links SET tries = tries + 1, wrong = `+code+` WHERE wrong <> `+code+` AND (tenant, network, account, msisdn) IN
				(SELECT tenant, network, account, msisdn`+which+`)`, append(args, s.Code[:])...)
			return err
		})
	}
	err = e.write(ctx, "link of "+l.MSISDN.String(), func(w *writing) (err error) {
		is, err = w.prove(ctx, &l, s)
		return err
	})
	if errors.Is(err, callsign.ErrConflict) { // another number's was committed meanwhile
		return callsign.Taken, l, nil
	}
	return is, l, err
}

// prove links what showed its code, if it still waits once its subscriber is locked.
func (w *writing) prove(ctx context.Context, l *callsign.Link, s callsign.Showing) (callsign.Proving, error) {
	if err := w.lock(ctx, l.Tenant, l.MSISDN); errors.Is(err, pgx.ErrNoRows) {
		return callsign.Unawaited, nil
	} else if err != nil {
		return "", err
	}
	now, err := scanLink(w.QueryRow(ctx, `SELECT `+linkColumns+` FROM links WHERE tenant = $1 AND network = $2 AND account = $3 AND msisdn = $4`,
		l.Tenant, l.Network, l.Account, l.MSISDN).Scan)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && (now.Code != s.Code || !now.Waits(s.At)) {
		return callsign.Unawaited, nil
	}
	if err != nil {
		return "", err
	}
	if free, err := w.free(ctx, l.Tenant, l.MSISDN, l.Network, l.Account); err != nil {
		return "", err
	} else if free {
		if err := w.insertAccount(ctx, l.Tenant, l.MSISDN, l.Network, l.Account); err != nil {
			return "", err
		}
	}
	l.Proved = s.At
	if err := w.tie(ctx, l.Tenant, *l); err != nil {
		return "", err
	}
	_, err = w.Exec(ctx, `INSERT INTO audit (tenant, id, at, key_id, address, action, msisdn, object, status) VALUES ($1, $2, $3, $4, '', $5, $6, $7, 200)`,
		l.Tenant, store.AuditID(s.At), store.Micros(s.At), l.By, callsign.AuditProved+string(l.Proof), l.MSISDN, octets(l.Network))
	return callsign.Proved, err
}

// Awaited are the accounts of a slice's parts, whatever their phase, that are to say a code.
func (e *Engine) Awaited(ctx context.Context, s callsign.Slice, now time.Time) ([]callsign.Linked, error) {
	return e.linked(ctx, awaitedAccounts, s, store.Micros(now), callsign.MaxTries)
}
