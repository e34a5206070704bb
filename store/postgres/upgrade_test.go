package postgres_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store/postgres"
)

// profileBefore is how nodes that know no policies read what to show (schema 5).
const profileBefore = `
SELECT g.shown <> '' AND (g.expires = 0 OR g.expires > $2) AS showable, g.network
FROM subscribers s JOIN signatures g ON g.msisdn = $1
WHERE s.msisdn = $1
ORDER BY showable DESC, g.at DESC, g.network COLLATE "C", g.account COLLATE "C" LIMIT 1`

// TestANodeOfBeforePoliciesShowsNoTextOfThem has one beside new nodes, while they are upgraded one after the other: a text for the family
// is the newest, and would be shown to everybody.
func TestANodeOfBeforePoliciesShowsNoTextOfThem(t *testing.T) {
	const li = callsign.MSISDN(8613900000002)
	url := migrated(t, peer.Postgres(t, false))
	e := postgres.New(postgres.Options{URL: url})
	t.Cleanup(func() { _ = e.Close() })
	if err := e.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	scope := callsign.Scope{Tenant: "acme"}
	if _, err := e.PutSubscriber(t.Context(), scope, callsign.Subscriber{MSISDN: li}); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	entry := func(network, account, text string) callsign.Entry {
		return callsign.Entry{Change: callsign.Change{Tenant: "acme", Network: network, Account: account, Text: text, Stamp: callsign.TimedStamp(now), At: now}, Shown: text}
	}
	before := func() (showable bool, network string) {
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		if err := conn.QueryRow(t.Context(), profileBefore, li, now.UnixMicro()).Scan(&showable, &network); err != nil {
			t.Fatal(err)
		}
		return showable, network
	}
	policy := callsign.Policy{Texts: map[string]callsign.PolicyText{"dinner": {Text: "Dinner at seven"}}, Rules: []callsign.PolicyRule{{Callers: []string{"+8613800000001"}, Show: "dinner"}}}
	texts := []callsign.Entry{entry(callsign.PolicyNetwork, callsign.TextAccount(li, "dinner", ""), "Dinner at seven")}
	if _, err := e.PutPolicy(t.Context(), scope, li, policy, 0, texts); err != nil {
		t.Fatal(err)
	}
	if showable, network := before(); showable {
		t.Errorf("without a signature it shows a text of %s", network)
	}
	if _, err := e.Keep(t.Context(), []callsign.Entry{entry(callsign.ManualNetwork, "8613900000002", "On a train")}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.PutPolicy(t.Context(), scope, li, policy, 0, texts); err != nil {
		t.Fatal(err)
	}
	if showable, network := before(); !showable || network != callsign.ManualNetwork {
		t.Errorf("it shows a text of %s (%v), want the signature", network, showable)
	}
	p, err := e.Profile(t.Context(), li)
	if err != nil || p.Signature.Shown != "On a train" || p.Policy.Shown["dinner"].Shown != "Dinner at seven" {
		t.Errorf("a new one has %+v, %v", p, err)
	}
	s, err := e.Subscriber(t.Context(), scope, li)
	for _, a := range s.Accounts {
		if !a.Expires.IsZero() {
			t.Errorf("%s/%s is told to have ended at %v", a.Network, a.Account, a.Expires)
		}
	}
	if err != nil || len(s.Accounts) != 2 {
		t.Errorf("the subscriber has %+v, %v", s.Accounts, err)
	}
}
