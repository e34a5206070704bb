package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sipas"
	"github.com/callsign-as/callsign/sipas/phone"
)

// command runs a command line as its user would and returns its exit code and what it printed.
func command(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	code = run(surroundings{t.Context(), &out, &err, environ}, args)
	return code, out.String(), err.String()
}

func TestTheDemoShowsThePhone(t *testing.T) {
	code, out, stderr := command(t, nil, "demo", "--once", "--ring", "300ms")
	if code != exitOK {
		t.Fatalf("exit %d: %s\n%s", code, stderr, out)
	}
	for _, want := range []string{"Li Na", `answers "stored"`, "180 Ringing", "Flash SMS", "在高铁上，信号不好 🚄"} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
}

// daemonFor starts a node on free ports.
func daemonFor(t *testing.T, change func(*Config, *daemon)) *daemon {
	t.Helper()
	dir := t.TempDir()
	c := defaultConfig()
	c.SIP.Listen, c.HTTP.Listen = []string{"udp://127.0.0.1:0"}, "127.0.0.1:0"
	c.Store.URL, c.State.Dir = "sqlite://"+filepath.Join(dir, "callsign.db"), dir
	c.Show.CallerRanges = []string{"any"}
	if change != nil {
		change(&c, nil)
	}
	d, err := newDaemon(&c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&c, d)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v", err)
		}
	})
	return d
}

// placed places a call through d and returns the answers that the caller got.
func placed(t *testing.T, d *daemon) (answers []int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	any := netip.MustParseAddrPort("127.0.0.1:0")
	caller, err := phone.Listen(any, 0)
	if err != nil {
		t.Fatal(err)
	}
	callee, err := phone.Listen(any, 100*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	phones := start(ctx, caller.Run, callee.Run)
	err = caller.Place(ctx, phone.Call{From: demoCaller, To: demoSubscriber, Route: []netip.AddrPort{d.relay.Addrs()[0], callee.Addr()}, Status: func(status int, _ string) {
		answers = append(answers, status)
	}})
	if err != nil {
		t.Errorf("the call: %v", err)
	}
	if err := phones.stop(); err != nil {
		t.Error(err)
	}
	return answers
}

// panicking is a room that is wrong.
type panicking struct{ sipas.Profiles }

func (panicking) Peek(callsign.MSISDN) (callsign.Profile, bool, bool) { panic("a bug") }

func TestTheCallIsTheSameWhateverHappensInside(t *testing.T) {
	for name, change := range map[string]func(*Config, *daemon){
		"nothing happens": nil,
		"the store can't be opened": func(c *Config, d *daemon) {
			if d == nil {
				c.Store.URL = "sqlite:///nowhere/callsign.db"
			}
		},
		"the store is closed underneath": func(_ *Config, d *daemon) {
			if d != nil {
				if err := d.engine.Open(context.Background()); err != nil {
					panic(err)
				}
				_ = d.engine.Close()
			}
		},
		"a worker panics at every call": func(c *Config, d *daemon) {
			if d != nil {
				var err error
				d.workers, err = sipas.New(sipas.Options{Config: c.Show, Profiles: panicking{}, Claims: noClaims{}, Bridge: d.bridge, Recorder: d.journal})
				if err != nil {
					panic(err)
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := daemonFor(t, change)
			for range 3 {
				if got := fmt.Sprint(placed(t, d)); !strings.HasSuffix(got, "180 200]") {
					t.Errorf("the caller got %s, want 180 and 200", got)
				}
			}
		})
	}
}

type noClaims struct{}

func (noClaims) Claim(context.Context, callsign.Delivery) (string, error) { return "", nil }
func (noClaims) Settle(context.Context, callsign.Delivery, callsign.Outcome) error {
	return nil
}

func TestAPartWithoutConfigurationIsOff(t *testing.T) {
	t.Run("a node with the API alone is ready", func(t *testing.T) {
		d := daemonFor(t, func(c *Config, _ *daemon) {
			c.SIP.Listen, c.Show.CallerRanges, c.Keywords.Links = nil, nil, []string{"a link of the call nodes"}
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		})
		waitFor(t, func() bool { return len(d.problems()) == 0 })
	})
	t.Run("a node without the API takes calls", func(t *testing.T) {
		d := daemonFor(t, func(c *Config, _ *daemon) {
			c.HTTP.Listen = ""
			if err := c.Validate(); err != nil {
				t.Error(err)
			}
		})
		if got := fmt.Sprint(placed(t, d)); !strings.HasSuffix(got, "180 200]") {
			t.Errorf("the caller got %s, want 180 and 200", got)
		}
	})
}

func TestReadinessSaysWhatToSet(t *testing.T) {
	d := daemonFor(t, func(c *Config, d *daemon) {
		c.Show.CallerRanges = nil
		if d == nil {
			c.Store.URL = "sqlite:///nowhere/callsign.db"
		}
	})
	waitFor(t, func() bool { return (*d.opening.Load()).Error() != "it is not open yet" })
	var parts []string
	for _, p := range d.problems() {
		parts = append(parts, p.Part)
		if p.Problem == "" || p.Do == "" {
			t.Errorf("%s says %q, to do: %q", p.Part, p.Problem, p.Do)
		}
	}
	if got := strings.Join(parts, " "); got != "show.caller_ranges smpp.links store" {
		t.Errorf("got problems of %s", got)
	}
	res, err := http.Get("http://" + d.listener.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz answers %s", res.Status)
	}
}

func waitFor(t *testing.T, so func() bool) {
	t.Helper()
	if err := wait(t.Context(), "a condition", func() (bool, error) { return so(), nil }); err != nil {
		t.Fatal(err)
	}
}

func TestCommandsSpeakToARunningNode(t *testing.T) {
	d := daemonFor(t, nil)
	waitFor(t, func() bool { return d.opening.Load() == nil })
	config := write(t, "store: { url: \""+d.config.Store.URL+"\" }\n")
	code, key, stderr := command(t, nil, "key", "create", "--role", "admin", "-c", config)
	if code != exitOK || !strings.HasPrefix(key, "cs_") || strings.Count(key, "\n") != 1 {
		t.Fatalf("key create: exit %d, printed %q %q; want the key alone", code, key, stderr)
	}
	flags := []string{"--server", "http://" + d.listener.Addr().String(), "--key", strings.TrimSpace(key)}
	texts := filepath.Join(t.TempDir(), "texts.csv")
	if err := os.WriteFile(texts, []byte("msisdn,text\n+8613900000002,Back at six\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"a subscriber is made", []string{"subscriber", "put", "+8613900000002", "--name", "Li Na"}, exitOK, "Li Na"},
		{"an account with a slash is linked", []string{"account", "put", "+8613900000002", "xmpp", "li@na.test/home"}, exitOK, "li@na.test/home"},
		{"a call to who has no text says so", []string{"call", "+8613800000001", "+8613900000002", "--ring", "100ms", "--sip", d.relay.Addrs()[0].String()}, exitOK, "nothing to show: callsign signature put"},
		{"a call to nobody's number says so", []string{"call", "+8613800000001", "+8613900000003", "--ring", "100ms", "--sip", d.relay.Addrs()[0].String()}, exitOK, "no subscriber: callsign subscriber put"},
		{"a text is set", []string{"signature", "put", "+8613900000002", "Back at six"}, exitOK, "stored"},
		{"it stands there", []string{"signature", "get", "+8613900000002"}, exitOK, "Back at six"},
		{"as JSON", []string{"subscriber", "get", "+8613900000002", "--json"}, exitOK, `"name": "Li Na"`},
		{"in the list", []string{"subscriber", "list"}, exitOK, "+8613900000002"},
		{"a call would show it", []string{"call", "+8613800000001", "+8613900000002", "--dry"}, exitOK, "Back at six"},
		{"or one whose caller withholds the number", []string{"call", "+8613800000001", "+8613900000002", "--dry", "--private"}, exitOK, "Back at six"},
		{"which a test call can't", []string{"call", "+8613800000001", "+8613900000002", "--private"}, exitUsage, "use --dry"},
		{"and over which access its caller comes", []string{"call", "+8613800000001", "+8613900000002", "--dry"}, exitOK, "the caller's access: unknown"},
		{"a call without a link says why not", []string{"call", "+8613800000001", "+8613900000002", "--ring", "100ms", "--sip", d.relay.Addrs()[0].String()}, exitOK, "was shown nothing"},
		{"the text is cleared", []string{"signature", "remove", "+8613900000002"}, exitOK, "stored"},
		{"and a call would show none", []string{"call", "+8613800000001", "+8613900000002", "--dry"}, exitOK, "no_text"},
		{"texts come from a file", []string{"signature", "import", texts}, exitOK, "1 "},
		{"and accounts", []string{"account", "import", texts}, exitOK, "1 "},
		{"the account is unlinked", []string{"account", "remove", "+8613900000002", "xmpp", "li@na.test/home"}, exitOK, "removed"},
		{"twice is an error", []string{"account", "remove", "+8613900000002", "xmpp", "li@na.test/home"}, exitFailed, "404"},
		{"a source's key", []string{"key", "create", "--role", "source", "--network", "qq", "--expires-in", "1h"}, exitOK, "cs_"},
		{"a key that ended before it began", []string{"key", "create", "--role", "admin", "--expires-in=-1h"}, exitUsage, "at least 1s"},
		{"a key for less than a second", []string{"key", "create", "--role", "admin", "--expires-in", "900ms"}, exitUsage, "at least 1s"},
		{"a key for another tenant", []string{"key", "create", "--role", "admin", "--tenant", "acme"}, exitUsage, "-c only"},
		{"a source's key in the store, of a network that is none", []string{"key", "create", "--role", "source", "--network", "QQ", "-c", config}, exitUsage, "small letters"},
		{"a source's key in the store, for texts set by hand", []string{"key", "create", "--role", "source", "--network", "manual", "-c", config}, exitUsage, "set by hand"},
		{"an admin's key in the store, with a network", []string{"key", "create", "--role", "admin", "--network", "qq", "-c", config}, exitUsage, "source's key"},
		{"a text that is not UTF-8", []string{"signature", "put", "+8613900000002", "\xd4\xda\xb8\xdf"}, exitUsage, "not UTF-8"},
		{"a source's key without a network", []string{"key", "create", "--role", "source"}, exitFailed, "network"},
		{"the keys", []string{"key", "list"}, exitOK, "source"},
		{"a key by certificate", []string{"key", "create", "--role", "operator", "--certificate", config}, exitFailed, "-----BEGIN CERTIFICATE-----"},
		{"a certificate that is no file", []string{"key", "create", "--role", "operator", "--certificate", "/nowhere.pem"}, exitUsage, "no such file"},
		{"a certificate in the store", []string{"key", "create", "--role", "operator", "--certificate", config, "-c", config}, exitUsage, "leave out -c"},
		{"nobody's key takes over", []string{"key", "rotate", "none"}, exitFailed, "404"},
		{"a key ends before it takes over", []string{"key", "rotate", "none", "--overlap=-1s"}, exitUsage, "0 or more"},
		{"no source is there to ask", []string{"account", "resync", "qq"}, exitFailed, "no source of qq"},
		{"who asked for what", []string{"audit"}, exitOK, "PUT /v1/subscribers/{msisdn}/signature"},
		{"and on the machine itself", []string{"audit"}, exitOK, "callsign key create -c"},
		{"no number", []string{"subscriber", "put", "0138"}, exitFailed, "E.164"},
		{"what is kept of her", []string{"subscriber", "data", "+8613900000002"}, exitOK, "\"text\": \"Back at six\""},
		{"what is kept of a caller", []string{"subscriber", "data", "+8613800000001"}, exitOK, "\"callee\": \"+8613900000002\""},
		{"the caller is erased", []string{"subscriber", "erase", "+8613800000001"}, exitOK, "+8613800000001 is erased, also from 1 calls"},
		{"once", []string{"subscriber", "erase", "+8613800000001"}, exitFailed, "404"},
		{"the subscriber is removed", []string{"subscriber", "remove", "+8613900000002"}, exitOK, "removed"},
		{"an unknown command", []string{"subscribe"}, exitUsage, "--help"},
		{"a number that is none", []string{"call", "x", "+86139"}, exitUsage, "E.164"},
	} {
		t.Run(step.name, func(t *testing.T) {
			args := step.args
			if args[0] != "subscribe" {
				args = append(args, flags...)
			}
			code, out, stderr := command(t, nil, args...)
			if code != step.code || !strings.Contains(out+stderr, step.want) {
				t.Errorf("exit %d, printed %q %q; want exit %d and %q", code, out, stderr, step.code, step.want)
			}
		})
	}
}

func TestCommandsSayWhatIsWrong(t *testing.T) {
	taken, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	inUse := write(t, fmt.Sprintf("sip: { listen: [\"udp://%s\"] }\nhttp: { listen: \"127.0.0.1:0\" }\nstate: { dir: %q }\n", taken.LocalAddr(), dir))
	unknown := write(t, "sip: { lisen: [] }\n")
	fine := write(t, "log: { level: debug }\n")
	noDatabase := write(t, fmt.Sprintf("store: { url: \"sqlite://%s\" }\n", unknown))
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an address in use":           {[]string{"serve", "-c", inUse}, exitFailed, "change sip.listen"},
		"a file that can't be read":   {[]string{"serve", "-c", "/nowhere.yaml"}, exitUsage, "no such file"},
		"an unknown key":              {[]string{"config", "--check", unknown}, exitUsage, "line 1: unknown key \"lisen\""},
		"texts that would never go":   {[]string{"config", "--check", fine}, exitOK, "show.caller_ranges"},
		"no API key":                  {[]string{"subscriber", "list"}, exitUsage, "CALLSIGN_KEY"},
		"nobody answers":              {[]string{"subscriber", "list", "--key", "cs_x", "--server", "http://127.0.0.1:1"}, exitFailed, "is callsign serve running"},
		"a store that is no database": {[]string{"migrate", "-c", noDatabase}, exitFailed, "no SQLite database"},
		"an SMSC's address in use":    {[]string{"smsc", "--listen", "127.0.0.1:-1"}, exitFailed, "--listen"},
		"an SMSC's account":           {[]string{"smsc", "--account", "x"}, exitUsage, "write it like ID:PASSWORD"},
		"an SMSC's behaviour":         {[]string{"smsc", "--behaviour", unknown}, exitUsage, "GET /behaviour shows all keys"},
		"the default configuration":   {[]string{"config"}, exitOK, "caller_ranges: []"},
		"filter criteria":             {[]string{"ifc", "--server", "sip:as.test"}, exitOK, "<ServerName>sip:as.test</ServerName>"},
		"no filter criteria":          {[]string{"ifc", "--lint", unknown}, exitFailed, "no InitialFilterCriteria"},
		"the version":                 {[]string{"version"}, exitOK, "callsign"},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, stderr := command(t, nil, c.args...)
			if code != c.code || !strings.Contains(out+stderr, c.want) {
				t.Errorf("exit %d, printed %q %q; want exit %d and %q", code, out, stderr, c.code, c.want)
			}
		})
	}
}
