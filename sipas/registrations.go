package sipas

import (
	"sync"
	"time"
	"unique"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sipas/ims"
)

const (
	// maxRegistrations bounds the users that are remembered. One more takes the place of one whose time is over, else of any:
	// the ladder then has their next rung.
	maxRegistrations = 1 << 18
	// registrationShards keep the workers out of each other's way.
	registrationShards = 64
	// sweepEvery is how often a full shard looks for who is over.
	sweepEvery = 10 * time.Second
)

// registrations is what third-party REGISTERs told of users, for when they call (TS 24.229 §5.4.1.7). It is this node's memory: a
// restart forgets it until they register again. All workers share it.
type registrations struct {
	size    int // of a shard
	shards  [registrationShards]registrationShard
	evicted prometheus.Counter
}

type registrationShard struct {
	mu     sync.Mutex
	byUser map[callsign.MSISDN]registered
	swept  time.Time
}

// registered is one user's. Access types are few: each is kept once.
type registered struct {
	access    unique.Handle[string]
	until     int64 // Unix nanoseconds
	sms, ussi bool
}

func newRegistrations(size int, reg prometheus.Registerer) *registrations {
	rs := &registrations{size: max(1, size/registrationShards), evicted: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "callsign_registrations_evicted_total", Help: "Third-party registrations forgotten early because memory for them was full.",
	})}
	for i := range rs.shards {
		rs.shards[i].byUser = map[callsign.MSISDN]registered{}
	}
	if reg != nil {
		reg.MustRegister(rs.evicted, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "callsign_registrations", Help: "Users whose third-party registration is remembered; it may be over.",
		}, func() float64 { return float64(rs.len()) }))
	}
	return rs
}

func (rs *registrations) shard(m callsign.MSISDN) *registrationShard {
	return &rs.shards[m%registrationShards]
}

// tell remembers a registration that was told at now, or forgets who is no longer registered.
func (rs *registrations) tell(r ims.Registration, now time.Time) {
	for _, m := range r.MSISDNs {
		rs.shard(m).tell(rs, m, r, now)
	}
}

func (s *registrationShard) tell(rs *registrations, m callsign.MSISDN, r ims.Registration, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Expires <= 0 {
		delete(s.byUser, m)
		return
	}
	if _, known := s.byUser[m]; !known && len(s.byUser) >= rs.size {
		s.makeRoom(rs, now)
	}
	s.byUser[m] = registered{access: unique.Make(r.Access), until: now.Add(r.Expires).UnixNano(), sms: r.SMS, ussi: r.USSI}
}

// makeRoom forgets who is over, but looks for them only now and then; where nobody is, anyone goes.
func (s *registrationShard) makeRoom(rs *registrations, now time.Time) {
	if now.Sub(s.swept) >= sweepEvery {
		s.swept = now
		for m, r := range s.byUser {
			if r.until <= now.UnixNano() {
				delete(s.byUser, m)
			}
		}
	}
	for m := range s.byUser {
		if len(s.byUser) < rs.size {
			return
		}
		delete(s.byUser, m)
		rs.evicted.Inc()
	}
}

// of is what is known of a user at now, which what-if may set to any time: it forgets nothing.
func (rs *registrations) of(m callsign.MSISDN, now time.Time) (r registered, known bool) {
	s := rs.shard(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known = s.byUser[m]
	if !known || r.until <= now.UnixNano() {
		return registered{}, false
	}
	return r, true
}

func (rs *registrations) len() (n int) {
	for i := range rs.shards {
		s := &rs.shards[i]
		s.mu.Lock()
		n += len(s.byUser)
		s.mu.Unlock()
	}
	return n
}

// Takes is what a registered user's phone said that it takes besides calls: SMS over IP, and USSD over IP from the network. known
// is false where no registration tells.
func (ws *Workers) Takes(m callsign.MSISDN, now time.Time) (sms, ussi, known bool) {
	r, known := ws.registrations.of(m, now)
	return r.sms, r.ussi, known
}

// registered reads a third-party REGISTER.
func (w *worker) registered(register []byte, at time.Time) {
	r, err := w.reader.Registration(register)
	if err != nil {
		w.log.Debug("a third-party REGISTER tells nothing", "err", err)
		return
	}
	w.registrations.tell(r, at)
}
