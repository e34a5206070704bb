package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/callsign-as/callsign"
)

// policyDocument is a compiled policy as memory, snapshots and Redis carry it.
type policyDocument struct {
	Rev    uint64               `json:"rev"`
	Policy callsign.Policy      `json:"policy"`
	Shown  map[string]shownText `json:"shown,omitempty"`
}

type shownText struct {
	Text   string `json:"text"`
	Lang   string `json:"lang,omitempty"`
	Origin string `json:"origin,omitempty"`
}

func packPolicy(c *callsign.Compiled) []byte {
	d := policyDocument{c.Rev, c.Policy, map[string]shownText{}}
	for name, s := range c.Shown {
		d.Shown[name] = shownText{s.Shown, s.Lang, s.Origin}
	}
	b, _ := json.Marshal(d) // a policy that was compiled has no value that JSON can't hold
	return b
}

func unpackPolicy(packed string) (*callsign.Compiled, error) {
	var d policyDocument
	if err := readWhole(packed, &d); err != nil {
		return nil, err
	}
	shown := map[string]callsign.Signature{}
	for name, s := range d.Shown {
		shown[name] = callsign.Signature{Network: callsign.PolicyNetwork, Shown: s.Text, Lang: s.Lang, Origin: s.Origin}
	}
	return d.Policy.Compile(d.Rev, shown)
}

// ParsePolicy reads a policy as an engine keeps it. One with members that this node doesn't know is a newer node's, and an error: whom they
// keep out would be shown the text, and what is put back would lack them.
func ParsePolicy(document string) (p callsign.Policy, err error) {
	err = readWhole(document, &p)
	return p, err
}

func readWhole(document string, into any) error {
	d := json.NewDecoder(strings.NewReader(document))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is something behind it")
	}
	return nil
}

// errPolicy is also an ErrUnavailable, but nothing that was known before may be shown in its place.
var errPolicy = errors.New("put it again")

// ReadPolicy compiles a policy as an engine keeps it, with those of its texts that may be shown. Its error keeps the subscriber's
// calls from showing anything: without the policy it might be what they never want shown.
func ReadPolicy(m callsign.MSISDN, rev uint64, document string, texts []callsign.Signature) (*callsign.Compiled, error) {
	p, err := ParsePolicy(document)
	if err != nil {
		return nil, fmt.Errorf("%w: the policy of %v can't be read: %w: %w", callsign.ErrUnavailable, m, errPolicy, err)
	}
	shown := map[string]callsign.Signature{}
	for _, s := range texts {
		if _, name, _ := strings.Cut(s.Account, "/"); s.Shown != "" {
			shown[name] = s
		}
	}
	c, err := p.Compile(rev, shown)
	if err != nil {
		return nil, fmt.Errorf("%w: the policy of %v can't be used: %w: %w", callsign.ErrUnavailable, m, errPolicy, err)
	}
	return c, nil
}

// PlaceTexts says which accounts a policy's texts need made and which it needs no more. versions are those that there are. Each text's
// stamp becomes greater than that of what its account said, whatever the clocks: the order is that of the commits.
func PlaceTexts(texts []callsign.Entry, versions map[string]int64) (missing, gone []string) {
	wanted := map[string]bool{}
	for i := range texts {
		t := &texts[i]
		wanted[t.Account] = true
		if version, there := versions[t.Account]; there {
			t.Stamp.Version = max(t.Stamp.Version, version+1)
		} else {
			missing = append(missing, t.Account)
		}
	}
	for _, account := range slices.Sorted(maps.Keys(versions)) {
		if !wanted[account] {
			gone = append(gone, account)
		}
	}
	return missing, gone
}
