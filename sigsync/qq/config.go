package qq

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/callsign-as/callsign/sigsync"
)

// maxBots bounds the bots of one network.
const maxBots = 16

// Config is how the bots of one network are reached.
type Config struct {
	Mode   string         `yaml:"mode" doc:"http: the bot's API is called; ws: the bot's websocket is dialled; reverse: bots dial listen"`
	URLs   []string       `yaml:"urls" doc:"one for each bot, 16 at most, like http://127.0.0.1:3000 or ws://127.0.0.1:3001/api"`
	Listen string         `yaml:"listen" doc:"where bots dial in mode reverse, like 127.0.0.1:6700; it is plain websocket, so keep it on a network of your own or behind a proxy with TLS"`
	Token  sigsync.Secret `yaml:"token" doc:"the access token that the bots are configured with; mode reverse needs one"`

	Friends    bool          `yaml:"friends" doc:"read the texts of a bot's friends with one call where its list has them"`
	FriendsAge time.Duration `yaml:"friends_age" doc:"for how long a list is used before it is read again, 100ms to 10m"`
	PerCall    int           `yaml:"per_call" doc:"accounts of one read, 1 to 1000; more than 1 only where nearly all are friends of bots whose lists have texts: the others are asked for one by one"`
	PerSecond  float64       `yaml:"per_second" doc:"reads a second, 0.001 to 100; a node makes no more calls than that either"`
	Timeout    time.Duration `yaml:"timeout" doc:"of a call, 100ms to 30s"`
}

// DefaultConfig calls the bot's API.
func DefaultConfig() Config {
	return Config{Mode: "http", Friends: true, FriendsAge: 30 * time.Second, PerCall: 1, PerSecond: 5, Timeout: 10 * time.Second}
}

// Limits are what a Provider of c keeps to.
func (c *Config) Limits() sigsync.Limits {
	return sigsync.Limits{PerCall: c.PerCall, PerSecond: c.PerSecond}
}

// Validate reports the first thing that can't work.
func (c *Config) Validate() error {
	reverse := c.Mode == "reverse"
	switch {
	case c.Mode != "http" && c.Mode != "ws" && !reverse:
		return fmt.Errorf("mode %q: use http, ws or reverse", c.Mode)
	case !reverse && (len(c.URLs) == 0 || len(c.URLs) > maxBots):
		return fmt.Errorf("urls: name 1 to %d bots, like %s://127.0.0.1:3000", maxBots, c.Mode)
	case reverse == (c.Listen == "") || reverse && len(c.URLs) > 0:
		return errors.New("listen and urls: mode reverse needs listen, where the bots dial, and the others urls: leave the other one away")
	case reverse && c.Token == "":
		return errors.New("token: mode reverse needs one, or anybody could be the bot and say what people wrote")
	case c.PerCall < 1 || c.PerCall > 1000 || c.PerCall > 1 && !c.Friends:
		return errors.New("per_call: use 1 to 1000, and more than 1 with friends only")
	case !(c.PerSecond >= 0.001 && c.PerSecond <= 100):
		return errors.New("per_second: use 0.001 to 100")
	case min(c.FriendsAge, c.Timeout) < 100*time.Millisecond || c.FriendsAge > 10*time.Minute || c.Timeout > 30*time.Second:
		return errors.New("friends_age: use 100ms to 10m, and timeout: 100ms to 30s")
	}
	if host, _, err := net.SplitHostPort(c.Listen); reverse && (err != nil || host == "") {
		return fmt.Errorf("listen %q: write it like 127.0.0.1:6700", c.Listen)
	}
	for i, raw := range c.URLs {
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || u.Scheme != c.Mode && u.Scheme != c.Mode+"s" || u.User != nil || u.RawQuery != "" {
			return fmt.Errorf("urls: number %d: write it like %s://127.0.0.1:3000, without a user or a query: the secret belongs into token", i+1, c.Mode)
		}
	}
	return nil
}
