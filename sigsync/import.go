package sigsync

import (
	"context"
	"errors"
	"time"

	"github.com/callsign-as/callsign"
)

// ErrUnusable refuses a row that no store can keep.
var ErrUnusable = errors.New("the text or the account can't be kept: send at most 2048 bytes of text, all of it UTF-8, and no empty name")

// Import is the door for a bulk load: each text is checked and cleaned as a pushed one is, and then all rows that can be kept
// are, in one transaction that waits for no other change. An account without a time has said nothing. refused has an error for
// each row of which something was not kept; with err nothing was.
func (in *Intake) Import(ctx context.Context, sc callsign.Scope, rows []callsign.ImportRow) (refused []error, err error) {
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
	kept, err := in.keeper.Import(ctx, sc, good)
	if err != nil {
		return nil, err
	}
	for i, refusal := range kept {
		refused[at[i]] = refusal
	}
	return refused, nil
}
