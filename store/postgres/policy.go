package postgres

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// policyTexts are those of m's policy that may be shown.
func policyTexts(ctx context.Context, pool *pgxpool.Pool, m callsign.MSISDN) (texts []callsign.Signature, err error) {
	rows, err := pool.Query(ctx, `SELECT account, shown, lang, origin FROM signatures WHERE msisdn = $1 AND network = $2 AND shown <> ''`, m, callsign.PolicyNetwork)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		s := callsign.Signature{Network: callsign.PolicyNetwork}
		if err := rows.Scan(&s.Account, (*octets)(&s.Shown), (*octets)(&s.Lang), (*octets)(&s.Origin)); err != nil {
			return nil, err
		}
		texts = append(texts, s)
	}
	return texts, rows.Err()
}

// Policy is a subscriber's, as it was put, with its revision; ErrNotFound if they have none.
func (e *Engine) Policy(ctx context.Context, sc callsign.Scope, m callsign.MSISDN) (p callsign.Policy, rev uint64, err error) {
	err = e.read("policy of "+m.String(), func(pool *pgxpool.Pool) error {
		var document octets
		err := pool.QueryRow(ctx, `SELECT p.document, p.rev FROM policies p JOIN subscribers s USING (msisdn) WHERE s.tenant = $1 AND p.msisdn = $2`,
			sc.Tenant, m).Scan(&document, &rev)
		if err != nil {
			return err
		}
		p, err = store.ParsePolicy(string(document))
		return err
	})
	return p, rev, err
}

// PutPolicy keeps a subscriber's policy and its texts, each of which is an account of callsign.PolicyNetwork, and gives its revision. With
// a rev it changes only the policy that is at it, or gives ErrChanged.
func (e *Engine) PutPolicy(ctx context.Context, sc callsign.Scope, m callsign.MSISDN, p callsign.Policy, rev uint64, texts []callsign.Entry) (now uint64, err error) {
	document, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	err = e.write(ctx, "put policy of "+m.String(), func(w *writing) error {
		if err := w.unchangedPolicy(ctx, sc.Tenant, m, rev); err != nil {
			return err
		}
		if err := w.placeTexts(ctx, sc.Tenant, m, texts); err != nil {
			return err
		}
		if err := w.raise(ctx, m); err != nil {
			return err
		}
		now = w.changed[m]
		_, err := w.Exec(ctx, `INSERT INTO policies (msisdn, rev, account, document) VALUES ($1, $2, $3, $4)
			ON CONFLICT (msisdn) DO UPDATE SET rev = excluded.rev, account = excluded.account, document = excluded.document`, m, now, p.Account, document)
		return err
	})
	return now, err
}

// DeletePolicy forgets a subscriber's policy and its texts.
func (e *Engine) DeletePolicy(ctx context.Context, sc callsign.Scope, m callsign.MSISDN, rev uint64) error {
	return e.write(ctx, "delete policy of "+m.String(), func(w *writing) error {
		if err := w.unchangedPolicy(ctx, sc.Tenant, m, rev); err != nil {
			return err
		}
		if err := w.placeTexts(ctx, sc.Tenant, m, nil); err != nil {
			return err
		}
		if err := w.one(ctx, `DELETE FROM policies WHERE msisdn = $1`, m); err != nil {
			return err
		}
		return w.raise(ctx, m)
	})
}

// unchangedPolicy locks m, or is ErrNotFound if it isn't the tenant's; ErrChanged unless its policy is at rev; 0 is any, and none, callsign.NoRev none.
func (w *writing) unchangedPolicy(ctx context.Context, tenant string, m callsign.MSISDN, rev uint64) error {
	if err := w.lock(ctx, tenant, m); err != nil || rev == 0 {
		return err
	}
	if rev == callsign.NoRev {
		return w.at(ctx, 0, `SELECT coalesce(max(rev), 0) FROM policies WHERE msisdn = $1`, m)
	}
	return w.at(ctx, rev, `SELECT rev FROM policies WHERE msisdn = $1`, m)
}

// at is ErrChanged unless the query gives rev.
func (w *writing) at(ctx context.Context, rev uint64, query string, args ...any) error {
	var now uint64
	err := w.QueryRow(ctx, query, args...).Scan(&now)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && now != rev {
		return callsign.ErrChanged
	}
	return err
}

// over is the end of a policy's texts as they are kept: a node of before there were policies, which runs beside while nodes are upgraded,
// would else show the newest of them to everybody. Nobody is told of it.
var over = time.UnixMicro(1)

func (w *writing) placeTexts(ctx context.Context, tenant string, m callsign.MSISDN, texts []callsign.Entry) error {
	rows, err := w.Query(ctx, `SELECT account, version FROM signatures WHERE msisdn = $1 AND network = $2`, m, callsign.PolicyNetwork)
	if err != nil {
		return err
	}
	var (
		versions = map[string]int64{}
		account  string
		version  int64
	)
	if _, err := pgx.ForEachRow(rows, []any{&account, &version}, func() error {
		versions[account] = version
		return nil
	}); err != nil {
		return err
	}
	missing, gone := store.PlaceTexts(texts, versions)
	for i := range texts {
		texts[i].Expires = over
	}
	if _, err := w.Exec(ctx, `DELETE FROM accounts WHERE tenant = $1 AND network = $2 AND account = ANY($3)`, tenant, callsign.PolicyNetwork, gone); err != nil {
		return err
	}
	if _, err := w.Exec(ctx, `DELETE FROM signatures WHERE msisdn = $1 AND network = $2 AND account = ANY($3)`, m, callsign.PolicyNetwork, gone); err != nil {
		return err
	}
	for _, account := range missing {
		if err := w.insertAccount(ctx, tenant, m, callsign.PolicyNetwork, account); err != nil {
			return err
		}
	}
	statuses, err := w.keep(ctx, texts)
	for i, status := range statuses {
		if status == callsign.Stale || status == callsign.Duplicate || status == callsign.Unlinked {
			err = fmt.Errorf("the text %s is %s", texts[i].Account, status)
		}
	}
	return err
}

// PutTenantPolicy keeps what the operator says for the scope's tenant, and gives its revision. The feed tells of it as of number 0.
func (e *Engine) PutTenantPolicy(ctx context.Context, sc callsign.Scope, p callsign.TenantPolicy, rev uint64) (now uint64, err error) {
	document, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	err = e.write(ctx, "put tenant policy", func(w *writing) error {
		var err error
		if rev == 0 {
			err = w.QueryRow(ctx, `INSERT INTO tenant_policies (tenant, rev, document) VALUES ($1, nextval('revisions'), $2)
				ON CONFLICT (tenant) DO UPDATE SET rev = nextval('revisions'), document = excluded.document RETURNING rev`, sc.Tenant, document).Scan(&now)
		} else if err = w.QueryRow(ctx, `UPDATE tenant_policies SET rev = nextval('revisions'), document = $2 WHERE tenant = $1 AND rev = $3 RETURNING rev`,
			sc.Tenant, document, rev).Scan(&now); errors.Is(err, pgx.ErrNoRows) {
			err = callsign.ErrChanged
		}
		w.changed[0] = now
		return err
	})
	return now, err
}

// DeleteTenantPolicy forgets it.
func (e *Engine) DeleteTenantPolicy(ctx context.Context, sc callsign.Scope, rev uint64) error {
	return e.write(ctx, "delete tenant policy", func(w *writing) error {
		if rev != 0 {
			if err := w.at(ctx, rev, `SELECT rev FROM tenant_policies WHERE tenant = $1 FOR UPDATE`, sc.Tenant); err != nil {
				return err
			}
		}
		if err := w.one(ctx, `DELETE FROM tenant_policies WHERE tenant = $1`, sc.Tenant); err != nil {
			return err
		}
		var now uint64
		err := w.QueryRow(ctx, `SELECT nextval('revisions')`).Scan(&now)
		w.changed[0] = now
		return err
	})
}

// TenantPolicies are those of all tenants: every node holds them in memory.
func (e *Engine) TenantPolicies(ctx context.Context) (all map[string]store.TenantDocument, err error) {
	err = e.read("tenant policies", func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(ctx, `SELECT tenant, rev, document FROM tenant_policies`)
		if err != nil {
			return err
		}
		all = map[string]store.TenantDocument{}
		var (
			tenant string
			d      store.TenantDocument
		)
		_, err = pgx.ForEachRow(rows, []any{&tenant, &d.Rev, (*octets)(&d.JSON)}, func() error {
			all[tenant] = d
			return nil
		})
		return err
	})
	return all, err
}

// TenantPolicy is that of the scope's tenant, with its revision; ErrNotFound if it has none.
func (e *Engine) TenantPolicy(ctx context.Context, sc callsign.Scope) (p callsign.TenantPolicy, rev uint64, err error) {
	all, err := e.TenantPolicies(ctx)
	if err != nil {
		return p, 0, err
	}
	p, rev, err = store.TenantPolicyOf(all, sc.Tenant)
	return p, rev, e.failed("tenant policy", err)
}

// PutConsent keeps c in place of what was kept of its number.
func (e *Engine) PutConsent(ctx context.Context, c callsign.Consent) error {
	return e.write(ctx, "put consent of "+c.MSISDN.String(), func(w *writing) error {
		_, err := w.Exec(ctx, `INSERT INTO consents (msisdn, tenant, request, asked, asked_at, asked_link, reply, replied_at, reply_link)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			ON CONFLICT (msisdn) DO UPDATE SET tenant = $2, request = $3, asked = $4, asked_at = $5, asked_link = $6, reply = $7, replied_at = $8, reply_link = $9`,
			c.MSISDN, c.Tenant, octets(c.Request), octets(c.Asked), store.Micros(c.AskedAt), octets(c.AskedLink), octets(c.Reply), store.Micros(c.RepliedAt), octets(c.ReplyLink))
		return err
	})
}

// Consent is what is kept of m; ErrNotFound if nothing is, or another tenant's.
func (e *Engine) Consent(ctx context.Context, sc callsign.Scope, m callsign.MSISDN) (c callsign.Consent, err error) {
	var asked, replied int64
	err = e.read("consent of "+m.String(), func(pool *pgxpool.Pool) error {
		return pool.QueryRow(ctx, `SELECT msisdn, tenant, request, asked, asked_at, asked_link, reply, replied_at, reply_link FROM consents WHERE tenant = $1 AND msisdn = $2`,
			sc.Tenant, m).Scan(&c.MSISDN, &c.Tenant, (*octets)(&c.Request), (*octets)(&c.Asked), &asked, (*octets)(&c.AskedLink), (*octets)(&c.Reply), &replied, (*octets)(&c.ReplyLink))
	})
	c.AskedAt, c.RepliedAt = store.FromMicros(asked), store.FromMicros(replied)
	return c, err
}
