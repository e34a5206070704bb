package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/api"
)

type keyCommand struct {
	Create keyCreate `cmd:"" help:"Make a key and print it: over the API, or with -c in the store itself, for the first one."`
	List   keyList   `cmd:"" help:"List the keys (what they are, not the keys themselves)."`
	Remove keyRemove `cmd:"" help:"Revoke a key."`
}

type keyCreate struct {
	client
	Config  string         `short:"c" placeholder:"FILE" help:"Write to the store of this configuration instead of asking the API."`
	Role    string         `required:"" enum:"admin,operator,source,subscriber" help:"admin, operator, source or subscriber."`
	Name    string         `help:"Whose it is, for administrators; the role if empty."`
	Network string         `help:"Of a source: the network whose accounts it writes."`
	Source  string         `help:"Of a source: the only CloudEvents source that it may name; needed when a network has several sources."`
	MSISDN  string         `name:"msisdn" help:"Of a subscriber: the number."`
	Expires *time.Duration `name:"expires-in" help:"How long the key is good, like 720h, at least 1s; without it forever."`
	Tenant  string         `help:"The tenant, with -c only; default without it."`
}

// Run prints the key and nothing else, so that a script can take it.
func (c keyCreate) Run(s surroundings) error {
	if c.Name == "" {
		c.Name = c.Role
	}
	switch {
	case c.Expires != nil && *c.Expires < time.Second:
		return usageError{fmt.Errorf("--expires-in is %v: use at least 1s, or leave it out for a key that is good forever", *c.Expires)}
	case c.Tenant != "" && c.Config == "":
		return usageError{errors.New("--tenant goes with -c only: over the API a key is of the tenant of the key that makes it")}
	}
	if c.Config != "" {
		return c.inStore(s)
	}
	in := map[string]any{"name": c.Name, "role": c.Role}
	for key, value := range map[string]string{"network": c.Network, "source": c.Source, "msisdn": c.MSISDN} {
		if value != "" {
			in[key] = value
		}
	}
	if c.Expires != nil {
		in["expires_in"] = int64(math.Ceil(c.Expires.Seconds()))
	}
	var raw json.RawMessage
	if err := c.do(s.ctx, http.MethodPost, "/v1/keys", in, &raw); err != nil {
		return err
	}
	var out struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(raw, &out); err != nil {
		return err
	}
	if c.JSON {
		return c.show(s.stdout, raw, "")
	}
	_, err := fmt.Fprintln(s.stdout, out.Key)
	return err
}

func (c keyCreate) inStore(s surroundings) error {
	config, err := loadConfig(c.Config, s.environ)
	if err != nil {
		return usageError{err}
	}
	scope := callsign.Scope{Tenant: cmp.Or(c.Tenant, callsign.DefaultTenant), Role: callsign.Role(c.Role), Network: c.Network, Source: c.Source}
	if c.MSISDN != "" {
		if scope.MSISDN, err = callsign.ParseMSISDN(c.MSISDN); err != nil {
			return usageError{fmt.Errorf("--msisdn: %w", err)}
		}
	}
	if member, message := api.CheckScope(scope); member != "" {
		return usageError{fmt.Errorf("--%s: %s", member, message)}
	}
	var expires time.Time
	if c.Expires != nil {
		expires = time.Now().Add(*c.Expires)
	}
	engine, err := openEngine(s.ctx, &config, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer engine.Close()
	secret, key := api.NewKey(c.Name, scope, expires)
	audit := api.NewAudit(callsign.Scope{Tenant: scope.Tenant}, "callsign key create -c")
	audit.Object = key.ID
	if err := engine.PutAudit(s.ctx, audit); err != nil {
		return fmt.Errorf("keep the audit of the key: %w", err)
	}
	if err := engine.PutKey(s.ctx, key); err != nil {
		return fmt.Errorf("keep the key: %w", err)
	}
	_, err = fmt.Fprintln(s.stdout, secret)
	return err
}

type keyList struct{ client }

// Run lists the keys.
func (c keyList) Run(s surroundings) error {
	var raw json.RawMessage
	if err := c.do(s.ctx, http.MethodGet, "/v1/keys", nil, &raw); err != nil {
		return err
	}
	var page struct {
		Items []struct {
			ID, Name, Role, Network string
			Created, Expires        time.Time
			Revoked                 bool
		} `json:"items"`
	}
	if err := json.Unmarshal(raw, &page); err != nil {
		return err
	}
	var rows [][]string
	for _, k := range page.Items {
		state := "good"
		switch {
		case k.Revoked:
			state = "revoked"
		case !k.Expires.IsZero() && !k.Expires.After(time.Now()):
			state = "expired"
		}
		rows = append(rows, []string{k.ID, k.Name, k.Role, k.Network, k.Created.Local().Format(time.DateTime), state})
	}
	return c.show(s.stdout, raw, "ID\tNAME\tROLE\tNETWORK\tCREATED\tSTATE", rows...)
}

type keyRemove struct {
	client
	ID string `arg:"" help:"The key's id, as key list tells it."`
}

// Run revokes the key.
func (c keyRemove) Run(s surroundings) error { return c.remove(s, pathTo("keys", c.ID), "key "+c.ID) }
