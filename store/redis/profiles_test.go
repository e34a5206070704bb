package redis_test

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/redis"
	"github.com/callsign-as/callsign/store/storetest"
)

// truth has profiles that the test sets, and tells of no change but those that it is told to.
type truth struct {
	mu       sync.Mutex
	profiles map[callsign.MSISDN]callsign.Profile
	err      error
	reads    int
	changed  func(callsign.MSISDN, uint64)
	lost     func()
	entered  chan struct{} // if it is there, a read says here that it has its answer,
	leave    chan struct{} // and waits here
}

func (tr *truth) set(m callsign.MSISDN, rev uint64) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.profiles[m] = callsign.Profile{
		MSISDN: m, Tenant: "t", Rev: rev, Signature: callsign.Signature{Text: "hi", Shown: "hi", At: time.UnixMicro(int64(rev)).UTC()},
	}
}

func (tr *truth) Profile(_ context.Context, m callsign.MSISDN) (callsign.Profile, error) {
	tr.mu.Lock()
	p, found := tr.profiles[m]
	err := tr.err
	tr.reads++
	entered, leave := tr.entered, tr.leave
	tr.mu.Unlock()
	if entered != nil {
		entered <- struct{}{}
		<-leave
	}
	if err == nil && !found {
		err = callsign.ErrNotFound
	}
	return p, err
}

func (tr *truth) Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error {
	tr.mu.Lock()
	tr.changed, tr.lost = changed, lost
	tr.mu.Unlock()
	lost()
	<-ctx.Done()
	return nil
}

// reader is one node's layer before the truth, by whose feed it stands.
type reader struct {
	*redis.Profiles
	t       *testing.T
	truth   *truth
	client  *redis.Client
	metrics *prometheus.Registry
	stop    func()
}

func newReader(t *testing.T, url, prefix string) *reader {
	t.Helper()
	r := &reader{t: t, truth: &truth{profiles: map[callsign.MSISDN]callsign.Profile{}}, metrics: prometheus.NewRegistry()}
	var err error
	if r.client, err = redis.New(redis.Options{URL: url, Prefix: prefix}); err != nil {
		t.Fatal(err)
	}
	r.Profiles = redis.NewProfiles(r.client, r.truth, r.metrics)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = r.Run(ctx) })
	running.Go(func() { _ = r.Changes(ctx, func(callsign.MSISDN, uint64) {}, func() {}) })
	r.stop = sync.OnceFunc(func() {
		cancel()
		running.Wait()
		_ = r.client.Close()
	})
	t.Cleanup(r.stop)
	peer.Until(t, "the feed to stand", func() bool {
		r.truth.mu.Lock()
		defer r.truth.mu.Unlock()
		return r.truth.changed != nil
	})
	return r
}

// reads looks m up, which must have that revision (0: nobody's), and tells whether the truth was asked.
func (r *reader) reads(m callsign.MSISDN, rev uint64) (asked bool) {
	r.t.Helper()
	r.truth.mu.Lock()
	before := r.truth.reads
	r.truth.mu.Unlock()
	p, err := r.Profile(r.t.Context(), m)
	if errors.Is(err, callsign.ErrNotFound) {
		p, err = callsign.Profile{}, nil
	}
	if err != nil || p.Rev != rev || rev > 0 && (p.Signature.Shown != "hi" || p.MSISDN != m) {
		r.t.Errorf("number %d is read as %+v, %v, want revision %d", m, p, err, rev)
	}
	r.truth.mu.Lock()
	defer r.truth.mu.Unlock()
	return r.truth.reads > before
}

// warm gives both nodes' truths that revision of m (0: it is nobody's), and waits until both believe what Redis has of it.
func warm(t *testing.T, a, b *reader, m callsign.MSISDN, rev uint64) {
	t.Helper()
	if rev > 0 {
		a.truth.set(m, rev)
		b.truth.set(m, rev)
	}
	for _, r := range []*reader{a, b} {
		peer.Until(t, "Redis to be believed", func() bool { return !r.reads(m, rev) })
	}
}

func TestWhatOneNodeReadSparesTheOthers(t *testing.T) {
	standalone := peer.Redis(t)
	for name, url := range map[string]string{"standalone": standalone.URL(), "cluster": peer.Cluster(t)} {
		for sentence, test := range map[string]func(t *testing.T, a, b *reader){
			"it is read once": func(t *testing.T, a, b *reader) {
				for m := range callsign.MSISDN(20) { // all over a cluster
					a.truth.set(m+1, 5)
					b.truth.set(m+1, 5)
				}
				warm(t, a, b, 1, 5)
				for m := range callsign.MSISDN(20) {
					if a.reads(m+1, 5); m > 0 {
						peer.Until(t, "the other to find it", func() bool { return !b.reads(m+1, 5) })
					}
				}
			},
			"nobody's number too": func(t *testing.T, a, b *reader) { warm(t, a, b, 1, 0) },
			"not after a change is told": func(t *testing.T, a, b *reader) {
				warm(t, a, b, 1, 5)
				b.truth.set(1, 6)
				b.truth.changed(1, 6)
				if !b.reads(1, 6) {
					t.Error("the truth was not asked")
				}
			},
			"not after changes may have been missed": func(t *testing.T, a, b *reader) {
				warm(t, a, b, 1, 5)
				b.truth.set(1, 6)
				b.truth.lost()
				if !b.reads(1, 6) {
					t.Error("the truth was not asked")
				}
			},
			"not while the feed is away": func(t *testing.T, a, b *reader) {
				warm(t, a, b, 1, 5)
				b.stop()
				b.truth.set(1, 6)
				if !b.reads(1, 6) {
					t.Error("the truth was not asked")
				}
			},
			"a reader who is late hides nothing newer": func(t *testing.T, a, b *reader) {
				warm(t, a, b, 3, 5) // so b would believe the late one
				a.truth.set(1, 5)
				b.truth.set(1, 6)
				a.truth.entered, a.truth.leave = make(chan struct{}), make(chan struct{})
				var late sync.WaitGroup
				late.Go(func() { a.reads(1, 5) })
				<-a.truth.entered
				peer.Until(t, "the other to believe what it read", func() bool { return !b.reads(1, 6) })
				close(a.truth.leave)
				late.Wait()
				a.truth.entered = nil
				a.truth.set(2, 5)
				peer.Until(t, "what the late reader offers next to be there", func() bool { return !a.reads(2, 5) }) // after what it was late with
				peer.Until(t, "Redis to be believed", func() bool { return !b.reads(1, 6) })
			},
			"an expired text is read again": func(t *testing.T, a, b *reader) {
				warm(t, a, b, 1, 5)
				p := b.truth.profiles[1]
				p.Signature.Expires = time.Now().Add(-time.Second)
				b.truth.profiles[1] = p
				b.truth.changed(1, 5)
				for range 3 {
					if !b.reads(1, 5) {
						t.Error("Redis was believed")
					}
				}
			},
		} {
			t.Run(name+": "+sentence, func(t *testing.T) {
				t.Parallel()
				test(t, newReader(t, url, t.Name()), newReader(t, url, t.Name()))
			})
		}
	}
}

func TestAnErrorOfTheTruthIsNotRemembered(t *testing.T) {
	r := newReader(t, peer.Redis(t).URL(), "")
	r.truth.err = callsign.ErrUnavailable
	if _, err := r.Profile(t.Context(), 1); !errors.Is(err, callsign.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
	r.truth.err = nil
	r.truth.set(1, 5)
	if !r.reads(1, 5) {
		t.Error("the truth was not asked")
	}
}

// TestAServerThatHungIsNotBelievedForIt holds the age of an offer that waited in a server against the age of what it says.
func TestAServerThatHungIsNotBelievedForIt(t *testing.T) {
	server := peer.Redis(t)
	a, b := newReader(t, server.URL(), ""), newReader(t, server.URL(), "")
	warm(t, a, b, 2, 0) // so the server knows the scripts: a question is one command
	a.truth.set(1, 5)
	a.truth.entered, a.truth.leave = make(chan struct{}), make(chan struct{})
	var late sync.WaitGroup
	late.Go(func() { a.reads(1, 5) })
	<-a.truth.entered // it has revision 5, and asked Redis before
	server.Pause()
	close(a.truth.leave)
	late.Wait()
	peer.Until(t, "the offer to be given up", func() bool { return a.client.Down() != nil })
	b.truth.set(1, 6)
	b.truth.changed(1, 6)
	<-time.After(2 * time.Second) // as long as the server hangs: nothing waits for it
	server.Resume()
	peer.Until(t, "Redis to be believed again", func() bool { return !b.reads(1, 6) })
	for range 20 {
		b.reads(1, 6)
	}
}

func TestCopiesThatBecomeMasters(t *testing.T) {
	url, failOver := peer.Sentinel(t)
	a, b := newReader(t, url, ""), newReader(t, url, "")
	warm(t, a, b, 1, 5)
	n := newNode(t, url, "", store.ClaimsOptions{})
	n.claim(t, delivery(1, 2, "x", "hi"), "")
	b.truth.set(1, 6)
	b.truth.changed(1, 6)
	b.reads(1, 6)
	failOver()
	if !b.reads(1, 6) && b.client.Down() != nil {
		t.Error("a Redis that is away was believed")
	}
	peer.Until(t, "the new master to be asked", func() bool {
		n.claim(t, delivery(1, 2, "x", "hi"), store.AlreadyDelivered)
		b.reads(1, 6)
		return n.client.Down() == nil && b.client.Down() == nil
	})
	other := newNode(t, url, "", store.ClaimsOptions{})
	peer.Until(t, "the new master to be asked", func() bool { other.claim(t, delivery(3, 4, "x", "hi"), ""); return other.client.Down() == nil })
}

func TestWithoutRedisTheTruthIsAsked(t *testing.T) {
	server := peer.Redis(t)
	r := newReader(t, server.URL(), "")
	r.truth.set(1, 5)
	for name, away := range map[string]func(){"hung": server.Pause, "killed": func() { server.Resume(); server.Kill() }} {
		away()
		for range 50 {
			if !r.reads(1, 5) {
				t.Errorf("%s: the truth was not asked", name)
			}
		}
	}
	if r.client.Down() == nil {
		t.Error("it is not told that Redis is away")
	}
	server.Resume()
}

// patient asks again while a busy machine keeps Redis from answering in time.
type patient struct {
	t *testing.T
	*redis.Leases
}

func (p patient) Share(ctx context.Context, work string, turn callsign.Turn) (held map[int]time.Time, err error) {
	peer.Until(p.t, "Redis to answer in time", func() bool {
		held, err = p.Leases.Share(ctx, work, turn)
		return !errors.Is(err, callsign.ErrUnavailable)
	})
	return held, err
}

func TestLeases(t *testing.T) {
	for name, url := range map[string]string{"standalone": peer.Redis(t).URL(), "cluster": peer.Cluster(t)} {
		t.Run(name, func(t *testing.T) {
			node := func() patient { return patient{t, redis.NewLeases(newNode(t, url, "", store.ClaimsOptions{}).client)} }
			storetest.Shares(t, node(), node())
		})
	}
	server := peer.Redis(t)
	l := redis.NewLeases(newNode(t, server.URL(), "", store.ClaimsOptions{}).client)
	server.Kill()
	if held, err := l.Share(t.Context(), "x", callsign.Turn{Node: "a", Parts: 1, Term: time.Minute}); held != nil || !errors.Is(err, callsign.ErrUnavailable) {
		t.Errorf("without Redis: %v, %v, want ErrUnavailable", held, err)
	}
}

func TestProfilesCount(t *testing.T) {
	server := peer.Redis(t)
	a, b := newReader(t, server.URL(), ""), newReader(t, server.URL(), "")
	warm(t, a, b, 1, 5)
	if n, err := testutil.GatherAndCount(b.metrics, "callsign_redis_profiles_total"); err != nil || n == 0 {
		t.Errorf("%d counted, %v", n, err)
	}
}

func TestAPolicyComesWithItsProfile(t *testing.T) {
	url := peer.Redis(t).URL()
	a, b := newReader(t, url, t.Name()), newReader(t, url, t.Name())
	policy, err := callsign.Policy{Texts: map[string]callsign.PolicyText{"a": {Text: "A"}}, Rules: []callsign.PolicyRule{{Name: "all", Show: "a"}}}.
		Compile(3, map[string]callsign.Signature{"a": {Network: callsign.PolicyNetwork, Shown: "A"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []*reader{a, b} {
		r.truth.set(1, 5)
		p := r.truth.profiles[1]
		p.Policy = policy
		r.truth.profiles[1] = p
	}
	peer.Until(t, "the other to find it in Redis", func() bool { return !a.reads(1, 5) && !b.reads(1, 5) })
	p, err := b.Profile(t.Context(), 1)
	if err != nil || p.Policy == policy || !reflect.DeepEqual(p.Policy, policy) {
		t.Errorf("Redis has %+v, %v, want %+v of its own", p.Policy, err, policy)
	}
}
