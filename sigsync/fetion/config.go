package fetion

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/callsign-as/callsign/sigsync"
)

// Config is the account by which the service is watched, and where that logs in.
type Config struct {
	Address  string         `yaml:"address" doc:"the SIP-C server, like 192.0.2.1:8080"`
	SID      string         `yaml:"sid" doc:"our account's Fetion number"`
	UserID   uint32         `yaml:"user_id" doc:"our account's number inside the service, which its sign-on told"`
	Mobile   string         `yaml:"mobile" doc:"our account's mobile number, like 13800138000"`
	Password sigsync.Secret `yaml:"password" doc:"our account's password"`
	Name     string         `yaml:"name" doc:"as whom those who are followed are asked for their consent"`
	Timeout  time.Duration  `yaml:"timeout" doc:"of the login, and of each answer, 1s to 5m"`
}

// DefaultConfig lacks the account.
func DefaultConfig() Config {
	return Config{Name: "Callsign", Timeout: 30 * time.Second}
}

// Limits are what a Provider of c keeps to: one login, which is told of changes.
func (c *Config) Limits() sigsync.Limits { return sigsync.Limits{PerCall: 1, OneNode: true} }

// Validate reports the first thing that can't work.
func (c *Config) Validate() error {
	host, _, err := net.SplitHostPort(c.Address)
	switch {
	case err != nil || host == "":
		return fmt.Errorf("address %q: write it like 192.0.2.1:8080", c.Address)
	case !isSID(c.SID) || c.UserID == 0 || number(c.Mobile) == 0 || c.Password == "":
		return errors.New("sid, user_id, mobile and password: our account's are needed, its mobile number like 13800138000")
	case c.Name == "" || strings.ContainsAny(c.Name, "<>&\"\r\n"):
		return fmt.Errorf("name %q: write what people know you by, without markup", c.Name)
	case c.Timeout < time.Second || c.Timeout > 5*time.Minute:
		return errors.New("timeout: use 1s to 5m")
	}
	return nil
}
