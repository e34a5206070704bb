package postgres

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/callsign-as/callsign/deploy/peer"
)

// A plan is kept by its connection: one that was made for empty tables is still used when there are a hundred thousand rows.
func TestAnImportFindsEachRowByItsKeyAlsoByAPlanForEmptyTables(t *testing.T) {
	url := peer.Postgres(t, false).Database("")
	e := New(Options{URL: url})
	t.Cleanup(func() { _ = e.Close() })
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), importing+"; SET plan_cache_mode = force_generic_plan", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	const subscriber, account = "(msisdn = i.msisdn))", "(network = i.network) AND (account = i.account))"
	for name, c := range map[string]struct {
		statement string
		arguments []any
		finds     []string
	}{
		"accounts":   {importAccounts, []any{"t"}, []string{subscriber}},
		"signatures": {importSignatures, []any{"t", -1}, []string{account}},
		"refused":    {importRefused, []any{"t"}, []string{subscriber, account}},
	} {
		rows, err := conn.Query(t.Context(), "EXPLAIN "+c.statement, c.arguments...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		plan := strings.Join(lines, "\n")
		if strings.Contains(plan, "Scan on subscribers") || strings.Contains(plan, "Scan on accounts") || strings.Contains(plan, "Materialize") {
			t.Errorf("%s reads a tenant's rows for each that is imported:\n%s", name, plan)
		}
		for _, find := range c.finds {
			if !strings.Contains(plan, find) {
				t.Errorf("%s doesn't look for %s:\n%s", name, find, plan)
			}
		}
	}
}
