package redis

// Config is the section "cache".
type Config struct {
	URL string `yaml:"url" secret:"true" doc:"a Redis that the nodes share, for who was shown what (caps, show.repeat): redis://USER:PASSWORD@HOST:PORT/DB, rediss://…, redis+cluster://HOST:PORT,HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT/MASTER; empty: each node's own memory"`
}

// Validate reports a URL that New would refuse.
func (c *Config) Validate() error {
	if c.URL == "" {
		return nil
	}
	_, err := universal(c.URL)
	return err
}
