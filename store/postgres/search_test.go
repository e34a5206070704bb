package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
)

// The timelines of ten days: 100,000 calls of seven events each, from 20,000 callers to 5,000 callees.
const (
	searchCalls = 100_000
	searchDays  = 10
)

// fill makes the partitions as calls make them, and the rest of the rows at once, however long that takes.
func fill(t *testing.T, e *Engine, url string, first time.Time) {
	t.Helper()
	for day := range searchDays {
		at := first.AddDate(0, 0, day)
		call := callsign.Call{ID: callsign.NewCallID(at, callsign.BranchKey{1}), Caller: 1, Callee: 2, At: at}
		if err := e.AppendEvents(t.Context(), []callsign.Event{{Call: call, Tenant: "t", At: at, Kind: callsign.EventInvite}}); err != nil {
			t.Fatal(err)
		}
	}
	const each = `FROM generate_series(0, $1 - 1) n, LATERAL (SELECT $2 + n::bigint * $3 AS ms) m,
		LATERAL (SELECT decode(lpad(to_hex(m.ms), 12, '0') || substr(md5(n::text), 1, 20), 'hex') AS id) i`
	apart := searchDays * dayLength.Milliseconds() / searchCalls
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	_, calls := conn.Exec(t.Context(), `INSERT INTO calls (id, tenant, caller, callee, sip_call_id, once, access, access_from, exempt, private, at)
		SELECT i.id, 't', 8613800000000 + n % 20000, 8613900000000 + n % 5000, 'a@b', 'icid', '3GPP-E-UTRAN-FDD', 'network', '', false, m.ms * 1000 `+each, searchCalls, first.UnixMilli(), apart)
	_, lines := conn.Exec(t.Context(), `INSERT INTO call_events (call_id, tenant, at, kind, reason, link, message_id, text, wire)
		SELECT i.id, 't', m.ms * 1000 + k, 'submitted', 'flash ucs2 38/70', 'a', '4711', 'On the road, call you back at six', decode(repeat('00', 120), 'hex') `+each+`, generate_series(1, 7) k`,
		searchCalls, first.UnixMilli(), apart)
	_, analyzed := conn.Exec(t.Context(), `ANALYZE calls, call_events`)
	if err := errors.Join(calls, lines, analyzed); err != nil {
		t.Fatal(err)
	}
}

// texts are the first column of a query's rows.
func texts(t *testing.T, e *Engine, query string, args ...any) (all []string) {
	t.Helper()
	if err := e.read("a test", func(pool *pgxpool.Pool) error {
		rows, err := pool.Query(t.Context(), query, args...)
		if err != nil {
			return err
		}
		all, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestCallsAreFoundAmongAHundredThousandAndForgottenByTheDay(t *testing.T) {
	url := peer.Postgres(t, false).Database("")
	e := New(Options{URL: url})
	t.Cleanup(func() { _ = e.Close() })
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	fill(t, e, url, first)
	scope := callsign.Scope{Tenant: "t"}
	since, until := first.AddDate(0, 0, 3), first.AddDate(0, 0, 4)
	for sentence, c := range map[string]struct {
		filter callsign.CallFilter
		index  string
		want   int
	}{
		"by the called number and time":  {callsign.CallFilter{Callee: 8613900000007, Since: since, Until: until}, "tenant_callee_id_idx", 2},
		"by the calling number and time": {callsign.CallFilter{Caller: 8613800000007, Since: first, Until: until}, "tenant_caller_id_idx", 2},
		"by a number, of all days":       {callsign.CallFilter{Callee: 8613900000007}, "tenant_callee_id_idx", 20},
		"by both numbers and time":       {callsign.CallFilter{Caller: 8613800000007, Callee: 8613900000007, Until: until}, "_id_idx", 2},
		"by time alone, a page":          {callsign.CallFilter{Since: since, Until: until, Page: callsign.Page{Limit: 100}}, "tenant_id_idx", 100},
		"the newest page":                {callsign.CallFilter{Page: callsign.Page{Limit: 100}}, "Index Scan Backward", 100},
	} {
		t.Run(sentence, func(t *testing.T) {
			query, args, err := selectCalls(scope, c.filter)
			if err != nil {
				t.Fatal(err)
			}
			plan := texts(t, e, "EXPLAIN "+query, args...)
			if all := strings.Join(plan, "\n"); strings.Contains(all, "Seq Scan") || strings.Contains(all, "Sort") || !strings.Contains(all, c.index) {
				t.Errorf("the plan is\n%s\nwant %s, and neither a scan nor a sort", all, c.index)
			}
			var took []time.Duration
			for range 50 {
				began := time.Now()
				calls, err := e.Calls(t.Context(), scope, c.filter)
				if err != nil {
					t.Fatal(err)
				}
				if len(calls) > 0 {
					_, err = e.Timeline(t.Context(), scope, calls[0].ID)
				}
				if took = append(took, time.Since(began)); err != nil || len(calls) != c.want {
					t.Fatalf("found %d calls, %v, want %d", len(calls), err, c.want)
				}
			}
			slices.Sort(took)
			t.Logf("found, and the first one's timeline read, in %v (median), %v (the slowest of 50)", took[25], took[49])
		})
	}

	began := time.Now()
	n, err := e.Forget(t.Context(), first.AddDate(0, 0, 7))
	if want := int64(searchCalls/searchDays*7 + 7); err != nil || n != want {
		t.Errorf("forgot %d, %v, want %d", n, err, want)
	}
	t.Logf("seven days of ten were forgotten in %v", time.Since(began))
	for _, table := range []string{"calls", "call_events"} {
		var want []string
		for day := 8; day <= 10; day++ {
			want = append(want, fmt.Sprintf("%s_d202601%02d", table, day))
		}
		got := texts(t, e, `SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = $1::regclass ORDER BY 1`, table)
		if !slices.Equal(got, want) {
			t.Errorf("the days of %s are %v, want %v", table, got, want)
		}
	}
	if calls, err := e.Calls(t.Context(), scope, callsign.CallFilter{Callee: 8613900000007}); err != nil || len(calls) != 6 {
		t.Errorf("of the days that are left %d calls are found, %v, want 6", len(calls), err)
	}
}
