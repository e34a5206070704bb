package postgres

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// alive is how often a feed that hears nothing asks whether its connection still stands.
const alive = 2 * time.Second

// Changes calls changed after the commit of each change to a subscriber, on whichever node, with the revision that it has
// then or later. It calls lost first of all, when the feed stands, as what was read before may be old, and again when a slow
// listener missed some. It returns nil when ctx ends, and an error when its connection does: call it again.
func (e *Engine) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	if _, err := e.opened(); err != nil {
		return e.failed("changes", err)
	}
	config, err := e.config()
	if err != nil {
		return err
	}
	running, cancel := context.WithCancel(ctx)
	defer cancel()
	conn, err := pgx.ConnectConfig(running, config.ConnConfig)
	if err != nil {
		return e.ended(ctx, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(running, `LISTEN `+channel); err != nil {
		return e.ended(ctx, err)
	}
	var feed store.Feed
	down := make(chan struct{})
	go func() {
		defer close(down)
		err = e.hear(running, conn, &feed)
	}()
	feed.Follow(ctx, down, changed, lost)
	cancel()
	<-down
	return e.ended(ctx, err)
}

// ended is what Changes returns: nil where its caller ended it.
func (e *Engine) ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && !e.isClosed() {
		return nil
	}
	return e.failed("changes", err)
}

// hear tells the feed what NOTIFY tells, until the connection or ctx ends.
func (e *Engine) hear(ctx context.Context, conn *pgx.Conn, feed *store.Feed) error {
	for {
		wait, cancel := context.WithTimeout(ctx, alive)
		n, err := conn.WaitForNotification(wait)
		cancel()
		switch {
		case e.isClosed():
			return errClosed
		case err == nil:
			if err := tell(feed, n.Payload); err != nil {
				return err
			}
		case wait.Err() != nil && ctx.Err() == nil && !conn.IsClosed():
			ask, cancel := context.WithTimeout(ctx, connectTimeout)
			err := conn.Ping(ask)
			cancel()
			if err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func tell(feed *store.Feed, payload string) error {
	for part := range strings.SplitSeq(payload, ",") {
		number, revision, _ := strings.Cut(part, " ")
		m, err := strconv.ParseUint(number, 10, 64)
		if err != nil {
			return fmt.Errorf("a notification on %s tells no number: %w", channel, err)
		}
		rev, err := strconv.ParseUint(revision, 10, 64)
		if err != nil {
			return fmt.Errorf("a notification on %s tells no revision: %w", channel, err)
		}
		feed.Tell(callsign.MSISDN(m), rev)
	}
	return nil
}
