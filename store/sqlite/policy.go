package sqlite

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// policyTexts are those of m's policy that may be shown.
func (e *Engine) policyTexts(ctx context.Context, m callsign.MSISDN) (texts []callsign.Signature, err error) {
	rows, err := e.query(ctx, `SELECT account, shown, lang, origin FROM accounts WHERE msisdn = ? AND network = ? AND shown <> ''`, m, callsign.PolicyNetwork)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		s := callsign.Signature{Network: callsign.PolicyNetwork}
		if err := rows.Scan(&s.Account, &s.Shown, &s.Lang, &s.Origin); err != nil {
			return nil, err
		}
		texts = append(texts, s)
	}
	return texts, rows.Err()
}

// Policy is a subscriber's, as it was put, with its revision; ErrNotFound if they have none.
func (e *Engine) Policy(ctx context.Context, sc callsign.Scope, m callsign.MSISDN) (p callsign.Policy, rev uint64, err error) {
	var document string
	err = e.queryRow(ctx, `SELECT p.document, p.rev FROM policies p JOIN subscribers s ON s.msisdn = p.msisdn WHERE s.tenant = ? AND p.msisdn = ?`,
		sc.Tenant, m)(&document, &rev)
	if err == nil {
		p, err = store.ParsePolicy(string(document))
	}
	return p, rev, e.failed("policy of "+m.String(), err)
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
		now = w.rev
		_, err := w.ExecContext(ctx, `INSERT INTO policies (msisdn, rev, account, document) VALUES (?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET rev = excluded.rev, account = excluded.account, document = excluded.document`, m, w.rev, p.Account, string(document))
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
		if err := w.one(ctx, `DELETE FROM policies WHERE msisdn = ?`, m); err != nil {
			return err
		}
		return w.raise(ctx, m)
	})
}

// unchangedPolicy is ErrNotFound unless m is the tenant's, and ErrChanged unless its policy is at rev; 0 is any, and none, callsign.NoRev none.
func (w *writing) unchangedPolicy(ctx context.Context, tenant string, m callsign.MSISDN, rev uint64) error {
	var now uint64
	err := w.QueryRowContext(ctx, `SELECT coalesce(p.rev, 0) FROM subscribers s LEFT JOIN policies p ON p.msisdn = s.msisdn WHERE s.tenant = ? AND s.msisdn = ?`,
		tenant, m).Scan(&now)
	if err == nil && rev != 0 && rev != now && (rev != callsign.NoRev || now != 0) {
		return callsign.ErrChanged
	}
	return err
}

func (w *writing) placeTexts(ctx context.Context, tenant string, m callsign.MSISDN, texts []callsign.Entry) error {
	versions, err := w.textVersions(ctx, m)
	if err != nil {
		return err
	}
	missing, gone := store.PlaceTexts(texts, versions)
	for _, account := range gone {
		if err := w.one(ctx, `DELETE FROM accounts WHERE tenant = ? AND network = ? AND account = ?`, tenant, callsign.PolicyNetwork, account); err != nil {
			return err
		}
	}
	for _, account := range missing {
		if err := w.insertAccount(ctx, tenant, m, callsign.PolicyNetwork, account); err != nil {
			return err
		}
	}
	update, err := w.PrepareContext(ctx, keepUpdate)
	if err != nil {
		return err
	}
	defer func() { _ = update.Close() }()
	for _, t := range texts {
		if status, err := w.keep(ctx, update, t, false); err != nil {
			return err
		} else if status == callsign.Stale || status == callsign.Duplicate || status == callsign.Unlinked {
			return fmt.Errorf("the text %s is %s", t.Account, status)
		}
	}
	return nil
}

func (w *writing) textVersions(ctx context.Context, m callsign.MSISDN) (map[string]int64, error) {
	rows, err := w.QueryContext(ctx, `SELECT account, version FROM accounts WHERE msisdn = ? AND network = ?`, m, callsign.PolicyNetwork)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	versions := map[string]int64{}
	for rows.Next() {
		var (
			account string
			version int64
		)
		if err := rows.Scan(&account, &version); err != nil {
			return nil, err
		}
		versions[account] = version
	}
	return versions, rows.Err()
}

// PutTenantPolicy keeps what the operator says for the scope's tenant, and gives its revision. The feed tells of it as of number 0.
func (e *Engine) PutTenantPolicy(ctx context.Context, sc callsign.Scope, p callsign.TenantPolicy, rev uint64) (now uint64, err error) {
	document, err := json.Marshal(p)
	if err != nil {
		return 0, err
	}
	err = e.write(ctx, "put tenant policy", func(w *writing) error {
		if err := w.unchangedTenantPolicy(ctx, sc.Tenant, rev); err != nil {
			return err
		}
		if now, err = w.revision(ctx, 0); err != nil {
			return err
		}
		_, err := w.ExecContext(ctx, `INSERT INTO tenant_policies (tenant, rev, document) VALUES (?, ?, ?)
			ON CONFLICT DO UPDATE SET rev = excluded.rev, document = excluded.document`, sc.Tenant, now, string(document))
		return err
	})
	return now, err
}

// DeleteTenantPolicy forgets it.
func (e *Engine) DeleteTenantPolicy(ctx context.Context, sc callsign.Scope, rev uint64) error {
	return e.write(ctx, "delete tenant policy", func(w *writing) error {
		if err := w.unchangedTenantPolicy(ctx, sc.Tenant, rev); err != nil {
			return err
		}
		if err := w.one(ctx, `DELETE FROM tenant_policies WHERE tenant = ?`, sc.Tenant); err != nil {
			return err
		}
		_, err := w.revision(ctx, 0)
		return err
	})
}

func (w *writing) unchangedTenantPolicy(ctx context.Context, tenant string, rev uint64) error {
	if rev == 0 {
		return nil
	}
	var now uint64
	err := w.QueryRowContext(ctx, `SELECT rev FROM tenant_policies WHERE tenant = ?`, tenant).Scan(&now)
	if errors.Is(err, sql.ErrNoRows) || err == nil && now != rev {
		return callsign.ErrChanged
	}
	return err
}

// TenantPolicies are those of all tenants: every node holds them in memory.
func (e *Engine) TenantPolicies(ctx context.Context) (all map[string]store.TenantDocument, err error) {
	rows, err := e.query(ctx, `SELECT tenant, rev, document FROM tenant_policies`)
	if err != nil {
		return nil, e.failed("tenant policies", err)
	}
	defer func() { _ = rows.Close() }()
	all = map[string]store.TenantDocument{}
	for rows.Next() {
		var (
			tenant string
			d      store.TenantDocument
		)
		if err := rows.Scan(&tenant, &d.Rev, &d.JSON); err != nil {
			return nil, e.failed("tenant policies", err)
		}
		all[tenant] = d
	}
	return all, e.failed("tenant policies", rows.Err())
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
		_, err := w.ExecContext(ctx, `INSERT OR REPLACE INTO consents (msisdn, tenant, request, asked, asked_at, asked_link, reply, replied_at, reply_link)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, c.MSISDN, c.Tenant, c.Request, c.Asked, store.Micros(c.AskedAt), c.AskedLink, c.Reply, store.Micros(c.RepliedAt), c.ReplyLink)
		return err
	})
}

// Consent is what is kept of m; ErrNotFound if nothing is, or another tenant's.
func (e *Engine) Consent(ctx context.Context, sc callsign.Scope, m callsign.MSISDN) (c callsign.Consent, err error) {
	var asked, replied int64
	err = e.queryRow(ctx, `SELECT msisdn, tenant, request, asked, asked_at, asked_link, reply, replied_at, reply_link FROM consents WHERE tenant = ? AND msisdn = ?`,
		sc.Tenant, m)(&c.MSISDN, &c.Tenant, &c.Request, &c.Asked, &asked, &c.AskedLink, &c.Reply, &replied, &c.ReplyLink)
	c.AskedAt, c.RepliedAt = store.FromMicros(asked), store.FromMicros(replied)
	return c, e.failed("consent of "+m.String(), err)
}
