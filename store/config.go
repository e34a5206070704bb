package store

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Config says where everything is kept: the section "store".
type Config struct {
	URL       string        `yaml:"url" doc:"sqlite://FILE, relative to the working directory, or sqlite:///ABSOLUTE/FILE"`
	KeepCalls time.Duration `yaml:"keep_calls" doc:"how long timelines of calls are kept; 1h to 87600h"`
}

// DefaultConfig keeps everything in a file beside the program's working directory.
func DefaultConfig() Config {
	return Config{URL: "sqlite://callsign.db", KeepCalls: 30 * 24 * time.Hour}
}

// Validate reports what can't be used, and what to write instead. It never repeats a URL that may hold a password.
func (c *Config) Validate() error {
	scheme, rest, found := strings.Cut(c.URL, "://")
	switch {
	case !found:
		return fmt.Errorf("store.url %q is no URL: use sqlite://FILE or sqlite:///ABSOLUTE/FILE", c.URL)
	case scheme == "postgres" || scheme == "postgresql":
		return errors.New("store.url: PostgreSQL is not built yet in this version: use sqlite://FILE")
	case scheme != "sqlite":
		return fmt.Errorf("store.url: there is no engine %q: use sqlite://FILE", scheme)
	case rest == "" || strings.HasSuffix(rest, "/"):
		return errors.New("store.url names no file: use sqlite://FILE or sqlite:///ABSOLUTE/FILE")
	case strings.ContainsAny(rest, "?#"):
		return errors.New("store.url: sqlite takes a file and no parameters: leave out ? and # and what follows")
	case c.KeepCalls < time.Hour || c.KeepCalls > 10*365*24*time.Hour:
		return fmt.Errorf("store.keep_calls is %v: use 1h to 87600h", c.KeepCalls)
	}
	return nil
}

// Path is the SQLite file of a valid URL.
func (c *Config) Path() string { return strings.TrimPrefix(c.URL, "sqlite://") }

// CacheConfig is the section "cache".
type CacheConfig struct {
	URL string `yaml:"url" doc:"a cache that several nodes share; empty: each node's own memory"`
}

// Validate refuses every shared cache: there is none yet.
func (c *CacheConfig) Validate() error {
	if c.URL != "" {
		return errors.New("cache.url: a shared cache is not built yet in this version: leave it empty, each node uses its own memory")
	}
	return nil
}
