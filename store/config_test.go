package store

import (
	"strings"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	for url, want := range map[string]struct{ path, err string }{
		DefaultConfig().URL:                 {path: "callsign.db"},
		"sqlite:///var/lib/callsign/x.db":   {path: "/var/lib/callsign/x.db"},
		"sqlite://./data/100% mine.db":      {path: "./data/100% mine.db"},
		"":                                  {err: "use sqlite://"},
		"callsign.db":                       {err: "use sqlite://"},
		"sqlite://":                         {err: "names no file"},
		"sqlite:///var/lib/":                {err: "names no file"},
		"sqlite://x.db?mode=ro":             {err: "no parameters"},
		"postgres:///callsign?host=/run/pg": {path: "postgres:///callsign?host=/run/pg"}, // a socket's directory
		"postgres://u:secret@db":            {err: "HOST:PORT/DATABASE"},
		"postgresql://u:secret@/callsign":   {err: "HOST:PORT/DATABASE"},
		"postgres://u:secret%@db/callsign":  {err: "as %XX"},
		"mysql://u:secret@db/x":             {err: "no engine"},
	} {
		c := DefaultConfig()
		c.URL = url
		err := c.Validate()
		switch {
		case want.err == "" && (err != nil || c.Path() != want.path):
			t.Errorf("%q: path %q, %v, want %q", url, c.Path(), err, want.path)
		case want.err != "" && (err == nil || !strings.Contains(err.Error(), want.err) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%q: error %v, want one that says %q", url, err, want.err)
		}
	}
	if err := (&Config{URL: "sqlite://x.db", KeepCalls: time.Minute}).Validate(); err == nil || !strings.Contains(err.Error(), "use 1h") {
		t.Errorf("timelines for a minute: %v, want the bounds", err)
	}
	c := DefaultConfig()
	for _, c.KeepWire = range []int{-1, 4097} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "use 0 to 4096") {
			t.Errorf("%d octets of a message: %v, want the bounds", c.KeepWire, err)
		}
	}
}

func TestMemoryHasBounds(t *testing.T) {
	c := DefaultConfig()
	for _, c.Memory = range []int{-1, 0, 65537} {
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "use 1 to 65536, in MiB") {
			t.Errorf("%d MiB: %v, want the bounds", c.Memory, err)
		}
	}
}

func TestAURLIsShownWithoutItsPassword(t *testing.T) {
	for url, want := range map[string]string{
		"sqlite://x.db":                        "sqlite://x.db",
		"postgres://u:secret@db:5432/callsign": "postgres://u:xxxxx@db:5432/callsign",
	} {
		c := DefaultConfig()
		c.URL = url
		if err := c.Validate(); err != nil || c.Redacted() != want {
			t.Errorf("%s is shown as %s, %v, want %s", url, c.Redacted(), err, want)
		}
	}
}
