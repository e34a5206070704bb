package store

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Config says where everything is kept: the section "store".
type Config struct {
	URL       string        `yaml:"url" secret:"true" doc:"sqlite://FILE, relative to the working directory, or sqlite:///ABSOLUTE/FILE; postgres://USER:PASSWORD@HOST:PORT/DATABASE for several nodes, with libpq's parameters and pool_max_conns (10)"`
	KeepCalls time.Duration `yaml:"keep_calls" doc:"how long timelines of calls are kept, to the end of their day in UTC; 1h to 87600h"`
	Timelines bool          `yaml:"timelines" doc:"false: no timelines are kept, so /v1/calls, /v1/live and the console show no calls"`
	Memory    int           `yaml:"memory" doc:"MiB that this node's memory of profiles may take, 1 to 65536: some 4500 profiles in each; of others Redis or the database is asked at each call"`
	KeepWire  int           `yaml:"keep_wire" doc:"octets of each SMPP message that a timeline keeps, for administrators: the first of them; 0 (none) to 4096"`
}

// DefaultConfig keeps everything in a file beside the program's working directory.
func DefaultConfig() Config {
	return Config{URL: "sqlite://callsign.db", KeepCalls: 30 * 24 * time.Hour, Timelines: true, Memory: 64, KeepWire: 512}
}

// Validate reports what can't be used, and what to write instead. It never repeats a URL that may hold a password.
func (c *Config) Validate() error {
	scheme, rest, found := strings.Cut(c.URL, "://")
	switch {
	case !found:
		return fmt.Errorf("store.url %q is no URL: use sqlite://FILE, sqlite:///ABSOLUTE/FILE or postgres://…", c.URL)
	case c.IsPostgres():
		if u, err := url.Parse(c.URL); err != nil || u.Host == "" && !u.Query().Has("host") || u.Path == "" || u.Path == "/" {
			return errors.New("store.url can't be used: write postgres://USER:PASSWORD@HOST:PORT/DATABASE, special characters in the password as %XX")
		}
	case scheme != "sqlite":
		return fmt.Errorf("store.url: there is no engine %q: use sqlite://FILE or postgres://USER:PASSWORD@HOST:PORT/DATABASE", scheme)
	case rest == "" || strings.HasSuffix(rest, "/"):
		return errors.New("store.url names no file: use sqlite://FILE or sqlite:///ABSOLUTE/FILE")
	case strings.ContainsAny(rest, "?#"):
		return errors.New("store.url: sqlite takes a file and no parameters: leave out ? and # and what follows")
	}
	if c.KeepCalls < time.Hour || c.KeepCalls > 10*365*24*time.Hour {
		return fmt.Errorf("store.keep_calls is %v: use 1h to 87600h", c.KeepCalls)
	}
	if c.Memory < 1 || c.Memory > 65536 {
		return fmt.Errorf("store.memory is %d: use 1 to 65536, in MiB", c.Memory)
	}
	if c.KeepWire < 0 || c.KeepWire > 4096 {
		return fmt.Errorf("store.keep_wire is %d: use 0 to 4096", c.KeepWire)
	}
	return nil
}

// IsPostgres reports whether a PostgreSQL server is meant.
func (c *Config) IsPostgres() bool {
	return strings.HasPrefix(c.URL, "postgres://") || strings.HasPrefix(c.URL, "postgresql://")
}

// Redacted is the URL without its password, to be shown and logged.
func (c *Config) Redacted() string {
	if u, err := url.Parse(c.URL); err == nil && c.IsPostgres() {
		return u.Redacted()
	}
	return c.URL
}

// Path is the SQLite file of a valid URL.
func (c *Config) Path() string { return strings.TrimPrefix(c.URL, "sqlite://") }
