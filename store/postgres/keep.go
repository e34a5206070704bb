package postgres

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// lockAccounts tells whose the accounts are, and keeps other writers from these subscribers until the commit: in the order of
// their numbers, so that two batches never wait for each other. An account that is linked or moved meanwhile is nobody's here.
const lockAccounts = `
SELECT e.i, s.msisdn
FROM unnest($1::int[], $2::text[], $3::text[], $4::text[]) AS e(i, tenant, network, account)
JOIN accounts a USING (tenant, network, account) JOIN subscribers s ON s.msisdn = a.msisdn
ORDER BY s.msisdn FOR NO KEY UPDATE OF s`

// newer is Stamp.Newer as a WHERE, of an entry e and what its account g last said: the greater (epoch, version) wins; of two
// timed writes of one microsecond the later received one does, unless it says nothing new. An account that has said nothing
// (epoch IS NULL) takes anything; one that comes again under the time of its receipt wins over nothing that was said. stands is
// Signature.Stands.
const (
	setSignature = `UPDATE signatures g SET text = e.text, lang = e.lang, origin = e.origin,
        epoch = e.epoch, version = e.version, at = e.at, expires = e.expires, rev = nextval('revisions'),
        shown = CASE WHEN ` + stands + ` THEN g.shown ELSE e.shown END, review = CASE WHEN ` + stands + ` THEN g.review ELSE e.review END,
        reason = CASE WHEN ` + stands + ` THEN g.reason ELSE e.reason END, reviewed = CASE WHEN ` + stands + ` THEN g.reviewed ELSE 0 END,
        queued = CASE WHEN CASE WHEN ` + stands + ` THEN g.review ELSE e.review END = '' THEN 0 ELSE e.at END`
	stands = `g.text = e.text AND (g.reviewed <> 0 OR g.review = '' AND e.review = 'pending')`
	newer  = `g.msisdn = e.msisdn AND g.network = e.network AND g.account = e.account
        AND (g.epoch IS NULL OR NOT e.again AND ((e.epoch, e.version) > (g.epoch, g.version)
            OR (e.epoch, e.version) = (g.epoch, g.version) AND g.epoch = $14 AND e.text <> g.text))`
)

// keepFirst locks subscribers as lockAccounts does and keeps entries of different accounts in one go. An entry that it
// doesn't tell of may have lost, or have met a change that was committed while it waited: keepWave says which.
const keepFirst = `
WITH mine AS (
    SELECT e.*, s.msisdn
    FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[],
        $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::boolean[], $15::text[], $16::bytea[])
        AS e(i, tenant, network, account, text, shown, lang, origin, epoch, version, at, expires, again, review, reason)
    JOIN accounts a USING (tenant, network, account) JOIN subscribers s ON s.msisdn = a.msisdn
    ORDER BY s.msisdn FOR NO KEY UPDATE OF s
)
` + setSignature + `
FROM mine e WHERE ` + newer + `
RETURNING e.i, g.review, g.msisdn, g.rev`

// keepWave keeps entries of different accounts whose subscribers are locked, and then, if any lost, tells why each would have. Of one that
// is kept both tell the subscriber and what review it has now.
const keepWave = `
WITH kept AS (
    ` + setSignature + `
    FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[],
        $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::boolean[], $15::text[], $16::bytea[])
        AS e(i, msisdn, network, account, text, shown, lang, origin, epoch, version, at, expires, again, review, reason)
    WHERE ` + newer + `
    RETURNING e.i, g.review, g.msisdn, g.rev
)
SELECT i, review, msisdn, rev FROM kept
UNION ALL
SELECT e.i, CASE WHEN g.msisdn IS NULL THEN 'unlinked' WHEN e.again OR (e.epoch, e.version) = (g.epoch, g.version) THEN 'duplicate' ELSE 'stale' END, 0, 0
FROM unnest($1::int[], $2::bigint[], $3::text[], $4::text[], $9::bigint[], $10::bigint[], $13::boolean[])
    AS e(i, msisdn, network, account, epoch, version, again)
LEFT JOIN signatures g USING (msisdn, network, account)
WHERE (SELECT count(*) FROM kept) < cardinality($1)`

// Keep commits the entries in their order, all or none, and returns after the commit.
func (e *Engine) Keep(ctx context.Context, entries []callsign.Entry) (statuses []callsign.Status, err error) {
	err = e.write(ctx, "keep", func(w *writing) (err error) {
		statuses, err = w.keep(ctx, entries)
		return err
	})
	if err != nil {
		return nil, err
	}
	return statuses, nil
}

func (w *writing) keep(ctx context.Context, entries []callsign.Entry) ([]callsign.Status, error) {
	cursors, err := w.cursors(ctx, entries)
	if err != nil {
		return nil, err
	}
	statuses := make([]callsign.Status, len(entries))
	again := make([]bool, len(entries))
	var firsts wave // the first of each account; others follow where these are settled
	seen := map[account]bool{}
	for i, en := range entries {
		of := source{en.Tenant, en.Source}
		again[i] = en.Received && en.Seq > 0 && en.Seq <= cursors[of]
		if en.Seq > 0 { // whatever becomes of it: a source isn't asked for it again
			cursors[of] = max(cursors[of], en.Seq)
		}
		if key := (account{en.Tenant, en.Network, en.Account}); en.Refused {
			statuses[i] = callsign.Rejected
		} else if !seen[key] {
			seen[key] = true
			firsts.add(i, 0, en, again[i])
		}
	}
	b := &pgx.Batch{}
	for _, of := range sources(entries) {
		b.Queue(`INSERT INTO sources (tenant, source, seq) VALUES ($1, $2, $3)
			ON CONFLICT (tenant, source) DO UPDATE SET seq = greatest(sources.seq, excluded.seq)`, of.tenant, of.name, cursors[of])
	}
	if len(firsts.i) > 0 {
		w.queue(b, keepFirst, firsts.tenant, &firsts, statuses)
	}
	if err := send(ctx, w, b); err != nil {
		return nil, err
	}
	return statuses, w.keepRest(ctx, entries, again, statuses)
}

// keepRest settles the entries that have no status yet, in their order.
func (w *writing) keepRest(ctx context.Context, entries []callsign.Entry, again []bool, statuses []callsign.Status) error {
	if !slices.Contains(statuses, "") {
		return nil
	}
	owners, err := w.lockAccounts(ctx, entries, statuses)
	if err != nil {
		return err
	}
	var waves []*wave
	next := map[account]int{} // the first wave without this account
	for i, en := range entries {
		switch {
		case statuses[i] != "":
			continue
		case owners[i] == 0:
			statuses[i] = callsign.Unlinked
			continue
		}
		key := account{en.Tenant, en.Network, en.Account}
		n := next[key]
		next[key] = n + 1
		if n == len(waves) {
			waves = append(waves, &wave{})
		}
		waves[n].add(i, owners[i], en, again[i])
	}
	b := &pgx.Batch{}
	for _, wv := range waves {
		w.queue(b, keepWave, wv.msisdn, wv, statuses)
	}
	return send(ctx, w, b)
}

// queue has a wave kept, and its statuses and changes noted: of what is kept, which has a subscriber, the status is its review. The second
// column is the statement's own.
func (w *writing) queue(b *pgx.Batch, statement string, second any, wv *wave, statuses []callsign.Status) {
	b.Queue(statement, wv.i, second, wv.network, wv.account, wv.text, wv.shown, wv.lang, wv.origin, wv.epoch, wv.version, wv.at,
		wv.expires, wv.again, callsign.TimedEpoch, wv.review, wv.reason).Query(func(rows pgx.Rows) error {
		var (
			i      int
			status callsign.Status
			m      callsign.MSISDN
			rev    uint64
		)
		_, err := pgx.ForEachRow(rows, []any{&i, &status, &m, &rev}, func() error {
			switch {
			case m != 0:
				w.changed[m] = max(w.changed[m], rev)
				statuses[i] = callsign.Review(status).Status()
			case statuses[i] == "":
				statuses[i] = status
			}
			return nil
		})
		return err
	})
}

// lockAccounts gives the subscriber of each entry without a status, 0 where its account is nobody's.
func (w *writing) lockAccounts(ctx context.Context, entries []callsign.Entry, statuses []callsign.Status) (owners []callsign.MSISDN, err error) {
	var (
		at                       []int32
		tenant, network, account []string
	)
	for i, en := range entries {
		if statuses[i] == "" {
			at, tenant, network, account = append(at, int32(i)), append(tenant, en.Tenant), append(network, en.Network), append(account, en.Account)
		}
	}
	rows, err := w.Query(ctx, lockAccounts, at, tenant, network, account)
	if err != nil {
		return nil, err
	}
	owners = make([]callsign.MSISDN, len(entries))
	var (
		i int
		m callsign.MSISDN
	)
	_, err = pgx.ForEachRow(rows, []any{&i, &m}, func() error {
		owners[i] = m
		return nil
	})
	return owners, err
}

func send(ctx context.Context, to interface {
	SendBatch(context.Context, *pgx.Batch) pgx.BatchResults
}, b *pgx.Batch,
) error {
	if b.Len() == 0 {
		return ctx.Err()
	}
	return to.SendBatch(ctx, b).Close()
}

// source is whose events are numbered together.
type source struct{ tenant, name string }

// sources are those that number entries, in the order in which they are locked.
func sources(entries []callsign.Entry) (all []source) {
	for _, en := range entries {
		if en.Seq > 0 {
			all = append(all, source{en.Tenant, en.Source})
		}
	}
	slices.SortFunc(all, func(a, b source) int {
		return cmp.Or(cmp.Compare(a.tenant, b.tenant), cmp.Compare(a.name, b.name))
	})
	return slices.Compact(all)
}

// cursors are those of the sources as they stand before the entries, locked; none if no entry may come again.
func (w *writing) cursors(ctx context.Context, entries []callsign.Entry) (map[source]int64, error) {
	cursors := map[source]int64{}
	if !slices.ContainsFunc(entries, func(en callsign.Entry) bool { return en.Received && en.Seq > 0 }) {
		return cursors, nil
	}
	for _, of := range sources(entries) {
		var seq int64
		if err := w.QueryRow(ctx, `INSERT INTO sources AS s (tenant, source, seq) VALUES ($1, $2, 0)
			ON CONFLICT (tenant, source) DO UPDATE SET seq = s.seq RETURNING seq`, of.tenant, of.name).Scan(&seq); err != nil {
			return nil, fmt.Errorf("cursor of source %q: %w", of.name, err)
		}
		cursors[of] = seq
	}
	return cursors, nil
}

// account is what one signature is of.
type account struct{ tenant, network, name string }

// wave is entries of different accounts, as columns: what one statement keeps.
type wave struct {
	i                           []int32
	msisdn                      []int64
	tenant, network, account    []string
	review                      []string
	text, shown, lang, origin   [][]byte
	reason                      [][]byte
	epoch, version, at, expires []int64
	again                       []bool
}

func (w *wave) add(i int, m callsign.MSISDN, en callsign.Entry, again bool) {
	w.i, w.msisdn = append(w.i, int32(i)), append(w.msisdn, int64(m))
	w.tenant, w.network, w.account = append(w.tenant, en.Tenant), append(w.network, en.Network), append(w.account, en.Account)
	w.text, w.shown = append(w.text, []byte(en.Text)), append(w.shown, []byte(en.Shown))
	w.lang, w.origin = append(w.lang, []byte(en.Lang)), append(w.origin, []byte(en.Origin()))
	w.epoch, w.version = append(w.epoch, en.Stamp.Epoch), append(w.version, en.Stamp.Version)
	w.at, w.expires = append(w.at, store.Micros(en.At)), append(w.expires, store.Micros(en.Expires))
	w.again = append(w.again, again)
	w.review, w.reason = append(w.review, string(en.Review)), append(w.reason, []byte(en.Reason))
}

// Cursor is the greatest durable Seq of a source, 0 if it has none: the source resumes with the next.
func (e *Engine) Cursor(ctx context.Context, tenant, source string) (seq int64, err error) {
	err = e.read("cursor", func(pool *pgxpool.Pool) error {
		return pool.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM sources WHERE tenant = $1 AND source = $2`, tenant, source).Scan(&seq)
	})
	return seq, err
}
