package records

import (
	"fmt"
	"slices"
	"time"
)

// Config is the section records of the configuration.
type Config struct {
	Dir         string        `yaml:"dir" doc:"directory of this node's own for call records; empty: none are written"`
	Formats     []string      `yaml:"formats" doc:"csv, jsonl, or both"`
	RotateAfter time.Duration `yaml:"rotate_after" doc:"a file is closed, and may be fetched, so long after its first record; 1m to 24h"`
	RotateBytes int64         `yaml:"rotate_bytes" doc:"or once it has so many bytes; 65536 to 10 GB"`
	Wait        time.Duration `yaml:"wait" doc:"how long after its INVITE a call's record waits for the receipt; 10s to 1h"`
}

// DefaultConfig writes nothing: dir is empty.
func DefaultConfig() Config {
	return Config{Formats: []string{"csv"}, RotateAfter: time.Hour, RotateBytes: 64 << 20, Wait: 5 * time.Minute}
}

// Validate reports the first value that can't work.
func (c *Config) Validate() error {
	for i, f := range c.Formats {
		if encoders[f] == nil || slices.Contains(c.Formats[:i], f) {
			return fmt.Errorf("records.formats has %q: use csv, jsonl, or both", f)
		}
	}
	switch {
	case len(c.Formats) == 0:
		return fmt.Errorf("records.formats is empty: use csv, jsonl, or both; without records.dir none are written")
	case c.RotateAfter < time.Minute || c.RotateAfter > 24*time.Hour:
		return fmt.Errorf("records.rotate_after is %v: use 1m to 24h", c.RotateAfter)
	case c.RotateBytes < 64<<10 || c.RotateBytes > 10e9:
		return fmt.Errorf("records.rotate_bytes is %d: use 65536 to 10000000000", c.RotateBytes)
	case c.Wait < 10*time.Second || c.Wait > time.Hour:
		return fmt.Errorf("records.wait is %v: use 10s to 1h", c.Wait)
	}
	return nil
}
