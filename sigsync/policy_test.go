package sigsync

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

// keptPolicies remembers what was put.
type keptPolicies struct {
	policy callsign.Policy
	texts  []callsign.Entry
	puts   int
}

func (k *keptPolicies) PutPolicy(_ context.Context, _ callsign.Scope, _ callsign.MSISDN, p callsign.Policy, _ uint64, texts []callsign.Entry) (uint64, error) {
	k.policy, k.texts = p, texts
	k.puts++
	return 7, nil
}

type operators map[string]callsign.TenantPolicy

func (o operators) Tenant(name string) (*callsign.Tenant, bool) {
	if o == nil {
		return nil, false
	}
	t, err := o[name].Compile(1)
	return t, err == nil
}

// TestNoSourceSaysAPolicysTexts has a key for the network policy, which a node made that knew no policies.
func TestNoSourceSaysAPolicysTexts(t *testing.T) {
	in := NewIntake(Options{Keeper: &importer{}})
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // nothing commits: what is taken waits for it
	defer cancel()
	own := callsign.Change{Tenant: "acme", Network: "qq", Account: "1", Text: "x"}
	texts := own
	texts.Network, texts.Account = callsign.PolicyNetwork, callsign.TextAccount(8613900000002, "dinner", "")
	if statuses, err := in.Put(ctx, []callsign.Change{own, texts}); statuses != nil || !errors.Is(err, callsign.ErrInvalid) {
		t.Errorf("it is taken: %v, %v", statuses, err)
	}
}

func TestAPolicysTextsPassTheDoor(t *testing.T) {
	for sentence, c := range map[string]struct {
		text    string
		tenants operators
		shown   string
		review  callsign.Review
		err     error
	}{
		"clean, it is shown":              {"Back at {end}", operators{}, "Back at {end}", callsign.Unasked, nil},
		"it is cleaned":                   {"Back\tsoon\u202e https://x.example", operators{}, "Back soon", callsign.Unasked, nil},
		"a rejected word":                 {"a lure until {end}", operators{}, "", callsign.Barred, nil},
		"an operator wants each approved": {"Back soon", operators{"acme": {Moderation: "required"}}, "", callsign.Held, nil},
		"another tenant's":                {"Back soon", operators{"other": {Moderation: "required"}}, "Back soon", callsign.Unasked, nil},
		"while it isn't known what operators want, none is put": {"Back soon", nil, "", "", callsign.ErrUnavailable},
		"too long":                        {strings.Repeat("x", maxText+1), operators{}, "", "", callsign.ErrInvalid},
		"an end that only cleaning makes": {"Back at {e\u200bnd}", operators{}, "", "", callsign.ErrInvalid},
	} {
		t.Run(sentence, func(t *testing.T) {
			kept := &keptPolicies{}
			in := NewIntake(Options{Policies: kept, Tenants: c.tenants, Moderator: moderator(t, func(c *Moderation) { c.RejectWords = file(t, "lure") })})
			p := callsign.Policy{Texts: map[string]callsign.PolicyText{"a": {Text: c.text, Languages: map[string]string{"zh": c.text}}}}
			_, err := in.PutPolicy(t.Context(), callsign.Scope{Tenant: "acme"}, 8613900000002, p, 0)
			if !errors.Is(err, c.err) || (kept.puts > 0) != (c.err == nil) {
				t.Fatalf("%v, %d puts, want %v", err, kept.puts, c.err)
			}
			for i, en := range kept.texts {
				account := []string{"8613900000002/a", "8613900000002/a/zh"}[i]
				if en.Account != account || en.Network != callsign.PolicyNetwork || en.Tenant != "acme" || en.Shown != c.shown || en.Review != c.review || en.Text != c.text {
					t.Errorf("kept %+v, want %q shown, %q", en, c.shown, c.review)
				}
			}
		})
	}
}

func TestAnOperatorBoundsWhatIsPut(t *testing.T) {
	kept := &keptPolicies{}
	in := NewIntake(Options{Policies: kept, Tenants: operators{"acme": {MaxRules: 1}}})
	two := callsign.Policy{Rules: []callsign.PolicyRule{{Show: "nothing"}, {Show: "nothing"}}}
	if _, err := in.PutPolicy(t.Context(), callsign.Scope{Tenant: "acme"}, 1, two, 0); !errors.Is(err, callsign.ErrInvalid) || kept.puts > 0 {
		t.Errorf("%v, %d puts", err, kept.puts)
	}
	two.Rules = append(two.Rules[:1:1], callsign.PolicyRule{Show: "x"})
	if _, err := in.PutPolicy(t.Context(), callsign.Scope{Tenant: "other"}, 1, two, 0); !errors.Is(err, callsign.ErrInvalid) {
		t.Errorf("one that can't be used: %v", err)
	}
}

func TestATextWaitsForWhatItsOperatorWantsToBeKnown(t *testing.T) {
	for sentence, c := range map[string]struct {
		tenants operators
		review  callsign.Review
		err     error
	}{
		"not known: none is kept, it is to be said again": {nil, "", callsign.ErrUnavailable},
		"nothing is wanted":        {operators{}, callsign.Unasked, nil},
		"each is to be approved":   {operators{"acme": {Moderation: "required"}}, callsign.Held, nil},
		"each of another tenant's": {operators{"other": {Moderation: "required"}}, callsign.Unasked, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := &keeper{}
				in := NewIntake(Options{Keeper: k, Tenants: c.tenants})
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { _ = in.Run(ctx) })
				defer running.Wait()
				defer cancel()
				_, err := in.Put(ctx, []callsign.Change{{Tenant: "acme", Source: "s", ID: "1", Network: "qq", Account: "1", Text: "Back soon", Stamp: callsign.Stamp{Version: 1}}})
				if !errors.Is(err, c.err) || (len(k.kept) == 0) != (c.err != nil) || err == nil && k.kept[0].Review != c.review {
					t.Errorf("%v, kept %+v, want %q, %v", err, k.kept, c.review, c.err)
				}
			})
		})
	}
}
