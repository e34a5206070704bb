// Package storetest is what every engine must keep. Engine is the only place where the union of the methods is written
// down: rooms declare the one to three that they use. It knows no engine; each engine's own test calls Run, and puts Updates
// and LookUps on it while it does harm.
package storetest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/store"
)

// Engine is everything that an engine does.
type Engine interface {
	Profile(context.Context, callsign.MSISDN) (callsign.Profile, error)
	Changes(ctx context.Context, changed func(callsign.MSISDN, uint64), lost func()) error
	Keep(context.Context, []callsign.Entry) ([]callsign.Status, error)
	Cursor(ctx context.Context, tenant, source string) (int64, error)

	PutSubscriber(context.Context, callsign.Scope, callsign.Subscriber) (created bool, err error)
	Subscriber(context.Context, callsign.Scope, callsign.MSISDN) (callsign.Subscriber, error)
	Subscribers(context.Context, callsign.Scope, callsign.Page) ([]callsign.Subscriber, error)
	DeleteSubscriber(ctx context.Context, s callsign.Scope, m callsign.MSISDN, rev uint64) error
	LinkAccount(ctx context.Context, s callsign.Scope, m callsign.MSISDN, network, account string) (created bool, err error)
	UnlinkAccount(ctx context.Context, s callsign.Scope, m callsign.MSISDN, network, account string) error

	PutLink(context.Context, callsign.Scope, callsign.Link) error
	Links(context.Context, callsign.Scope, callsign.MSISDN) ([]callsign.Link, error)
	WithdrawLink(ctx context.Context, s callsign.Scope, m callsign.MSISDN, network, account string) error
	Expected(context.Context, []callsign.Showing) ([]bool, error)
	ShowCode(context.Context, callsign.Showing) (callsign.Proving, callsign.Link, error)
	Awaited(ctx context.Context, s callsign.Slice, now time.Time) ([]callsign.Linked, error)

	Import(context.Context, callsign.Scope, []callsign.ImportRow) (refused []error, err error)

	Reviews(ctx context.Context, s callsign.Scope, state callsign.Review, p callsign.Page) ([]callsign.Reviewable, error)
	Review(ctx context.Context, s callsign.Scope, v callsign.Verdict, clean func(text string) string) error

	AppendEvents(context.Context, []callsign.Event) error
	Calls(context.Context, callsign.Scope, callsign.CallFilter) ([]callsign.Call, error)
	Timeline(context.Context, callsign.Scope, callsign.CallID) (callsign.Timeline, error)
	Forget(ctx context.Context, before time.Time) (n int64, err error)
	Erase(context.Context, callsign.Scope, callsign.MSISDN) (calls int64, err error)

	OptOut(context.Context, callsign.OptOut) (changed bool, err error)
	OptIn(context.Context, callsign.OptOut) (changed bool, err error)
	OptInAll(ctx context.Context, caller callsign.MSISDN) (changed bool, err error)
	OptOuts(ctx context.Context, after callsign.OptOut, limit int) ([]callsign.OptOut, error)
	OptOutsOf(ctx context.Context, caller callsign.MSISDN) ([]callsign.OptOut, error)

	PutKey(context.Context, callsign.Key) error
	KeyByHash(context.Context, [32]byte) (callsign.Key, error)
	Keys(context.Context, callsign.Scope, callsign.Page) ([]callsign.Key, error)
	RotateKey(ctx context.Context, s callsign.Scope, id string, until time.Time, next callsign.Key) (callsign.Key, error)
	RevokeKey(ctx context.Context, s callsign.Scope, id string) error

	PutAudit(context.Context, callsign.Audit) error
	Audits(context.Context, callsign.Scope, callsign.Page) ([]callsign.Audit, error)

	Linked(context.Context, callsign.Slice) ([]callsign.Linked, error)
	Called(ctx context.Context, s callsign.Slice, since time.Time, limit int) ([]callsign.Linked, error)
	Share(ctx context.Context, name string, t callsign.Turn) (held map[int]time.Time, err error)

	Policy(context.Context, callsign.Scope, callsign.MSISDN) (p callsign.Policy, rev uint64, err error)
	PutPolicy(ctx context.Context, s callsign.Scope, m callsign.MSISDN, p callsign.Policy, rev uint64, texts []callsign.Entry) (now uint64, err error)
	DeletePolicy(ctx context.Context, s callsign.Scope, m callsign.MSISDN, rev uint64) error
	TenantPolicies(context.Context) (map[string]store.TenantDocument, error)
	TenantPolicy(context.Context, callsign.Scope) (p callsign.TenantPolicy, rev uint64, err error)
	PutTenantPolicy(ctx context.Context, s callsign.Scope, p callsign.TenantPolicy, rev uint64) (now uint64, err error)
	DeleteTenantPolicy(ctx context.Context, s callsign.Scope, rev uint64) error
	PutConsent(context.Context, callsign.Consent) error
	Consent(context.Context, callsign.Scope, callsign.MSISDN) (callsign.Consent, error)

	Ping(context.Context) error
}

// Run holds an engine against every rule. open gives an empty one and closes it when its test ends.
func Run(t *testing.T, open func(t *testing.T) Engine) {
	for name, test := range map[string]func(*testing.T, Engine){
		"subscribers: put, read, page, delete":                                       subscribers,
		"accounts: an account has one subscriber":                                    accounts,
		"tenants: nobody reads or changes another tenant's rows":                     tenants,
		"revisions: each change raises Rev, also over a deletion":                    revisions,
		"profile: the newest signature that may be shown":                            profile,
		"keep: a table of who wins":                                                  keepTable,
		"keep: any sequence ends as Stamp.Newer says":                                keepProperty,
		"keep: racing writers end in one state":                                      keepRace,
		"keep: a failed batch keeps nothing":                                         keepAllOrNothing,
		"cursor: an event sent again never wins by its receipt":                      sentAgain,
		"admin: a removed subscriber's keys end with it":                             removedKeys,
		"cursor: the greatest Seq, whatever became of it":                            cursor,
		"changes: told after the commit, and a slow listener of its loss":            changes,
		"import: any rows end as if written one by one":                              importProperty,
		"import: each subscriber is told once, with what it says":                    importTold,
		"timeline: calls and events in any order, pages, filters, forgets":           timeline,
		"erase: nothing leads to the person any more":                                erase,
		"opt-outs: kept once, paged, told, and over an erasure":                      optOuts,
		"opt-outs: of many who write one at once, one changes it":                    optOutRace,
		"opt-outs: two nodes' memories obey":                                         optOutMemories,
		"opt-outs: so many a day":                                                    callersCaps,
		"keys: put, find, list, revoke":                                              keys,
		"admin: nobody overwrites what another administrator changed":                changedMeanwhile,
		"keys: one takes over from another":                                          rotatedKeys,
		"audit: kept, ended, paged, and over an erasure":                             audits,
		"schedule: slices of a network's accounts, and those called":                 linked,
		"schedule: nodes share a work and take over from the dead":                   sharing,
		"links: what a code proves, and whatever else it doesn't":                    links,
		"links: of many who claim an account at once one has it":                     linkRace,
		"links: an operator's word, and the end of each":                             linkEnds,
		"contexts: one that has ended is its own error":                              contexts,
		"reviews: what is held or barred is not shown, and a verdict is of one text": reviews,
		"reviews: a list goes on where it was, whatever is decided meanwhile":        reviewPages,
		"reviews: any sequence ends as Signature.Stands says":                        reviewProperty,
		"policies: with their texts, which wait for approval":                        policies,
		"policies: a tenant's":                                                       tenantPolicies,
		"policies: two nodes' memories obey within a second":                         policyNodes,
		"consents: asked, confirmed, forgotten":                                      consents,
		"reviews: each is told once":                                                 reviewTold,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t)) })
	}
}

const (
	anna  callsign.MSISDN = 8613800000001
	ben   callsign.MSISDN = 8613800000002
	chloe callsign.MSISDN = 8613800000003
)

var (
	ours   = callsign.Scope{Tenant: "ours"}
	theirs = callsign.Scope{Tenant: "theirs"}
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) || errors.Is(got, callsign.ErrUnavailable) && !errors.Is(want, callsign.ErrUnavailable) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

// put makes m a subscriber of sc with the accounts, each given as network and name.
func put(t *testing.T, e Engine, sc callsign.Scope, m callsign.MSISDN, accounts ...[2]string) {
	t.Helper()
	if _, err := e.PutSubscriber(t.Context(), sc, callsign.Subscriber{MSISDN: m}); err != nil {
		t.Fatal(err)
	}
	for _, a := range accounts {
		if _, err := e.LinkAccount(t.Context(), sc, m, a[0], a[1]); err != nil {
			t.Fatal(err)
		}
	}
}

func keep(t *testing.T, e Engine, entries ...callsign.Entry) []callsign.Status {
	t.Helper()
	statuses, err := e.Keep(t.Context(), entries)
	if err != nil {
		t.Fatal(err)
	}
	if len(statuses) != len(entries) {
		t.Fatalf("%d statuses for %d entries", len(statuses), len(entries))
	}
	return statuses
}

// said is an entry of ours as the intake would pass it on.
func said(network, account, text string, stamp callsign.Stamp) callsign.Entry {
	return callsign.Entry{
		Change: callsign.Change{
			Tenant: ours.Tenant, Source: "src", ID: "id-" + text, Network: network, Account: account,
			Text: text, Stamp: stamp, At: noon,
		},
		Shown: text,
	}
}

func contexts(t *testing.T, e Engine) {
	put(t, e, ours, anna)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := e.Profile(ctx, anna)
	wantErr(t, "Profile", err, context.Canceled)
	_, err = e.Keep(ctx, []callsign.Entry{said("qq", "1", "hello", callsign.TimedStamp(noon))})
	wantErr(t, "Keep", err, context.Canceled)
	if err := e.Ping(t.Context()); err != nil {
		t.Errorf("Ping after that: %v", err)
	}
}
