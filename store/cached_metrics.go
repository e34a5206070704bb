package store

import (
	"github.com/prometheus/client_golang/prometheus"
)

// cachedMetrics count; each counter is looked up once, as a call passes here.
type cachedMetrics struct {
	hits, negatives, misses, stales, failures prometheus.Counter
	evicted, lost, feedErrors                 prometheus.Counter
}

func newCachedMetrics(to prometheus.Registerer, c *Cached) cachedMetrics {
	lookups := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "callsign_cache_lookups_total",
		Help: "Look-ups of profiles: hit and negative from memory, miss from the store, stale from memory as the store failed, error.",
	}, []string{"result"})
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := cachedMetrics{
		hits: lookups.WithLabelValues("hit"), negatives: lookups.WithLabelValues("negative"),
		misses: lookups.WithLabelValues("miss"), stales: lookups.WithLabelValues("stale"),
		failures:   lookups.WithLabelValues("error"),
		evicted:    counter("callsign_cache_evictions_total", "Profiles that made room for others."),
		lost:       counter("callsign_cache_feed_lost_total", "Times that every profile was marked to be read again."),
		feedErrors: counter("callsign_cache_feed_errors_total", "Times that the feed of changes failed."),
	}
	sum := func(of func(*shard) int) func() float64 {
		return func() (n float64) {
			for i := range c.shards {
				s := &c.shards[i]
				s.mu.Lock()
				n += float64(of(s))
				s.mu.Unlock()
			}
			return n
		}
	}
	register(to, lookups, m.evicted, m.lost, m.feedErrors,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callsign_cache_profiles", Help: "Profiles in memory."},
			sum(func(s *shard) int { return s.entries })),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "callsign_cache_bytes", Help: "What they take of memory."},
			sum(func(s *shard) int { return s.bytes })))
	return m
}

func (m *cachedMetrics) hit(found bool) {
	if found {
		m.hits.Inc()
	} else {
		m.negatives.Inc()
	}
}

// register registers unless there is nowhere to.
func register(to prometheus.Registerer, cs ...prometheus.Collector) {
	if to != nil {
		to.MustRegister(cs...)
	}
}
