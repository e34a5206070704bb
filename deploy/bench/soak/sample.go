package main

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// The columns of a sample.
const (
	seconds = iota
	sent
	failed
	resident
	heap
	goroutines
	files
	accepted
	receipted
	dropped
	kernel
	pushed
	reads
	read
	columns
)

var names = [columns]string{
	"seconds", "calls", "failed", "resident_bytes", "heap_bytes", "goroutines", "open_files",
	"texts_accepted", "texts_receipted_in_time", "events_dropped", "kernel_drops", "events_pushed", "reads", "accounts_changed_by_reads",
}

// sample is one line of the CSV.
type sample [columns]float64

func (s sample) line() string {
	words := make([]string, columns)
	for i, v := range s {
		words[i] = strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strings.Join(words, ",")
}

// scrape reads from the node's /metrics what they know of a sample.
func (o *options) scrape(ctx context.Context) (s sample, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.server+"/metrics", nil)
	if err != nil {
		return s, err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return s, err
	}
	defer answer.Body.Close()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	if err != nil {
		return s, fmt.Errorf("/metrics: %w", err)
	}
	of := func(name string, labels ...string) (sum float64) {
		for _, m := range families[name].GetMetric() {
			if has(m, labels) {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
		return sum
	}
	s[resident], s[heap] = of("process_resident_memory_bytes"), of("go_memstats_heap_inuse_bytes")
	s[goroutines], s[files] = of("go_goroutines"), of("process_open_fds")
	s[accepted] = of("callsign_deliveries_total", "outcome=accepted")
	s[receipted] = of("callsign_smpp_receipts_total", "when=in_time")
	s[dropped] = of("callsign_sip_events_dropped_total") + of("callsign_journal_events_total", "result=dropped") +
		of("callsign_journal_events_total", "result=refused")
	s[kernel] = of("callsign_sip_kernel_drops_total")
	s[pushed] = of("callsign_push_events_total", "status=stored")
	s[reads] = of("callsign_sync_reads_total", "result=ok")
	s[read] = of("callsign_sync_accounts_total", "result=changed")
	return s, nil
}

// has reports whether a metric has all of these labels, each as name=value.
func has(m *dto.Metric, labels []string) bool {
	found := 0
	for _, l := range labels {
		for _, p := range m.GetLabel() {
			if p.GetName()+"="+p.GetValue() == l {
				found++
			}
		}
	}
	return found == len(labels)
}
