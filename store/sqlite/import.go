package sqlite

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/callsign-as/callsign"
)

// Import keeps rows as PutSubscriber, LinkAccount and Keep would one after the other, all in one transaction. refused has an
// error for each row of which something was not kept: ErrNumberTaken, or ErrAccountTaken, which keeps the subscriber.
// An older text than the one that is there is no refusal.
func (e *Engine) Import(ctx context.Context, sc callsign.Scope, rows []callsign.ImportRow) (refused []error, err error) {
	refused = make([]error, len(rows))
	err = e.write(ctx, "import", func(w *writing) error {
		update, err := w.PrepareContext(ctx, keepUpdate)
		if err != nil {
			return err
		}
		defer func() { _ = update.Close() }()
		for i, row := range rows {
			_, err := w.put(ctx, sc.Tenant, row.MSISDN, row.Name, false)
			if err == nil && row.Network != "" {
				_, err = w.link(ctx, sc.Tenant, row.MSISDN, row.Network, row.Account)
			}
			if err == nil && row.Network != "" && !row.At.IsZero() {
				source, id, _ := strings.Cut(row.Origin, "/")
				_, err = w.keep(ctx, update, callsign.Entry{Shown: row.Shown, Review: row.Review, Reason: row.Reason, Change: callsign.Change{
					Tenant: sc.Tenant, Source: source, ID: id, Network: row.Network, Account: row.Account,
					Text: row.Text, Lang: row.Lang, Stamp: row.Stamp, At: row.At, Expires: row.Expires,
				}}, false)
			}
			if errors.Is(err, callsign.ErrConflict) {
				refused[i], err = err, nil
			}
			if err != nil {
				return fmt.Errorf("row %d of %d: %w", i+1, len(rows), err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return refused, nil
}
