package api

import (
	"bufio"
	"net"
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are this room's series. Every label has few values: routes are patterns, codes are ours or HTTP's.
type metrics struct {
	connections                     prometheus.Gauge
	lostResyncs                     prometheus.Counter
	events, nacks, closes, requests *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "callsign_push_connections", Help: "Push connections that are open."}),
		lostResyncs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "callsign_push_resyncs_lost_total", Help: "Resync requests dropped since their source reads too slowly.",
		}),
		events: counter("callsign_push_events_total", "Pushed events that were acknowledged, by what became of them.", "status"),
		nacks:  counter("callsign_push_nacks_total", "Pushed batches that were not taken, by the nack's code.", "code"),
		closes: counter("callsign_push_closes_total",
			"Push connections that ended, by close code; peer: its source closed it; lost: it broke, or its source didn't read.", "code"),
		requests: counter("callsign_http_requests_total", "HTTP requests, by route and status.", "route", "code"),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.connections, m.lostResyncs, m.events, m.nacks, m.closes, m.requests} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// observe is around every route: it counts, keeps browsers from guessing, and gives ServeMux's own refusals our shape.
func (s *Server) observe(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		w.Header().Set("Referrer-Policy", "no-referrer")
		if r.TLS != nil {
			w.Header().Set("Strict-Transport-Security", "max-age=31536000")
		}
		rec := &recorder{ResponseWriter: w, request: r, status: http.StatusOK}
		next.ServeHTTP(rec, r)
		route := r.Pattern // ServeMux sets it
		if route == "" {
			route = "none"
		}
		s.metrics.requests.WithLabelValues(route, strconv.Itoa(rec.status)).Inc()
	})
}

// recorder remembers the status.
type recorder struct {
	http.ResponseWriter
	request  *http.Request
	status   int
	replaced bool // the body is ours already
}

// WriteHeader writes a problem instead, if no route matched: ServeMux answers 404 and 405 in plain text.
func (w *recorder) WriteHeader(status int) {
	w.status = status
	if w.request.Pattern != "" || status < 400 {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.replaced = true
	newProblem(status, statusCode(status), "there is no "+w.request.Method+" here: /openapi.json lists every path and method").
		write(w.ResponseWriter)
}

func (w *recorder) Write(b []byte) (int, error) {
	if w.replaced {
		return len(b), nil
	}
	return w.ResponseWriter.Write(b)
}

// Unwrap implements what http.ResponseController looks for.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack implements http.Hijacker, which the upgrade asks for by type.
func (w *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.status = http.StatusSwitchingProtocols
	return http.NewResponseController(w.ResponseWriter).Hijack()
}
