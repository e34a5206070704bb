package redis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/callsign-as/callsign"
)

// Leases give the parts of a work that one node at a time should do to nodes. They spare work and guard nothing: a node that
// hung may believe for a moment that it has what another took over meanwhile.
type Leases struct{ client *Client }

// NewLeases makes them.
func NewLeases(c *Client) *Leases { return &Leases{c} }

// swapScript writes a state if it is still the one that was read, for a day: who comes later begins anew.
var swapScript = redis.NewScript(`
if (redis.call('GET', KEYS[1]) or '') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'EX', 86400)
return 1`)

var errBusy = errors.New("others take their turn all the time")

// Share lets a node take its turn, by Redis's clock. ErrUnavailable: nobody can say who has what.
func (l *Leases) Share(ctx context.Context, name string, t callsign.Turn) (held map[int]time.Time, err error) {
	key := l.client.prefix + "share:" + name
	for range 10 { // turns that another node's came between
		var swapped bool
		err = l.client.ask(ctx, func(ctx context.Context) error {
			state, err := l.client.redis.Get(ctx, key).Result()
			if err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
			now, err := l.client.redis.Time(ctx).Result()
			if err != nil {
				return err
			}
			var shares callsign.Shares
			if state != "" {
				if err := json.Unmarshal([]byte(state), &shares); err != nil {
					return fmt.Errorf("shares of %q: %w", name, err)
				}
			}
			held = shares.Take(t, now)
			next, err := json.Marshal(shares)
			if err != nil {
				return err
			}
			swapped, err = swapScript.Run(ctx, l.client.redis, []string{key}, state, next).Bool()
			if errors.Is(err, redis.Nil) {
				err = nil
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if swapped {
			return held, nil
		}
	}
	return nil, fmt.Errorf("%w: share %q: %w", callsign.ErrUnavailable, name, errBusy)
}
