package sigsync

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

const (
	// maxVerdict bounds what is read of a reviewer's answer, maxReason what is kept of a reason; both in bytes.
	maxVerdict, maxReason = 16 << 10, 200
)

// reviewer asks a service about texts.
type reviewer struct {
	c       ReviewerConfig
	log     *slog.Logger
	client  *http.Client
	slots   chan struct{}         // one for each request that runs: who finds none waits, within the time-out
	away    atomic.Pointer[error] // why it didn't answer last; nil: it did
	seconds *prometheus.HistogramVec
}

type answer struct {
	review callsign.Review
	reason string
}

func newReviewer(c ReviewerConfig, reg prometheus.Registerer, log *slog.Logger) *reviewer {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = c.Parallel
	r := &reviewer{
		c: c, log: log, slots: make(chan struct{}, c.Parallel),
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // texts go where they were meant to
		},
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "callsign_moderation_reviewer_seconds", Help: "How long the external reviewer took to answer for a text, or not to.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"result"}),
	}
	if reg != nil {
		reg.MustRegister(r.seconds)
	}
	return r
}

// askAll asks about each of entries, and has an answer for each within the time-out, or soon after the end of ctx.
func (r *reviewer) askAll(ctx context.Context, entries []*callsign.Entry) map[*callsign.Entry]answer {
	within, cancel := context.WithTimeout(ctx, r.c.Timeout)
	defer cancel()
	answers := make([]answer, len(entries))
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(len(entries), r.c.Parallel) {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(entries); i = int(next.Add(1)) - 1 {
				answers[i] = r.ask(ctx, within, entries[i])
			}
		})
	}
	all.Wait()
	told := make(map[*callsign.Entry]answer, len(entries))
	for i, e := range entries {
		told[e] = answers[i]
	}
	return told
}

// ask asks about one. ctx is the caller's: what ends with it is not the reviewer's fault.
func (r *reviewer) ask(ctx, within context.Context, e *callsign.Entry) answer {
	began := time.Now()
	a, err := r.post(within, e)
	switch {
	case err == nil:
		r.seconds.WithLabelValues("answered").Observe(time.Since(began).Seconds())
		if r.away.Swap(nil) != nil {
			r.log.Info("the reviewer answers again")
		}
		return a
	case ctx.Err() == nil:
		r.seconds.WithLabelValues("failed").Observe(time.Since(began).Seconds())
		if r.away.Swap(&err) == nil {
			r.log.Warn("the reviewer doesn't answer as it should", "err", err, "texts_are", r.c.OnFailure)
		}
	}
	return answer{verdicts[r.c.OnFailure], "the reviewer did not answer"}
}

func (r *reviewer) post(ctx context.Context, e *callsign.Entry) (a answer, err error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	case <-ctx.Done():
		return a, fmt.Errorf("no request was free: raise sync.moderation.reviewer.parallel, or its time-out: %w", ctx.Err())
	}
	body, err := json.Marshal(struct {
		Tenant  string `json:"tenant"`
		Network string `json:"network"`
		Text    string `json:"text"`
		Lang    string `json:"lang,omitempty"`
	}{e.Tenant, e.Network, e.Shown, e.Lang})
	if err != nil {
		return a, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.c.URL, bytes.NewReader(body))
	if err != nil {
		return a, WithoutURL(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if r.c.Token != "" {
		token, err := r.c.Token.Read()
		if err != nil {
			return a, fmt.Errorf("token: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := r.client.Do(req)
	if err != nil {
		return a, WithoutURL(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxVerdict))
	if err != nil {
		return a, err
	}
	if res.StatusCode != http.StatusOK {
		return a, fmt.Errorf("it answers %s", res.Status)
	}
	var said struct{ Verdict, Reason string }
	if err := json.Unmarshal(raw, &said); err != nil {
		return a, fmt.Errorf("its answer is no JSON object with a verdict: %w", err)
	}
	review, known := verdicts[said.Verdict]
	if !known {
		return a, fmt.Errorf("its verdict is %.40q: it must be approve, hold or reject", said.Verdict)
	}
	return answer{review, short(said.Reason)}, nil
}

// err is why it didn't answer last.
func (r *reviewer) err() error {
	if away := r.away.Load(); away != nil {
		return fmt.Errorf("sync.moderation.reviewer: %w", *away)
	}
	return nil
}

// short is a reason as it is kept: one line, at most maxReason bytes.
func short(reason string) string {
	reason = strings.ToValidUTF8(reason[:min(len(reason), maxReason)], "")
	return Clean(reason)
}
