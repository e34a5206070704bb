// Package httpjson reads texts from any service that answers HTTP with JSON, as its configuration says: Slack, Microsoft Graph,
// Matrix and whatever an operator has (deploy/examples/providers). It keeps nothing but what it read last where the service has validators
// for it, and has no goroutine of its own.
package httpjson

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/oauth2/clientcredentials"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

const (
	maxAnswer = 4 << 20 // bytes
	// maxRemembered bounds, in bytes, what is kept of accounts with validators, some 700,000 of them; when it is full, all are forgotten
	// and read once more. entrySize is what one takes beside its strings.
	maxRemembered, entrySize = 256 << 20, 256
	// restAfter is how long a service that wants to be left alone and doesn't say how long is.
	restAfter, maxRest = time.Minute, time.Hour
)

// Provider reads one network.
type Provider struct {
	c      Config
	client *http.Client
	tokens *tokens // nil: none are needed

	mu         sync.Mutex
	remembered map[string]remembered
	size       int // of remembered, in bytes
}

// validator is what tells whether an account's answer has changed (RFC 9110 §8.8).
type validator struct{ tag, modified string }

// remembered is an answer that a validator stands for. It is given again where the service says that it is as it was: whether the store
// has it is not known here, as the account may be another subscriber's since, or another node may have read another text.
type remembered struct {
	validator
	text  string
	stamp callsign.Stamp // zero: of the read
	at    time.Time      // zero: of the read
}

func (r *remembered) size(account string) int {
	return entrySize + len(account) + len(r.tag) + len(r.modified) + len(r.text)
}

func (r *remembered) change(account string, began time.Time) callsign.Change {
	c := callsign.Change{Account: account, Text: r.text, Stamp: r.stamp, At: r.at}
	if c.At.IsZero() {
		c.At = began
	}
	if c.Stamp == (callsign.Stamp{}) {
		c.Stamp = callsign.TimedStamp(c.At)
	}
	return c
}

// New makes a Provider; client's own transport carries the requests (nil: Go's default). Redirects are not followed: whoever answers
// would choose who gets our credentials.
func New(c Config, client *http.Client) (*Provider, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	var own http.Client
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if _, err := c.Bearer.Read(); err != nil {
		return nil, fmt.Errorf("bearer: %w", err)
	}
	password, err := c.Basic.Password.Read()
	if err != nil {
		return nil, fmt.Errorf("basic.password: %w", err)
	}
	secret, err := c.OAuth2.Secret.Read()
	if err != nil {
		return nil, fmt.Errorf("oauth2.client_secret: %w", err)
	}
	c.Basic.Password = sigsync.Secret(password)
	p := &Provider{c: c, client: &own, remembered: map[string]remembered{}}
	if c.OAuth2.TokenURL != "" {
		credentials := clientcredentials.Config{ClientID: c.OAuth2.ID, ClientSecret: secret, TokenURL: c.OAuth2.TokenURL, Scopes: c.OAuth2.Scopes}
		p.tokens = &tokens{credentials: credentials, client: &own, turn: make(chan struct{}, 1)}
	}
	return p, nil
}

// Limits implements sigsync.Provider.
func (p *Provider) Limits() sigsync.Limits { return p.c.Limits() }

// Read implements sigsync.Provider. An account that an answer doesn't have in its list gives no change.
func (p *Provider) Read(ctx context.Context, accounts []string) ([]callsign.Change, error) {
	if len(accounts) == 0 || len(accounts) > p.c.PerCall {
		return nil, fmt.Errorf("httpjson: %d accounts in one call, 1 to %d may be", len(accounts), p.c.PerCall)
	}
	ctx, cancel := context.WithTimeout(ctx, p.c.Timeout)
	defer cancel()
	began := time.Now()
	var known remembered
	if len(accounts) == 1 {
		p.mu.Lock()
		known = p.remembered[accounts[0]]
		p.mu.Unlock()
	}
	document, v, err := p.ask(ctx, accounts, known.validator)
	switch {
	case err != nil:
		return nil, err
	case document == nil:
		return []callsign.Change{known.change(accounts[0], began)}, nil
	}
	changes, err := p.changes(document, accounts, began)
	if err == nil && len(accounts) == 1 {
		p.remember(accounts[0], v, changes, began)
	}
	return changes, err
}

// ask gives the answer, nil if it is as it was when it had the validator known, and what to ask for next time.
func (p *Provider) ask(ctx context.Context, accounts []string, known validator) (document any, v validator, err error) {
	r, err := p.request(ctx, accounts)
	if err != nil {
		return nil, v, err
	}
	if known.tag != "" {
		r.Header.Set("If-None-Match", known.tag)
	} else if known.modified != "" {
		r.Header.Set("If-Modified-Since", known.modified)
	}
	answer, err := p.client.Do(r)
	if err != nil {
		return nil, v, fmt.Errorf("httpjson: %w", sigsync.WithoutURL(err))
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, v, err
	case answer.StatusCode == http.StatusNotModified && known != (validator{}):
		return nil, v, nil
	case answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden:
		return nil, v, fmt.Errorf("%w: %s", sigsync.ErrCredentials, answer.Status)
	case answer.StatusCode == http.StatusNotFound || answer.StatusCode == http.StatusGone:
		return nil, v, fmt.Errorf("%w: %s", sigsync.ErrNoAccount, answer.Status)
	case answer.StatusCode == http.StatusTooManyRequests || answer.StatusCode == http.StatusServiceUnavailable:
		return nil, v, &sigsync.LimitedError{After: rest(answer.Header.Get("Retry-After"))}
	case redirects(answer):
		return nil, v, fmt.Errorf("httpjson: the service answers %s", redirected(answer, "url"))
	case answer.StatusCode != http.StatusOK:
		return nil, v, fmt.Errorf("httpjson: the service answers %s", answer.Status)
	case len(body) > maxAnswer:
		return nil, v, fmt.Errorf("httpjson: the answer is longer than %d bytes", maxAnswer)
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.UseNumber()
	if err := decoder.Decode(&document); err != nil || document == nil {
		return nil, v, fmt.Errorf("httpjson: the answer is no JSON: %w", err)
	}
	if good, _ := at(document, p.c.OK); p.c.OK != "" && good != true {
		why, _ := at(document, p.c.Error)
		return nil, v, fmt.Errorf("httpjson: the service answers: %.200v", why)
	}
	return document, validator{answer.Header.Get("ETag"), answer.Header.Get("Last-Modified")}, nil
}

func (p *Provider) request(ctx context.Context, accounts []string) (*http.Request, error) {
	escaped := make([]string, len(accounts))
	for i, a := range accounts {
		escaped[i] = url.QueryEscape(a) // percent-encodes all that a path or a query takes for its own
		escaped[i] = strings.ReplaceAll(escaped[i], "+", "%20")
	}
	list, err := json.Marshal(accounts)
	if err != nil {
		return nil, err
	}
	one, err := json.Marshal(accounts[0])
	if err != nil {
		return nil, err
	}
	address := strings.NewReplacer("{accounts}", strings.Join(escaped, ","), "{account}", escaped[0]).Replace(p.c.URL)
	body := strings.NewReplacer("{accounts}", string(list), "{account}", string(one[1:len(one)-1])).Replace(p.c.Body)
	method := http.MethodGet
	if p.c.Method != "" {
		method = p.c.Method
	}
	r, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("httpjson: %w", sigsync.WithoutURL(err))
	}
	r.Header.Set("Accept", "application/json")
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for name, value := range p.c.Headers {
		r.Header.Set(name, value)
	}
	switch {
	case p.c.Bearer != "":
		token, err := p.c.Bearer.Read() // each time: somebody may have renewed it
		if err != nil {
			return nil, fmt.Errorf("%w: bearer: %w", sigsync.ErrCredentials, err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
	case p.c.Basic.User != "":
		r.SetBasicAuth(p.c.Basic.User, string(p.c.Basic.Password))
	case p.tokens != nil:
		token, err := p.tokens.valid(ctx)
		if err != nil {
			return nil, err
		}
		token.SetAuthHeader(r)
	}
	return r, nil
}

// remember keeps what an answer with a validator says of the one account that was asked for: where its list hasn't got the account,
// nothing.
func (p *Provider) remember(account string, v validator, changes []callsign.Change, began time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if old, there := p.remembered[account]; there {
		p.size -= old.size(account)
		delete(p.remembered, account)
	}
	if v == (validator{}) || len(changes) != 1 {
		return
	}
	r := remembered{validator: v, text: changes[0].Text}
	if p.c.Version != "" {
		r.stamp = changes[0].Stamp
	}
	if !changes[0].At.Equal(began) {
		r.at = changes[0].At
	}
	if p.size += r.size(account); p.size > maxRemembered {
		clear(p.remembered)
		p.size = r.size(account)
	}
	p.remembered[account] = r
}

func redirects(answer *http.Response) bool {
	return answer.StatusCode >= 300 && answer.StatusCode < 400
}

// redirected is what a redirect says: its host alone, as the rest may hold an account or a token.
func redirected(answer *http.Response, option string) string {
	to, err := answer.Location()
	if err != nil {
		return answer.Status
	}
	return fmt.Sprintf("%s and wants to be asked at %s://%s, where we send nothing: set %s to it if that is right", answer.Status, to.Scheme, to.Host, option)
}

// rest is how long a Retry-After asks for: seconds, or until a date (RFC 9110 §10.2.3).
func rest(after string) time.Duration {
	wait := restAfter
	if seconds, err := strconv.Atoi(after); err == nil {
		wait = time.Duration(seconds) * time.Second
	} else if date, err := http.ParseTime(after); err == nil {
		wait = time.Until(date)
	}
	return max(time.Second, min(wait, maxRest))
}

// changes are what an answer says of the accounts that were asked for.
func (p *Provider) changes(document any, accounts []string, began time.Time) (changes []callsign.Change, err error) {
	if p.c.Items == "" {
		c, err := p.change(document, accounts[0], began)
		return []callsign.Change{c}, err
	}
	found, _ := at(document, p.c.Items)
	items, ok := found.([]any)
	if !ok {
		return nil, fmt.Errorf("httpjson: items %s is no list in the answer", p.c.Items)
	}
	asked := make(map[string]bool, len(accounts))
	for _, a := range accounts {
		asked[a] = true
	}
	for i, item := range items {
		name, _ := at(item, p.c.Account)
		account := text(name)
		if !asked[account] {
			continue // somebody whom nobody asked for
		}
		asked[account] = false
		c, err := p.change(item, account, began)
		if err != nil {
			return changes, fmt.Errorf("item %d: %w", i, err)
		}
		changes = append(changes, c)
	}
	return changes, nil
}

// change is what an item says of its account.
func (p *Provider) change(item any, account string, began time.Time) (c callsign.Change, err error) {
	c = callsign.Change{Account: account, At: began}
	value, _ := at(item, p.c.Text)
	if value != nil {
		s, ok := value.(string)
		if !ok {
			return c, fmt.Errorf("httpjson: text %s is no string in the answer", p.c.Text)
		}
		c.Text = s
	}
	if value, there := at(item, p.c.Time); p.c.Time != "" && there && value != nil {
		if c.At, err = when(text(value)); err != nil {
			return c, fmt.Errorf("httpjson: time %s: %w", p.c.Time, err)
		}
	}
	c.Stamp = callsign.TimedStamp(c.At)
	if p.c.Version != "" {
		value, _ := at(item, p.c.Version)
		version, err := strconv.ParseUint(text(value), 10, 63)
		if err != nil {
			return c, fmt.Errorf("httpjson: version %s is no whole number in the answer", p.c.Version)
		}
		c.Stamp = callsign.Stamp{Version: int64(version)}
	}
	return c, nil
}

// text is a string, or a number as it was written.
func text(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}

// when reads RFC 3339, or seconds since 1970, or milliseconds where seconds would be beyond the year 5000.
func when(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	n, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(n) || n < 0 || n > 1e14 {
		return time.Time{}, fmt.Errorf("%.40q is neither RFC 3339 nor seconds or milliseconds since 1970", s)
	}
	if n >= 1e11 {
		n /= 1000
	}
	return time.UnixMicro(int64(n * 1e6)).UTC(), nil
}
