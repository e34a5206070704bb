package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"os"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/api"
)

type keyCommand struct {
	Create keyCreate `cmd:"" help:"Make a key and print it: over the API, or with -c in the store itself, for the first one."`
	List   keyList   `cmd:"" help:"List the keys (what they are, not the keys themselves)."`
	Rotate keyRotate `cmd:"" help:"Make a key that takes over from another, which goes on for a while."`
	Remove keyRemove `cmd:"" help:"Revoke a key."`
}

type keyCreate struct {
	client
	Config      string         `short:"c" placeholder:"FILE" help:"Write to the store of this configuration instead of asking the API."`
	Role        string         `required:"" enum:"admin,operator,source,subscriber" help:"admin, operator, source or subscriber."`
	Name        string         `help:"Whose it is, for administrators; the role if empty."`
	Network     string         `help:"Of a source: the network whose accounts it writes."`
	Source      string         `help:"Of a source: the only CloudEvents source that it may name; needed when a network has several sources."`
	MSISDN      string         `name:"msisdn" help:"Of a subscriber: the number."`
	Expires     *time.Duration `name:"expires-in" help:"How long the key is good, like 720h, at least 1s; without it forever."`
	Tenant      string         `help:"The tenant, with -c only; default without it."`
	Certificate string         `placeholder:"FILE" help:"A client certificate in PEM that stands for the key: none is told, its id is printed."`
}

// Run prints the key and nothing else, so that a script can take it.
func (c keyCreate) Run(s surroundings) error {
	if c.Name == "" {
		c.Name = c.Role
	}
	switch {
	case c.Expires != nil && *c.Expires < time.Second:
		return usageError{fmt.Errorf("--expires-in is %v: use at least 1s, or leave it out for a key that is good forever", *c.Expires)}
	case c.Certificate != "" && c.Config != "":
		return usageError{errors.New("--certificate goes over the API only: leave out -c")}
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
	return c.makeKey(s, "/v1/keys", in, c.Certificate)
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

type keyRotate struct {
	client
	ID          string         `arg:"" help:"The key's id, as key list tells it."`
	Overlap     *time.Duration `help:"How long the old key goes on, like 1h; without it a day."`
	Certificate string         `placeholder:"FILE" help:"A client certificate in PEM that takes over, instead of a key."`
}

// Run prints the new key and nothing else.
func (c keyRotate) Run(s surroundings) error {
	in := map[string]any{}
	if c.Overlap != nil {
		if *c.Overlap < 0 {
			return usageError{fmt.Errorf("--overlap is %v: use 0 or more, like 1h", *c.Overlap)}
		}
		in["overlap"] = int64(math.Ceil(c.Overlap.Seconds()))
	}
	return c.makeKey(s, pathTo("keys", c.ID, "rotate"), in, c.Certificate)
}

// makeKey asks for a key and prints it, or its id where a certificate stands for it.
func (c *client) makeKey(s surroundings, path string, in map[string]any, certificate string) error {
	if certificate != "" {
		pem, err := os.ReadFile(certificate)
		if err != nil {
			return usageError{err}
		}
		in["certificate"] = string(pem)
	}
	var raw json.RawMessage
	if err := c.do(s.ctx, http.MethodPost, path, in, &raw); err != nil {
		return err
	}
	var out struct{ ID, Key string }
	if err := json.Unmarshal(raw, &out); err != nil {
		return err
	}
	if c.JSON {
		return c.show(s.stdout, raw, "")
	}
	_, err := fmt.Fprintln(s.stdout, cmp.Or(out.Key, out.ID))
	return err
}

type keyList struct{ client }

// Run lists the keys.
func (c keyList) Run(s surroundings) error {
	type key struct {
		ID, Name, Role, Network string
		Created, Expires        time.Time
		Revoked                 bool
	}
	return list(s, &c.client, "/v1/keys", "ID\tNAME\tROLE\tNETWORK\tCREATED\tEXPIRES\tSTATE", func(k key) []string {
		state := "good"
		switch {
		case k.Revoked:
			state = "revoked"
		case !k.Expires.IsZero() && !k.Expires.After(time.Now()):
			state = "expired"
		}
		return []string{k.ID, k.Name, k.Role, k.Network, local(k.Created), local(k.Expires), state}
	})
}

type keyRemove struct {
	client
	ID string `arg:"" help:"The key's id, as key list tells it."`
}

// Run revokes the key.
func (c keyRemove) Run(s surroundings) error { return c.remove(s, pathTo("keys", c.ID), "key "+c.ID) }
