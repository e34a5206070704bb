package redis_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	goredis "github.com/redis/go-redis/v9"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/redis"
)

// node is one node's claims.
type node struct {
	*redis.Claims
	client  *redis.Client
	metrics *prometheus.Registry
}

func newNode(t *testing.T, url, prefix string, o store.ClaimsOptions) node {
	t.Helper()
	metrics := prometheus.NewRegistry()
	c, err := redis.New(redis.Options{URL: url, Prefix: prefix, Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return node{redis.NewClaims(c, store.NewClaims(o), o), c, metrics}
}

func delivery(caller, callee callsign.MSISDN, once, text string) callsign.Delivery {
	return callsign.Delivery{Call: callsign.Call{Caller: caller, Callee: callee, Once: once}, Text: text}
}

func (n node) claim(t *testing.T, d callsign.Delivery, want string) {
	t.Helper()
	if got, err := n.Claim(t.Context(), d); got != want || err != nil {
		t.Errorf("a claim of %d for %d in %q: refusal %q, %v, want %q", d.Call.Caller, d.Call.Callee, d.Call.Once, got, err, want)
	}
}

func TestWhatOneNodeShowedTheOthersDoNotShowAgain(t *testing.T) {
	server := peer.Redis(t)
	for sentence, c := range map[string]struct {
		o  store.ClaimsOptions
		do func(t *testing.T, a, b node)
	}{
		"a call's text is delivered once": {store.ClaimsOptions{}, func(t *testing.T, a, b node) {
			a.claim(t, delivery(1, 2, "x", "hi"), "")
			b.claim(t, delivery(1, 2, "x", "hi"), store.AlreadyDelivered)
			b.claim(t, delivery(1, 2, "y", "hi"), "")
			b.claim(t, delivery(3, 2, "x", "hi"), "")
		}},
		"once, until the text changes": {store.ClaimsOptions{Repeat: callsign.RepeatOnce}, func(t *testing.T, a, b node) {
			a.claim(t, delivery(1, 2, "x", "hi"), "")
			b.claim(t, delivery(1, 2, "y", "hi"), store.Repeated)
			b.claim(t, delivery(1, 2, "z", "ho"), "")
		}},
		"once in a period, whatever the text": {store.ClaimsOptions{Repeat: time.Hour}, func(t *testing.T, a, b node) {
			a.claim(t, delivery(1, 2, "x", "hi"), "")
			b.claim(t, delivery(1, 2, "y", "ho"), store.Repeated)
		}},
		"a caller's cap is that of all nodes": {store.ClaimsOptions{PerCaller: 2}, func(t *testing.T, a, b node) {
			a.claim(t, delivery(1, 2, "x", "hi"), "")
			b.claim(t, delivery(1, 3, "y", "hi"), "")
			a.claim(t, delivery(1, 4, "z", "hi"), store.CallerCap)
			b.claim(t, delivery(1, 4, "z", "hi"), store.CallerCap)
		}},
		"what failed gives all back": {store.ClaimsOptions{Repeat: callsign.RepeatOnce, PerCaller: 1}, func(t *testing.T, a, b node) {
			a.claim(t, delivery(1, 2, "x", "hi"), "")
			if err := a.Settle(t.Context(), delivery(1, 2, "x", "hi"), callsign.Outcome{State: callsign.Failed}); err != nil {
				t.Error(err)
			}
			b.claim(t, delivery(1, 2, "x", "hi"), "")
		}},
		"what may have been shown gives nothing back": {store.ClaimsOptions{}, func(t *testing.T, a, b node) {
			a.claim(t, delivery(1, 2, "x", "hi"), "")
			if err := a.Settle(t.Context(), delivery(1, 2, "x", "hi"), callsign.Outcome{State: callsign.Ambiguous}); err != nil {
				t.Error(err)
			}
			b.claim(t, delivery(1, 2, "x", "hi"), store.AlreadyDelivered)
		}},
		"a node's own second refuses and uses nothing up": {store.ClaimsOptions{PerSecond: 1, PerCaller: 2}, func(t *testing.T, a, b node) {
			a.claim(t, delivery(1, 2, "x", "hi"), "")
			a.claim(t, delivery(1, 3, "y", "hi"), store.GlobalCap)
			b.claim(t, delivery(1, 3, "y", "hi"), "")
		}},
		"what a policy asks for is of all nodes": {store.ClaimsOptions{}, func(t *testing.T, a, b node) {
			of := func(callee callsign.MSISDN, once, text string) callsign.Delivery {
				d := delivery(1, callee, once, text)
				d.Repeat, d.PerDay = callsign.RepeatOnce, 2
				return d
			}
			a.claim(t, of(2, "x", "hi"), "")
			b.claim(t, of(2, "y", "hi"), store.Repeated)
			b.claim(t, of(3, "y", "hi"), "")
			a.claim(t, of(4, "z", "hi"), store.DayCap)
			if err := b.Settle(t.Context(), of(3, "y", "hi"), callsign.Outcome{State: callsign.Failed}); err != nil {
				t.Error(err)
			}
			a.claim(t, of(4, "z", "hi"), "")
		}},
		"what a caller wants of one callee is of all nodes": {store.ClaimsOptions{}, func(t *testing.T, a, b node) {
			of := func(callee callsign.MSISDN, once string) callsign.Delivery {
				d := delivery(1, callee, once, "hi")
				d.PerDay, d.PerCallee = 3, 1
				return d
			}
			a.claim(t, of(2, "x"), "")
			b.claim(t, of(2, "y"), store.DayCap)
			if err := a.Settle(t.Context(), of(2, "x"), callsign.Outcome{State: callsign.Failed}); err != nil {
				t.Error(err)
			}
			b.claim(t, of(2, "y"), "")
			a.claim(t, of(2, "z"), store.DayCap)
			a.claim(t, of(3, "z"), "")
			b.claim(t, of(4, "u"), "")
			a.claim(t, of(5, "v"), store.DayCap)
		}},
		"flushed, a node remembers its own": {store.ClaimsOptions{PerCaller: 1}, func(t *testing.T, a, b node) {
			a.claim(t, delivery(1, 2, "x", "hi"), "")
			if err := server.Command("FLUSHALL"); err != nil {
				t.Fatal(err)
			}
			a.claim(t, delivery(1, 2, "x", "hi"), store.AlreadyDelivered)
			a.claim(t, delivery(1, 3, "y", "hi"), store.CallerCap)
		}},
	} {
		t.Run(sentence, func(t *testing.T) {
			c.do(t, newNode(t, server.URL(), t.Name(), c.o), newNode(t, server.URL(), t.Name(), c.o))
		})
	}
}

func TestOfACallerWhoWithholdsTheNumberRedisHasNoDigit(t *testing.T) {
	server := peer.Redis(t)
	a, b := newNode(t, server.URL(), "", store.ClaimsOptions{Repeat: time.Hour, PerCaller: 2}), newNode(t, server.URL(), "", store.ClaimsOptions{Repeat: time.Hour, PerCaller: 2})
	d := delivery(8613800000001, 8613900000002, "1", "hi")
	d.Call.Private, d.PerDay, d.PerCallee = true, 5, 5
	a.claim(t, d, "")
	b.claim(t, d, store.AlreadyDelivered)
	o, err := goredis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := goredis.NewClient(o)
	defer client.Close()
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("Redis has %q, %v", keys, err)
	}
	for _, k := range keys {
		members, _ := client.ZRange(t.Context(), k, 0, -1).Result() // of those that are sets
		if said := fmt.Sprint(k, members); strings.Contains(said, "13800000001") {
			t.Errorf("Redis has %s", said)
		}
	}
}

func TestClaimsOfManyNodesAreOneStep(t *testing.T) {
	const most = 5
	server := peer.Redis(t)
	var nodes []node
	for range 4 {
		nodes = append(nodes, newNode(t, server.URL(), "", store.ClaimsOptions{PerCaller: most}))
	}
	for caller := callsign.MSISDN(1); ; caller++ {
		var granted atomic.Int64
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				if refusal, err := nodes[i%len(nodes)].Claim(t.Context(), delivery(caller, 2, string(rune('a'+i)), "hi")); err != nil {
					t.Error(err)
				} else if refusal == "" {
					granted.Add(1)
				}
			})
		}
		all.Wait()
		answered := !slices.ContainsFunc(nodes, func(n node) bool { return n.client.Down() != nil })
		switch {
		case granted.Load() == most:
			return
		case answered || caller == 50:
			t.Fatalf("%d were granted, want %d", granted.Load(), most)
		}
		// Redis took more than its 50 ms, as the machine has much to do, so a node decided alone.
		for _, n := range nodes {
			peer.Until(t, "Redis to answer again", func() bool {
				_, _ = n.Claim(t.Context(), delivery(99, 2, "asks", "hi"))
				return n.client.Down() == nil
			})
		}
	}
}

func TestWithoutRedisANodeGoesOnWithWhatItRemembers(t *testing.T) {
	for name, c := range map[string]struct{ away, back func(*peer.RedisServer) }{
		"killed": {(*peer.RedisServer).Kill, (*peer.RedisServer).Start},
		"hung":   {(*peer.RedisServer).Pause, (*peer.RedisServer).Resume},
	} {
		t.Run(name, func(t *testing.T) {
			server := peer.Redis(t)
			n := newNode(t, server.URL(), "", store.ClaimsOptions{PerCaller: 100})
			n.claim(t, delivery(1, 2, "before", "hi"), "")
			c.away(server)
			n.claim(t, delivery(1, 2, "before", "hi"), store.AlreadyDelivered)
			for i := range 50 {
				n.claim(t, delivery(1, 2, string(rune('a'+i)), "hi"), "")
			}
			if n.client.Down() == nil {
				t.Error("it is not told that Redis is away")
			}
			if failed, err := testutil.GatherAndCount(n.metrics, "callsign_redis_questions_total"); err != nil || failed == 0 {
				t.Errorf("nothing is counted: %v", err)
			}
			c.back(server)
			asked := 0
			peer.Until(t, "Redis to be asked again", func() bool {
				asked++
				n.claim(t, delivery(callsign.MSISDN(100+asked), 2, "after", "hi"), "")
				return n.client.Down() == nil
			})
			other := newNode(t, server.URL(), "", store.ClaimsOptions{PerCaller: 100})
			n.claim(t, delivery(5, 2, "shared again", "hi"), "")
			other.claim(t, delivery(5, 2, "shared again", "hi"), store.AlreadyDelivered)
		})
	}
}

func TestAUserWithAPassword(t *testing.T) {
	server := peer.Redis(t)
	for _, command := range [][]string{
		{"ACL", "SETUSER", "callsign", "on", ">p@ss", "~callsign:*", "+@all"},
		{"ACL", "SETUSER", "default", "off"},
	} {
		if err := server.Command(command...); err != nil {
			t.Fatal(err)
		}
	}
	as := func(user string) node {
		return newNode(t, strings.Replace(server.URL(), "//", "//"+user+"@", 1), "", store.ClaimsOptions{})
	}
	right := as("callsign:p%40ss")
	if right.claim(t, delivery(1, 2, "x", "hi"), ""); right.client.Down() != nil {
		t.Errorf("with its password: %v", right.client.Down())
	}
	wrong := as("callsign:secret")
	wrong.claim(t, delivery(1, 2, "x", "hi"), "") // by this node's own memory
	if err := wrong.client.Down(); err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "secret") {
		t.Errorf("with a wrong one: %v", err)
	}
}

func TestURLs(t *testing.T) {
	for url, ok := range map[string]bool{
		"redis://h": true, "redis://h:1/3": true, "rediss://u:p%40@h:1": true, "redis+cluster://a,b:7": true,
		"redis+sentinel://a,b/master": true, "rediss+cluster://:p@a": true,
		"": true, "redis://": false, "redis://a,b": false, "http://h": false, "redis+x://h": false, "redis://h/x": false,
		"redis+sentinel://a": false, "redis+cluster://a/1": false, "redis://u:secret%@h": false, "redis://h?db=1": false,
	} {
		config := redis.DefaultConfig()
		config.URL = url
		err := config.Validate()
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v, want usable %v", url, err, ok)
		}
	}
	if err := (&redis.Config{Prefix: "a{b}"}).Validate(); err == nil || !strings.Contains(err.Error(), "cache.prefix") {
		t.Errorf("a prefix with a hash tag: %v", err)
	}
}

func BenchmarkClaim(b *testing.B) {
	server := peer.Redis(b)
	c, err := redis.New(redis.Options{URL: server.URL()})
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	o := store.ClaimsOptions{PerCaller: 20}
	claims := redis.NewClaims(c, store.NewClaims(o), o)
	for i := 0; b.Loop(); i++ {
		if refusal, err := claims.Claim(b.Context(), delivery(callsign.MSISDN(1+i), 2, "x", "hi")); refusal != "" || err != nil {
			b.Fatal(refusal, err)
		}
	}
}
