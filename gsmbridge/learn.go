package gsmbridge

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/callsign-as/callsign"
)

// LearnConfig orders links by how soon and how surely each brought texts to such callers.
type LearnConfig struct {
	On      bool    `yaml:"on" doc:"whether links are ordered by what was learned; kept in links.json of state.dir, for people to read too"`
	Explore float64 `yaml:"explore" doc:"share of texts that are sent over any other link first, so that it is known when that gets better; 0 to 0.5"`
	Digits  int     `yaml:"digits" doc:"how many digits of a caller's number tell what is learned apart; 1 to 10"`
}

func defaultLearn() LearnConfig { return LearnConfig{Explore: 0.05, Digits: 5} }

func (c LearnConfig) problems() (p []error) {
	if !(c.Explore >= 0 && c.Explore <= 0.5) {
		p = append(p, fmt.Errorf("smpp.learn.explore: %v is out of range: use 0 to 0.5", c.Explore))
	}
	if c.On && (c.Digits < 1 || c.Digits > 10) {
		p = append(p, fmt.Errorf("smpp.learn.digits: %d is out of range: use 1 to 10", c.Digits))
	}
	return p
}

const (
	learnWeight = 0.1 // of the newest text in the averages: some 20 texts make a habit
	maxHabits   = 10_000
	habitsSaved = time.Minute
)

// habitKey is what habits are told apart by: the callers of one country and network come over the same ways.
type habitKey struct {
	Link   string `json:"link"`
	Prefix string `json:"prefix"`
	Access string `json:"access"`
}

// habit is what a link was like lately, exponentially weighted.
type habit struct {
	Success float64   `json:"success"` // share of texts that were shown
	Seconds float64   `json:"seconds"` // until they were
	Texts   int       `json:"texts"`   // that this is known from
	At      time.Time `json:"at"`
}

// cost is how long a text takes that is tried until it is shown.
func (h habit) cost() float64 { return (h.Seconds + 0.05) / max(h.Success, 0.01) }

// habits is what was learned of links. At most maxHabits: the one that was longest of no use goes.
type habits struct {
	LearnConfig
	path string
	log  *slog.Logger
	draw func() float64 // in [0, 1)

	mu    sync.Mutex
	known map[habitKey]habit
}

func newHabits(c LearnConfig, path string, log *slog.Logger) *habits {
	h := &habits{LearnConfig: c, path: path, log: log, draw: rand.Float64, known: map[habitKey]habit{}}
	if err := h.load(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		log.Warn("what was learned of links can't be read, and is learned anew", "file", path, "err", err)
	}
	return h
}

func (h *habits) key(link string, c callsign.Call) habitKey {
	prefix := number(c.Caller)
	return habitKey{link, prefix[:min(h.Digits, len(prefix))], c.Access}
}

// learn takes in one text's end, but of a caller who withholds the number, of which links.json would keep digits.
func (l *link) learn(c callsign.Call, shown bool, took time.Duration) {
	if h := l.bridge.habits; h != nil && !c.Private {
		h.learn(l.Name, c, shown, took)
	}
}

func (h *habits) learn(link string, c callsign.Call, shown bool, took time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := h.key(link, c)
	v, known := h.known[k]
	if !known && len(h.known) >= maxHabits {
		h.forgetOldest()
	}
	v.Texts++
	v.At = time.Now()
	weight := max(learnWeight, 1/float64(v.Texts)) // the first ones count alike
	success := 0.0
	if shown {
		success = 1
		if v.Seconds == 0 {
			v.Seconds = took.Seconds()
		}
		v.Seconds += weight * (took.Seconds() - v.Seconds)
	}
	v.Success += weight * (success - v.Success)
	h.known[k] = v
}

func (h *habits) forgetOldest() {
	var oldest habitKey
	var at time.Time
	for k, v := range h.known {
		if at.IsZero() || v.At.Before(at) {
			oldest, at = k, v.At
		}
	}
	delete(h.known, oldest)
}

// order sorts links by their cost for such a call; one that nothing is known of comes first, so that something will be.
// Now and then another than the best is put first.
func (h *habits) order(links []*link, c callsign.Call) {
	if len(links) < 2 {
		return
	}
	h.mu.Lock()
	costs := make(map[*link]float64, len(links))
	for _, l := range links {
		if v, ok := h.known[h.key(l.Name, c)]; ok {
			costs[l] = v.cost()
		}
	}
	h.mu.Unlock()
	slices.SortStableFunc(links, func(a, b *link) int { return cmp.Compare(costs[a], costs[b]) })
	if h.draw() < h.Explore {
		i := 1 + int(h.draw()*float64(len(links)-1))
		explored := links[i]
		copy(links[1:i+1], links[:i])
		links[0] = explored
	}
}

// run saves what is learned now and then, and at the end.
func (h *habits) run(ctx context.Context) {
	tick := time.NewTicker(habitsSaved)
	defer tick.Stop()
	for over := false; !over; {
		select {
		case <-ctx.Done():
			over = true
		case <-tick.C:
		}
		if err := h.save(); err != nil {
			h.log.Warn("what was learned of links could not be saved; it is tried again", "err", err)
		}
	}
}

// line is a habit in the file.
type line struct {
	habitKey
	habit
}

func (h *habits) load() error {
	b, err := os.ReadFile(h.path)
	if err != nil {
		return err
	}
	var lines []line
	if err := json.Unmarshal(b, &lines); err != nil {
		return err
	}
	for _, l := range lines[:min(len(lines), maxHabits)] {
		if !(l.Success >= 0 && l.Success <= 1 && l.Seconds >= 0) || l.Texts < 1 {
			return fmt.Errorf("a line of link %q has a success of %v, %v seconds and %d texts", l.Link, l.Success, l.Seconds, l.Texts)
		}
		h.known[l.habitKey] = l.habit
	}
	return nil
}

// save replaces the file, so that it is always whole.
func (h *habits) save() error {
	h.mu.Lock()
	lines := make([]line, 0, len(h.known))
	for k, v := range h.known {
		lines = append(lines, line{k, v})
	}
	h.mu.Unlock()
	slices.SortFunc(lines, func(a, b line) int {
		return cmp.Or(cmp.Compare(a.Link, b.Link), cmp.Compare(a.Prefix, b.Prefix), cmp.Compare(a.Access, b.Access))
	})
	b, err := json.MarshalIndent(lines, "", " ")
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(h.path), ".links-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), h.path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
