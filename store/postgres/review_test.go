package postgres_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/callsign-as/callsign/deploy/peer"
)

// TestAnOrdinaryTextChangesNoIndex: an index over a column that each text changes, even one that has few rows, costs a sixth of all
// updates, as PostgreSQL then writes into every index.
func TestAnOrdinaryTextChangesNoIndex(t *testing.T) {
	conn, err := pgx.Connect(t.Context(), migrated(t, peer.Postgres(t, false)))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), `
		SELECT DISTINCT a.attname::text FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
		WHERE i.indrelid = 'signatures'::regclass ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	got, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if want := []string{"account", "msisdn", "network", "queued", "review", "tenant"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("indexes of signatures are over %v, %v, want %v", got, err, want)
	}
}
