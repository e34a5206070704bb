package sqlite

import (
	"context"

	"github.com/callsign-as/callsign"
)

// Changes calls changed after the commit of each change to a subscriber, with the revision that it has now (a deleted
// one: that nothing older may hide). It calls lost first of all, when the feed stands, as what was read before may be
// old, and again when a slow listener missed some. It may be called before Open, and returns nil when ctx ends.
func (e *Engine) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	if !e.isClosed() {
		e.feed.Follow(ctx, e.closed, changed, lost)
	}
	if e.isClosed() && ctx.Err() == nil {
		return e.failed("changes", errClosed)
	}
	return nil
}
