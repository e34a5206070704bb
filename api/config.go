package api

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Config is the section http of the configuration.
type Config struct {
	Listen      string        `yaml:"listen" doc:"where REST, the push websocket, /healthz, /readyz and /metrics are served, as ADDRESS:PORT; empty: nowhere"`
	Admin       string        `yaml:"admin" doc:"where Go's profiles are served to whoever asks, as a loopback ADDRESS:PORT; empty: nowhere"`
	TLS         TLSConfig     `yaml:"tls" doc:"HTTPS in place of HTTP"`
	TestCalls   bool          `yaml:"test_calls" doc:"whether operators may place test calls through this node by POST /v1/test-calls and the console: from show.caller_ranges, to their own subscribers, one at a time. A text may reach the caller's real phone"`
	Heartbeat   time.Duration `yaml:"heartbeat" doc:"how often a push connection is pinged; twice this without a sign of life closes it with 4408"`
	MaxBatch    int           `yaml:"max_batch" doc:"how many events one push frame may carry"`
	MaxBytes    int           `yaml:"max_bytes" doc:"how long a push frame may be, in bytes; a longer one closes the connection with 1009"`
	Credit      int           `yaml:"credit" doc:"how many events a push connection may have unacknowledged"`
	Connections int           `yaml:"connections" doc:"how many push connections this node holds; one more is closed with 1013"`
	Grace       time.Duration `yaml:"grace" doc:"how long push connections and requests may go on when the node stops"`
}

// DefaultConfig serves this machine only.
func DefaultConfig() Config {
	return Config{
		Listen: "127.0.0.1:8080", Heartbeat: 20 * time.Second, MaxBatch: 100, MaxBytes: 64 << 10, Credit: 256,
		Connections: 10_000, Grace: 5 * time.Second,
	}
}

// Validate reports the first thing that can't work.
func (c *Config) Validate() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil && c.Listen != "" {
		return fmt.Errorf("http.listen %q: write it as ADDRESS:PORT, like 127.0.0.1:8080", c.Listen)
	}
	if c.Admin != "" {
		at, err := netip.ParseAddrPort(c.Admin)
		if err != nil || !at.Addr().IsLoopback() {
			return fmt.Errorf("http.admin %q: profiles are served without a key, so write it as a loopback ADDRESS:PORT, like 127.0.0.1:6060", c.Admin)
		}
	}
	if err := c.TLS.validate(); err != nil {
		return err
	}
	switch {
	case c.Heartbeat < 10*time.Millisecond:
		return errors.New("http.heartbeat is too short: use at least 10ms, like 20s")
	case c.Grace < 0:
		return errors.New("http.grace is negative: use a duration like 5s")
	case c.MaxBatch < 1 || c.Credit < 1 || c.Connections < 1:
		return errors.New("http.max_batch, http.credit and http.connections must be at least 1")
	case c.MaxBytes < 1024:
		return errors.New("http.max_bytes is too small for an event: use at least 1024")
	}
	return nil
}
