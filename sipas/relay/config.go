package relay

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Config is the section sip of the configuration.
type Config struct {
	Listen         []string       `yaml:"listen" doc:"sockets to serve, as udp://, tcp:// or tls://ADDRESS:PORT; the S-CSCF's iFC or the softswitch's trunk points at one of them"`
	Advertise      string         `yaml:"advertise" doc:"host or host:port to write into Via instead of the listening address; needed when listening on 0.0.0.0 or [::]"`
	Trust          []netip.Prefix `yaml:"trust" doc:"networks whose requests are relayed; requests from anywhere else are dropped and counted"`
	Secret         string         `yaml:"secret" secret:"true" doc:"at least 16 characters, the same on every node: signs our Via branches; empty: 32 random bytes are made once in state.dir"`
	SecretPrevious string         `yaml:"secret_previous" secret:"true" doc:"the secret before the last change: answers to what it signed are still taken"`
	NextHop        []string       `yaml:"next_hop" doc:"where requests go that carry no further Route, as ADDRESS:PORT; several share the calls; for softswitch trunks, not for ISC"`
	TLS            TLSConfig      `yaml:"tls" doc:"certificates for tls:// listeners"`
}

// TLSConfig names the files for TLS listeners. They are read again when they change.
type TLSConfig struct {
	Cert     string `yaml:"cert" doc:"certificate chain, PEM"`
	Key      string `yaml:"key" doc:"private key, PEM"`
	ClientCA string `yaml:"client_ca" doc:"authorities whose certificates are required of who connects, and of whom this node connects to, PEM; empty: anybody trusted may connect, the system's authorities vouch for others"`
}

// DefaultConfig serves and trusts this machine only.
func DefaultConfig() Config {
	return Config{
		Listen: []string{"udp://127.0.0.1:5060", "tcp://127.0.0.1:5060"},
		Trust:  []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}
}

// Validate reports the first thing that Bind or New would refuse.
func (c *Config) Validate() error {
	if len(c.Listen) == 0 {
		return errors.New("sip.listen is empty: name at least one socket, like udp://127.0.0.1:5060")
	}
	for i, l := range c.Listen {
		scheme, addr, err := listenAddr(l)
		if err != nil {
			return fmt.Errorf("sip.listen[%d]: %w", i, err)
		}
		if addr.Addr().IsUnspecified() && c.Advertise == "" {
			return fmt.Errorf("sip.listen[%d] is %s: set sip.advertise to the address at which the S-CSCF reaches this node, so that answers come back", i, l)
		}
		if scheme == "tls" && (c.TLS.Cert == "" || c.TLS.Key == "") {
			return fmt.Errorf("sip.listen[%d] is %s: set sip.tls.cert and sip.tls.key to the files of its certificate", i, l)
		}
	}
	for name, secret := range map[string]string{"sip.secret": c.Secret, "sip.secret_previous": c.SecretPrevious} {
		if secret != "" && len(secret) < 16 {
			return fmt.Errorf("%s has %d characters: use at least 16, the same on every node", name, len(secret))
		}
	}
	if strings.ContainsAny(c.Advertise, " ,;@<>\"\r\n\t/") {
		return fmt.Errorf("sip.advertise %q: write a host or host:port", c.Advertise)
	}
	for i, h := range c.NextHop {
		addr, err := hopAddr(h)
		if err != nil {
			return fmt.Errorf("sip.next_hop[%d] %w", i, err)
		}
		for _, l := range c.Listen {
			if _, own, err := listenAddr(l); err == nil && own == addr {
				return fmt.Errorf("sip.next_hop[%d] is this node's own %s: calls would loop; name the softswitch's return trunk", i, l)
			}
		}
	}
	return nil
}

func hopAddr(s string) (netip.AddrPort, error) {
	addr, err := netip.ParseAddrPort(strings.TrimPrefix(s, "udp://"))
	if err != nil || addr.Port() == 0 || addr.Addr().IsUnspecified() {
		return addr, fmt.Errorf("%q: write an IP address and port, like 192.0.2.7:5060 (names are not resolved by this version)", s)
	}
	return addr, nil
}

func listenAddr(s string) (scheme string, addr netip.AddrPort, err error) {
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case !ok:
		return "", addr, fmt.Errorf("%q: write it as udp://ADDRESS:PORT, tcp://… or tls://…", s)
	case scheme != "udp" && scheme != "tcp" && scheme != "tls":
		return "", addr, fmt.Errorf("%q: %q is no transport: use udp, tcp or tls", s, scheme)
	}
	addr, err = netip.ParseAddrPort(rest)
	if err != nil {
		return "", addr, fmt.Errorf("%q: %q is not an IP address and port, like 127.0.0.1:5060", s, rest)
	}
	return scheme, addr, nil
}
