package relay

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// nextHopHost as sip.uri_host stands for the next hop that was chosen.
const nextHopHost = "next_hop"

// Config is the section sip of the configuration.
type Config struct {
	Listen         []string       `yaml:"listen" doc:"sockets to serve, as udp://, tcp:// or tls://ADDRESS:PORT; the S-CSCF's iFC or the softswitch's trunk points at one of them; empty: this node takes no calls"`
	Advertise      string         `yaml:"advertise" doc:"host or host:port to write into Via instead of the listening address; needed when listening on 0.0.0.0 or [::]"`
	Trust          []netip.Prefix `yaml:"trust" doc:"networks whose requests are relayed; requests from anywhere else are dropped and counted"`
	Secret         string         `yaml:"secret" secret:"true" doc:"at least 16 characters, the same on every node: signs our Via branches; empty: 32 random bytes are made once in state.dir"`
	SecretPrevious string         `yaml:"secret_previous" secret:"true" doc:"the secret before the last change: answers to what it signed are still taken"`
	NextHop        []string       `yaml:"next_hop" doc:"where requests go that carry no further Route: ADDRESS:PORT or a name, with ;priority=N (the lowest that is up counts) and ;weight=N (1 to 65535) behind it; for softswitch trunks, not for ISC"`
	Probe          time.Duration  `yaml:"probe" doc:"how often each next hop is asked by OPTIONS; two in a row unanswered, or 503, and new calls go to another; 1s to 10m, 0: never"`
	URIHost        string         `yaml:"uri_host" doc:"what the Request-URI's host becomes where it is this node's own and the request goes to a next hop: a host, host:port, or next_hop; empty: it stays"`
	Sockets        int            `yaml:"sockets" doc:"UDP sockets for each udp:// listener, 1 to 64; more than 1 helps only where many peers send: one peer's messages all come to one socket"`
	Drain          time.Duration  `yaml:"drain" doc:"how long a node that is told to stop waits for set-ups that ring; 0 to 10m"`
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
		Probe:  10 * time.Second, Sockets: 1, Drain: 10 * time.Second,
		Trust: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
	}
}

// Validate reports the first thing that Bind or New would refuse.
func (c *Config) Validate() error {
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
	_, _, isHost := hostPort([]byte(c.URIHost))
	switch {
	case c.URIHost != "" && !isHost:
		return fmt.Errorf("sip.uri_host is %q: write a host, host:port, or next_hop", c.URIHost)
	case c.Probe != 0 && (c.Probe < time.Second || c.Probe > 10*time.Minute):
		return fmt.Errorf("sip.probe is %v: use 1s to 10m, or 0 for never", c.Probe)
	case c.Sockets < 0 || c.Sockets > 64:
		return fmt.Errorf("sip.sockets is %d: use 1 to 64", c.Sockets)
	case c.Drain < 0 || c.Drain > 10*time.Minute:
		return fmt.Errorf("sip.drain is %v: use 0 to 10m", c.Drain)
	}
	for i, h := range c.NextHop {
		hop, err := parseHop(h)
		if err != nil {
			return fmt.Errorf("sip.next_hop[%d] %w", i, err)
		}
		for _, l := range c.Listen {
			if _, own, err := listenAddr(l); err == nil && own == hop.Addr {
				return fmt.Errorf("sip.next_hop[%d] is this node's own %s: calls would loop; name the softswitch's return trunk", i, l)
			}
		}
	}
	return nil
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
