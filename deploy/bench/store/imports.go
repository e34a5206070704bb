package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/store/postgres"
)

// importBatch is how many rows one transaction takes, ours and the bare one.
const importBatch = 10_000

// imports compares an import of n subscribers, each with an account and its text, with bare COPY of all that it leaves in the
// tables into the same tables.
func (o options) imports(ctx context.Context, engine *postgres.Engine, conn *pgx.Conn, n int) error {
	intake := sigsync.NewIntake(sigsync.Options{Keeper: engine})
	var ours, bare []float64
	for range min(o.rounds, 3) {
		for _, m := range []struct {
			into  *[]float64
			write func(rows []callsign.ImportRow) error
		}{
			{&ours, func(rows []callsign.ImportRow) error {
				refused, err := intake.Import(ctx, callsign.Scope{Tenant: callsign.DefaultTenant}, rows)
				for _, refusal := range refused {
					if refusal != nil {
						return refusal
					}
				}
				return err
			}},
			{&bare, func(rows []callsign.ImportRow) error { return copyRows(ctx, conn, rows) }},
		} {
			if _, err := conn.Exec(ctx, `TRUNCATE subscribers CASCADE`); err != nil {
				return err
			}
			if _, err := conn.Exec(ctx, `CHECKPOINT`); err != nil {
				return err
			}
			began := time.Now()
			for from := 0; from < n; from += importBatch {
				if err := m.write(people(from, min(from+importBatch, n))); err != nil {
					return err
				}
			}
			*m.into = append(*m.into, float64(n)/time.Since(began).Seconds())
		}
	}
	fmt.Printf("\nImport of %d subscribers, each with an account and its text, rows/s: %s; bare COPY of the same %s; %.2f of it\n",
		n, spread(ours), spread(bare), middle(ours)/middle(bare))
	return nil
}

func people(from, to int) (rows []callsign.ImportRow) {
	now := time.Now()
	for i := from; i < to; i++ {
		m := first + callsign.MSISDN(i)
		rows = append(rows, callsign.ImportRow{MSISDN: m, Name: fmt.Sprint("Subscriber ", i), Signature: callsign.Signature{
			Network: "qq", Account: fmt.Sprint(10_000_000 + i), Text: text, Shown: text, Stamp: callsign.Stamp{Version: 1}, At: now,
			Origin: fmt.Sprint("import/", i),
		}})
	}
	return rows
}

func copyRows(ctx context.Context, conn *pgx.Conn, rows []callsign.ImportRow) error {
	var subscribers, accounts, signatures [][]any
	for _, r := range rows {
		m, own := int64(r.MSISDN), r.MSISDN.E164()[1:]
		subscribers = append(subscribers, []any{m, callsign.DefaultTenant, []byte(r.Name), int64(1)})
		none, words := []byte{}, []byte(r.Text)
		accounts = append(accounts, []any{callsign.DefaultTenant, callsign.ManualNetwork, own, m}, []any{callsign.DefaultTenant, r.Network, r.Account, m})
		signatures = append(
			signatures,
			[]any{m, callsign.ManualNetwork, own, callsign.DefaultTenant, none, none, none, none, nil, int64(0), int64(0), int64(0), int64(1)},
			[]any{m, r.Network, r.Account, callsign.DefaultTenant, words, words, none, []byte(r.Origin), int64(0), int64(1), r.At.UnixMicro(), int64(0), int64(1)},
		)
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, c := range []struct {
			table   string
			columns []string
			rows    [][]any
		}{
			{"subscribers", []string{"msisdn", "tenant", "name", "rev"}, subscribers},
			{"accounts", []string{"tenant", "network", "account", "msisdn"}, accounts},
			{
				"signatures",
				[]string{"msisdn", "network", "account", "tenant", "text", "shown", "lang", "origin", "epoch", "version", "at", "expires", "rev"},
				signatures,
			},
		} {
			if _, err := tx.CopyFrom(ctx, pgx.Identifier{c.table}, c.columns, pgx.CopyFromRows(c.rows)); err != nil {
				return err
			}
		}
		return nil
	})
}
