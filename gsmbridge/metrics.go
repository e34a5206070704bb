package gsmbridge

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sony/gobreaker/v2"

	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// metrics are the bridge's; every label's values are configured names or words from this package.
type metrics struct {
	bound          *prometheus.GaugeVec
	submits        *prometheus.CounterVec
	seconds        *prometheus.HistogramVec
	receipts       *prometheus.CounterVec
	receiptSeconds *prometheus.HistogramVec
	takenBack      *prometheus.CounterVec
	lost           *prometheus.CounterVec
	inbox          *prometheus.CounterVec
	odd            *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		bound: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "callsign_smpp_bound", Help: "1 while the link is bound."}, []string{"link"}),
		submits: counter("callsign_smpp_submits_total",
			"Texts tried on the link: accepted, throttled, busy (the handset), refused, ambiguous, unsent.", "link", "result"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "callsign_smpp_submit_seconds", Help: "From the write of a submit_sm or data_sm to its answer.",
			Buckets: []float64{.001, .002, .005, .01, .02, .05, .1, .15, .25, .5, 1, 2.5, 5, 10},
		}, []string{"link", "channel"}),
		receipts: counter("callsign_smpp_receipts_total",
			"Delivery receipts by what they say, and whether they came in_time, before the call was over for us, or late.", "link", "channel", "stat", "when"),
		receiptSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "callsign_smpp_receipt_seconds", Help: "From sending a text to the receipt that says that it was shown.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2, 3, 4, 5, 7.5, 10, 15, 20, 30, 60},
		}, []string{"link", "channel"}),
		takenBack: counter("callsign_smpp_cancels_total",
			"Texts that were to be taken back by cancel_sm: cancelled, refused (shown already, mostly), unsent.", "link", "result"),
		lost: counter("callsign_smpp_receipts_unmatched_total",
			"Receipts that close no text: duplicate, unknown (no text has the id), and texts that no receipt will find: overflow.", "reason"),
		inbox: counter("callsign_smpp_inbox_total", "Messages from handsets: taken, refused, failed.", "link", "result"),
		odd:   counter("callsign_smpp_oddities_total", "What the SMSC did wrong or late and the link survived.", "link", "kind"),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.bound, m.submits, m.seconds, m.receipts, m.receiptSeconds, m.takenBack, m.lost, m.inbox, m.odd} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// watch has a link's pace and circuit told.
func watch(reg prometheus.Registerer, l *link) error {
	if reg == nil {
		return nil
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: prometheus.Labels{"link": l.Name}}, value)
	}
	return errors.Join(
		reg.Register(gauge("callsign_smpp_slowed", "Texts a second that a link is given since it throttled; 0 while it doesn't.", l.pace.slowedTo)),
		reg.Register(gauge("callsign_smpp_circuit_open", "1 while a link that failed too often is left alone.", func() float64 {
			if l.breaker.State() == gobreaker.StateOpen {
				return 1
			}
			return 0
		})),
	)
}

// statLabel is a receipt's stat, "other" if it is none that SMPP 3.4 Appendix B names.
func statLabel(r smpp.Receipt) string {
	switch r.Stat {
	case "DELIVRD", "EXPIRED", "DELETED", "UNDELIV", "ACCEPTD", "UNKNOWN", "REJECTD", "ENROUTE", confirmed:
		return r.Stat
	}
	return "other"
}
