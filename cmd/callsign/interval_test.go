package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestANetworkIsReadWithinItsInterval(t *testing.T) {
	for said, want := range map[string]time.Duration{"": 5 * time.Minute, "interval: 10s": 10 * time.Second, "interval: 24h": 24 * time.Hour, "interval: 9s": 0, "interval: 25h": 0, "interval: often": 0} {
		file := t.TempDir() + "/c.yaml"
		text := "sync:\n  providers:\n    - network: im\n      connector: httpjson\n      url: http://127.0.0.1/{account}\n      text: /text\n      " + said + "\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := loadConfig(file, nil)
		if want == 0 {
			if err == nil || !strings.Contains(err.Error(), "line") {
				t.Errorf("%q: %v, want an error with its line", said, err)
			}
			continue
		}
		if err != nil || c.Sync.Providers[0].Interval != want {
			t.Errorf("%q: %v, want %v", said, err, want)
		}
	}
}
