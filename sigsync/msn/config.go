package msn

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/callsign-as/callsign/sigsync"
)

// Config is one MSN network and the logins by which it knows us.
type Config struct {
	Address string        `yaml:"address" doc:"the notification server, like messenger.hotmail.com:1863"`
	Nexus   string        `yaml:"nexus" doc:"where the login server is asked for, like https://nexus.passport.com/rdr/pprdr.asp; http only on this machine"`
	Logins  []Login       `yaml:"logins" doc:"buddy accounts, each of which follows its share of the linked accounts; nothing else may use them"`
	Timeout time.Duration `yaml:"timeout" doc:"of a connection, an answer, and an account's text when one is read, 1s to 1m"`
}

// Login is a buddy account.
type Login struct {
	Account  string         `yaml:"account"`
	Password sigsync.Secret `yaml:"password"`
}

// DefaultConfig has the network and its logins to be named.
func DefaultConfig() Config { return Config{Timeout: 10 * time.Second} }

// Limits are what a Provider of c keeps to.
func (c *Config) Limits() sigsync.Limits { return sigsync.Limits{PerCall: 1, OneNode: true} }

// Validate reports the first thing that can't work.
func (c *Config) Validate() error {
	_, port, err := net.SplitHostPort(c.Address)
	switch {
	case err != nil || port == "":
		return fmt.Errorf("address %q: write it like messenger.hotmail.com:1863", c.Address)
	case checkURL(c.Nexus) != nil:
		return fmt.Errorf("nexus: %w", checkURL(c.Nexus))
	case len(c.Logins) == 0:
		return errors.New("logins: it is empty: name a buddy account, like {account: buddy@example.com, password: \"file:buddy.password\"}")
	case c.Timeout < time.Second || c.Timeout > time.Minute:
		return errors.New("timeout: use 1s to 1m")
	}
	seen := map[string]bool{}
	for _, l := range c.Logins {
		key := strings.ToLower(l.Account)
		switch {
		case !isAccount(l.Account):
			return fmt.Errorf("logins: account %q: write it like buddy@example.com", l.Account)
		case seen[key]:
			return fmt.Errorf("logins: %s is there twice: keep one", l.Account)
		case l.Password == "":
			return fmt.Errorf("logins: %s has no password", l.Account)
		}
		seen[key] = true
	}
	return nil
}

// checkURL refuses what would show the password to a network.
func checkURL(raw string) error {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "https" && (u.Scheme != "http" || !net.ParseIP(u.Hostname()).IsLoopback()) {
		return fmt.Errorf("%q: write it like https://nexus.passport.com/rdr/pprdr.asp; http would show the password", raw)
	}
	return nil
}

var passport = regexp.MustCompile(`^[!-$&-?A-~]+@[!-$&-?A-~]+$`)

// isAccount reports whether an account's name can be written into a command: a Passport, at most 129 characters.
func isAccount(name string) bool { return len(name) <= 129 && passport.MatchString(name) }
