package sigsync

import (
	"context"
	"errors"
	"time"
)

var errRunEnded = errors.New("the connector ended by itself")

// keepRunning runs a Runner until ctx ends, with a pause that grows while it fails.
func (p *poller) keepRunning(ctx context.Context, r Runner) {
	for failures := 0; ctx.Err() == nil; {
		began := time.Now()
		err := p.runOnce(ctx, r)
		if ctx.Err() != nil {
			return
		}
		if failures++; time.Since(began) > restMax {
			failures = 1
		}
		rest := apart(backoff(restMin, failures, time.Minute))
		p.log.Warn("the network's connector can't run; it is tried again", "err", err, "again_in", rest)
		pause(ctx, rest)
	}
}

func (p *poller) runOnce(ctx context.Context, r Runner) (err error) {
	defer p.recovered(&err)
	if err := r.Run(ctx); err != nil {
		return err
	}
	return errRunEnded
}
