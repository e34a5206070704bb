package sigsync

import (
	"context"
	"errors"
	"time"

	"github.com/callsign-as/callsign"
)

// Importer keeps the rows of a bulk load in one transaction; refused has an error for each of which something wasn't kept.
type Importer interface {
	Import(context.Context, callsign.Scope, []callsign.ImportRow) (refused []error, err error)
}

// ErrUnusable refuses a row that no store can keep.
var ErrUnusable = errors.New("the text has more than 2048 bytes, or it, the network or the account is no valid UTF-8 or empty")

// Import is the intake's door for a bulk load: each text is checked and cleaned as a pushed one is, and then all rows that can
// be kept are. An account without a time has said nothing. A few thousand rows at a time are right: they are one transaction.
func Import(ctx context.Context, to Importer, sc callsign.Scope, rows []callsign.ImportRow) (refused []error, err error) {
	refused = make([]error, len(rows))
	now := time.Now()
	var (
		good []callsign.ImportRow
		at   []int // where they stand in rows
	)
	for i, row := range rows {
		if row.Network != "" {
			en := entry(callsign.Change{
				Tenant: sc.Tenant, Network: row.Network, Account: row.Account, Text: row.Text, Lang: row.Lang,
				Stamp: row.Stamp, At: row.At, Expires: row.Expires,
			}, now)
			if en.Refused {
				refused[i] = ErrUnusable
				continue
			}
			row.Shown = en.Shown
			if !row.At.IsZero() {
				row.At, row.Stamp = en.At, en.Stamp
			}
		}
		good, at = append(good, row), append(at, i)
	}
	kept, err := to.Import(ctx, sc, good)
	if err != nil {
		return nil, err
	}
	for i, refusal := range kept {
		refused[at[i]] = refusal
	}
	return refused, nil
}
