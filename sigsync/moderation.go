package sigsync

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
)

// Moderation is what texts have to pass before they are shown.
type Moderation struct {
	RejectWords string                      `yaml:"reject_words" doc:"a file of words, one a line in UTF-8, # before a comment: a text with one of them is never shown unless a person approves it; it is read again when it changes"`
	HoldWords   string                      `yaml:"hold_words" doc:"such a file: a text with one of them is shown once a person approves it"`
	Required    bool                        `yaml:"required" doc:"a person approves each text before it is shown, of tenants that tenants doesn't name"`
	Tenants     map[string]TenantModeration `yaml:"tenants" doc:"what is different for a tenant, like {acme: {required: true}}"`
	Reviewer    ReviewerConfig              `yaml:"reviewer" doc:"a service that is asked about each text that the words don't reject"`
}

// TenantModeration is what one tenant wants.
type TenantModeration struct {
	Required bool `yaml:"required"`
}

// ReviewerConfig is how an external reviewer is asked.
type ReviewerConfig struct {
	URL       string        `yaml:"url" doc:"where texts are posted, as {\"tenant\":…,\"network\":…,\"text\":…,\"lang\":…}, never whose they are; it answers {\"verdict\":\"approve\", \"hold\" or \"reject\",\"reason\":…}; empty: nobody is asked"`
	Token     Secret        `yaml:"token" doc:"a bearer token, or file:PATH for what stands in that file"`
	Timeout   time.Duration `yaml:"timeout" doc:"how long the texts of one push, poll or import wait for all its answers together, 10ms to 5s"`
	Parallel  int           `yaml:"parallel" doc:"how many texts a node asks about at the same time, 1 to 1000"`
	OnFailure string        `yaml:"on_failure" doc:"what becomes of a text that it doesn't answer for in time: hold, approve or reject"`
}

// DefaultModeration lets everything pass.
func DefaultModeration() Moderation {
	return Moderation{Reviewer: ReviewerConfig{Timeout: time.Second, Parallel: 32, OnFailure: "hold"}}
}

// Validate reports the first thing that can't work.
func (c *Moderation) Validate() error {
	r := &c.Reviewer
	u, err := url.Parse(r.URL)
	switch {
	case r.URL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == ""):
		return fmt.Errorf("sync.moderation.reviewer.url %q: write it like https://reviewer.example/texts", r.URL)
	case u != nil && u.RawQuery != "": // not in the message: it may be a token
		return errors.New("sync.moderation.reviewer.url: it has a query: a token belongs in sync.moderation.reviewer.token, and another path tells apart what a query does")
	case r.Timeout < 10*time.Millisecond || r.Timeout > 5*time.Second:
		return fmt.Errorf("sync.moderation.reviewer.timeout %v: use 10ms to 5s", r.Timeout)
	case r.Parallel < 1 || r.Parallel > 1000:
		return fmt.Errorf("sync.moderation.reviewer.parallel %d: use 1 to 1000", r.Parallel)
	}
	if _, known := verdicts[r.OnFailure]; !known {
		return fmt.Errorf("sync.moderation.reviewer.on_failure %q: use hold, approve or reject", r.OnFailure)
	}
	return nil
}

// verdicts are what a reviewer may say.
var verdicts = map[string]callsign.Review{"approve": callsign.Unasked, "hold": callsign.Held, "reject": callsign.Barred}

// lookEvery is how often the files of words are looked at.
const lookEvery = 3 * time.Second

// Moderator decides of each text whether it may be shown. A nil one lets all pass.
type Moderator struct {
	c            Moderation
	log          *slog.Logger
	reject, hold *wordFile
	reviewer     *reviewer // nil: nobody is asked
	texts        *prometheus.CounterVec
}

// NewModerator makes one and reads its words. Files that can't be read keep no node from starting, but hold every text until they can
// be. reg may be nil.
func NewModerator(c Moderation, reg prometheus.Registerer, log *slog.Logger) (*Moderator, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	m := &Moderator{
		c: c, log: log,
		texts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "callsign_moderation_texts_total", Help: "Texts that moderation looked at, by what became of them and who decided it.",
		}, []string{"review", "by"}),
	}
	reads := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "callsign_moderation_word_reads_total", Help: "Times a file of words was read, by list; failed: it can't be used and the words before it stay.",
	}, []string{"list", "result"})
	m.reject = &wordFile{path: c.RejectWords, name: "reject_words", reads: reads}
	m.hold = &wordFile{path: c.HoldWords, name: "hold_words", reads: reads}
	if reg != nil {
		reg.MustRegister(m.texts, reads)
	}
	if c.Reviewer.URL != "" {
		m.reviewer = newReviewer(c.Reviewer, reg, log)
	}
	m.look()
	return m, nil
}

// Run looks at the files of words every few seconds until ctx ends.
func (m *Moderator) Run(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			m.look()
		}
	}
}

func (m *Moderator) look() {
	m.reject.look(m.log)
	m.hold.look(m.log)
}

// Err is what is wrong with the files of words and the reviewer; nil: nothing.
func (m *Moderator) Err() error {
	err := errors.Join(m.reject.err(), m.hold.err())
	if m.reviewer != nil {
		err = errors.Join(err, m.reviewer.err())
	}
	return err
}

// judge decides on the entries that have something to show, and takes that from those that may not be shown. It waits for the
// reviewer, no longer than its time-out; its error is that of ctx.
func (m *Moderator) judge(ctx context.Context, entries []callsign.Entry) error {
	if m == nil {
		return nil
	}
	by := make([]string, len(entries))
	var ask []*callsign.Entry
	for i := range entries {
		e := &entries[i]
		if e.Refused || e.Shown == "" {
			continue
		}
		e.Review, e.Reason, by[i] = m.byWords(e.Shown)
		if e.Review != callsign.Barred && m.reviewer != nil {
			ask = append(ask, e)
		}
	}
	var answers map[*callsign.Entry]answer
	if len(ask) > 0 {
		answers = m.reviewer.askAll(ctx, ask)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		if e.Refused || e.Shown == "" {
			continue
		}
		if a, asked := answers[e]; asked && (a.review == callsign.Barred || a.review == callsign.Held && e.Review == callsign.Unasked) {
			e.Review, e.Reason, by[i] = a.review, a.reason, "reviewer"
		}
		if e.Review == callsign.Unasked && m.required(e.Tenant) {
			e.Review, e.Reason, by[i] = callsign.Held, "each text needs approval", "required"
		}
		if e.Review != callsign.Unasked {
			e.Shown = ""
		}
		m.texts.WithLabelValues(cmp.Or(string(e.Review), "passed"), cmp.Or(by[i], "nobody")).Inc()
	}
	return nil
}

func (m *Moderator) byWords(shown string) (_ callsign.Review, reason, by string) {
	reject, hold := m.reject.words.Load(), m.hold.words.Load()
	if m.reject.path != "" && reject == nil || m.hold.path != "" && hold == nil {
		return callsign.Held, "the words to look for could not be read", "words"
	}
	if reject == nil && hold == nil {
		return callsign.Unasked, "", ""
	}
	text := look(shown)
	if word := reject.find(text); word != "" {
		return callsign.Barred, "the word " + short(word), "words"
	}
	if word := hold.find(text); word != "" {
		return callsign.Held, "the word " + short(word), "words"
	}
	return callsign.Unasked, "", ""
}

func (m *Moderator) required(tenant string) bool {
	if t, own := m.c.Tenants[tenant]; own {
		return t.Required
	}
	return m.c.Required
}

// wordFile is a list and the file that it is read from. path "": none.
type wordFile struct {
	path, name string
	reads      *prometheus.CounterVec
	words      atomic.Pointer[words] // nil: never read

	mu      sync.Mutex
	seen    stamp // of the file that was read last
	trouble error // why that can't be used
}

// stamp tells whether a file is another one.
type stamp struct {
	at   time.Time
	size int64
}

// look reads the file if it changed since. One that can't be used leaves the words as they are.
func (w *wordFile) look(log *slog.Logger) {
	if w.path == "" {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var now stamp
	info, err := os.Stat(w.path)
	if err == nil {
		now = stamp{info.ModTime(), info.Size()}
		if now == w.seen && !errors.Is(w.trouble, errUnread) {
			return
		}
		var list []byte
		if list, err = readWords(w.path, info); err != nil {
			err = fmt.Errorf("%w: %w", errUnread, err)
		} else {
			w.seen = now
			var read *words
			if read, err = parseWords(list); err == nil {
				w.words.Store(read)
				log.Info("words are read", "list", w.name, "words", len(read.patterns))
			}
		}
	} else {
		err = fmt.Errorf("%w: %w", errUnread, err)
	}
	if err == nil {
		w.trouble = nil
		w.reads.WithLabelValues(w.name, "read").Inc()
		return
	}
	w.reads.WithLabelValues(w.name, "failed").Inc()
	err = fmt.Errorf("sync.moderation.%s: %s: %w", w.name, w.path, err)
	if w.trouble == nil || w.trouble.Error() != err.Error() { // the same is said once
		log.Error("words can't be used; those that were read before stay", "list", w.name, "err", err)
	}
	w.trouble = err
}

// errUnread is of a file that is away for now: it is tried again though nothing about it changes.
var errUnread = errors.New("it can't be read")

func readWords(path string, info fs.FileInfo) ([]byte, error) {
	if info.Size() > 8*maxPatterns {
		return nil, fmt.Errorf("it has more than %d bytes: shorten the list", 8*maxPatterns)
	}
	return os.ReadFile(path)
}

func (w *wordFile) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trouble
}
