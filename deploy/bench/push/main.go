// Push measures the push websocket of a node on PostgreSQL, from outside: durable acknowledged events a second beside a bare
// loop that upserts the same rows in batches of the same size over as many connections, how long an acknowledgement takes, how
// soon a call would show a text, and what an idle connection costs. It makes the subscribers and keys itself.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	sources  = 8
	text     = "On the road. Call you back at six."
	firstOne = 8613900000000
)

type options struct {
	server, key, url string
	rounds, batch    int
	accounts, idle   int
	seconds          float64
	pid              int
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "", "the node's API")
	flag.StringVar(&o.key, "key", "", "an administrator's key")
	flag.StringVar(&o.url, "url", "", "the node's database")
	flag.IntVar(&o.rounds, "rounds", 5, "interleaved rounds")
	flag.Float64Var(&o.seconds, "seconds", 6, "how long each round takes")
	flag.IntVar(&o.batch, "batch", 500, "events in one frame, rows in one transaction")
	flag.IntVar(&o.accounts, "accounts", 100_000, "linked accounts, of all sources together")
	flag.IntVar(&o.idle, "idle", 5000, "connections that do nothing")
	flag.IntVar(&o.pid, "pid", 0, "of the node, for its memory")
	flag.Parse()
	if err := o.run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "push:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context) error {
	list, err := o.prepare(ctx)
	if err != nil {
		return err
	}
	bare, err := newBare(ctx, o)
	if err != nil {
		return err
	}
	defer bare.close(ctx)
	fmt.Printf("Medians (least..greatest) of %d rounds of %g s, %d sources, %d accounts, %d events in a batch.\n\n", o.rounds, o.seconds, sources, o.accounts, o.batch)
	var ours, each, one []float64
	for range o.rounds {
		rate, _, err := o.push(ctx, list, 0)
		if err != nil {
			return err
		}
		ours = append(ours, rate)
		for _, m := range []struct {
			into  *[]float64
			write func(context.Context, *pgx.Conn, int, []int, []int64) error
		}{{&each, bare.upsertEach}, {&one, bare.upsertAll}} {
			rate, err := bare.rate(ctx, m.write)
			if err != nil {
				return err
			}
			*m.into = append(*m.into, rate)
		}
	}
	fmt.Printf("%-44s %s\n", "durable acknowledged events/s, pushed", spread(ours))
	fmt.Printf("%-44s %s\n", "bare pgx, an upsert each", spread(each))
	fmt.Printf("%-44s %s\n", "bare pgx, one statement for all", spread(one))
	_, waits, err := o.push(ctx, list, middle(ours)/2)
	if err != nil {
		return err
	}
	fmt.Printf("%-44s p50 %v, p99 %v, of %d batches\n", fmt.Sprintf("push to ack at %.0f/s", middle(ours)/2), percentile(waits, 50), percentile(waits, 99), len(waits))
	if err := o.verify(ctx, list); err != nil {
		return err
	}
	shown, err := o.shown(list[0])
	if err != nil {
		return err
	}
	fmt.Printf("%-44s p50 %v, p99 %v, of %d lone events\n", "push to what the next call would show", percentile(shown, 50), percentile(shown, 99), len(shown))
	if err := o.idling(); err != nil {
		return err
	}
	fmt.Printf("ratio %.2f\n", middle(ours)/middle(each))
	return nil
}

func middle(v []float64) float64 { return slices.Sorted(slices.Values(v))[len(v)/2] }

func spread(v []float64) string {
	return fmt.Sprintf("%.0f (%.0f..%.0f)", middle(v), slices.Min(v), slices.Max(v))
}

// percentile is the least of those that p in a hundred don't exceed.
func percentile(v []time.Duration, p int) time.Duration {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[max(0, (len(v)*p+99)/100-1)].Round(10 * time.Microsecond)
}

// ask asks the API.
func (o *options) ask(method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequest(method, o.server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Header.Set("Authorization", "Bearer "+o.key)
	r.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	if answer.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s: %s", method, path, answer.Status, said)
	}
	return json.Unmarshal(said, out)
}

func (o *options) newKey(network, source string) (string, error) {
	var made struct{ Key string }
	err := o.ask(http.MethodPost, "/v1/keys", map[string]string{"name": "bench", "role": "source", "network": network, "source": source}, &made)
	return made.Key, err
}

// prepare makes the accounts, as many of each source, and its key.
func (o *options) prepare(ctx context.Context) (list []*source, err error) {
	of := o.accounts / sources
	for i := range sources {
		s := &source{network: fmt.Sprint("im", i), first: firstOne + i*of, versions: make([]int64, of)}
		if s.key, err = o.newKey(s.network, ""); err != nil {
			return nil, err
		}
		for from := 0; from < of; from += 1000 {
			var rows []map[string]string
			for a := from; a < min(from+1000, of); a++ {
				rows = append(rows, map[string]string{"msisdn": fmt.Sprint("+", s.first+a), "network": s.network, "account": s.account(a)})
			}
			var out struct{ Refused []any }
			if err := o.ask(http.MethodPost, "/v1/import", map[string]any{"rows": rows}, &out); err != nil {
				return nil, err
			}
			if len(out.Refused) > 0 {
				return nil, fmt.Errorf("the import refused %v", out.Refused)
			}
		}
		list = append(list, s)
	}
	conn, err := pgx.Connect(ctx, o.url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, `VACUUM ANALYZE`)
	return list, err
}

// verify holds the database to what was acknowledged.
func (o *options) verify(ctx context.Context, list []*source) error {
	conn, err := pgx.Connect(ctx, o.url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	for _, s := range list {
		var seq int64
		if err := conn.QueryRow(ctx, `SELECT seq FROM sources WHERE source = $1`, s.network).Scan(&seq); err != nil || seq != s.seq {
			return fmt.Errorf("%s's last durable event is %d, %w; %d was acknowledged", s.network, seq, err, s.seq)
		}
		rows, err := conn.Query(ctx, `SELECT msisdn, version FROM signatures WHERE network = $1`, s.network)
		if err != nil {
			return err
		}
		var msisdn, version, seen int64
		if _, err := pgx.ForEachRow(rows, []any{&msisdn, &version}, func() error {
			if seen++; version != s.versions[int(msisdn)-s.first] {
				return fmt.Errorf("%d has version %d, %d was acknowledged", msisdn, version, s.versions[int(msisdn)-s.first])
			}
			return nil
		}); err != nil {
			return err
		}
		if int(seen) != len(s.versions) {
			return fmt.Errorf("%s has %d accounts, want %d", s.network, seen, len(s.versions))
		}
	}
	return nil
}
