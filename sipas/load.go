package sipas

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// rung is how much is done for a call when there is more to do than can be done. The relay forwards on each of them.
type rung int

const (
	fullService rung = iota
	memoryOnly       // a callee that memory doesn't know is not looked up
	pureRelay        // the relay gives no INVITEs any more: its queue is nearly full
)

func (r rung) String() string {
	return [...]string{"full service", "memory-only look-ups", "pure relay"}[r]
}

// next is the rung for a queue that is filled by so many eighths, and for look-ups that are all under way: down at once, up
// again when there is room.
func (r rung) next(eighths int, lookupsFull bool) rung {
	switch {
	case eighths >= 7:
		return pureRelay
	case eighths >= 4:
		return max(r, memoryOnly)
	case lookupsFull, eighths >= 1 && r != fullService:
		return memoryOnly
	}
	return fullService
}

// load is the rung on which the node stands: the lowest of its workers'.
type load struct {
	gauge prometheus.Gauge
	log   *slog.Logger

	mu     sync.Mutex
	on     map[*worker]rung
	now    rung
	logged time.Time // one line a second is enough
}

func newLoad(reg prometheus.Registerer, log *slog.Logger) *load {
	l := &load{on: map[*worker]rung{}, log: log, gauge: prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "callsign_load_rung", Help: "What is done for calls under load: 0 full service, 1 callees are looked up in memory only, 2 calls are relayed only.",
	})}
	if reg != nil {
		reg.MustRegister(l.gauge)
	}
	return l
}

// stands notes where a worker stands.
func (l *load) stands(w *worker, on rung) {
	l.mu.Lock()
	l.on[w] = on
	before := l.now
	l.now = fullService
	for _, r := range l.on {
		l.now = max(l.now, r)
	}
	now := l.now
	l.gauge.Set(float64(now))
	say := now != before && time.Since(l.logged) >= time.Second
	if say {
		l.logged = time.Now()
	}
	l.mu.Unlock()
	switch {
	case say && now > before:
		l.log.Warn("there is more to do than can be done: calls go on, texts are left out", "rung", now.String())
	case say:
		l.log.Info("there is room again", "rung", now.String())
	}
}
