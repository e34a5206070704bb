package httpjson

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

// service answers as handle says, and a configuration that reads one account of it.
func service(t *testing.T, handle http.HandlerFunc) Config {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	c := DefaultConfig()
	c.URL, c.Text, c.PerSecond = server.URL+"/users/{account}", "/status", 1000
	return c
}

func provider(t *testing.T, c Config) *Provider {
	t.Helper()
	p, err := New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestWhatAnAnswerSays(t *testing.T) {
	said := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for sentence, test := range map[string]struct {
		answer string
		change func(*Config)
		want   string // the text, or "error: " and what it says
		stamp  callsign.Stamp
	}{
		"a text":                            {`{"status":"hi"}`, nil, "hi", callsign.Stamp{}},
		"an empty text":                     {`{"status":""}`, nil, "", callsign.Stamp{}},
		"no text":                           {`{}`, nil, "", callsign.Stamp{}},
		"null":                              {`{"status":null}`, nil, "", callsign.Stamp{}},
		"deep":                              {`{"a":[{"b/c":{"~":"hi"}}]}`, func(c *Config) { c.Text = "/a/0/b~1c/~0" }, "hi", callsign.Stamp{}},
		"a list has no such place":          {`{"a":["hi"]}`, func(c *Config) { c.Text = "/a/01" }, "", callsign.Stamp{}},
		"a version":                         {`{"status":"hi","v":9007199254740993}`, func(c *Config) { c.Version = "/v" }, "hi", callsign.Stamp{Version: 9007199254740993}},
		"a version as text":                 {`{"status":"hi","v":"7"}`, func(c *Config) { c.Version = "/v" }, "hi", callsign.Stamp{Version: 7}},
		"a time":                            {`{"status":"hi","t":"2026-01-02T03:04:05Z"}`, func(c *Config) { c.Time = "/t" }, "hi", callsign.TimedStamp(said)},
		"a time in seconds":                 {`{"status":"hi","t":1767323045}`, func(c *Config) { c.Time = "/t" }, "hi", callsign.TimedStamp(said)},
		"a time in milliseconds":            {`{"status":"hi","t":1767323045000}`, func(c *Config) { c.Time = "/t" }, "hi", callsign.TimedStamp(said)},
		"a good answer":                     {`{"ok":true,"status":"hi"}`, func(c *Config) { c.OK = "/ok" }, "hi", callsign.Stamp{}},
		"a bad one":                         {`{"ok":false,"error":"user_not_found"}`, func(c *Config) { c.OK, c.Error = "/ok", "/error" }, "error: user_not_found", callsign.Stamp{}},
		"a text that is none":               {`{"status":7}`, nil, "error: is no string", callsign.Stamp{}},
		"a version that is none":            {`{"status":"hi","v":1.5}`, func(c *Config) { c.Version = "/v" }, "error: whole number", callsign.Stamp{}},
		"no version":                        {`{"status":"hi"}`, func(c *Config) { c.Version = "/v" }, "error: whole number", callsign.Stamp{}},
		"a time that is none":               {`{"status":"hi","t":"yesterday"}`, func(c *Config) { c.Time = "/t" }, "error: RFC 3339", callsign.Stamp{}},
		"no JSON":                           {`<html>`, nil, "error: no JSON", callsign.Stamp{}},
		"nothing":                           {``, nil, "error: no JSON", callsign.Stamp{}},
		"an answer that never ends":         {`{"status":"` + strings.Repeat("x", maxAnswer) + `"}`, nil, "error: longer than", callsign.Stamp{}},
		"an answer of brackets":             {strings.Repeat("[", 100_000), nil, "error: no JSON", callsign.Stamp{}},
		"an answer whose text is elsewhere": {`[{"status":"hi"}]`, nil, "", callsign.Stamp{}},
	} {
		c := service(t, says(200, test.answer))
		if test.change != nil {
			test.change(&c)
		}
		before := callsign.TimedStamp(time.Now())
		changes, err := provider(t, c).Read(t.Context(), []string{"10001"})
		if problem, ok := strings.CutPrefix(test.want, "error: "); ok {
			if err == nil || !strings.Contains(err.Error(), problem) {
				t.Errorf("%s: %v, want an error with %q", sentence, err, problem)
			}
			continue
		}
		if err != nil || len(changes) != 1 {
			t.Errorf("%s: %v, %v", sentence, changes, err)
			continue
		}
		got := changes[0]
		if got.Account != "10001" || got.Text != test.want || test.stamp != (callsign.Stamp{}) && got.Stamp != test.stamp {
			t.Errorf("%s: %+v, want the text %q and the stamp %v", sentence, got, test.want, test.stamp)
		}
		if test.stamp == (callsign.Stamp{}) && (!got.Stamp.Timed() || got.Stamp.Version < before.Version) {
			t.Errorf("%s: the stamp is %v, want the time of the read", sentence, got.Stamp)
		}
	}
}

// A poll is stamped with when its read began, so that what was pushed while it took its time is newer.
func TestASlowReadIsOlderThanWhatCameMeanwhile(t *testing.T) {
	var pushed callsign.Stamp
	c := service(t, func(w http.ResponseWriter, _ *http.Request) {
		pushed = callsign.TimedStamp(time.Now())
		_, _ = io.WriteString(w, `{"status":"old"}`)
	})
	changes, err := provider(t, c).Read(t.Context(), []string{"1"})
	if err != nil || changes[0].Stamp.Newer(pushed) {
		t.Errorf("%v, %v is newer than the push at %v", changes, err, pushed)
	}
}

func TestHowItIsAsked(t *testing.T) {
	type request struct {
		method, uri, body, authorization string
		extra                            string
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for sentence, test := range map[string]struct {
		change   func(*Config)
		accounts []string
		want     request
	}{
		"an account":               {func(*Config) {}, []string{"10001"}, request{"GET", "/users/10001", "", "", ""}},
		"an account like a path":   {func(*Config) {}, []string{"../a b/c?d=e&f#g%"}, request{"GET", "/users/..%2Fa%20b%2Fc%3Fd%3De%26f%23g%25", "", "", ""}},
		"a token":                  {func(c *Config) { c.Bearer = "t" }, []string{"1"}, request{"GET", "/users/1", "", "Bearer t", ""}},
		"a token from a file":      {func(c *Config) { c.Bearer = sigsync.Secret("file:" + secret) }, []string{"1"}, request{"GET", "/users/1", "", "Bearer from a file", ""}},
		"a password":               {func(c *Config) { c.Basic.User, c.Basic.Password = "u", "p" }, []string{"1"}, request{"GET", "/users/1", "", "Basic dTpw", ""}},
		"a header":                 {func(c *Config) { c.Headers = map[string]string{"X-Extra": "e"} }, []string{"1"}, request{"GET", "/users/1", "", "", "e"}},
		"a body":                   {func(c *Config) { c.Method, c.Body = "POST", `{"id":"{account}"}` }, []string{`a"b`}, request{"POST", "/users/a%22b", `{"id":"a\"b"}`, "", ""}},
		"several in a query":       {several("?ids={accounts}", ""), []string{"1", "a,b"}, request{"GET", "/?ids=1,a%2Cb", "", "", ""}},
		"several in a body":        {several("", `{"ids":{accounts}}`), []string{"1", `"`}, request{"POST", "/", `{"ids":["1","\""]}`, "", ""}},
		"an account like a marker": {func(*Config) {}, []string{"{account}"}, request{"GET", "/users/%7Baccount%7D", "", "", ""}},
	} {
		var got request
		c := service(t, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			got = request{r.Method, r.RequestURI, string(body), r.Header.Get("Authorization"), r.Header.Get("X-Extra")}
			_, _ = io.WriteString(w, `{"list":[]}`)
		})
		test.change(&c)
		if _, err := provider(t, c).Read(t.Context(), test.accounts); err != nil || got != test.want {
			t.Errorf("%s: asked %+v, %v; want %+v", sentence, got, err, test.want)
		}
	}
}

// several has the configuration read lists.
func several(query, body string) func(*Config) {
	return func(c *Config) {
		c.URL = strings.Replace(c.URL, "users/{account}", query, 1)
		c.PerCall, c.Items, c.Account, c.Body = 100, "/list", "/id", body
		if body != "" {
			c.Method = "POST"
		}
	}
}

func TestAListTellsOfWhomItWasAskedFor(t *testing.T) {
	c := service(t, says(200, `{"list":[{"id":"2","status":"two"},{"id":7,"status":"seven"},{"id":"2","status":"again"},{"id":"9","status":"nobody asked"},{"status":"x"},3]}`))
	several("?ids={accounts}", "")(&c)
	p := provider(t, c)
	changes, err := p.Read(t.Context(), []string{"1", "2", "7"})
	got := map[string]string{}
	for _, c := range changes {
		got[c.Account] += c.Text
	}
	if want := map[string]string{"2": "two", "7": "seven"}; err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if _, err := p.Read(t.Context(), make([]string, 101)); err == nil {
		t.Error("more than per_call are asked for")
	}
	c.Items = "/nowhere"
	if _, err := provider(t, c).Read(t.Context(), []string{"1"}); err == nil || !strings.Contains(err.Error(), "no list") {
		t.Errorf("no list: %v", err)
	}
}

func TestWhatAServiceRefuses(t *testing.T) {
	for _, test := range []struct {
		status int
		after  string
		want   error
		rest   time.Duration
	}{
		{401, "", sigsync.ErrCredentials, 0},
		{403, "", sigsync.ErrCredentials, 0},
		{404, "", sigsync.ErrNoAccount, 0},
		{410, "", sigsync.ErrNoAccount, 0},
		{429, "7", nil, 7 * time.Second},
		{503, "", nil, restAfter},
		{429, "0", nil, time.Second},
		{429, "99999999", nil, maxRest},
		{429, "nonsense", nil, restAfter},
		{429, "Thu, 01 Jan 1970 00:00:00 GMT", nil, time.Second},
		{500, "", nil, 0},
		{204, "", nil, 0},
	} {
		c := service(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", test.after)
			w.WriteHeader(test.status)
		})
		changes, err := provider(t, c).Read(t.Context(), []string{"1"})
		var limited *sigsync.LimitedError
		switch {
		case err == nil || len(changes) > 0:
			t.Errorf("%d: %v and no error", test.status, changes)
		case test.want != nil && !errors.Is(err, test.want):
			t.Errorf("%d: %v, want %v", test.status, err, test.want)
		case test.rest > 0 && (!errors.As(err, &limited) || limited.After != test.rest):
			t.Errorf("%d, Retry-After %q: %v, want to rest for %v", test.status, test.after, err, test.rest)
		}
	}
}

// What the store has of an account isn't known to who reads: its row may be a new one, or have what another node read meanwhile.
func TestWhatIsAsItWasIsNotSentAgainAndToldAllTheSame(t *testing.T) {
	said := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for sentence, test := range map[string]struct {
		header, value, asked string
		change               func(*Config)
		stamp                callsign.Stamp // zero: the time of each read
	}{
		"an entity tag":             {"ETag", `"v1"`, "If-None-Match", func(*Config) {}, callsign.Stamp{}},
		"a time of change":          {"Last-Modified", "Fri, 02 Jan 2026 03:04:05 GMT", "If-Modified-Since", func(*Config) {}, callsign.Stamp{}},
		"a text with a version":     {"ETag", `"v1"`, "If-None-Match", func(c *Config) { c.Version = "/v" }, callsign.Stamp{Version: 7}},
		"a text with its own time":  {"ETag", `"v1"`, "If-None-Match", func(c *Config) { c.Time = "/t" }, callsign.TimedStamp(said)},
		"one whose time is missing": {"ETag", `"v1"`, "If-None-Match", func(c *Config) { c.Time = "/none" }, callsign.Stamp{}},
		"a list of one":             {"ETag", `"v1"`, "If-None-Match", several("?ids={accounts}", ""), callsign.Stamp{}},
	} {
		sent := 0
		c := service(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get(test.asked) == test.value {
				w.WriteHeader(http.StatusNotModified)
				return
			}
			sent++
			w.Header().Set(test.header, test.value)
			id := strings.TrimPrefix(r.URL.Path, "/users/") + r.FormValue("ids")
			_, _ = fmt.Fprintf(w, `{"status":"hi","v":7,"t":"2026-01-02T03:04:05Z","list":[{"id":%q,"status":"hi"}]}`, strings.TrimPrefix(id, "/"))
		})
		test.change(&c)
		p := provider(t, c)
		for i := range 3 {
			before := callsign.TimedStamp(time.Now())
			changes, err := p.Read(t.Context(), []string{"1"})
			if err != nil || len(changes) != 1 || changes[0].Account != "1" || changes[0].Text != "hi" || changes[0].At.IsZero() {
				t.Errorf("%s, read %d: %+v, %v; want the text", sentence, i, changes, err)
				continue
			}
			if got := changes[0].Stamp; test.stamp != (callsign.Stamp{}) && got != test.stamp || test.stamp == (callsign.Stamp{}) && got.Version < before.Version {
				t.Errorf("%s, read %d: stamped %v, want %v, or of the read", sentence, i, got, test.stamp)
			}
		}
		if sent != 1 {
			t.Errorf("%s: the text was sent %d times, want once", sentence, sent)
		}
		if changes, err := p.Read(t.Context(), []string{"2"}); err != nil || len(changes) != 1 || sent != 2 {
			t.Errorf("%s: another account: %v, %v", sentence, changes, err)
		}
	}
	if _, err := provider(t, service(t, says(http.StatusNotModified, ""))).Read(t.Context(), []string{"1"}); err == nil {
		t.Error("304 for what was never read is taken")
	}
	// What could not be read is read again, though it has a validator.
	broken := true
	c := service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"v1"`)
		_, _ = io.WriteString(w, map[bool]string{true: `{"status":7}`, false: `{"status":"hi"}`}[broken])
	})
	p := provider(t, c)
	_, _ = p.Read(t.Context(), []string{"1"})
	broken = false
	if changes, err := p.Read(t.Context(), []string{"1"}); err != nil || len(changes) != 1 {
		t.Errorf("after a broken answer: %v, %v", changes, err)
	}
}

func TestATokenIsHadOnceAndRenewed(t *testing.T) {
	tokens, lives := 0, 3600
	c := service(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			id, secret, _ := r.BasicAuth()
			if id != "id" || secret != "secret" || r.FormValue("grant_type") != "client_credentials" || r.FormValue("scope") != "a b" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			tokens++
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": fmt.Sprint("t", tokens), "token_type": "bearer", "expires_in": lives})
			return
		}
		if r.Header.Get("Authorization") != fmt.Sprint("Bearer t", tokens) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"status":"hi"}`)
	})
	c.OAuth2.TokenURL, c.OAuth2.ID, c.OAuth2.Secret, c.OAuth2.Scopes = strings.Replace(c.URL, "/users/{account}", "/token", 1), "id", "secret", []string{"a", "b"}
	p := provider(t, c)
	for range 3 {
		if _, err := p.Read(t.Context(), []string{"1"}); err != nil {
			t.Fatal(err)
		}
	}
	if tokens != 1 {
		t.Errorf("%d tokens were asked for, want 1", tokens)
	}
	lives = 10 // a token is renewed ten seconds before its end: each time
	p = provider(t, c)
	for want := 2; want < 5; want++ {
		if _, err := p.Read(t.Context(), []string{"1"}); err != nil || tokens != want {
			t.Errorf("%v after %d tokens, want %d", err, tokens, want)
		}
	}
	c.OAuth2.Secret = "wrong"
	if _, err := provider(t, c).Read(t.Context(), []string{"1"}); !errors.Is(err, sigsync.ErrCredentials) {
		t.Errorf("a wrong secret: %v", err)
	}
}

func TestARedirectIsNotFollowedWithOurCredentials(t *testing.T) {
	strayed := false
	elsewhere := service(t, func(w http.ResponseWriter, r *http.Request) {
		strayed = true
		_, _ = io.WriteString(w, `{"status":"hi","access_token":"t","token_type":"bearer"}`)
	})
	to := strings.Replace(elsewhere.URL, "http://", "http://user:s3cret@", 1) + "?token=s3cret"
	host := strings.TrimSuffix(elsewhere.URL, "/users/{account}")
	for sentence, test := range map[string]struct {
		status int
		change func(*Config)
		to     string
		says   string
	}{
		"a read":                 {http.StatusFound, func(c *Config) { c.Bearer = "s3cret" }, to, host},
		"a body":                 {http.StatusTemporaryRedirect, func(c *Config) { c.Method, c.Body = "POST", `{"id":"{account}"}` }, to, host},
		"a token":                {http.StatusPermanentRedirect, func(c *Config) { c.OAuth2.TokenURL, c.OAuth2.Secret = c.URL, "s3cret" }, to, host},
		"one that says no where": {http.StatusFound, func(*Config) {}, "", "302"},
	} {
		strayed = false
		c := service(t, func(w http.ResponseWriter, _ *http.Request) {
			if test.to != "" {
				w.Header().Set("Location", test.to)
			}
			w.WriteHeader(test.status)
		})
		test.change(&c)
		_, err := provider(t, c).Read(t.Context(), []string{"1"})
		if strayed || err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "s3cret") || errors.Is(err, sigsync.ErrCredentials) {
			t.Errorf("%s: followed %v, %v; want an error with %s and without what is secret", sentence, strayed, err, test.says)
		}
	}
}

func TestAnErrorNamesTheHostAndNoAccountOrToken(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	host := strings.TrimPrefix(gone.URL, "http://")
	for sentence, change := range map[string]func(*Config){
		"a read":              func(c *Config) { c.URL = gone.URL + "/{account}?token=s3cret" },
		"a token":             func(c *Config) { c.OAuth2.TokenURL, c.OAuth2.ID = gone.URL+"/token?key=s3cret", "id" },
		"a read that is late": func(c *Config) { c.URL, c.Timeout = c.URL+"?token=s3cret", 100*time.Millisecond },
	} {
		c := service(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
		change(&c)
		want := host
		if strings.HasSuffix(sentence, "late") {
			want = strings.TrimPrefix(strings.TrimSuffix(c.URL, "/users/{account}?token=s3cret"), "http://")
		}
		_, err := provider(t, c).Read(t.Context(), []string{"bob"})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "bob") {
			t.Errorf("%s: %v, want an error with %s alone", sentence, err, want)
		}
		if late := errors.Is(err, context.DeadlineExceeded); late != (want != host) {
			t.Errorf("%s: %v is of its time: %v", sentence, err, late)
		}
	}
}

func TestATokenServerThatFails(t *testing.T) {
	for sentence, test := range map[string]struct {
		token http.HandlerFunc
		says  string
	}{
		"it never answers":          {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }, "deadline"},
		"it fails and says a lot":   {says(http.StatusBadGateway, strings.Repeat("client_secret=s3cret ", 1000)), "502"},
		"it refuses and says a lot": {says(http.StatusBadRequest, strings.Repeat("client_secret=s3cret ", 1000)), "400"},
	} {
		t.Run(sentence, func(t *testing.T) {
			c := service(t, test.token)
			c.OAuth2.TokenURL, c.OAuth2.ID, c.OAuth2.Secret, c.Timeout = strings.Replace(c.URL, "{account}", "token", 1), "id", "s3cret", 300*time.Millisecond
			p := provider(t, c)
			began := time.Now()
			var all sync.WaitGroup
			for range 20 { // who waits for a token that another fetches has no more time for that
				all.Go(func() {
					if _, err := p.Read(t.Context(), []string{"1"}); err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "s3cret") {
						t.Errorf("%.200v, want an error with %q, and without what the server says", err, test.says)
					}
				})
			}
			all.Wait()
			if took := time.Since(began); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestConfigurationsThatCantWork(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"url \"\"":                func(c *Config) { c.URL = "" },
		"url \"ftp":               func(c *Config) { c.URL = "ftp://x/{account}" },
		"either {account} or":     func(c *Config) { c.URL = "http://x/" },
		"use GET or POST":         func(c *Config) { c.Method = "PUT" },
		"sent by POST only":       func(c *Config) { c.Body = "{}" },
		"exclude each other":      func(c *Config) { c.Bearer, c.Basic.User = "x", "y" },
		"text: it is missing":     func(c *Config) { c.Text = "" },
		"needs both":              func(c *Config) { c.Items = "/x" },
		"with {accounts} only":    func(c *Config) { c.PerCall = 2 },
		"per_second":              func(c *Config) { c.PerSecond = 0 },
		"timeout":                 func(c *Config) { c.Timeout = 0 },
		"begins with /":           func(c *Config) { c.Version = "v" },
		"bearer: open /nowhere":   func(c *Config) { c.Bearer = "file:/nowhere" },
		"client_secret: open /no": func(c *Config) { c.OAuth2.Secret = "file:/nowhere" },
		"password: open /nowhere": func(c *Config) { c.Basic.Password = "file:/nowhere" },
	} {
		c := DefaultConfig()
		c.URL, c.Text = "http://im.test/{account}", "/text"
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if _, err := New(c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

// The presets read what the services' documents say that they answer. They were not run against the services themselves.
func TestThePresets(t *testing.T) {
	for name, test := range map[string]struct {
		account, asks, answer, want string
	}{
		"slack":  {"U012AB", "/api/users.profile.get?user=U012AB", `{"ok":true,"profile":{"status_text":"riding a train","status_emoji":":mountain_railway:","status_expiration":0}}`, "riding a train"},
		"graph":  {"fa8bf3dc", "/v1.0/communications/getPresencesByUserId", `{"value":[{"id":"fa8bf3dc","availability":"Busy","statusMessage":{"message":{"content":"In a meeting","contentType":"text"},"publishedDateTime":"2026-01-02T03:04:05.123Z"}}]}`, "In a meeting"},
		"matrix": {"@alice:im.test", "/_matrix/client/v3/presence/%40alice%3Aim.test/status", `{"presence":"online","status_msg":"Making tea"}`, "Making tea"},
	} {
		raw, err := os.ReadFile("../../deploy/examples/providers/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var preset struct {
			Sync struct{ Providers []yaml.Node }
		}
		if err := yaml.Unmarshal(raw, &preset); err != nil {
			t.Fatal(err)
		}
		asked := ""
		server := service(t, func(w http.ResponseWriter, r *http.Request) {
			asked = r.RequestURI
			_, _ = io.WriteString(w, test.answer)
		})
		c := DefaultConfig()
		if err := preset.Sync.Providers[0].Decode(&c); err != nil {
			t.Fatal(err)
		}
		here := strings.TrimSuffix(server.URL, "/users/{account}")
		if _, path, ok := strings.Cut(strings.TrimPrefix(c.URL, "https://"), "/"); ok {
			c.URL = here + "/" + path
		}
		c.Bearer = "t" // the file is the operator's
		changes, err := provider(t, c).Read(t.Context(), []string{test.account})
		if err != nil || len(changes) != 1 || changes[0].Text != test.want || asked != test.asks {
			t.Errorf("%s: asked %s, got %+v, %v; want %q", name, asked, changes, err, test.want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{`{"list":[{"id":"1","status":"hi","v":1,"t":1}]}`, `{"list":{}}`, `[]`, `{"list":[null,1,"x",[]]}`} {
		f.Add(s, "/list", "/status", "/v", "/t")
	}
	f.Fuzz(func(t *testing.T, answer, items, text, version, when string) {
		c := DefaultConfig()
		c.URL, c.Items, c.Account, c.Text, c.Version, c.Time = "http://x/{accounts}", items, "/id", text, version, when
		if c.Validate() != nil {
			return
		}
		var document any
		d := json.NewDecoder(strings.NewReader(answer))
		d.UseNumber()
		if d.Decode(&document) != nil {
			return
		}
		changes, _ := (&Provider{c: c}).changes(document, []string{"1"}, time.Unix(1, 0))
		if len(changes) > 1 || len(changes) == 1 && (changes[0].Account != "1" || changes[0].Stamp.Version < 0) {
			t.Errorf("%+v", changes)
		}
	})
}
