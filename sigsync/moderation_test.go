package sigsync

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

func file(t *testing.T, content string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// reviews serves a reviewer.
func reviews(t *testing.T, answer http.HandlerFunc) (url string) {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL
}

func says(answer string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, answer) }
}

func moderator(t *testing.T, change func(*Moderation)) *Moderator {
	t.Helper()
	c := DefaultModeration()
	c.Reviewer.Timeout = 5 * time.Second
	change(&c)
	m, err := NewModerator(c, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// unanswered is an address of this machine at which nobody answers.
func unanswered(t *testing.T) string {
	s := httptest.NewServer(nil)
	s.Close()
	return s.URL
}

func TestWhatBecomesOfATextThatIsModerated(t *testing.T) {
	const held, barred = callsign.Held, callsign.Barred
	reject, hold := file(t, "bad\n"), file(t, "odd\nbad\n")
	words := func(c *Moderation) { c.RejectWords, c.HoldWords = reject, hold }
	reviewer := func(answer string) func(*Moderation) {
		url := reviews(t, says(answer))
		return func(c *Moderation) { c.Reviewer.URL = url }
	}
	away := func(then string) func(*Moderation) {
		url := unanswered(t)
		return func(c *Moderation) { c.Reviewer.URL, c.Reviewer.OnFailure = url, then }
	}
	both := func(a, b func(*Moderation)) func(*Moderation) {
		return func(c *Moderation) { a(c); b(c) }
	}
	for name, c := range map[string]struct {
		config func(*Moderation)
		text   string
		review callsign.Review
		reason string
	}{
		"a reviewer that is away holds":               {away("hold"), "x", held, "did not answer"},
		"or rejects":                                  {away("reject"), "x", barred, "did not answer"},
		"or lets pass":                                {away("approve"), "x", "", ""},
		"one that answers with something else":        {reviewer(`<html>`), "x", held, "did not answer"},
		"one that answers with no verdict":            {reviewer(`{}`), "x", held, "did not answer"},
		"one whose verdict is none":                   {reviewer(`{"verdict":"OK"}`), "x", held, "did not answer"},
		"words that were never read hold":             {func(c *Moderation) { c.RejectWords = "/nowhere/words" }, "x", held, "could not be read"},
		"words that can't be used hold":               {func(c *Moderation) { c.HoldWords = file(t, "\xff") }, "x", held, "could not be read"},
		"nothing is configured":                       {func(*Moderation) {}, "bad odd", "", ""},
		"no word is in it":                            {words, "badge", "", ""},
		"a word rejects":                              {words, "b a d!", barred, "the word bad"},
		"a word holds":                                {words, "ODD", held, "the word odd"},
		"a word that rejects is stronger":             {words, "odd bad", barred, "the word bad"},
		"only what would be shown is looked at":       {words, "see http://bad.example/odd", "", ""},
		"what shows nothing needs nobody":             {both(away("reject"), func(c *Moderation) { c.Required = true }), "http://a.example", "", ""},
		"clearing needs nobody":                       {both(away("reject"), func(c *Moderation) { c.Required = true }), "", "", ""},
		"approval is required":                        {func(c *Moderation) { c.Required = true }, "x", held, "each text needs approval"},
		"of one tenant":                               {func(c *Moderation) { c.Tenants = map[string]TenantModeration{"t": {true}} }, "x", held, "approval"},
		"but not of one":                              {func(c *Moderation) { c.Required, c.Tenants = true, map[string]TenantModeration{"t": {}} }, "x", "", ""},
		"a reviewer approves":                         {reviewer(`{"verdict":"approve","reason":"fine"}`), "x", "", ""},
		"a reviewer holds":                            {reviewer(`{"verdict":"hold","reason":"ask\nsomebody"}`), "x", held, "ask somebody"},
		"a reviewer rejects":                          {reviewer(`{"verdict":"reject","reason":"` + strings.Repeat("é", 150) + `"}`), "x", barred, strings.Repeat("é", 100)},
		"a reviewer rejects what words hold":          {both(words, reviewer(`{"verdict":"reject","reason":"no"}`)), "odd", barred, "no"},
		"a reviewer doesn't free what words hold":     {both(words, reviewer(`{"verdict":"approve"}`)), "odd", held, "the word odd"},
		"nor what needs a person":                     {both(func(c *Moderation) { c.Required = true }, reviewer(`{"verdict":"approve"}`)), "x", held, "approval"},
		"a text that words reject is not told anyone": {both(words, away("approve")), "bad", barred, "the word bad"},
	} {
		t.Run(name, func(t *testing.T) {
			in := change("1")
			in.Text = c.text
			entries := []callsign.Entry{entry(in, time.Now())}
			shown := entries[0].Shown
			if c.review != "" {
				shown = ""
			}
			if err := moderator(t, c.config).judge(t.Context(), entries); err != nil {
				t.Fatal(err)
			}
			if e := entries[0]; e.Review != c.review || !strings.Contains(e.Reason, c.reason) || (e.Reason == "") != (c.reason == "") ||
				len(e.Reason) > maxReason || e.Shown != shown || e.Text != c.text {
				t.Errorf("got %q (%s), shown %q, want %q (%s), shown %q", e.Review, e.Reason, e.Shown, c.review, c.reason, shown)
			}
		})
	}
}

func TestAReviewerIsToldTheTextAndNotWhose(t *testing.T) {
	token := file(t, " secret\n")
	var got atomic.Pointer[http.Request]
	var body atomic.Pointer[map[string]any]
	url := reviews(t, func(w http.ResponseWriter, r *http.Request) {
		var in map[string]any
		_ = json.NewDecoder(r.Body).Decode(&in)
		got.Store(r)
		body.Store(&in)
		says(`{"verdict":"approve"}`)(w, r)
	})
	m := moderator(t, func(c *Moderation) { c.Reviewer.URL, c.Reviewer.Token = url+"/x", Secret("file:"+token) })
	in := change("1")
	in.Text, in.Lang = "two\nlines", "en"
	if err := m.judge(t.Context(), []callsign.Entry{entry(in, time.Now())}); err != nil {
		t.Fatal(err)
	}
	if r := got.Load(); r == nil || r.Method != "POST" || r.URL.String() != "/x" || r.Header.Get("Authorization") != "Bearer secret" ||
		r.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("the request is %+v", r)
	}
	if want := "map[lang:en network:im tenant:t text:two lines]"; fmt.Sprint(*body.Load()) != want {
		t.Errorf("got %v, want %v", *body.Load(), want)
	}
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	entries := []callsign.Entry{entry(in, time.Now())}
	if err := m.judge(t.Context(), entries); err != nil || entries[0].Review != callsign.Held || m.Err() == nil {
		t.Errorf("without its token: %q, %v, the moderator says %v", entries[0].Review, err, m.Err())
	}
	if err := os.WriteFile(token, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := m.judge(t.Context(), []callsign.Entry{entry(in, time.Now())}); err != nil || got.Load().Header.Get("Authorization") != "Bearer another" || m.Err() != nil {
		t.Errorf("with a new token: %v, the moderator says %v", err, m.Err())
	}
}

func TestAReviewersURLHoldsNoSecretAndIsNotInItsErrors(t *testing.T) {
	c := DefaultModeration()
	c.Reviewer.URL = "https://reviewer.example/texts?token=s3cret"
	if err := c.Validate(); err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "reviewer.token") {
		t.Errorf("with a token: %v, want an error that says where a token stands", err)
	}
	url := unanswered(t)
	m := moderator(t, func(c *Moderation) { c.Reviewer.URL = url + "/s3cret" })
	_ = m.judge(t.Context(), []callsign.Entry{entry(change("1"), time.Now())})
	if err := m.Err(); err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), strings.TrimPrefix(url, "http://")) {
		t.Errorf("away: %v, want an error with the host alone", err)
	}
}

// slow is a reviewer in a bubble of time: it answers after a while, and counts how many ask at once.
type slow struct {
	takes     time.Duration
	mu        sync.Mutex
	now, most int
	asked     int
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	count := func(by int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.now += by
		s.most = max(s.most, s.now)
		s.asked += max(0, by)
	}
	count(1)
	defer count(-1)
	select {
	case <-time.After(s.takes):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(`{"verdict":"approve"}`))}, nil
}

// moderated runs an intake whose reviewer is slow, in a bubble of time.
func moderated(t *testing.T, s *slow, k *keeper, test func(t *testing.T, in *Intake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c := DefaultModeration()
		c.Reviewer.URL, c.Reviewer.Parallel = "http://reviewer.example", 4
		m, err := NewModerator(c, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		m.reviewer.client.Transport = s
		in := NewIntake(Options{Keeper: k, Moderator: m})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- in.Run(ctx) }()
		test(t, in)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAReviewerThatHangsCostsABatchItsTimeOutOnceAndNobodyElseAnything(t *testing.T) {
	k := &keeper{}
	s := &slow{takes: time.Hour}
	moderated(t, s, k, func(t *testing.T, in *Intake) {
		began := time.Now()
		var all sync.WaitGroup
		all.Go(func() {
			many := make([]callsign.Change, 1000)
			for i := range many {
				many[i] = change(fmt.Sprint(i))
			}
			if got, err := in.Put(t.Context(), many); err != nil || len(got) != 1000 || time.Since(began) != time.Second {
				t.Errorf("%d statuses after %v, %v, want 1000 after the time-out", len(got), time.Since(began), err)
			}
		})
		all.Go(func() {
			clears := change("clears")
			clears.Source, clears.Text = "another", ""
			if _, err := in.Put(t.Context(), []callsign.Change{clears}); err != nil || time.Since(began) != 0 {
				t.Errorf("what needs no reviewer took %v, %v", time.Since(began), err)
			}
		})
		all.Wait()
	})
	for i, e := range k.kept[1:] {
		if e.ID != fmt.Sprint(i) || e.Review != callsign.Held || e.Shown != "" {
			t.Fatalf("entry %d is kept as %+v", i, e)
		}
	}
	if s.most != 4 {
		t.Errorf("%d were asked at once, want 4", s.most)
	}
}

func TestASlowReviewerIsAskedByABoundedNumberAndEachAnswerIsItsOwn(t *testing.T) {
	k, s := &keeper{}, &slow{takes: 90 * time.Millisecond}
	moderated(t, s, k, func(t *testing.T, in *Intake) {
		var all sync.WaitGroup
		for i := range 5 { // 60 texts, of which 44 can be answered for
			all.Go(func() {
				var many []callsign.Change
				for n := range 12 {
					many = append(many, change(fmt.Sprint(i, "-", n)))
				}
				if _, err := in.Put(t.Context(), many); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
	passed := 0
	for _, e := range k.kept {
		if e.Review == callsign.Unasked {
			passed++
		}
	}
	if len(k.kept) != 60 || passed != 44 || s.most != 4 {
		t.Errorf("%d kept, %d passed, %d at once; want 60, 44, 4", len(k.kept), passed, s.most)
	}
}

func TestNothingIsKeptOfAPutThatEndsWhileItsReviewerIsAsked(t *testing.T) {
	k := &keeper{}
	moderated(t, &slow{takes: time.Hour}, k, func(t *testing.T, in *Intake) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := in.Put(ctx, []callsign.Change{change("1")}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want the context's end", err)
		}
		if err := in.moderator.Err(); err != nil {
			t.Errorf("the reviewer is blamed: %v", err)
		}
	})
	if len(k.kept) != 0 {
		t.Errorf("%d were kept", len(k.kept))
	}
}

func TestAnImportIsModerated(t *testing.T) {
	in := NewIntake(Options{Keeper: &importer{}, Moderator: moderator(t, func(c *Moderation) { c.RejectWords, c.HoldWords = file(t, "bad"), file(t, "odd") })})
	rows := make([]callsign.ImportRow, 4)
	for i, text := range []string{"bad", "fine", "odd", "bad"} {
		rows[i] = callsign.ImportRow{MSISDN: 8613800000001, Signature: callsign.Signature{Network: "qq", Account: fmt.Sprint(i), Text: text, At: time.Now()}}
	}
	rows[3].At = time.Time{} // says nothing
	if refused, err := in.Import(t.Context(), callsign.Scope{Tenant: "t"}, rows); err != nil || errors.Join(refused...) != nil {
		t.Fatal(refused, err)
	}
	for i, want := range []string{"rejected the word bad ", "  fine", "pending the word odd ", "  bad"} {
		if r := in.keeper.(*importer).rows[i]; fmt.Sprint(r.Review, " ", r.Reason, " ", r.Shown) != want {
			t.Errorf("row %d: got %+v, want %q", i, r.Signature, want)
		}
	}
}

func TestWordsAreReadAgainWhenTheirFileChanges(t *testing.T) {
	path := file(t, "one")
	synctest.Test(t, func(t *testing.T) {
		c := DefaultModeration()
		c.HoldWords = path
		var log bytes.Buffer
		m, err := NewModerator(c, nil, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		holds := func(step, text, trouble string) {
			t.Helper()
			time.Sleep(lookEvery)
			synctest.Wait()
			entries := []callsign.Entry{entry(callsign.Change{Tenant: "t", Network: "im", Account: "a", Text: text}, time.Now())}
			if err := m.judge(t.Context(), entries); err != nil || entries[0].Review != callsign.Held {
				t.Errorf("%s: %q passed, %v", step, text, err)
			}
			if err := m.Err(); (err == nil) != (trouble == "") || err != nil && !strings.Contains(err.Error(), trouble) {
				t.Errorf("%s: the moderator says %v, want %q", step, err, trouble)
			}
		}
		write := func(content string, at int) {
			t.Helper()
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chtimes(path, time.Time{}, time.Unix(int64(at), 0)); err != nil {
				t.Fatal(err)
			}
		}
		holds("at first", "one", "")
		write("two", 1)
		holds("changed", "two", "")
		write("\xffthree", 2)
		holds("what can't be used", "two", "UTF-8")
		holds("and still can't", "two", "UTF-8")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		holds("gone", "two", "can't be read")
		write("two\nfour", 3)
		holds("back", "four", "")
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		holds("gone again", "four", "can't be read")
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
		holds("back as it was", "four", "")
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "level=ERROR"); n != 3 {
			t.Errorf("three troubles were said %d times:\n%s", n, log.String())
		}
	})
}

func TestAVerdictIsAPersons(t *testing.T) {
	for name, c := range map[string]struct {
		review callsign.Review
		fails  bool
	}{
		"held is none":        {callsign.Held, true},
		"nothing is none":     {callsign.Unasked, true},
		"approved is one":     {callsign.Approved, false},
		"rejected is another": {callsign.Barred, false},
	} {
		k := &judging{}
		err := NewIntake(Options{Keeper: k}).Review(t.Context(), callsign.Scope{}, callsign.Verdict{Review: c.review, Reason: "a\nb"})
		if (err != nil) != c.fails {
			t.Errorf("%s: %v", name, err)
		}
		if !c.fails && (k.verdict.Reason != "a b" || k.verdict.At.IsZero() || k.shown != "x y") {
			t.Errorf("%s: kept as %+v, %q", name, k.verdict, k.shown)
		}
	}
}

type judging struct {
	keeper
	verdict callsign.Verdict
	shown   string
}

func (k *judging) Review(_ context.Context, _ callsign.Scope, v callsign.Verdict, clean func(string) string) error {
	k.verdict, k.shown = v, clean("x\u200b \u202ey")
	return nil
}
