package simple

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/callsign-as/callsign/sigsync"
)

// Config is where presence is asked for, and as whom.
type Config struct {
	Listen    string         `yaml:"listen" doc:"where notifications come, like udp://192.0.2.10:5070 or tcp://…: an address that the agent reaches, and no port of sip.listen"`
	Agent     string         `yaml:"agent" doc:"host and port of the presence agent, or of the proxy before it; asked by the transport of listen"`
	Trust     []string       `yaml:"trust" doc:"networks that may send to listen, like [192.0.2.0/24]; empty: the agent alone"`
	URI       string         `yaml:"uri" doc:"whose presence an account is, like sip:{account}@ims.example.net; sip:{account}, where accounts have a domain"`
	From      string         `yaml:"from" doc:"who asks, like sip:callsign@ims.example.net"`
	User      string         `yaml:"user" doc:"for digest authentication; empty: the name in from"`
	Password  sigsync.Secret `yaml:"password" doc:"for digest authentication; empty: none"`
	Expires   time.Duration  `yaml:"expires" doc:"for how long a subscription is asked for, 10s to 24h; it is renewed after three quarters of what is granted"`
	Check     time.Duration  `yaml:"check" doc:"how often some subscription is renewed, whatever its end, to see whether the agent still knows it; 1s to 1h"`
	Most      int            `yaml:"subscriptions" doc:"at most, on one node, 1 to 1000000; accounts beyond are only polled"`
	Languages []string       `yaml:"languages" doc:"which note is taken of several, like [zh, en]; else the one without a language, else the first"`
	PerSecond float64        `yaml:"per_second" doc:"accounts that are polled each second by all nodes, 0.001 to 1000, or 0: none"`
	Pace      float64        `yaml:"subscribe_per_second" doc:"subscriptions that one node makes or renews each second, 0.001 to 10000"`
	Timeout   time.Duration  `yaml:"timeout" doc:"of an answer, 100ms to 32s"`
	Vouched   bool           `yaml:"vouched" doc:"the agent is the operator's own: that it knows an account, tel:+… or sip:+…@…, proves the account's number"`
}

// DefaultConfig subscribes for an hour, and polls ten accounts a second.
func DefaultConfig() Config {
	return Config{Expires: time.Hour, Check: 30 * time.Second, Most: 100_000, PerSecond: 10, Pace: 100, Timeout: 10 * time.Second}
}

// Limits are what a Provider of c keeps to.
func (c *Config) Limits() sigsync.Limits {
	return sigsync.Limits{PerCall: 1, PerSecond: c.PerSecond}
}

// Validate reports the first thing that can't work.
func (c *Config) Validate() error {
	network, at, err := c.listen()
	var from sip.Uri
	agent, port, bad := net.SplitHostPort(c.Agent)
	switch {
	case err != nil || network != "udp" && network != "tcp" || at.Addr().IsUnspecified() || at.Port() == 0:
		return fmt.Errorf("listen %q: write it like udp://192.0.2.10:5070, with an address that the agent reaches", c.Listen)
	case bad != nil || agent == "" || port == "":
		return fmt.Errorf("agent %q: write it like 192.0.2.20:5060", c.Agent)
	case !strings.HasPrefix(c.URI, "sip:") || strings.Count(c.URI, "{account}") != 1:
		return fmt.Errorf("uri %q: write it like sip:{account}@ims.example.net", c.URI)
	case sip.ParseUri(c.From, &from) != nil || from.Scheme != "sip" || from.User == "" || from.Host == "":
		return fmt.Errorf("from %q: write it like sip:callsign@ims.example.net", c.From)
	case c.Expires < 10*time.Second || c.Expires > 24*time.Hour:
		return errors.New("expires: use 10s to 24h")
	case c.Check < time.Second || c.Check > time.Hour:
		return errors.New("check: use 1s to 1h")
	case c.Most < 1 || c.Most > 1_000_000:
		return errors.New("subscriptions: use 1 to 1000000")
	case c.PerSecond != 0 && !(c.PerSecond >= 0.001 && c.PerSecond <= 1000):
		return errors.New("per_second: use 0.001 to 1000, or 0")
	case !(c.Pace >= 0.001 && c.Pace <= 10_000):
		return errors.New("subscribe_per_second: use 0.001 to 10000")
	case c.Timeout < 100*time.Millisecond || c.Timeout > 32*time.Second:
		return errors.New("timeout: use 100ms to 32s")
	}
	if _, err := c.trusted(); err != nil {
		return err
	}
	if _, err := c.address("x@example.net"); err != nil {
		return fmt.Errorf("uri %q: write it like sip:{account}@ims.example.net", c.URI)
	}
	return nil
}

// trusted are the networks of Trust.
func (c *Config) trusted() (all []netip.Prefix, err error) {
	for _, network := range c.Trust {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return nil, fmt.Errorf("trust %q: write a network like 192.0.2.0/24", network)
		}
		all = append(all, prefix)
	}
	return all, nil
}

func (c *Config) listen() (network string, at netip.AddrPort, err error) {
	network, host, _ := strings.Cut(c.Listen, "://")
	at, err = netip.ParseAddrPort(host)
	return network, at, err
}

// bare is an account without a scheme.
func bare(account string) string {
	return strings.TrimPrefix(strings.TrimPrefix(account, "tel:"), "sip:")
}

// address is whose presence an account is. An account is what stands in the URI for it, or that with tel: or sip: before it.
func (c *Config) address(account string) (uri sip.Uri, err error) {
	name, domain := bare(account), ""
	if i := strings.LastIndexByte(name, '@'); i >= 0 && !strings.Contains(c.URI, "@") {
		name, domain = name[:i], name[i:]
	}
	escaped := strings.NewReplacer("+", "%20", "%2B", "+") // a plus means nothing in SIP
	err = sip.ParseUri(strings.Replace(c.URI, "{account}", escaped.Replace(url.QueryEscape(name))+domain, 1), &uri)
	if err != nil || name == "" || uri.User == "" || uri.Host == "" || strings.ContainsAny(domain, " \t\r\n<>\";?,/") || len(account) > 255 {
		return uri, fmt.Errorf("%w: %q makes no URI of %s", sigsync.ErrNoAccount, account, c.URI)
	}
	return uri, nil
}
