package relay

import "github.com/prometheus/client_golang/prometheus"

// metrics are what an operator asks the relay.
type metrics struct {
	relayedRequests, relayedAnswers          prometheus.Counter
	dropped, answered                        *prometheus.CounterVec
	streams, hops                            *prometheus.GaugeVec
	eventsDropped, panics, writeErrors, acks prometheus.Counter
}

// The reasons for which a datagram is dropped; each is a value of callsign_sip_dropped_total's label.
const (
	dropKeepalive = "keepalive" // CRLFs only
	dropUntrusted = "untrusted" // a request from outside sip.trust
	dropMalformed = "malformed" // no SIP, cut off, or without a usable Via, Max-Forwards or CSeq
	dropForged    = "forged"    // an answer whose top Via we did not make
	dropNoVia     = "no_via"    // an answer with no Via under ours
	dropLooped    = "ack"       // an ACK that can't be relayed; nothing is answered to an ACK
)

func newMetrics(reg prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	relayed := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callsign_sip_relayed_total", Help: "SIP messages forwarded."}, []string{"type"})
	m := &metrics{
		relayedRequests: relayed.WithLabelValues("request"),
		relayedAnswers:  relayed.WithLabelValues("answer"),
		dropped:         prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callsign_sip_dropped_total", Help: "Datagrams not forwarded, by reason."}, []string{"reason"}),
		answered:        prometheus.NewCounterVec(prometheus.CounterOpts{Name: "callsign_sip_answered_total", Help: "Requests answered by this node instead of forwarded, by status."}, []string{"status"}),
		streams:         prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "callsign_sip_streams", Help: "Open SIP connections, taken and made."}, []string{"transport"}),
		hops:            prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "callsign_sip_next_hop_up", Help: "Whether a next hop answers OPTIONS: 1 yes, 0 no."}, []string{"transport", "hop"}),
		eventsDropped:   counter("callsign_sip_events_dropped_total", "Events of forwarded calls not given to a worker because its queue was full: the call went on, its signature did not."),
		panics:          counter("callsign_sip_panics_total", "Panics recovered around a datagram."),
		writeErrors:     counter("callsign_sip_write_errors_total", "Datagrams that the kernel refused to send."),
		acks:            counter("callsign_sip_acks_swallowed_total", "ACKs of this node's own answers."),
	}
	for _, reason := range []string{dropKeepalive, dropUntrusted, dropMalformed, dropForged, dropNoVia, dropLooped} {
		m.dropped.WithLabelValues(reason)
	}
	if reg != nil {
		reg.MustRegister(relayed, m.dropped, m.answered, m.streams, m.hops, m.eventsDropped, m.panics, m.writeErrors, m.acks)
	}
	return m
}
