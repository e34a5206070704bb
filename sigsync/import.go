package sigsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/callsign-as/callsign"
)

// ErrUnusable refuses a row that no store can keep.
var ErrUnusable = errors.New("the text or the account can't be kept: send at most 2048 bytes of text, all of it UTF-8, and no empty name")

// Import is the door for a bulk load: each text is checked, cleaned and judged as a pushed one is, and then all rows that can be kept
// are, in one transaction that waits for no other change. A text that is held or barred is kept so, and its row not refused: what a slow
// reviewer has not answered for within its time-out waits for a person, or passes, as the configuration says. An account without a time has said nothing. refused has an error for
// each row of which something was not kept; with err nothing was.
func (in *Intake) Import(ctx context.Context, sc callsign.Scope, rows []callsign.ImportRow) (refused []error, err error) {
	refused = make([]error, len(rows))
	now := time.Now()
	var (
		good []callsign.ImportRow
		at   []int // where they stand in rows
		said []callsign.Entry
		of   []int // which of good said it
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
				said, of = append(said, en), append(of, len(good))
			}
		}
		good, at = append(good, row), append(at, i)
	}
	if err := in.judge(ctx, said); err != nil {
		return nil, err
	}
	for i, en := range said {
		row := &good[of[i]]
		row.Shown, row.Review, row.Reason = en.Shown, en.Review, en.Reason
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

// Review has a person's verdict kept: what an approved text shows is derived of it anew. ErrNotFound says that m has no such account,
// ErrChanged that it says something else by now.
func (in *Intake) Review(ctx context.Context, sc callsign.Scope, v callsign.Verdict) error {
	if v.Review != callsign.Approved && v.Review != callsign.Barred {
		return fmt.Errorf("verdict %q: approve or reject", v.Review)
	}
	v.Reason, v.At = short(v.Reason), time.Now()
	return in.keeper.Review(ctx, sc, v, Clean)
}
