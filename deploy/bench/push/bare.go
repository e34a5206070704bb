package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// bare is what a push is beside: a table with the same columns, as many rows, and the sources' numbers.
type bare struct {
	o        *options
	conns    []*pgx.Conn
	versions []int64
}

func newBare(ctx context.Context, o *options) (*bare, error) {
	b := &bare{o: o, versions: make([]int64, sources)}
	for range sources {
		conn, err := pgx.Connect(ctx, o.url)
		if err != nil {
			return nil, err
		}
		b.conns = append(b.conns, conn)
	}
	for _, statement := range []string{
		`CREATE TABLE bare (tenant text, network text, account text, msisdn bigint NOT NULL, text bytea NOT NULL, shown bytea NOT NULL,
			lang bytea NOT NULL, origin bytea NOT NULL, epoch bigint NOT NULL, version bigint NOT NULL, at bigint NOT NULL, expires bigint NOT NULL,
			PRIMARY KEY (tenant, network, account)) WITH (fillfactor = 70)`,
		`CREATE TABLE bare_sources (tenant text, source text, seq bigint NOT NULL, PRIMARY KEY (tenant, source))`,
		fmt.Sprintf(`INSERT INTO bare SELECT 'default', 'im' || i, 'user' || a, %d + i * %[2]d + a, 'before', 'before', '', '', 0, 0, 0, 0
			FROM generate_series(0, %[3]d) i, generate_series(0, %[2]d - 1) a`, firstOne, o.accounts/sources, sources-1),
		`VACUUM ANALYZE bare`,
		`CHECKPOINT`,
	} {
		if _, err := b.conns[0].Exec(ctx, statement); err != nil {
			return nil, fmt.Errorf("%s: %w", statement, err)
		}
	}
	return b, nil
}

func (b *bare) close(ctx context.Context) {
	for _, c := range b.conns {
		_ = c.Close(ctx)
	}
}

// rate is how many rows a second all connections write, each its own source's.
func (b *bare) rate(ctx context.Context, write func(context.Context, *pgx.Conn, int, []int, []int64) error) (float64, error) {
	var group sync.WaitGroup
	var rows atomic.Int64
	failed := make(chan error, sources)
	began := time.Now()
	for i, conn := range b.conns {
		group.Go(func() {
			for time.Since(began).Seconds() < b.o.seconds {
				seen := make(map[int]bool, b.o.batch)
				var accounts []int
				var versions []int64
				for len(accounts) < b.o.batch {
					if a := rand.IntN(b.o.accounts / sources); !seen[a] {
						seen[a] = true
						b.versions[i]++
						accounts, versions = append(accounts, a), append(versions, b.versions[i])
					}
				}
				if err := write(ctx, conn, i, accounts, versions); err != nil {
					failed <- err
					return
				}
				rows.Add(int64(len(accounts)))
			}
		})
	}
	group.Wait()
	rate := float64(rows.Load()) / time.Since(began).Seconds()
	close(failed)
	var err error
	for e := range failed {
		err = errors.Join(err, e)
	}
	return rate, err
}

const (
	upsert = `ON CONFLICT (tenant, network, account) DO UPDATE SET text = excluded.text, shown = excluded.shown, lang = excluded.lang,
		origin = excluded.origin, epoch = excluded.epoch, version = excluded.version, at = excluded.at, expires = excluded.expires
		WHERE excluded.version > bare.version`
	upsertSource = `INSERT INTO bare_sources VALUES ('default', $1, $2) ON CONFLICT (tenant, source) DO UPDATE SET seq = excluded.seq`
)

// upsertEach is a statement for each row, sent together in one transaction.
func (b *bare) upsertEach(ctx context.Context, conn *pgx.Conn, i int, accounts []int, versions []int64) error {
	network := "im" + strconv.Itoa(i)
	batch := &pgx.Batch{}
	for n, a := range accounts {
		batch.Queue(`INSERT INTO bare VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) `+upsert,
			"default", network, "user"+strconv.Itoa(a), firstOne+i*(b.o.accounts/sources)+a, []byte(text), []byte(text), []byte{},
			[]byte(network+"/"+strconv.FormatInt(versions[n], 10)), 0, versions[n], time.Now().UnixMicro(), 0)
	}
	batch.Queue(upsertSource, network, versions[len(versions)-1])
	return conn.SendBatch(ctx, batch).Close()
}

// upsertAll is one statement for all rows, and one for the source.
func (b *bare) upsertAll(ctx context.Context, conn *pgx.Conn, i int, accounts []int, versions []int64) error {
	network := "im" + strconv.Itoa(i)
	var (
		names   []string
		numbers []int64
		origins [][]byte
	)
	for n, a := range accounts {
		names, numbers = append(names, "user"+strconv.Itoa(a)), append(numbers, int64(firstOne+i*(b.o.accounts/sources)+a))
		origins = append(origins, []byte(network+"/"+strconv.FormatInt(versions[n], 10)))
	}
	batch := &pgx.Batch{}
	batch.Queue(`INSERT INTO bare SELECT 'default', $1, a, m, $2, $2, '', o, 0, v, $3, 0
		FROM unnest($4::text[], $5::bigint[], $6::bytea[], $7::bigint[]) AS e(a, m, o, v) `+upsert,
		network, []byte(text), time.Now().UnixMicro(), names, numbers, origins, versions)
	batch.Queue(upsertSource, network, versions[len(versions)-1])
	return conn.SendBatch(ctx, batch).Close()
}
