package redis

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// onceFor is how long it is remembered that a caller was shown a text once: longer than texts stand.
const onceFor = 400 * 24 * time.Hour

// Claims is all nodes' memory of who was shown what, by the rules of store.Claims but for the cap of a second, which is each
// node's own. What Redis grants, the node's own memory must grant as well: so a Redis that was flushed or has failed over to
// an old copy repeats nothing that this node remembers, and when Redis is away the node goes on with what it knows.
type Claims struct {
	client *Client
	own    *store.Claims
	o      store.ClaimsOptions
}

// NewClaims makes one of the options with which own was made.
func NewClaims(c *Client, own *store.Claims, o store.ClaimsOptions) *Claims {
	return &Claims{client: c, own: own, o: o.WithDefaults()}
}

// claimScript grants, and remembers it, or tells the refusal. KEYS: the call, what the caller has seen, the caller's grants, those of a
// day, and of these the callee's; all with the caller as their hash tag, so that they are on one node of a cluster. ARGV: token, milliseconds: once in a call,
// repeat (0: always); then the milliseconds of each cap, and the cap (0: none). Times are the server's, for nodes' clocks differ.
var claimScript = redis.NewScript(`
if redis.call('EXISTS', KEYS[1]) == 1 then return '` + store.AlreadyDelivered + `' end
if ARGV[3] ~= '0' and redis.call('EXISTS', KEYS[2]) == 1 then return '` + store.Repeated + `' end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local caps = {{KEYS[3], ARGV[4], ARGV[5], '` + store.CallerCap + `'}, {KEYS[4], ARGV[6], ARGV[7], '` + store.DayCap + `'},
	{KEYS[5], ARGV[8], ARGV[9], '` + store.DayCap + `'}}
for _, cap in ipairs(caps) do
	if cap[3] ~= '0' then
		redis.call('ZREMRANGEBYSCORE', cap[1], '-inf', now - cap[2])
		if redis.call('ZCARD', cap[1]) >= tonumber(cap[3]) then return cap[4] end
	end
end
for _, cap in ipairs(caps) do
	if cap[3] ~= '0' then
		redis.call('ZADD', cap[1], now, ARGV[1])
		redis.call('PEXPIRE', cap[1], cap[2])
	end
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
if ARGV[3] ~= '0' then redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[3]) end
return ''`)

// settleScript gives back what the claim with this token used up.
var settleScript = redis.NewScript(`
for i = 1, 2 do
	if redis.call('GET', KEYS[i]) == ARGV[1] then redis.call('DEL', KEYS[i]) end
end
for i = 3, 5 do redis.call('ZREM', KEYS[i], ARGV[1]) end
return ''`)

// Claim grants d (an empty refusal) or says why not, in one step over all nodes. It never fails.
func (c *Claims) Claim(ctx context.Context, d callsign.Delivery) (refusal string, err error) {
	keys, token := c.keys(d)
	repeat := cmp.Or(d.Repeat, c.o.Repeat)
	if repeat == callsign.RepeatOnce {
		repeat = onceFor
	}
	asked := c.client.ask(ctx, func(ctx context.Context) (err error) {
		refusal, err = claimScript.Run(ctx, c.client.redis, keys, token, store.DeliverOnce.Milliseconds(), repeat.Milliseconds(),
			c.o.Per.Milliseconds(), c.o.PerCaller, store.Day.Milliseconds(), d.PerDay, store.Day.Milliseconds(), d.PerCallee).Text()
		return err
	})
	if asked == nil && refusal != "" {
		return refusal, nil
	}
	if refusal, err = c.own.Claim(ctx, d); refusal != "" && asked == nil {
		_ = c.settle(ctx, d) // else it is forgotten by itself
	}
	return refusal, err
}

// Settle tells how a granted delivery ended, as store.Claims has it.
func (c *Claims) Settle(ctx context.Context, d callsign.Delivery, o callsign.Outcome) error {
	err := c.own.Settle(ctx, d, o)
	if o.State == callsign.Failed || o.State == callsign.Dropped {
		_ = c.settle(ctx, d) // what it used up ends with its time; Down tells of Redis
	}
	return err
}

func (c *Claims) settle(ctx context.Context, d callsign.Delivery) error {
	keys, token := c.keys(d)
	return c.client.ask(ctx, func(ctx context.Context) error {
		return settleScript.Run(ctx, c.client.redis, keys, token).Err()
	})
}

// keys are those of claimScript, and the token of this delivery's claim.
func (c *Claims) keys(d callsign.Delivery) (keys []string, token string) {
	caller := c.client.prefix + "{" + c.client.caller(d.Call) + "}:"
	callee := d.Call.Callee.E164()
	once := store.Once(d)
	seen := caller + "seen:" + callee
	if cmp.Or(d.Repeat, c.o.Repeat) == callsign.RepeatOnce {
		seen += ":" + digest(d.Text)
	}
	return []string{caller + "call:" + callee + ":" + digest(once), seen, caller + "grants", caller + "day", caller + "day:" + callee}, digest(d.Call.ID.String() + once)
}

// caller is what a caller's keys are named by.
func (c *Client) caller(call callsign.Call) string {
	if !call.Private {
		return call.Caller.E164()
	}
	h := hmac.New(sha256.New, []byte(c.secret))
	h.Write([]byte(call.Caller.E164()))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// digest is a name for what may be long, or hold any byte.
func digest(s string) string {
	d := store.Digest(s)
	return hex.EncodeToString(d[:])
}
