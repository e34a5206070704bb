// Package redis shares between nodes what each would otherwise do alone: what one has read of the store, which caller was shown
// what, and who does a work that one should do. It refuses to be needed: while Redis is away, slow or hung, the store is asked
// and a node's own memory decides. Its goroutines are the client's own, and one for each Run.
package redis

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"github.com/callsign-as/callsign"
)

const (
	// patience is how long one question may take: a text waits for its answer while the phone rings.
	patience = 50 * time.Millisecond
	// pause is for how long nobody asks after a question without an answer, so that a hung Redis costs one text its patience
	// and not each.
	pause = time.Second
)

// Options say where Redis is. URL is required.
type Options struct {
	// URL is redis://USER:PASSWORD@HOST:PORT/DB, rediss:// for TLS, redis+cluster://HOST:PORT,HOST:PORT…, or
	// redis+sentinel://HOST:PORT,HOST:PORT…/MASTER; rediss+cluster:// and rediss+sentinel:// with TLS.
	URL     string
	Prefix  string // of every key; default "callsign:"
	Secret  string // the same on every node: of callers who withhold their number Redis has an HMAC with it, and no digit
	Metrics prometheus.Registerer
	Log     *slog.Logger
}

// Client is Redis as it stands: asked in time, and left alone for a second after it didn't answer.
type Client struct {
	redis  redis.UniversalClient
	prefix string
	secret string
	log    *slog.Logger
	asked  *prometheus.CounterVec
	// down is 0 while it answers, else when it is asked again, in nanoseconds since 1970.
	down atomic.Int64
	last atomic.Pointer[error]
}

var errDown = fmt.Errorf("%w: redis did not answer a moment ago", callsign.ErrUnavailable)

// quiet keeps the library from writing to standard error what errors and Down tell.
var quiet = sync.OnceFunc(func() { redis.SetLogger(discard{}) })

type discard struct{}

func (discard) Printf(context.Context, string, ...any) {}

// New makes a client. It connects when it is asked, so that what needs it can be built before its server is there.
func New(o Options) (*Client, error) {
	u, err := universal(o.URL)
	if err != nil {
		return nil, err
	}
	quiet()
	if o.Prefix == "" {
		o.Prefix = "callsign:"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{redis: redis.NewUniversalClient(u), prefix: o.Prefix, secret: o.Secret, log: o.Log, asked: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "callsign_redis_questions_total", Help: "Questions to Redis: answered; failed; spared, for it had not answered a moment before.",
	}, []string{"result"})}
	if o.Metrics != nil {
		o.Metrics.MustRegister(c.asked, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "callsign_redis_up", Help: "1 while Redis answers, 0 while this node's memory decides.",
		}, func() float64 {
			if c.down.Load() == 0 {
				return 1
			}
			return 0
		}))
	}
	return c, nil
}

// errURL doesn't repeat the URL, which may hold a password.
var errURL = errors.New("cache.url can't be used: write redis://USER:PASSWORD@HOST:PORT/DB, rediss://…, redis+cluster://HOST:PORT,HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT/MASTER; special characters in the password as %XX")

// universal reads a URL, which net/url can't where it names several hosts.
func universal(s string) (*redis.UniversalOptions, error) {
	scheme, rest, _ := strings.Cut(s, "://")
	secure, kind, _ := strings.Cut(scheme, "+")
	user, hosts := "", rest
	if at := strings.LastIndexByte(rest, '@'); at >= 0 {
		user, hosts = rest[:at], rest[at+1:]
	}
	hosts, path, _ := strings.Cut(hosts, "/")
	o := &redis.UniversalOptions{
		Addrs: strings.Split(hosts, ","), ContextTimeoutEnabled: true, MaxRetries: -1, DisableIdentity: true,
		DialTimeout: patience, ReadTimeout: patience, WriteTimeout: patience, PoolTimeout: patience, PoolSize: 16,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	}
	for i, a := range o.Addrs {
		if a == "" || strings.ContainsAny(a, "?# ") {
			return nil, errURL
		}
		if !strings.Contains(a, ":") {
			o.Addrs[i] = a + ":6379"
		}
	}
	name, password, _ := strings.Cut(user, ":")
	var errs [2]error
	o.Username, errs[0] = url.PathUnescape(name)
	o.Password, errs[1] = url.PathUnescape(password)
	switch {
	case errors.Join(errs[:]...) != nil, secure != "redis" && secure != "rediss", kind == "" && len(o.Addrs) > 1:
		return nil, errURL
	case secure == "rediss":
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	switch kind {
	case "":
		if path != "" {
			db, err := strconv.ParseUint(path, 10, 16)
			if err != nil {
				return nil, errURL
			}
			o.DB = int(db)
		}
	case "cluster":
		o.IsClusterMode = true
		if path != "" {
			return nil, errURL
		}
	case "sentinel":
		if o.MasterName = path; path == "" {
			return nil, errURL
		}
	default:
		return nil, errURL
	}
	return o, nil
}

// Run asks once a second whether Redis answers, until ctx ends: so a connection stands before the first text, and Down tells
// the truth also while nobody calls.
func (c *Client) Run(ctx context.Context) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		_ = c.ask(ctx, func(ctx context.Context) error { return c.redis.Ping(ctx).Err() })
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Close ends the connections.
func (c *Client) Close() error { return c.redis.Close() }

// Down is why Redis is not asked at present; nil while it answers.
func (c *Client) Down() error {
	if c.down.Load() == 0 {
		return nil
	}
	return *c.last.Load()
}

// ask asks within patience. An error wraps ErrUnavailable.
func (c *Client) ask(ctx context.Context, question func(context.Context) error) error {
	down, now := c.down.Load(), time.Now()
	// One who comes when the pause is over asks, for all.
	if down != 0 && (now.UnixNano() < down || !c.down.CompareAndSwap(down, now.Add(pause).UnixNano())) {
		c.asked.WithLabelValues("spared").Inc()
		return errDown
	}
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience) // not cut short: what it did would be unknown
	defer cancel()
	if err := question(within); err != nil {
		c.asked.WithLabelValues("failed").Inc()
		err = fmt.Errorf("%w: redis: %w", callsign.ErrUnavailable, err)
		c.last.Store(&err)
		if c.down.Swap(now.Add(pause).UnixNano()) == 0 {
			c.log.Warn("Redis does not answer: this node's own memory decides until it does", "err", err)
		}
		return err
	}
	c.asked.WithLabelValues("answered").Inc()
	if c.down.Swap(0) != 0 {
		c.log.Info("Redis answers again")
	}
	return nil
}
