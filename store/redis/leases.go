package redis

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/redis/go-redis/v9"
)

// Leases give work that one node at a time should do to one of them. They spare work and guard nothing: a node that hung may
// believe for a moment that it has what another took over meanwhile.
type Leases struct {
	client *Client
	node   string // tells this node from the others
}

// NewLeases makes those of one node.
func NewLeases(c *Client) *Leases { return &Leases{c, rand.Text()} }

var leaseScript = redis.NewScript(`
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1`)

// Hold takes the lease of that name for this node, or renews it, and tells whether the node has it: until term has
// passed since the call. Renew it in a third of that. ErrUnavailable: nobody can say.
func (l *Leases) Hold(ctx context.Context, name string, term time.Duration) (held bool, err error) {
	err = l.client.ask(ctx, func(ctx context.Context) (err error) {
		held, err = leaseScript.Run(ctx, l.client.redis, []string{l.key(name)}, l.node, term.Milliseconds()).Bool()
		return err
	})
	return held, err
}

var releaseScript = redis.NewScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0`)

// Release gives it back, if this node has it: another needn't wait for its end.
func (l *Leases) Release(ctx context.Context, name string) error {
	return l.client.ask(ctx, func(ctx context.Context) error {
		return releaseScript.Run(ctx, l.client.redis, []string{l.key(name)}, l.node).Err()
	})
}

func (l *Leases) key(name string) string { return l.client.prefix + "lease:" + name }
