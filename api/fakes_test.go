package api

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

// memory is an engine and an intake, as small as the handlers' promises allow.
type memory struct {
	mu          sync.Mutex
	down        error
	subscribers map[callsign.MSISDN]callsign.Subscriber
	linked      map[[3]string]callsign.MSISDN // tenant, network, account
	stamps      map[[3]string]callsign.Stamp
	keys        map[[32]byte]callsign.Key
	audits      []callsign.Audit
	timelines   []callsign.Timeline
	cursors     map[[2]string]int64
	changes     []callsign.Change
	imported    []callsign.ImportRow
	reviews     []callsign.Reviewable
	links       []callsign.Link
	puts        int
	lookups     int
	filter      callsign.CallFilter
	page        callsign.Page
	// hold, if set, is what Put waits for before it commits.
	hold chan struct{}
}

func newMemory() *memory {
	return &memory{
		subscribers: map[callsign.MSISDN]callsign.Subscriber{}, linked: map[[3]string]callsign.MSISDN{},
		stamps: map[[3]string]callsign.Stamp{}, keys: map[[32]byte]callsign.Key{}, cursors: map[[2]string]int64{},
	}
}

// set changes what tests steer, under the lock.
func (m *memory) set(f func(*memory)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f(m)
}

func (m *memory) PutSubscriber(_ context.Context, scope callsign.Scope, s callsign.Subscriber) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, there := m.subscribers[s.MSISDN]
	switch {
	case m.down != nil:
		return false, m.down
	case s.Rev != 0 && old.Rev != s.Rev:
		return false, callsign.ErrChanged
	case there && old.Tenant != scope.Tenant:
		return false, callsign.ErrConflict
	}
	old.MSISDN, old.Tenant, old.Name, old.Rev = s.MSISDN, s.Tenant, s.Name, old.Rev+1
	m.subscribers[s.MSISDN] = old
	m.linked[[3]string{scope.Tenant, callsign.ManualNetwork, digits(s.MSISDN)}] = s.MSISDN
	return !there, nil
}

func (m *memory) Subscriber(_ context.Context, scope callsign.Scope, n callsign.MSISDN) (callsign.Subscriber, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, there := m.subscribers[n]
	if there = there && s.Tenant == scope.Tenant; !there {
		return callsign.Subscriber{}, cmp.Or(m.down, callsign.ErrNotFound)
	}
	return s, m.down
}

func (m *memory) Subscribers(_ context.Context, scope callsign.Scope, p callsign.Page) (out []callsign.Subscriber, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.page = p
	for _, n := range slices.Sorted(maps.Keys(m.subscribers)) {
		if s := m.subscribers[n]; s.Tenant == scope.Tenant && digits(n) > p.After && len(out) < p.Limit {
			out = append(out, s)
		}
	}
	return out, m.down
}

func (m *memory) DeleteSubscriber(ctx context.Context, scope callsign.Scope, n callsign.MSISDN, rev uint64) error {
	if s, err := m.Subscriber(ctx, scope, n); err != nil {
		return err
	} else if rev != 0 && rev != s.Rev {
		return callsign.ErrChanged
	}
	m.set(func(m *memory) { delete(m.subscribers, n) })
	return nil
}

func (m *memory) Erase(ctx context.Context, scope callsign.Scope, n callsign.MSISDN) (int64, error) {
	return 0, m.DeleteSubscriber(ctx, scope, n, 0)
}

func (m *memory) LinkAccount(ctx context.Context, scope callsign.Scope, n callsign.MSISDN, network, account string) (bool, error) {
	if _, err := m.Subscriber(ctx, scope, n); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	id := [3]string{scope.Tenant, network, account}
	if owner, there := m.linked[id]; there && owner != n {
		return false, callsign.ErrConflict
	} else if there {
		return false, nil
	}
	m.linked[id] = n
	return true, nil
}

func (m *memory) UnlinkAccount(_ context.Context, scope callsign.Scope, n callsign.MSISDN, network, account string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	id := [3]string{scope.Tenant, network, account}
	if m.linked[id] != n {
		return callsign.ErrNotFound
	}
	delete(m.linked, id)
	return nil
}

// Import does row by row what the rows stand for, and remembers them.
func (m *memory) Import(ctx context.Context, scope callsign.Scope, rows []callsign.ImportRow) ([]error, error) {
	refused := make([]error, len(rows))
	for i, r := range rows {
		switch _, err := m.PutSubscriber(ctx, scope, callsign.Subscriber{MSISDN: r.MSISDN, Tenant: scope.Tenant, Name: r.Name}); {
		case errors.Is(err, callsign.ErrConflict):
			refused[i] = callsign.ErrNumberTaken
			continue
		case err != nil:
			return nil, err
		}
		if _, err := m.LinkAccount(ctx, scope, r.MSISDN, r.Network, r.Account); r.Network != "" && err != nil {
			refused[i] = callsign.ErrAccountTaken
		}
	}
	m.set(func(m *memory) { m.imported = append(m.imported, rows...) })
	return refused, nil
}

func (m *memory) Calls(_ context.Context, _ callsign.Scope, f callsign.CallFilter) (out []callsign.Call, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.filter = f
	for _, t := range m.timelines[:min(len(m.timelines), f.Page.Limit)] {
		out = append(out, t.Call)
	}
	return out, m.down
}

func (m *memory) Timeline(_ context.Context, _ callsign.Scope, id callsign.CallID) (callsign.Timeline, error) {
	for _, t := range m.timelines {
		if t.Call.ID == id {
			return t, nil
		}
	}
	return callsign.Timeline{}, callsign.ErrNotFound
}

func (m *memory) PutKey(_ context.Context, k callsign.Key) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, other := range m.keys {
		if other.ID == k.ID || other.Hash == k.Hash {
			return callsign.ErrConflict
		}
	}
	m.keys[k.Hash] = k
	return m.down
}

func (m *memory) KeyByHash(_ context.Context, hash [32]byte) (callsign.Key, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lookups++
	if k, there := m.keys[hash]; there || m.down != nil {
		return k, m.down
	}
	return callsign.Key{}, callsign.ErrNotFound
}

func (m *memory) Keys(_ context.Context, scope callsign.Scope, p callsign.Page) (out []callsign.Key, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range m.keys {
		if k.Scope.Tenant == scope.Tenant && k.ID > p.After {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b callsign.Key) int { return cmp.Compare(a.ID, b.ID) })
	return out[:min(len(out), p.Limit)], m.down
}

func (m *memory) RotateKey(ctx context.Context, scope callsign.Scope, id string, until time.Time, next callsign.Key) (callsign.Key, error) {
	m.mu.Lock()
	for hash, k := range m.keys {
		if k.ID == id && k.Scope.Tenant == scope.Tenant {
			next.Name, next.Scope = k.Name, k.Scope
			next.Scope.KeyID = next.ID
			k.Expires = until
			m.keys[hash] = k
			m.mu.Unlock()
			return next, m.PutKey(ctx, next)
		}
	}
	m.mu.Unlock()
	return next, callsign.ErrNotFound
}

func (m *memory) PutAudit(_ context.Context, a callsign.Audit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.audits, func(b callsign.Audit) bool { return a.ID == b.ID }); i >= 0 {
		m.audits[i] = a
		return m.down
	}
	if m.down == nil {
		m.audits = append(m.audits, a)
	}
	return m.down
}

func (m *memory) Audits(_ context.Context, scope callsign.Scope, p callsign.Page) (out []callsign.Audit, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range slices.Backward(m.audits) {
		if a.Tenant == scope.Tenant && (p.After == "" || a.ID < p.After) && len(out) < p.Limit {
			out = append(out, a)
		}
	}
	return out, m.down
}

func (m *memory) RevokeKey(_ context.Context, scope callsign.Scope, id string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for hash, k := range m.keys {
		if k.ID == id && k.Scope.Tenant == scope.Tenant {
			k.Revoked = true
			m.keys[hash] = k
			return nil
		}
	}
	return callsign.ErrNotFound
}

func (m *memory) Cursor(_ context.Context, tenant, source string) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cursors[[2]string{tenant, source}], m.down
}

func (m *memory) Put(ctx context.Context, cs []callsign.Change) ([]callsign.Status, error) {
	m.mu.Lock()
	hold := m.hold
	m.puts++
	m.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.down != nil {
		return nil, m.down
	}
	out := make([]callsign.Status, len(cs))
	for i, c := range cs {
		out[i] = m.keep(c)
	}
	m.changes = append(m.changes, cs...)
	return out, nil
}

func (m *memory) keep(c callsign.Change) callsign.Status {
	if c.Seq > 0 {
		at := [2]string{c.Tenant, c.Source}
		m.cursors[at] = max(m.cursors[at], c.Seq)
	}
	id := [3]string{c.Tenant, c.Network, c.Account}
	old, said := m.stamps[id]
	switch {
	case len(c.Text) > 2048, c.Text == "not allowed":
		return callsign.Rejected
	case m.linked[id] == 0:
		return callsign.Unlinked
	case said && c.Stamp == old:
		return callsign.Duplicate
	case said && !c.Stamp.Newer(old):
		return callsign.Stale
	}
	m.stamps[id] = c.Stamp
	return callsign.Stored
}

func (m *memory) Reviews(_ context.Context, _ callsign.Scope, state callsign.Review, p callsign.Page) (out []callsign.Reviewable, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.page = p
	for _, r := range m.reviews {
		if r.Review == state && r.Place() > p.After && len(out) < p.Limit {
			out = append(out, r)
		}
	}
	return out, m.down
}

func (m *memory) Review(_ context.Context, _ callsign.Scope, v callsign.Verdict) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, r := range m.reviews {
		if r.MSISDN != v.MSISDN || r.Network != v.Network || r.Account != v.Account {
			continue
		}
		if r.Stamp != v.Stamp {
			return callsign.ErrChanged
		}
		m.reviews[i].Review, m.reviews[i].Reason = v.Review, v.Reason
		return m.down
	}
	return cmp.Or(m.down, callsign.ErrNotFound)
}

// Ask refuses as the accounts' names say.
func (m *memory) Ask(ctx context.Context, scope callsign.Scope, l callsign.Link) (callsign.Link, string, error) {
	if _, err := m.Subscriber(ctx, scope, l.MSISDN); err != nil {
		return l, "", err
	}
	for account, err := range map[string]error{
		"its": callsign.ErrLinked, "another's": callsign.ErrAccountTaken, "many": callsign.ErrTooMany, "unverified": callsign.ErrNotProved, "unread": errors.ErrUnsupported,
	} {
		if l.Account == account {
			return l, "", fmt.Errorf("ask: %w", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	l.Tenant, l.By, l.Asked = scope.Tenant, scope.KeyID, time.Now()
	if l.Proof == callsign.ByNetwork {
		l.Proved = l.Asked
	} else {
		l.Expires = l.Asked.Add(callsign.CodeValidFor)
	}
	m.links = append(m.links, l)
	if l.Proof == callsign.ByNetwork {
		return l, "", m.down
	}
	return l, "CS-0000-0001", m.down
}

func (m *memory) Links(_ context.Context, scope callsign.Scope, n callsign.MSISDN) (out []callsign.Link, _ error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.links {
		if l.Tenant == scope.Tenant && l.MSISDN == n {
			out = append(out, l)
		}
	}
	return out, m.down
}

func (m *memory) WithdrawLink(_ context.Context, scope callsign.Scope, n callsign.MSISDN, network, account string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.links)
	m.links = slices.DeleteFunc(m.links, func(l callsign.Link) bool {
		return l.Tenant == scope.Tenant && l.MSISDN == n && l.Network == network && l.Account == account && l.Proved.IsZero()
	})
	if len(m.links) == before {
		return cmp.Or(m.down, callsign.ErrNotFound)
	}
	return m.down
}

// options are those of a server on m.
func (m *memory) options() Options {
	says := newSayings(m)
	return Options{
		Policies: says, PolicyIntake: says, TenantPolicies: says, OptOuts: says, OptOutRows: says, Consents: says,
		Config: DefaultConfig(), Intake: m, Importer: m, Subscribers: m, Directory: m, Accounts: m, Calls: m, Eraser: m, Keys: m, KeyHashes: m, Cursors: m, Audits: m,
		Reviews: m, Judge: m, Links: m, Linker: m, Clean: strings.ToUpper,
	}
}

// key makes a key and gives what its holder sends.
func (m *memory) key(scope callsign.Scope) string {
	scope.Tenant = cmp.Or(scope.Tenant, callsign.DefaultTenant)
	secret, k := NewKey("test", scope, time.Time{})
	m.set(func(m *memory) { m.keys[k.Hash] = k })
	return secret
}

// service is a server that listens on this machine.
type service struct {
	*Server
	memory *memory
	url    string
}

func serve(t *testing.T, change func(*Options)) *service {
	t.Helper()
	m := newMemory()
	o := m.options()
	if change != nil {
		change(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	l := httptest.NewServer(s.Handler())
	t.Cleanup(l.Close)
	return &service{s, m, l.URL}
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	raw    []byte
	body   map[string]any
}

// do sends a request; header values follow their names.
func (s *service) do(t *testing.T, key, method, path, body string, header ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := answer{status: resp.StatusCode, header: resp.Header, raw: raw}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") {
		if err := json.Unmarshal(raw, &a.body); err != nil {
			t.Fatalf("%s %s answered %q: %v", method, path, raw, err)
		}
	}
	return a
}

func indent(t *testing.T, raw []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), '\n')
}
