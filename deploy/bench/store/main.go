// Store measures what PostgreSQL keeps: durable updates by the intake beside a bare loop of upserts over as many connections
// (one), look-ups, and how soon another node is told of a change. It fills the tables itself.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/store/postgres"
)

const (
	first = callsign.MSISDN(8613900000000)
	text  = "On the road, call you back at six"
)

type options struct {
	url, plot     string
	rounds, batch int
	imported      int
	seconds       float64
}

func main() {
	var o options
	rows := flag.String("rows", "10000,1000000", "how many subscribers, one measurement for each number")
	flag.StringVar(&o.url, "url", "", "an empty database")
	flag.IntVar(&o.rounds, "rounds", 5, "interleaved rounds of each measurement")
	flag.Float64Var(&o.seconds, "seconds", 5, "how long each round takes")
	flag.IntVar(&o.batch, "batch", 500, "updates in one transaction")
	flag.IntVar(&o.imported, "import", 1_000_000, "how many subscribers an import brings; 0: measure none")
	flag.StringVar(&o.plot, "plot", "", "an SVG of the rates is written here")
	flag.Parse()
	if err := run(context.Background(), o, strings.Split(*rows, ",")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, sizes []string) (err error) {
	engine := postgres.New(postgres.Options{URL: o.url})
	defer func() { err = errors.Join(err, engine.Close()) }()
	if err := engine.Open(ctx); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, o.url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	fmt.Printf("Medians (least..greatest) of %d rounds of %g s, %d updates in a transaction, one connection.\n\n", o.rounds, o.seconds, o.batch)
	fmt.Printf("%-12s  %-28s  %-28s  %-28s  %-24s  %s\n", "subscribers", "updates/s by the intake", "bare: an upsert each", "bare: one statement", "look-ups/s", "ratio")
	var (
		ratio  float64
		counts []int
	)
	lines := []line{{name: "updates by the intake", colour: "#06c"}, {name: "bare: an upsert each", colour: "#c60"}, {name: "look-ups", colour: "#393"}}
	for _, size := range sizes {
		n, err := strconv.Atoi(size)
		if err != nil {
			return fmt.Errorf("-rows: %w", err)
		}
		if err := fill(ctx, conn, n); err != nil {
			return err
		}
		var ours, bare, one, lookups []float64
		for range o.rounds {
			for _, m := range []struct {
				into *[]float64
				rate func() (float64, error)
			}{
				{&ours, func() (float64, error) { return o.intake(ctx, engine, n) }},
				{&bare, func() (float64, error) { return o.bare(ctx, conn, n, upsertEach) }},
				{&one, func() (float64, error) { return o.bare(ctx, conn, n, upsertAll) }},
				{&lookups, func() (float64, error) { return o.lookups(ctx, engine, n) }},
			} {
				rate, err := m.rate()
				if err != nil {
					return err
				}
				*m.into = append(*m.into, rate)
			}
		}
		ratio = middle(ours) / middle(bare)
		counts = append(counts, n)
		for i, rates := range [][]float64{ours, bare, lookups} {
			lines[i].rates = append(lines[i].rates, middle(rates))
		}
		fmt.Printf("%-12d  %-28s  %-28s  %-28s  %-24s  %.2f\n", n, spread(ours), spread(bare), spread(one), spread(lookups), ratio)
	}
	if o.plot != "" {
		if err := plot(o.plot, counts, lines); err != nil {
			return err
		}
	}
	told, err := tellings(ctx, engine, o.url)
	if err != nil {
		return err
	}
	if o.imported > 0 {
		if err := o.imports(ctx, engine, conn, o.imported); err != nil {
			return err
		}
	}
	fmt.Printf("\nFrom an update's acknowledgement on one node until another's feed tells it: p50 %v, p99 %v, of %d\n",
		told[len(told)/2], told[len(told)*99/100], len(told))
	fmt.Printf("ratio %.2f\n", ratio)
	return nil
}

func middle(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

func spread(v []float64) string {
	return fmt.Sprintf("%.0f (%.0f..%.0f)", middle(v), slices.Min(v), slices.Max(v))
}

// fill makes n subscribers of both kinds, with a text each. That each row belongs to another isn't checked again: it takes
// most of the time.
func fill(ctx context.Context, conn *pgx.Conn, n int) error {
	for _, statement := range []string{
		`SET session_replication_role = replica`,
		`TRUNCATE subscribers CASCADE`,
		`DROP TABLE IF EXISTS bare`,
		`INSERT INTO subscribers (msisdn, tenant, name, rev) SELECT m, 'default', '', nextval('revisions') FROM %s m`,
		`INSERT INTO accounts (tenant, network, account, msisdn) SELECT 'default', 'manual', m::text, m FROM %s m`,
		`INSERT INTO signatures (msisdn, network, account, tenant, text, shown, epoch, version, at, rev)
			SELECT m, 'manual', m::text, 'default', 'before', 'before', 0, 0, 0, nextval('revisions') FROM %s m`,
		`CREATE TABLE bare (tenant text, network text, account text, msisdn bigint NOT NULL, text bytea NOT NULL, shown bytea NOT NULL,
			lang bytea NOT NULL, origin bytea NOT NULL, epoch bigint NOT NULL, version bigint NOT NULL, at bigint NOT NULL, expires bigint NOT NULL,
			PRIMARY KEY (tenant, network, account)) WITH (fillfactor = 70)`,
		`INSERT INTO bare SELECT 'default', 'manual', m::text, m, 'before', 'before', '', '', 0, 0, 0, 0 FROM %s m`,
		`RESET session_replication_role`,
		`VACUUM ANALYZE`,
		`CHECKPOINT`,
	} {
		if strings.Contains(statement, "%s") {
			statement = fmt.Sprintf(statement, fmt.Sprintf("generate_series(%d::bigint, %d::bigint)", first, first+callsign.MSISDN(n)-1))
		}
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("%s: %w", statement, err)
		}
	}
	return nil
}

var version atomic.Int64

// pick is a batch of numbers, none twice, as a source's batch is of changes.
func pick(size, n int) []callsign.MSISDN {
	seen := make(map[int]bool, size)
	batch := make([]callsign.MSISDN, 0, size)
	for len(batch) < min(size, n) {
		if i := rand.IntN(n); !seen[i] {
			seen[i] = true
			batch = append(batch, first+callsign.MSISDN(i))
		}
	}
	return batch
}

// intake puts batches as two sources would, so that one waits while the other's is committed.
func (o options) intake(ctx context.Context, engine *postgres.Engine, n int) (rate float64, err error) {
	intake := sigsync.NewIntake(sigsync.Options{Keeper: engine})
	ctx, cancel := context.WithTimeout(ctx, time.Duration(o.seconds*float64(time.Second)))
	defer cancel()
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- intake.Run(running) }()
	var stored atomic.Int64
	failed := make(chan error, 2)
	began := time.Now()
	var sources sync.WaitGroup
	for range 2 {
		sources.Go(func() {
			for ctx.Err() == nil {
				changes := make([]callsign.Change, 0, o.batch)
				for _, m := range pick(o.batch, n) {
					v := version.Add(1)
					changes = append(changes, callsign.Change{
						Tenant: callsign.DefaultTenant, Source: "bench", ID: strconv.FormatInt(v, 10), Network: callsign.ManualNetwork,
						Account: m.E164()[1:], Text: text, Stamp: callsign.Stamp{Version: v}, At: time.Now(),
					})
				}
				statuses, err := intake.Put(context.WithoutCancel(ctx), changes)
				if err != nil {
					failed <- err
					return
				}
				for _, s := range statuses {
					if s == callsign.Stored {
						stored.Add(1)
					}
				}
			}
		})
	}
	sources.Wait()
	rate = float64(stored.Load()) / time.Since(began).Seconds()
	stop()
	select {
	case err = <-failed:
	default:
	}
	return rate, errors.Join(err, <-ended)
}

type row struct {
	account string
	msisdn  callsign.MSISDN
	version int64
}

const upsert = `ON CONFLICT (tenant, network, account) DO UPDATE SET text = excluded.text, shown = excluded.shown, lang = excluded.lang,
	origin = excluded.origin, epoch = excluded.epoch, version = excluded.version, at = excluded.at, expires = excluded.expires`

// upsertEach is a statement for each row, sent together.
func upsertEach(ctx context.Context, conn *pgx.Conn, rows []row) error {
	b := &pgx.Batch{}
	for _, r := range rows {
		b.Queue(`INSERT INTO bare VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) `+upsert,
			callsign.DefaultTenant, callsign.ManualNetwork, r.account, uint64(r.msisdn), []byte(text), []byte(text), []byte{},
			[]byte("bench/"+strconv.FormatInt(r.version, 10)), 0, r.version, time.Now().UnixMicro(), 0)
	}
	return conn.SendBatch(ctx, b).Close()
}

// upsertAll is one statement for all rows.
func upsertAll(ctx context.Context, conn *pgx.Conn, rows []row) error {
	var (
		accounts          []string
		numbers, versions []int64
		origins           [][]byte
	)
	for _, r := range rows {
		accounts, numbers, versions = append(accounts, r.account), append(numbers, int64(r.msisdn)), append(versions, r.version)
		origins = append(origins, []byte("bench/"+strconv.FormatInt(r.version, 10)))
	}
	_, err := conn.Exec(ctx, `INSERT INTO bare SELECT $1, $2, a, m, $3, $3, '', o, 0, v, $4, 0
		FROM unnest($5::text[], $6::bigint[], $7::bytea[], $8::bigint[]) AS e(a, m, o, v) `+upsert,
		callsign.DefaultTenant, callsign.ManualNetwork, []byte(text), time.Now().UnixMicro(), accounts, numbers, origins, versions)
	return err
}

func (o options) bare(ctx context.Context, conn *pgx.Conn, n int, write func(context.Context, *pgx.Conn, []row) error) (rate float64, err error) {
	began, written := time.Now(), 0
	for time.Since(began).Seconds() < o.seconds {
		var rows []row
		for _, m := range pick(o.batch, n) {
			rows = append(rows, row{m.E164()[1:], m, version.Add(1)})
		}
		if err := write(ctx, conn, rows); err != nil {
			return 0, err
		}
		written += len(rows)
	}
	return float64(written) / time.Since(began).Seconds(), nil
}

// lookups reads profiles one after the other, as misses of memory do, over four connections.
func (o options) lookups(ctx context.Context, engine *postgres.Engine, n int) (rate float64, err error) {
	began := time.Now()
	var found atomic.Int64
	failed := make(chan error, 4)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for time.Since(began).Seconds() < o.seconds {
				if _, err := engine.Profile(ctx, first+callsign.MSISDN(rand.IntN(n))); err != nil {
					failed <- err
					return
				}
				found.Add(1)
			}
		})
	}
	readers.Wait()
	rate = float64(found.Load()) / time.Since(began).Seconds()
	select {
	case err = <-failed:
	default:
	}
	return rate, err
}

// tellings are how long after its acknowledgement each of 1000 updates was told to another node, at 500 a second.
func tellings(ctx context.Context, engine *postgres.Engine, url string) (took []time.Duration, err error) {
	other := postgres.New(postgres.Options{URL: url})
	defer func() { err = errors.Join(err, other.Close()) }()
	if err := other.Open(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stands, told := make(chan struct{}), make(chan time.Time, 1)
	go func() {
		_ = other.Changes(ctx, func(callsign.MSISDN, uint64) { told <- time.Now() }, sync.OnceFunc(func() { close(stands) }))
	}()
	select {
	case <-stands:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		<-tick.C
		v := version.Add(1)
		if _, err := engine.Keep(ctx, []callsign.Entry{{Shown: text, Change: callsign.Change{
			Tenant: callsign.DefaultTenant, Source: "bench", ID: strconv.FormatInt(v, 10), Network: callsign.ManualNetwork,
			Account: first.E164()[1:], Text: text, Stamp: callsign.Stamp{Version: v}, At: time.Now(),
		}}}); err != nil {
			return nil, err
		}
		acked := time.Now()
		select {
		case at := <-told:
			took = append(took, max(0, at.Sub(acked)))
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	slices.Sort(took)
	return took, nil
}
