package records

import (
	"strings"
	"testing"
	"time"
)

func TestAConfigurationThatCantWorkSaysWhatToWrite(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // "": it can be used
	}{
		"the default":          {func(*Config) {}, ""},
		"both formats":         {func(c *Config) { c.Formats = []string{"csv", "jsonl"} }, ""},
		"no format":            {func(c *Config) { c.Formats = nil }, "records.formats is empty: use csv"},
		"another format":       {func(c *Config) { c.Formats = []string{"xml"} }, `records.formats has "xml": use csv`},
		"a format twice":       {func(c *Config) { c.Formats = []string{"csv", "csv"} }, `records.formats has "csv": use csv`},
		"files of a second":    {func(c *Config) { c.RotateAfter = time.Second }, "records.rotate_after is 1s: use 1m"},
		"files of two days":    {func(c *Config) { c.RotateAfter = 48 * time.Hour }, "records.rotate_after is 48h0m0s: use 1m"},
		"files of no bytes":    {func(c *Config) { c.RotateBytes = 0 }, "records.rotate_bytes is 0: use 65536"},
		"no time for receipts": {func(c *Config) { c.Wait = 0 }, "records.wait is 0s: use 10s"},
		"a day for receipts":   {func(c *Config) { c.Wait = 24 * time.Hour }, "records.wait is 24h0m0s: use 10s"},
	} {
		t.Run(name, func(t *testing.T) {
			config := DefaultConfig()
			c.change(&config)
			err := config.Validate()
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if _, err := New(Options{Config: config}); err == nil {
				t.Error("without a directory it begins")
			}
		})
	}
}
