package httpjson

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/callsign-as/callsign/sigsync"
)

// Config is how one network is read. In URL and Body {account} is the account, percent-encoded in the URL and as JSON text without
// its quotes in Body; with PerCall above 1 {accounts} is all of them, separated by commas or as a JSON array.
type Config struct {
	URL     string            `yaml:"url" doc:"where a text is read, like https://im.example/users/{account}"`
	Method  string            `yaml:"method" doc:"GET, or POST with a body; empty: GET"`
	Body    string            `yaml:"body" doc:"JSON that is sent, like {\"ids\":{accounts}}; empty: none"`
	Headers map[string]string `yaml:"headers" doc:"sent with each request"`

	Bearer sigsync.Secret `yaml:"bearer" doc:"an access token"`
	Basic  struct {
		User     string         `yaml:"user"`
		Password sigsync.Secret `yaml:"password"`
	} `yaml:"basic" doc:"user and password"`
	OAuth2 struct {
		TokenURL string         `yaml:"token_url" doc:"where a token is had and renewed"`
		ID       string         `yaml:"client_id"`
		Secret   sigsync.Secret `yaml:"client_secret"`
		Scopes   []string       `yaml:"scopes"`
	} `yaml:"oauth2" doc:"client credentials (RFC 6749 §4.4)"`

	Items   string `yaml:"items" doc:"JSON pointer to the list of accounts in an answer; empty: the answer is one account's"`
	Account string `yaml:"account" doc:"JSON pointer to the account's name in an item of the list"`
	Text    string `yaml:"text" doc:"JSON pointer to the text, in an item or in the answer; where nothing is there the text is empty"`
	Version string `yaml:"version" doc:"JSON pointer to a number that grows with each text; empty: texts are ordered by time"`
	Time    string `yaml:"time" doc:"JSON pointer to when it was said (RFC 3339, or seconds or milliseconds since 1970); empty: when it is read"`
	OK      string `yaml:"ok" doc:"JSON pointer to true in a good answer, for services that say 200 to everything; empty: the status decides"`
	Error   string `yaml:"error" doc:"JSON pointer to why an answer is not good"`

	PerCall   int           `yaml:"per_call" doc:"accounts of one request, 1 to 1000; more than 1 needs {accounts} and items"`
	PerSecond float64       `yaml:"per_second" doc:"requests a second, 0.001 to 1000"`
	Timeout   time.Duration `yaml:"timeout" doc:"of a request, 100ms to 5m"`
}

// DefaultConfig reads one account a second.
func DefaultConfig() Config { return Config{PerCall: 1, PerSecond: 1, Timeout: 10 * time.Second} }

// Limits are what a Provider of c keeps to.
func (c *Config) Limits() sigsync.Limits {
	return sigsync.Limits{PerCall: c.PerCall, PerSecond: c.PerSecond}
}

// Validate reports the first thing that can't work.
func (c *Config) Validate() error {
	u, err := url.Parse(strings.NewReplacer("{accounts}", "x", "{account}", "x").Replace(c.URL))
	several := strings.Contains(c.URL+c.Body, "{accounts}")
	ways := 0
	for _, way := range []bool{c.Bearer != "", c.Basic.User != "", c.OAuth2.TokenURL != ""} {
		if way {
			ways++
		}
	}
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("url %q: write it like https://im.example/users/{account}", c.URL)
	case several == strings.Contains(c.URL+c.Body, "{account}"):
		return errors.New("url: it, or body, needs either {account} or {accounts}")
	case c.Method != "" && c.Method != "GET" && c.Method != "POST":
		return fmt.Errorf("method %q: use GET or POST", c.Method)
	case c.Body != "" && c.Method != "POST":
		return errors.New("body: it is sent by POST only: set method to POST")
	case ways > 1:
		return errors.New("bearer, basic and oauth2 exclude each other: keep one")
	case c.Text == "":
		return errors.New("text: it is missing: name the text by a JSON pointer, like /profile/status")
	case several != (c.Items != "") || several != (c.Account != ""):
		return errors.New("items and account: {accounts} needs both, and {account} has neither")
	case c.PerCall < 1 || c.PerCall > 1000 || c.PerCall > 1 && !several:
		return errors.New("per_call: use 1 to 1000, and more than 1 with {accounts} only")
	case !(c.PerSecond >= 0.001 && c.PerSecond <= 1000):
		return errors.New("per_second: use 0.001 to 1000")
	case c.Timeout < 100*time.Millisecond || c.Timeout > 5*time.Minute:
		return errors.New("timeout: use 100ms to 5m")
	}
	for name, p := range map[string]string{"items": c.Items, "account": c.Account, "text": c.Text, "version": c.Version, "time": c.Time, "ok": c.OK, "error": c.Error} {
		if p != "" && !strings.HasPrefix(p, "/") {
			return fmt.Errorf("%s %q: a JSON pointer begins with /, like /profile/status", name, p)
		}
	}
	return nil
}
