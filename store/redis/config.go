package redis

import (
	"fmt"
	"strings"
)

// Config is the section "cache".
type Config struct {
	URL    string `yaml:"url" secret:"true" doc:"a Redis that the nodes share, for what one has read of the store and for who was shown what (caps, show.repeat): redis://USER:PASSWORD@HOST:PORT/DB, rediss://…, redis+cluster://HOST:PORT,HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT/MASTER; empty: each node's own memory"`
	Prefix string `yaml:"prefix" doc:"what each of its keys begins with: nodes with one store have the same, others another"`
}

// DefaultConfig shares nothing.
func DefaultConfig() Config { return Config{Prefix: "callsign:"} }

// Validate reports a URL that New would refuse, and a prefix that would take keys apart that belong together.
func (c *Config) Validate() error {
	if strings.ContainsAny(c.Prefix, "{} \t\r\n") {
		return fmt.Errorf("cache.prefix is %q: use letters, digits and signs other than { and }", c.Prefix)
	}
	if c.URL == "" {
		return nil
	}
	_, err := universal(c.URL)
	return err
}
