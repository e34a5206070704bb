package postgres

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// importing holds the rows of an import until its transaction ends. i is -1 for the manual account that everybody has; a
// network of ” is a subscriber alone, an epoch of NULL says nothing.
const importing = `
CREATE TEMP TABLE IF NOT EXISTS importing (i int, msisdn bigint, name bytea, network text, account text, text bytea, shown bytea,
    lang bytea, origin bytea, epoch bigint, version bigint, at bigint, expires bigint,
    review text, reason bytea) ON COMMIT DELETE ROWS;
SET LOCAL statement_timeout = '1min'`

var importColumns = []string{"i", "msisdn", "name", "network", "account", "text", "shown", "lang", "origin", "epoch", "version", "at", "expires", "review", "reason"}

// importSubscribers creates or renames them, and so holds them until the commit, in the order of their numbers.
const importSubscribers = `
INSERT INTO subscribers AS s (msisdn, tenant, name, rev)
SELECT DISTINCT ON (msisdn) msisdn, $1, name, nextval('revisions') FROM importing ORDER BY msisdn, name = '', i DESC
ON CONFLICT (msisdn) DO UPDATE SET name = CASE excluded.name WHEN '' THEN s.name ELSE excluded.name END, rev = nextval('revisions')
WHERE s.tenant = excluded.tenant
RETURNING msisdn, rev`

// Of each row that is imported its subscriber and its account are found by their keys. OFFSET 0 has the planner leave it at that: of tables
// that autovacuum hasn't looked at yet it thinks that a tenant has a handful of rows, and read all of them for each row.
const (
	importedSubscriber = `LATERAL (SELECT s.msisdn FROM subscribers s WHERE s.msisdn = i.msisdn AND s.tenant = $1 OFFSET 0) s ON true`
	importedAccount    = `LATERAL (SELECT a.msisdn FROM accounts a
    WHERE a.tenant = $1 AND a.network = i.network AND a.account = i.account AND a.msisdn = i.msisdn OFFSET 0) a ON true`
)

// importAccounts links those that nobody has, each to the first who wants it. Their order keeps two imports from waiting for
// each other.
const importAccounts = `
INSERT INTO accounts (tenant, network, account, msisdn)
SELECT DISTINCT ON (i.network, i.account) $1, i.network, i.account, i.msisdn
FROM importing i JOIN ` + importedSubscriber + `
WHERE i.network <> '' ORDER BY i.network, i.account, i.i
ON CONFLICT DO NOTHING`

// importSignatures is keepWave for rows of which several may be of one account: of these the greatest stamp wins; of one that
// stands twice the later row if it is timed, the first if it is versioned.
const importSignatures = `
INSERT INTO signatures AS g (msisdn, network, account, tenant, text, shown, lang, origin, epoch, version, at, expires, review, reason, queued, rev)
SELECT DISTINCT ON (i.network, i.account) i.msisdn, i.network, i.account, $1, i.text, i.shown, i.lang, i.origin, i.epoch, i.version,
    i.at, i.expires, i.review, i.reason, CASE i.review WHEN '' THEN 0 ELSE i.at END, nextval('revisions')
FROM importing i JOIN ` + importedAccount + `
ORDER BY i.network, i.account, i.epoch DESC NULLS LAST, i.version DESC, CASE WHEN i.epoch = $2 THEN -i.i ELSE i.i END
ON CONFLICT (msisdn, network, account) DO UPDATE SET text = excluded.text, lang = excluded.lang,
    origin = excluded.origin, epoch = excluded.epoch, version = excluded.version, at = excluded.at, expires = excluded.expires,
    shown = CASE WHEN ` + importStands + ` THEN g.shown ELSE excluded.shown END, review = CASE WHEN ` + importStands + ` THEN g.review ELSE excluded.review END,
    reason = CASE WHEN ` + importStands + ` THEN g.reason ELSE excluded.reason END, reviewed = CASE WHEN ` + importStands + ` THEN g.reviewed ELSE 0 END,
    queued = CASE WHEN CASE WHEN ` + importStands + ` THEN g.review ELSE excluded.review END = '' THEN 0 ELSE excluded.at END, rev = nextval('revisions')
WHERE excluded.epoch IS NOT NULL AND (g.epoch IS NULL OR (excluded.epoch, excluded.version) > (g.epoch, g.version)
    OR (excluded.epoch, excluded.version) = (g.epoch, g.version) AND g.epoch = $2 AND g.text <> excluded.text)
RETURNING msisdn, rev`

// importStands is stands of what is imported.
const importStands = `g.text = excluded.text AND (g.reviewed <> 0 OR g.review = '' AND excluded.review = 'pending')`

const importRefused = `
SELECT i.i, s.msisdn IS NULL
FROM importing i LEFT JOIN ` + importedSubscriber + `
LEFT JOIN ` + importedAccount + `
WHERE i.i >= 0 AND (s.msisdn IS NULL OR i.network <> '' AND a.msisdn IS NULL)`

// Import keeps rows as PutSubscriber, LinkAccount and Keep would one after the other, all in one transaction. refused has an
// error for each row of which something was not kept: ErrNumberTaken, or ErrAccountTaken, which keeps the subscriber.
// An older text than the one that is there is no refusal. Where one account stands in several rows, only what the winning one
// says is held against what was decided before.
func (e *Engine) Import(ctx context.Context, sc callsign.Scope, rows []callsign.ImportRow) (refused []error, err error) {
	err = e.write(ctx, "import", func(w *writing) error {
		refused = make([]error, len(rows))
		lines := importLines(rows, refused)
		if _, err := w.Exec(ctx, importing, pgx.QueryExecModeSimpleProtocol); err != nil {
			return err
		}
		if _, err := w.CopyFrom(ctx, pgx.Identifier{"importing"}, importColumns, pgx.CopyFromRows(lines)); err != nil {
			return err
		}
		b := &pgx.Batch{}
		b.Queue(importSubscribers, sc.Tenant).Query(w.changes)
		b.Queue(importAccounts, sc.Tenant)
		b.Queue(importSignatures, sc.Tenant, callsign.TimedEpoch).Query(w.changes)
		b.Queue(importRefused, sc.Tenant).Query(func(rows pgx.Rows) error {
			var (
				i      int
				number bool
			)
			_, err := pgx.ForEachRow(rows, []any{&i, &number}, func() error {
				if refused[i] = callsign.ErrAccountTaken; number {
					refused[i] = callsign.ErrNumberTaken
				}
				return nil
			})
			return err
		})
		return send(ctx, w, b)
	})
	if err != nil {
		return nil, err
	}
	return refused, nil
}

// importLines are the rows as COPY takes them, with everybody's manual account. Somebody else's manual account would be in the
// way of a new number: it is refused here.
func importLines(rows []callsign.ImportRow, refused []error) (lines [][]any) {
	people := make(map[callsign.MSISDN]struct{}, len(rows))
	for i, r := range rows {
		if r.Network == callsign.ManualNetwork && r.Account != manual(r.MSISDN) || r.Network == callsign.PolicyNetwork {
			refused[i], r.Signature = callsign.ErrAccountTaken, callsign.Signature{}
		}
		var epoch any
		if !r.At.IsZero() {
			epoch = r.Stamp.Epoch
		}
		people[r.MSISDN] = struct{}{}
		lines = append(lines, []any{
			i, r.MSISDN, octets(r.Name), r.Network, r.Account, octets(r.Text), octets(r.Shown), octets(r.Lang), octets(r.Origin),
			epoch, r.Stamp.Version, store.Micros(r.At), store.Micros(r.Expires), string(r.Review), octets(r.Reason),
		})
	}
	for m := range people {
		none := octets("")
		lines = append(lines, []any{-1, m, none, callsign.ManualNetwork, manual(m), none, none, none, none, nil, 0, 0, 0, "", none})
	}
	return lines
}
