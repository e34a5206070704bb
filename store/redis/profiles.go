package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

const (
	// keepFor is how long a profile stays in Redis, keepNobody that a number is nobody's: of these there are many more.
	keepFor, keepNobody = 30 * time.Minute, 5 * time.Minute
	// drift is by how much the clocks of Redis servers may differ, of which one stands in for another.
	drift = time.Second
	// offersQueue is how many profiles wait to be offered; what comes on top is dropped, and counted.
	offersQueue = 1024
	// buckets are what changes are remembered by: 2 MB.
	buckets = 1 << 18
	// digits are a value's Rev, and as many when it was read, in hexadecimal: what it begins with.
	digits = 16
)

// Profiles stands between a node's memory and the truth: what one node has read of the truth spares the others the same
// read. It takes an entry only if the reading of it began after this node was last told of a change in the entry's bucket, and
// after its feed stood: so whatever Redis lost, kept too long or got late, nothing older than an invalidation is read.
// While the feed is away, or Redis is, the truth is asked.
type Profiles struct {
	client *Client
	truth  store.Truth
	offers chan offer
	began  time.Time
	stands atomic.Int64          // since when the feed does: a time.Duration since began; 0: it doesn't
	told   [buckets]atomic.Int64 // when the last change in each bucket was: likewise
	asked  *prometheus.CounterVec
}

// offer is what the truth said of a number, as Redis keeps it. Its Rev is 0 if the number is nobody's.
type offer struct {
	msisdn            callsign.MSISDN
	rev, read, packed string
}

// NewProfiles makes one that believes nothing until Changes runs, and offers nothing until Run does.
func NewProfiles(c *Client, truth store.Truth, metrics prometheus.Registerer) *Profiles {
	p := &Profiles{
		client: c, truth: truth, offers: make(chan offer, offersQueue), began: time.Now(),
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callsign_redis_profiles_total",
			Help: "Profiles that were asked of Redis: hit; miss, with those that were too old to be believed; and those dropped that were to be offered.",
		}, []string{"result"}),
	}
	if metrics != nil {
		metrics.MustRegister(p.asked)
	}
	return p
}

// Profile is what Redis has, if it may be believed, or the truth.
func (p *Profiles) Profile(ctx context.Context, m callsign.MSISDN) (callsign.Profile, error) {
	if err := ctx.Err(); err != nil {
		return callsign.Profile{}, err
	}
	l := p.look(ctx, m)
	if l.known {
		p.asked.WithLabelValues("hit").Inc()
		if l.profile.Rev == 0 {
			return callsign.Profile{}, callsign.ErrNotFound
		}
		return l.profile, nil
	}
	p.asked.WithLabelValues("miss").Inc()
	profile, err := p.truth.Profile(ctx, m)
	if l.now == 0 || err != nil && !errors.Is(err, callsign.ErrNotFound) {
		return profile, err
	}
	o := offer{msisdn: m, rev: padded(profile.Rev), read: padded(uint64(l.now))}
	if err == nil {
		o.packed = store.Pack(&profile)
	}
	select {
	case p.offers <- o:
	default:
		p.asked.WithLabelValues("dropped").Inc()
	}
	return profile, err
}

// looked is what Redis answered.
type looked struct {
	now     int64            // its time, in microseconds since 1970; 0: it didn't answer
	known   bool             // and may be believed
	profile callsign.Profile // Rev 0: the number is nobody's
}

// lookScript gives a value and the server's time: by no other an age can be told, for an offer may wait in a server that hangs.
var lookScript = redis.NewScript(`
local time = redis.call('TIME')
return {redis.call('GET', KEYS[1]) or '', time[1] * 1000000 + time[2]}`)

func (p *Profiles) look(ctx context.Context, m callsign.MSISDN) (l looked) {
	if p.stands.Load() == 0 {
		return l
	}
	asked := time.Since(p.began)
	var answer []any
	err := p.client.ask(ctx, func(ctx context.Context) (err error) {
		answer, err = lookScript.Run(ctx, p.client.redis, []string{p.key(m)}).Slice()
		return err
	})
	if err != nil || len(answer) != 2 {
		return l
	}
	value, _ := answer[0].(string)
	l.now, _ = answer[1].(int64)
	if len(value) < 2*digits {
		return l
	}
	rev, badRev := strconv.ParseUint(value[:digits], 16, 64)
	read, badRead := strconv.ParseInt(value[digits:2*digits], 16, 64)
	began := asked - time.Duration(l.now-read)*time.Microsecond // at the latest
	stands := p.stands.Load()
	if badRev != nil || badRead != nil || stands == 0 || began <= time.Duration(max(stands, p.told[bucket(m)].Load()))+drift {
		return l
	}
	if l.known = rev == 0; l.known {
		return l
	}
	l.profile, l.known = store.Unpack(m, rev, value[2*digits:])
	if expires := l.profile.Signature.Expires; !expires.IsZero() && !time.Now().Before(expires) {
		l.known = false // another account's may be the next
	}
	return l
}

// Changes is the truth's, from which Profile learns what to believe.
func (p *Profiles) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	defer p.stands.Store(0)
	return p.truth.Changes(ctx, func(m callsign.MSISDN, rev uint64) {
		p.told[bucket(m)].Store(int64(time.Since(p.began)))
		changed(m, rev)
	}, func() {
		p.stands.Store(int64(time.Since(p.began)))
		lost()
	})
}

// Run offers to Redis what was read, until ctx ends.
func (p *Profiles) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case o := <-p.offers:
			_ = p.offer(ctx, o) // Down tells of it
		}
	}
}

// offerScript keeps ARGV[3] under the Rev ARGV[1] for ARGV[4] milliseconds, unless there is a greater one, or this one read
// later than ARGV[2].
var offerScript = redis.NewScript(`
local value = redis.call('GET', KEYS[1]) or ''
if string.sub(value, 1, ` + strconv.Itoa(2*digits) + `) >= ARGV[1] .. ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[1] .. ARGV[2] .. ARGV[3], 'PX', ARGV[4])
return 1`)

func (p *Profiles) offer(ctx context.Context, o offer) error {
	keep := keepFor
	if o.packed == "" {
		keep = keepNobody
	}
	return p.client.ask(ctx, func(ctx context.Context) error {
		return offerScript.Run(ctx, p.client.redis, []string{p.key(o.msisdn)}, o.rev, o.read, o.packed, keep.Milliseconds()).Err()
	})
}

func padded(n uint64) string { return fmt.Sprintf("%0*x", digits, n) }

// key names the form of its value too: a version that writes another one takes another name.
func (p *Profiles) key(m callsign.MSISDN) string { return p.client.prefix + "profile2:" + m.E164() }

func bucket(m callsign.MSISDN) uint64 { return uint64(m) * 0x9e3779b97f4a7c15 >> 46 }
