package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "callsign.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestThePrintedConfigurationIsTheDefault(t *testing.T) {
	var out bytes.Buffer
	if err := printConfig(&out, defaultConfig()); err != nil {
		t.Fatal(err)
	}
	got, err := loadConfig(write(t, out.String()), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	var again bytes.Buffer
	if err := printConfig(&again, got); err != nil || again.String() != out.String() {
		t.Errorf("read back it prints\n%s\nwant\n%s", again.String(), out.String())
	}
	for key := range strings.Lines(out.String()) {
		if name, _, ok := strings.Cut(strings.TrimLeft(key, "# "), ":"); ok && !strings.Contains(name, " ") && !strings.Contains(out.String(), name) {
			t.Errorf("%s is not documented", name)
		}
	}
}

func TestEveryKeyIsDocumented(t *testing.T) {
	c := defaultConfig()
	err := eachKey(reflect.ValueOf(&c).Elem(), nil, func(path []string, f reflect.StructField, _ reflect.Value) error {
		if f.Tag.Get("doc") == "" {
			t.Errorf("%s has no doc tag", strings.Join(path, "."))
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAConfigurationThatCannotBeUsedSaysWhatToDo(t *testing.T) {
	for name, c := range map[string]struct {
		file    string
		environ []string
		want    []string
	}{
		"an unknown key":           {"sip:\n  listen: [udp://127.0.0.1:5060]\n  lisen: x\n", nil, []string{"line 3", `unknown key "lisen"`, "callsign config"}},
		"an unknown section":       {"\nsipp: {}\n", nil, []string{"line 2", `unknown key "sipp"`}},
		"an unknown key of a link": {"smpp:\n  links:\n  - name: a\n    adress: x\n", nil, []string{"line 4", `unknown key "adress"`}},
		"a wrong type":             {"show:\n  window: soon\n", nil, []string{"line 2", "soon"}},
		"no YAML":                  {"sip: [\n", nil, []string{"line"}},
		"a range":                  {"show: { caller_ranges: [x] }\n", nil, []string{"show.caller_ranges[0]", "use a prefix"}},
		"PostgreSQL":               {"store: { url: postgres://u:secret@h }\n", nil, []string{"store.url", "HOST:PORT/DATABASE"}},
		"a cache":                  {"cache: { url: \"redis://u:secret@h/x\" }\n", nil, []string{"cache.url", "redis+cluster://"}},
		"a provider":               {"sync: { providers: [ { network: icq } ] }\n", nil, []string{"sync.providers", "connector"}},
		"a reviewer":               {"sync: { moderation: { reviewer: { url: here } } }\n", nil, []string{"sync.moderation.reviewer.url", "write it like"}},
		"a reviewer's absence":     {"sync: { moderation: { reviewer: { on_failure: ok } } }\n", nil, []string{"sync.moderation.reviewer.on_failure", "hold"}},
		"a reviewer's time-out":    {"sync: { moderation: { reviewer: { timeout: 1m } } }\n", nil, []string{"sync.moderation.reviewer.timeout", "5s"}},
		"a tenant's moderation":    {"sync: { moderation: { tenants: { acme: { requird: true } } } }\n", nil, []string{"line 1", "requird"}},
		"a log level":              {"log: { level: loud }\n", nil, []string{"log.level", "use debug"}},
		"TLS without certificate":  {"sip: { listen: [\"tls://127.0.0.1:5061\"] }\n", nil, []string{"sip.listen[0]", "sip.tls.cert"}},
		"nothing to serve":         {"sip: { listen: [] }\nhttp: { listen: \"\" }\n", nil, []string{"sip.listen and http.listen", "set one of them"}},
		"a handsets' link":         {"smpp: { links: [ { name: a, address: \"h:1\", system_id: x } ] }\nkeywords: { links: [b] }\n", nil, []string{"keywords.links", "as it stands there"}},
		"an HTTP address":          {"http: { listen: here }\n", nil, []string{"http.listen"}},
		"a link without address":   {"smpp: { links: [ { name: a, system_id: x } ] }\n", nil, []string{"smpp.links[0]"}},
		"an environment value":     {"", []string{"CALLSIGN_SHOW_WINDOW=soon"}, []string{"CALLSIGN_SHOW_WINDOW", "soon"}},
		"a secret's file":          {"", []string{"CALLSIGN_SIP_SECRET_FILE=/nowhere/secret"}, []string{"CALLSIGN_SIP_SECRET_FILE", "/nowhere/secret"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := loadConfig(write(t, c.file), c.environ)
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("got %v, want %q in it", err, want)
				}
			}
			if err != nil && (strings.Contains(err.Error(), "secret@") || strings.Contains(err.Error(), "main.")) {
				t.Errorf("got %v, which tells a password or a Go type", err)
			}
		})
	}
	if _, err := loadConfig("/nowhere/callsign.yaml", nil); err == nil || !strings.Contains(err.Error(), "callsign config prints") {
		t.Errorf("a file that isn't there: got %v", err)
	}
}

func TestTheEnvironmentSetsEveryKindOfKey(t *testing.T) {
	secret := write(t, "a secret from a file\n")
	c, err := loadConfig(write(t, "show: { window: 10s, caller_ranges: [\"+1\"] }\nsip: { secret: from the file itself }\n"), []string{
		"CALLSIGN_SHOW_WINDOW=20s", "CALLSIGN_SHOW_CALLER_RANGES=+8613, +8615", "CALLSIGN_SIP_LISTEN=udp://127.0.0.1:5070",
		"CALLSIGN_SIP_TRUST=127.0.0.0/8,192.0.2.0/24", "CALLSIGN_SIP_SECRET_FILE=" + secret, "CALLSIGN_SHOW_PER_SECOND=7",
		"CALLSIGN_SMPP_LINKS=[{name: a, address: '127.0.0.1:2775', system_id: x, password: y, channel: flash}]",
		"CALLSIGN_STORE_URL=sqlite://other.db", "CALLSIGN_SERVER=http://other", "CALLSIGN_KEY=cs_x",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Show.Window != 20*time.Second || strings.Join(c.Show.CallerRanges, " ") != "+8613 +8615" || c.SIP.Listen[0] != "udp://127.0.0.1:5070" ||
		len(c.SIP.Trust) != 2 || c.SIP.Secret != "a secret from a file" || c.Show.PerSecond != 7 || c.Store.Path() != "other.db" {
		t.Errorf("got %+v", c)
	}
	if len(c.SMPP.Links) != 1 || c.SMPP.Links[0].Address != "127.0.0.1:2775" || c.SMPP.Links[0].Window != 10 {
		t.Errorf("got the links %+v", c.SMPP.Links)
	}
}

func TestTheSIPSecretIsMadeOnceAndKept(t *testing.T) {
	c := defaultConfig()
	c.State.Dir = t.TempDir()
	first, err := sipSecret(&c)
	if err != nil || len(first) != 64 {
		t.Fatalf("got %q, %v", first, err)
	}
	if again, err := sipSecret(&c); again != first || err != nil {
		t.Errorf("the second time: got another, %v", err)
	}
	info, err := os.Stat(c.inStateDir("sip.secret"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("its file: %v, %v; want mode 0600", info.Mode(), err)
	}
	if err := os.WriteFile(c.inStateDir("sip.secret"), []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sipSecret(&c); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a broken file: got %v", err)
	}
	c.State.Dir = "/nowhere"
	if _, err := sipSecret(&c); err == nil || !strings.Contains(err.Error(), "set state.dir") {
		t.Errorf("no directory: got %v", err)
	}
}
