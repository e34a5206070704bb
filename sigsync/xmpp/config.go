package xmpp

import (
	"errors"
	"fmt"
	"net"
	"time"

	"mellium.im/xmpp/jid"

	"github.com/callsign-as/callsign/sigsync"
)

// Config is how an XMPP server is reached: as an external component of it (XEP-0114).
type Config struct {
	Server    string         `yaml:"server" doc:"host and port for components, like 127.0.0.1:5347; the connection is not encrypted"`
	Domain    string         `yaml:"domain" doc:"the component's name at the server, like signatures.example.net"`
	Secret    sigsync.Secret `yaml:"secret" doc:"what the server knows the component by"`
	Name      string         `yaml:"name" doc:"the contact whom users see: name@domain"`
	Languages []string       `yaml:"languages" doc:"which text is taken of one in several languages, like [zh, en]; else the one without, else the first"`
	PerSecond float64        `yaml:"per_second" doc:"accounts that are asked each second, 0.001 to 1000"`
	Timeout   time.Duration  `yaml:"timeout" doc:"of connecting and of an answer, 100ms to 1m"`
}

// DefaultConfig asks ten accounts a second.
func DefaultConfig() Config {
	return Config{Name: "signature", PerSecond: 10, Timeout: 10 * time.Second}
}

// Limits are what a Provider of c keeps to: a server takes one connection for a component's name.
func (c *Config) Limits() sigsync.Limits {
	return sigsync.Limits{PerCall: 1, PerSecond: c.PerSecond, OneNode: true}
}

// Validate reports the first thing that can't work.
func (c *Config) Validate() error {
	_, port, err := net.SplitHostPort(c.Server)
	domain, bad := jid.Parse(c.Domain)
	switch {
	case err != nil || port == "":
		return fmt.Errorf("server %q: write it like 127.0.0.1:5347", c.Server)
	case bad != nil || domain.String() != domain.Domainpart():
		return fmt.Errorf("domain %q: name the component as the server does, like signatures.example.net", c.Domain)
	case c.Secret == "":
		return errors.New("secret: it is missing: the server's configuration has it, beside the component")
	case !(c.PerSecond >= 0.001 && c.PerSecond <= 1000):
		return errors.New("per_second: use 0.001 to 1000")
	case c.Timeout < 100*time.Millisecond || c.Timeout > time.Minute:
		return errors.New("timeout: use 100ms to 1m")
	}
	if _, err := jid.New(c.Name, c.Domain, ""); err != nil || c.Name == "" {
		return fmt.Errorf("name %q: use letters and digits, like signature", c.Name)
	}
	return nil
}
