package sigsync

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/callsign-as/callsign"
)

// Policies keeps a subscriber's policy with its texts in one transaction.
type Policies interface {
	PutPolicy(ctx context.Context, s callsign.Scope, m callsign.MSISDN, p callsign.Policy, rev uint64, texts []callsign.Entry) (now uint64, err error)
}

// Tenants has what operators say; see sipas.Tenants.
type Tenants interface {
	Tenant(name string) (t *callsign.Tenant, known bool)
}

// PutPolicy is the door for policies: one that can't be used, or that the operator doesn't allow, is callsign.ErrInvalid; its texts are
// cleaned and judged as all others are, and those that are held or barred are kept so and not shown. With a rev it replaces only the
// policy that is at it, or gives callsign.ErrChanged.
func (in *Intake) PutPolicy(ctx context.Context, sc callsign.Scope, m callsign.MSISDN, p callsign.Policy, rev uint64) (now uint64, err error) {
	if _, err := p.Compile(1, nil); err != nil {
		return 0, fmt.Errorf("%w: %w", callsign.ErrInvalid, err)
	}
	if err := in.known(ctx, sc.Tenant); err != nil {
		return 0, err
	}
	t, _ := in.tenant(sc.Tenant)
	if err := t.Bounds(p); err != nil {
		return 0, fmt.Errorf("%w: %w", callsign.ErrInvalid, err)
	}
	received := time.Now()
	var texts []callsign.Entry
	for _, name := range slices.Sorted(maps.Keys(p.Texts)) {
		text := p.Texts[name]
		for _, language := range append([]string{""}, slices.Sorted(maps.Keys(text.Languages))...) {
			said := text.Text
			if language != "" {
				said = text.Languages[language]
			}
			en := entry(callsign.Change{
				Tenant: sc.Tenant, Source: callsign.PolicyNetwork, ID: name, Network: callsign.PolicyNetwork,
				Account: callsign.TextAccount(m, name, language), Text: said, Lang: language, Stamp: callsign.TimedStamp(received), At: received,
			}, received)
			if en.Refused || strings.Contains(en.Shown, "{end}") != strings.Contains(said, "{end}") {
				return 0, fmt.Errorf("%w: the text %s: write at most %d bytes of UTF-8, and {end} without anything in it", callsign.ErrInvalid, name, maxText)
			}
			texts = append(texts, en)
		}
	}
	if err := in.judge(ctx, texts); err != nil {
		return 0, err
	}
	return in.policies.PutPolicy(ctx, sc, m, p, rev, texts)
}

func (in *Intake) tenant(name string) (t *callsign.Tenant, known bool) {
	if in.tenants == nil {
		return nil, true
	}
	return in.tenants.Tenant(name)
}

// known waits a moment for what a tenant's operator wants to be known: a node reads it once its store is open.
func (in *Intake) known(ctx context.Context, tenant string) error {
	for wait := 10 * time.Millisecond; ; wait *= 2 {
		if _, known := in.tenant(tenant); known {
			return nil
		}
		if wait > time.Second {
			return fmt.Errorf("%w: what the operator wants is not read yet", callsign.ErrUnavailable)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// judge asks the moderator, and holds what its tenant's operator wants a person to approve. What they want isn't known until it was read
// once: until then nothing is kept, and who said it says it again. Held, each text of a node's first second would wait for a person.
func (in *Intake) judge(ctx context.Context, entries []callsign.Entry) error {
	for _, e := range entries {
		if err := in.known(ctx, e.Tenant); err != nil {
			return err
		}
	}
	if err := in.moderator.judge(ctx, entries); err != nil {
		return err
	}
	for i := range entries {
		e := &entries[i]
		if t, _ := in.tenant(e.Tenant); e.Shown != "" && t != nil && t.Policy.Moderation == "required" {
			e.Shown, e.Review, e.Reason = "", callsign.Held, "each text needs approval"
		}
	}
	return nil
}
