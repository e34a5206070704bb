package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/callsign-as/callsign/api"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/sigsync/fetion"
	"github.com/callsign-as/callsign/sigsync/httpjson"
	"github.com/callsign-as/callsign/sigsync/msn"
	"github.com/callsign-as/callsign/sigsync/qq"
	"github.com/callsign-as/callsign/sigsync/simple"
	"github.com/callsign-as/callsign/sigsync/xmpp"
)

// SyncConfig is the section sync.
type SyncConfig struct {
	Moderation sigsync.Moderation `yaml:"moderation" doc:"which texts are shown without, or after, a person's approval, and which never"`
	Providers  []ProviderConfig   `yaml:"providers" doc:"networks that are read, like {network: im, connector: httpjson, url: …}; without connector it is the network's name; sigsync/CONNECTOR/README.md has the keys of each"`
}

// ProviderConfig is one network that is read. Its further keys are the connector's.
type ProviderConfig struct {
	Network   string
	Connector string
	Interval  time.Duration // within which each account is read
	limits    sigsync.Limits
	build     func(*slog.Logger) (sigsync.Provider, error) // reads its secrets: a node that only takes calls needs none of them
}

// connector checks the settings of a network, and builds a provider of them when one is wanted.
type connector func(decode func(any) error) (sigsync.Limits, func(*slog.Logger) (sigsync.Provider, error), error)

// connectors are the ways to read a network.
var connectors = map[string]connector{
	"httpjson": connect(httpjson.DefaultConfig, func(c httpjson.Config, _ *slog.Logger) (sigsync.Provider, error) { return httpjson.New(c, nil) }),
	"fetion":   connect(fetion.DefaultConfig, func(c fetion.Config, _ *slog.Logger) (sigsync.Provider, error) { return fetion.New(c) }),
	"qq":       connect(qq.DefaultConfig, func(c qq.Config, log *slog.Logger) (sigsync.Provider, error) { return qq.New(c, log) }),
	"msn":      connect(msn.DefaultConfig, func(c msn.Config, _ *slog.Logger) (sigsync.Provider, error) { return msn.New(c, nil) }),
	"simple":   connect(simple.DefaultConfig, func(c simple.Config, _ *slog.Logger) (sigsync.Provider, error) { return simple.New(c) }),
	"xmpp":     connect(xmpp.DefaultConfig, func(c xmpp.Config, _ *slog.Logger) (sigsync.Provider, error) { return xmpp.New(c) }),
}

// connect makes a connector of its room's configuration: what that has none of are the keys that every network has.
func connect[C any, P interface {
	*C
	Limits() sigsync.Limits
	Validate() error
}](defaults func() C, build func(C, *slog.Logger) (sigsync.Provider, error)) connector {
	return func(decode func(any) error) (sigsync.Limits, func(*slog.Logger) (sigsync.Provider, error), error) {
		var settings struct {
			Network   string `yaml:"network"`
			Connector string `yaml:"connector"`
			Interval  string `yaml:"interval"` // read before
			Own       C      `yaml:",inline"`
		}
		settings.Own = defaults()
		if err := decode(&settings); err != nil {
			return sigsync.Limits{}, nil, err
		}
		own := P(&settings.Own)
		return own.Limits(), func(log *slog.Logger) (sigsync.Provider, error) { return build(settings.Own, log) }, own.Validate()
	}
}

func connectorNames() []string { return slices.Sorted(maps.Keys(connectors)) }

// UnmarshalYAML makes the provider, whose connector knows the keys.
func (p *ProviderConfig) UnmarshalYAML(node *yaml.Node) error {
	named := struct {
		Network, Connector string
		Interval           time.Duration
	}{Interval: 5 * time.Minute}
	if err := node.Decode(&named); err != nil {
		return err
	}
	if named.Connector == "" {
		named.Connector = named.Network
	}
	read, known := connectors[named.Connector]
	switch {
	case api.CheckNetwork(named.Network) != "":
		return fmt.Errorf("line %d: sync.providers: network %q: %s", node.Line, named.Network, api.CheckNetwork(named.Network))
	case !known:
		return fmt.Errorf("line %d: sync.providers: connector %q of %s is not known: use %s", node.Line, named.Connector, named.Network, strings.Join(connectorNames(), ", "))
	}
	if named.Interval < 10*time.Second || named.Interval > 24*time.Hour {
		return fmt.Errorf("line %d: sync.providers: %s: interval %v: use 10s to 24h", node.Line, named.Network, named.Interval)
	}
	limits, build, err := read(func(settings any) error {
		raw, err := yaml.Marshal(node)
		if err != nil {
			return err
		}
		strict := yaml.NewDecoder(bytes.NewReader(raw))
		strict.KnownFields(true)
		return strict.Decode(settings)
	})
	if err != nil {
		return fmt.Errorf("line %d: sync.providers: %s: %w", node.Line, named.Network, err)
	}
	*p = ProviderConfig{named.Network, named.Connector, named.Interval, limits, build}
	return nil
}

// Validate reports what moderation can't work with, and a network that is there twice.
func (c *SyncConfig) Validate() error {
	if err := c.Moderation.Validate(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, p := range c.Providers {
		if seen[p.Network] {
			return fmt.Errorf("sync.providers: %s is there twice: keep one", p.Network)
		}
		seen[p.Network] = true
	}
	return nil
}

type providerCommand struct {
	List   providerList   `cmd:"" help:"List the networks that are configured to be read."`
	Test   providerTest   `cmd:"" help:"Read one account now, and tell what came back and what it would become."`
	Status providerStatus `cmd:"" help:"Show how reading networks goes on a running node, and who pushes to it."`
}

type providerList struct {
	Config string `short:"c" placeholder:"FILE" help:"The configuration; without it defaults and environment."`
	JSON   bool   `name:"json" help:"Print JSON."`
}

// Run lists the networks that are configured, and the connectors that there are.
func (c providerList) Run(s surroundings) error {
	config, err := loadConfig(c.Config, s.environ)
	if err != nil {
		return usageError{err}
	}
	type listed struct {
		Network   string  `json:"network"`
		Connector string  `json:"connector"`
		PerCall   int     `json:"per_call"`
		PerSecond float64 `json:"per_second"`
	}
	networks := []listed{}
	sentence := "NETWORK\tCONNECTOR\tACCOUNTS A CALL\tCALLS A SECOND"
	for _, p := range config.Sync.Providers {
		networks = append(networks, listed{p.Network, p.Connector, p.limits.PerCall, p.limits.PerSecond})
		sentence += fmt.Sprintf("\n%s\t%s\t%d\t%g", p.Network, p.Connector, p.limits.PerCall, p.limits.PerSecond)
	}
	known := connectorNames()
	if len(networks) == 0 {
		sentence = "no network is configured: sync.providers names them"
	}
	sentence += "\nconnectors: " + strings.Join(known, ", ")
	table := tabwriter.NewWriter(s.stdout, 0, 0, 2, ' ', 0)
	if err := said(table, c.JSON, map[string]any{"networks": networks, "connectors": known}, sentence); err != nil {
		return err
	}
	return table.Flush()
}

type providerTest struct {
	Config  string `short:"c" placeholder:"FILE" help:"The configuration; without it defaults and environment."`
	Network string `arg:"" help:"The network, as sync.providers names it."`
	Account string `arg:"" help:"The account's name there."`
	JSON    bool   `name:"json" help:"Print JSON."`
}

// tested is what a read account said.
type tested struct {
	Account string    `json:"account"`
	Text    string    `json:"text"`
	Shown   string    `json:"shown"`
	At      time.Time `json:"at"`
	Version int64     `json:"version,omitempty"`
}

// Run reads the account.
func (c providerTest) Run(s surroundings) error {
	config, err := loadConfig(c.Config, s.environ)
	if err != nil {
		return usageError{err}
	}
	for _, p := range config.Sync.Providers {
		if p.Network != c.Network {
			continue
		}
		provider, err := p.build(slog.New(slog.NewTextHandler(s.stderr, nil)))
		if err != nil {
			return usageError{fmt.Errorf("sync.providers: %s: %w", c.Network, err)}
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(s.ctx, readWithin)
		changes, err := sigsync.ReadOnce(ctx, provider, c.Account)
		cancel()
		switch {
		case errors.Is(err, sigsync.ErrCredentials):
			return fmt.Errorf("%s: %w: see the token, user or client in sync.providers", c.Network, err)
		case errors.Is(err, sigsync.ErrNoAccount):
			return fmt.Errorf("%s: %w: see the spelling of %q", c.Network, err, c.Account)
		case err != nil:
			return fmt.Errorf("%s: %w", c.Network, err)
		case len(changes) == 0:
			return fmt.Errorf("%s tells nothing of %q: it may be offline; else see its spelling, and sync.providers", c.Network, c.Account)
		}
		change := changes[0]
		out := tested{Account: change.Account, Text: change.Text, Shown: sigsync.Clean(change.Text), At: change.At}
		ordered := "by when it was said, " + change.At.Local().Format(time.DateTime)
		if !change.Stamp.Timed() {
			out.Version = change.Stamp.Version
			ordered = "by its version, " + strconv.FormatInt(change.Stamp.Version, 10)
		}
		shown := fmt.Sprintf("%q", out.Shown)
		if out.Shown == "" {
			shown = "nothing"
		}
		return said(s.stdout, c.JSON, out, fmt.Sprintf("%s answered for %s within %v\nit says    %q\nordered    %s\nshows      %s",
			c.Network, c.Account, time.Since(began).Round(time.Millisecond), out.Text, ordered, shown))
	}
	return usageError{fmt.Errorf("%s is not among sync.providers: callsign provider list -c FILE shows them", c.Network)}
}

// readWithin is how long one account may take, with what its connector must connect to first.
const readWithin = time.Minute
