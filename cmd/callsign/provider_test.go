package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/deploy/peer/qq"
)

func TestAnAccountIsReadNow(t *testing.T) {
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/10001":
			_, _ = io.WriteString(w, `{"status":"Back at  six\u202e http://a.test","v":7}`)
		case "/secret":
			w.WriteHeader(http.StatusForbidden)
		case "/odd":
			_, _ = io.WriteString(w, `[]`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(service.Close)
	provider := func(more string) string {
		return write(t, fmt.Sprintf("sync: { providers: [ { network: im, connector: httpjson, url: \"%s/{account}\", text: /status%s } ] }\n", service.URL, more))
	}
	versioned, timed, twice := provider(", version: /v"), provider(""), write(t, fmt.Sprintf(
		"sync: { providers: [ { network: im, connector: httpjson, url: \"%[1]s/{account}\", text: /a }, { network: im, connector: httpjson, url: \"%[1]s/{account}\", text: /b } ] }\n", service.URL))
	for sentence, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"what came back":               {[]string{"test", "im", "10001", "-c", versioned}, exitOK, `it says    "Back at  six\u202e http://a.test"`},
		"what it would become":         {[]string{"test", "im", "10001", "-c", versioned}, exitOK, `shows      "Back at six"`},
		"by what it is ordered":        {[]string{"test", "im", "10001", "-c", versioned}, exitOK, "by its version, 7"},
		"or by its time":               {[]string{"test", "im", "10001", "-c", timed}, exitOK, "by when it was said, 20"},
		"as JSON":                      {[]string{"test", "im", "10001", "-c", timed, "--json"}, exitOK, `"shown":"Back at six"`},
		"an account that isn't there":  {[]string{"test", "im", "10002", "-c", timed}, exitFailed, "see the spelling"},
		"credentials that are refused": {[]string{"test", "im", "secret", "-c", timed}, exitFailed, "see the token"},
		"an answer without a version":  {[]string{"test", "im", "odd", "-c", versioned}, exitFailed, "version /v is no whole number"},
		"a network that isn't there":   {[]string{"test", "qq", "10001", "-c", timed}, exitUsage, "callsign provider list -c FILE"},
		"the networks":                 {[]string{"list", "-c", timed}, exitOK, "im       httpjson   1                1"},
		"the connectors":               {[]string{"list"}, exitOK, "no network is configured: sync.providers names them\nconnectors: " + strings.Join(connectorNames(), ", ")},
		"the networks as JSON":         {[]string{"list", "-c", timed, "--json"}, exitOK, `],"networks":[{"network":"im","connector":"httpjson","per_call":1,"per_second":1}]}`},
		"an unknown key":               {[]string{"list", "-c", provider(", txt: /a")}, exitUsage, "txt"},
		"a value that can't be":        {[]string{"list", "-c", provider(", per_second: 0")}, exitUsage, "im: per_second: use 0.001 to 1000"},
		"a connector by its network":   {[]string{"list", "-c", write(t, "sync: { providers: [ { network: httpjson, url: 'http://x/{account}', text: /a } ] }\n")}, exitOK, "httpjson  httpjson"},
		"a network without connector":  {[]string{"list", "-c", write(t, "sync: { providers: [ { network: im } ] }\n")}, exitUsage, `connector "im" of im is not known`},
		"an unknown connector":         {[]string{"list", "-c", write(t, "sync: { providers: [ { network: im, connector: icq } ] }\n")}, exitUsage, `connector "icq" of im is not known`},
		"a secret that isn't there":    {[]string{"test", "im", "10001", "-c", provider(`, bearer: "file:/nowhere"`)}, exitUsage, "im: bearer: open /nowhere"},
		"which lists all the same":     {[]string{"list", "-c", provider(`, bearer: "file:/nowhere"`)}, exitOK, "httpjson"},
		"a network without a name":     {[]string{"list", "-c", write(t, "sync: { providers: [ { connector: httpjson } ] }\n")}, exitUsage, "small letters"},
		"a network twice":              {[]string{"list", "-c", twice}, exitUsage, "im is there twice"},
	} {
		code, out, stderr := command(t, nil, append([]string{"provider"}, c.args...)...)
		if code != c.code || !strings.Contains(out+stderr, c.want) {
			t.Errorf("%s: exit %d, printed %q %q; want exit %d and %q", sentence, code, out, stderr, c.code, c.want)
		}
	}
}

// A connector that is dialled reads nothing unless it runs, which the command sees to.
func TestProviderTestRunsAConnectorThatNeedsIt(t *testing.T) {
	bot := qq.New("20001", "s3cret")
	bot.Say(10001, "Back at six")
	listen := peer.Host() + ":6700"
	config := write(t, fmt.Sprintf("sync: { providers: [ { network: qq, connector: qq, mode: reverse, listen: %q, token: s3cret, timeout: 20s } ] }\n", listen))
	ctx, cancel := context.WithCancel(t.Context())
	var dialling sync.WaitGroup
	dialling.Go(func() {
		for ctx.Err() == nil {
			_ = bot.Dial(ctx, "ws://"+listen, nil)
			select {
			case <-time.After(10 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	})
	code, out, stderr := command(t, nil, "provider", "test", "qq", "10001", "-c", config)
	cancel()
	dialling.Wait()
	if code != exitOK || !strings.Contains(out, `shows      "Back at six"`) {
		t.Errorf("exit %d, printed %q %q", code, out, stderr)
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		t.Fatalf("the command left its listener: %v", err)
	}
	defer l.Close()
	began := time.Now()
	if code, out, stderr := command(t, nil, "provider", "test", "qq", "10001", "-c", config); code != exitFailed || !strings.Contains(stderr, "in use") || time.Since(began) > 10*time.Second {
		t.Errorf("where the address is taken: exit %d after %v, printed %q %q", code, time.Since(began), out, stderr)
	}
}
