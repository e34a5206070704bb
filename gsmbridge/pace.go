package gsmbridge

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// errPace says that a link takes nothing right now, and may soon.
var errPace = errors.New("its rate is used up")

const (
	paceStep      = time.Second // between two changes of a pace
	slowest       = rate.Limit(1)
	recoverySteps = 10 // from half of the pace at which a link was throttled back to it
)

// pace is how fast a link may be used: at its configured rate, and after it throttled at half of what it was given then, a
// little more each second that it throttles nothing, until that is its rate again.
type pace struct {
	limiter *rate.Limiter
	full    rate.Limit // configured; rate.Inf: no limit

	mu      sync.Mutex
	was     rate.Limit // at which it was throttled; 0: it isn't
	changed time.Time
	since   time.Time // what follows was counted since then
	taken   int
}

func newPace(perSecond float64, burst int) *pace {
	p := &pace{full: rate.Inf, since: time.Now()}
	if perSecond > 0 {
		p.full = rate.Limit(perSecond)
	}
	p.limiter = rate.NewLimiter(p.full, burst)
	return p
}

// take waits for n messages' turn, or with no patience is errPace if it isn't.
func (p *pace) take(ctx context.Context, n int, patient bool) error {
	if patient {
		if err := p.limiter.WaitN(ctx, n); err != nil {
			return errors.Join(errPace, err)
		}
	} else if !p.limiter.AllowN(time.Now(), n) {
		return errPace
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if now := time.Now(); now.Sub(p.since) > paceStep {
		p.since, p.taken = now, 0
	}
	p.taken += n
	return nil
}

// throttled halves the pace. The refusals of what was under way together count once.
func (p *pace) throttled(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.was > 0 && now.Sub(p.changed) < paceStep {
		return
	}
	given := rate.Limit(float64(p.taken) / max(now.Sub(p.since), 100*time.Millisecond).Seconds())
	p.was = max(min(p.limiter.Limit(), given), slowest)
	p.changed = now
	p.limiter.SetLimit(max(p.was/2, slowest))
}

// accepted gives some of the pace back.
func (p *pace) accepted(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.was == 0 || now.Sub(p.changed) < paceStep {
		return
	}
	limit := p.limiter.Limit() + max(p.was/2, slowest)/recoverySteps
	if p.changed = now; limit >= min(p.was, p.full) {
		p.was, limit = 0, p.full
	}
	p.limiter.SetLimit(limit)
}

// slowedTo is the pace of a link that throttles, in messages a second; 0: it doesn't.
func (p *pace) slowedTo() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.was == 0 {
		return 0
	}
	return float64(p.limiter.Limit())
}
