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

// lockSubscribers keeps other writers from the subscribers of these accounts until the commit, in the order of their numbers,
// so that two batches never wait for each other. What the next statement reads of them is what is committed.
const lockSubscribers = `
SELECT FROM subscribers WHERE msisdn IN (
    SELECT msisdn FROM unnest($1::text[], $2::text[], $3::text[]) AS e(tenant, network, account) JOIN accounts USING (tenant, network, account))
ORDER BY msisdn FOR NO KEY UPDATE`

// keepWave is Stamp.Newer as a WHERE, for entries of different accounts whose subscribers are locked: the greater (epoch,
// version) wins; of two timed writes of one microsecond the later received one does, unless it says nothing new. An account
// that has said nothing (epoch IS NULL) takes anything; one that comes again under the time of its receipt wins over nothing
// that was said. Only the UPDATE decides, since it sees what was committed meanwhile, should an account have been linked after
// the locks were taken. It tells why each would have lost, then which won, and NOTIFY of what changed.
const keepWave = `
WITH held AS (
    SELECT e.*, g.msisdn, CASE
        WHEN g.msisdn IS NULL THEN 'unlinked'
        WHEN e.again OR (e.epoch, e.version) = (g.epoch, g.version) THEN 'duplicate'
        ELSE 'stale' END AS lost
    FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::bytea[], $6::bytea[], $7::bytea[], $8::bytea[],
        $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::boolean[])
        AS e(i, tenant, network, account, text, shown, lang, origin, epoch, version, at, expires, again)
    LEFT JOIN accounts a USING (tenant, network, account)
    LEFT JOIN signatures g ON g.msisdn = a.msisdn AND g.network = a.network AND g.account = a.account
), kept AS (
    UPDATE signatures g SET text = h.text, shown = h.shown, lang = h.lang, origin = h.origin,
        epoch = h.epoch, version = h.version, at = h.at, expires = h.expires, rev = nextval('revisions')
    FROM held h WHERE g.msisdn = h.msisdn AND g.network = h.network AND g.account = h.account
        AND (g.epoch IS NULL OR NOT h.again AND ((h.epoch, h.version) > (g.epoch, g.version)
            OR (h.epoch, h.version) = (g.epoch, g.version) AND g.epoch = $14 AND h.text <> g.text))
    RETURNING h.i, g.msisdn, g.rev
), told AS (
    SELECT pg_notify($15, string_agg(msisdn || ' ' || rev, ','))
    FROM (SELECT msisdn, max(rev) AS rev, row_number() OVER () / $16 AS part FROM kept GROUP BY msisdn) AS c GROUP BY part
)
SELECT i, lost, 0 FROM held UNION ALL SELECT i, 'stored', (SELECT count(*) FROM told) FROM kept`

// Keep commits the entries in their order, all or none, and returns after the commit. It is one round trip: the server takes
// what comes between two syncs as one transaction.
func (e *Engine) Keep(ctx context.Context, entries []callsign.Entry) (statuses []callsign.Status, err error) {
	pool, err := e.opened()
	if err != nil {
		return nil, e.failed("keep", err)
	}
	for range 3 {
		if statuses, err = keep(ctx, pool, entries); !deadlock(err) {
			break
		}
	}
	if err != nil {
		return nil, e.failed("keep", err)
	}
	return statuses, nil
}

func keep(ctx context.Context, pool *pgxpool.Pool, entries []callsign.Entry) (_ []callsign.Status, err error) {
	if slices.ContainsFunc(entries, func(en callsign.Entry) bool { return en.Received && en.Seq > 0 }) {
		return keepReceived(ctx, pool, entries)
	}
	statuses, batch := plan(entries, map[source]int64{})
	return statuses, send(ctx, pool, batch)
}

// keepReceived keeps entries among which some may come again, which only their sources' cursors tell: they are locked first.
func keepReceived(ctx context.Context, pool *pgxpool.Pool, entries []callsign.Entry) (statuses []callsign.Status, err error) {
	err = pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
		cursors := map[source]int64{}
		for _, of := range sources(entries) {
			var seq int64
			if err := tx.QueryRow(ctx, `INSERT INTO sources AS s (tenant, source, seq) VALUES ($1, $2, 0)
				ON CONFLICT (tenant, source) DO UPDATE SET seq = s.seq RETURNING seq`, of.tenant, of.name).Scan(&seq); err != nil {
				return fmt.Errorf("cursor of source %q: %w", of.name, err)
			}
			cursors[of] = seq
		}
		var batch *pgx.Batch
		statuses, batch = plan(entries, cursors)
		return send(ctx, tx, batch)
	})
	return statuses, err
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

// wave is entries of different accounts, as columns: what one statement keeps.
type wave struct {
	i                           []int32
	tenant, network, account    []string
	text, shown, lang, origin   [][]byte
	epoch, version, at, expires []int64
	again                       []bool
}

type accountKey struct{ tenant, network, account string }

// plan is what is to be sent for entries, which fills statuses as it is answered. cursors are those of the sources as they
// stand before.
func plan(entries []callsign.Entry, cursors map[source]int64) (statuses []callsign.Status, b *pgx.Batch) {
	statuses, b = make([]callsign.Status, len(entries)), &pgx.Batch{}
	var waves []*wave
	next := map[accountKey]int{} // the first wave without this account
	for i, en := range entries {
		of := source{en.Tenant, en.Source}
		again := en.Received && en.Seq > 0 && en.Seq <= cursors[of]
		if en.Seq > 0 { // whatever becomes of it: a source isn't asked for it again
			cursors[of] = max(cursors[of], en.Seq)
		}
		if en.Refused {
			statuses[i] = callsign.Rejected
			continue
		}
		key := accountKey{en.Tenant, en.Network, en.Account}
		n := next[key]
		next[key] = n + 1
		if n == len(waves) {
			waves = append(waves, &wave{})
		}
		waves[n].add(i, en, again)
	}
	for _, of := range sources(entries) {
		b.Queue(`INSERT INTO sources (tenant, source, seq) VALUES ($1, $2, $3)
			ON CONFLICT (tenant, source) DO UPDATE SET seq = greatest(sources.seq, excluded.seq)`, of.tenant, of.name, cursors[of])
	}
	if len(waves) > 0 {
		var all wave
		for _, w := range waves {
			all.tenant, all.network, all.account = append(all.tenant, w.tenant...), append(all.network, w.network...), append(all.account, w.account...)
		}
		b.Queue(lockSubscribers, all.tenant, all.network, all.account)
	}
	for _, w := range waves {
		b.Queue(keepWave, w.i, w.tenant, w.network, w.account, w.text, w.shown, w.lang, w.origin, w.epoch, w.version, w.at, w.expires,
			w.again, callsign.TimedEpoch, channel, toldAtOnce).Query(func(rows pgx.Rows) error {
			var (
				i      int
				status callsign.Status
				told   int
			)
			_, err := pgx.ForEachRow(rows, []any{&i, &status, &told}, func() error {
				if statuses[i] != callsign.Stored {
					statuses[i] = status
				}
				return nil
			})
			return err
		})
	}
	return statuses, b
}

func (w *wave) add(i int, en callsign.Entry, again bool) {
	w.i = append(w.i, int32(i))
	w.tenant, w.network, w.account = append(w.tenant, en.Tenant), append(w.network, en.Network), append(w.account, en.Account)
	w.text, w.shown = append(w.text, []byte(en.Text)), append(w.shown, []byte(en.Shown))
	w.lang, w.origin = append(w.lang, []byte(en.Lang)), append(w.origin, []byte(en.Origin()))
	w.epoch, w.version = append(w.epoch, en.Stamp.Epoch), append(w.version, en.Stamp.Version)
	w.at, w.expires = append(w.at, store.Micros(en.At)), append(w.expires, store.Micros(en.Expires))
	w.again = append(w.again, again)
}

// Cursor is the greatest durable Seq of a source, 0 if it has none: the source resumes with the next.
func (e *Engine) Cursor(ctx context.Context, tenant, source string) (seq int64, err error) {
	err = e.read("cursor", func(pool *pgxpool.Pool) error {
		return pool.QueryRow(ctx, `SELECT coalesce(max(seq), 0) FROM sources WHERE tenant = $1 AND source = $2`, tenant, source).Scan(&seq)
	})
	return seq, err
}
