package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"go.yaml.in/yaml/v3"

	"github.com/callsign-as/callsign"
)

type policyCommand struct {
	Get    policyGet    `cmd:"" help:"Print a policy as YAML."`
	Put    policyPut    `cmd:"" help:"Read a policy as YAML and put it in place of the one that is there."`
	Remove policyRemove `cmd:"" help:"Remove a policy."`
}

type policyOf struct {
	client
	MSISDN string `arg:"" optional:"" help:"The subscriber's number, like +8613900000002; without it the policy is the tenant's."`
}

func (c policyOf) path() string {
	if c.MSISDN == "" {
		return pathTo("policy")
	}
	return pathTo("subscribers", c.MSISDN, "policy")
}

// document is what the policy is read into, so that YAML's own types don't stand in the way: a date is a text here, and so is a number.
func (c policyOf) document() any {
	if c.MSISDN == "" {
		return &callsign.TenantPolicy{}
	}
	return &callsign.Policy{}
}

type policyGet struct{ policyOf }

// Run prints it; what it prints can be put.
func (c policyGet) Run(s surroundings) error {
	var raw json.RawMessage
	if err := c.do(s.ctx, http.MethodGet, c.path(), nil, &raw); err != nil {
		return err
	}
	if c.JSON {
		return c.show(s.stdout, raw, "")
	}
	d := c.document()
	if err := json.Unmarshal(raw, d); err != nil {
		return err
	}
	out := yaml.NewEncoder(s.stdout)
	out.SetIndent(2)
	return errors.Join(out.Encode(d), out.Close())
}

type policyPut struct {
	policyOf
	File string `short:"f" required:"" placeholder:"FILE" help:"Where it stands."`
}

// Run puts it.
func (c policyPut) Run(s surroundings) error {
	f, err := os.Open(c.File)
	if err != nil {
		return usageError{err}
	}
	defer f.Close()
	d := c.document()
	decoder := yaml.NewDecoder(f)
	decoder.KnownFields(true)
	if err := decoder.Decode(d); err != nil && !errors.Is(err, io.EOF) {
		return usageError{fmt.Errorf("the policy is no YAML of ours: %w: deploy/docs/policies.md shows a whole one", err)}
	}
	if err := c.do(s.ctx, http.MethodPut, c.path(), d, nil); err != nil {
		return err
	}
	return said(s.stdout, c.JSON, map[string]string{"put": c.of()}, c.of()+" is kept")
}

func (c policyOf) of() string {
	if c.MSISDN == "" {
		return "the tenant's policy"
	}
	return c.MSISDN + "'s policy"
}

type policyRemove struct{ policyOf }

// Run removes it.
func (c policyRemove) Run(s surroundings) error { return c.remove(s, c.path(), c.of()) }
