package browser_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
)

const (
	alice = callsign.MSISDN(8613800000001)
	bob   = callsign.MSISDN(8613900000002)
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "callsign-browser-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "callsign")
		build := exec.Command("go", "build", "-o", binary, "./cmd/callsign")
		build.Dir = "../../.."
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// node is a callsign serve with an SMSC, a USSD gateway and one subscriber.
type node struct {
	t                         *testing.T
	host, http, config, admin string
}

func serve(t *testing.T) *node {
	t.Helper()
	host, dir := peer.Host(), t.TempDir()
	n := &node{t: t, host: host, http: host + ":8080", config: filepath.Join(dir, "callsign.yaml")}
	peer.Start(t, binary, nil, "smsc", "--listen", host+":2775", "--http", host+":8775", "--account", "x:y")
	config := fmt.Sprintf(`sip: { listen: [udp://%[1]s:5060] }
show: { caller_ranges: ["+86138"] }
smpp:
  links:
    - { name: a, address: "%[1]s:2775", system_id: x, password: y, channel: flash }
    - { name: gw, address: "%[1]s:2775", system_id: x, password: y, channel: ussd }
store: { url: "sqlite://%[2]s/callsign.db" }
http: { listen: "%[1]s:8080", test_calls: true }
sync: { moderation: { hold_words: "%[2]s/words" } }
state: { dir: "%[2]s" }
`, host, dir)
	for name, text := range map[string]string{"callsign.yaml": config, "words": "lottery\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	process := peer.Start(t, binary, nil, "serve", "-c", n.config)
	peer.Until(t, "the store to open", func() bool { return strings.Contains(process.Output(), "database is open") })
	n.admin = strings.TrimSpace(n.command("key", "create", "--role", "admin", "-c", n.config))
	peer.Until(t, "the node to be ready", func() bool {
		res, err := http.Get("http://" + n.http + "/readyz")
		if err != nil {
			return false
		}
		_ = res.Body.Close()
		return res.StatusCode == http.StatusOK
	})
	n.do(http.MethodPut, "/v1/subscribers/"+bob.E164(), `{"name":"Li Na"}`, nil)
	return n
}

func (n *node) command(args ...string) string {
	n.t.Helper()
	cmd := exec.CommandContext(n.t.Context(), binary, args...)
	cmd.Env = append(os.Environ(), "CALLSIGN_SERVER=http://"+n.http, "CALLSIGN_KEY="+n.admin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		n.t.Fatalf("callsign %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// do asks the API as the administrator.
func (n *node) do(method, path, in string, out any) {
	n.t.Helper()
	req, err := http.NewRequestWithContext(n.t.Context(), method, "http://"+n.http+path, strings.NewReader(in))
	if err != nil {
		n.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+n.admin)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	b, _ := io.ReadAll(res.Body)
	if res.StatusCode >= 300 {
		n.t.Fatalf("%s %s: %s\n%s", method, path, res.Status, b)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			n.t.Fatalf("%s %s: %v\n%s", method, path, err, b)
		}
	}
}

// says sets the subscriber's text.
func (n *node) says(text string) {
	n.t.Helper()
	body, _ := json.Marshal(map[string]string{"text": text})
	n.do(http.MethodPut, "/v1/subscribers/"+bob.E164()+"/signature", string(body), nil)
}

// shownTo is what a call of caller would show.
func (n *node) shownTo(caller callsign.MSISDN) string {
	n.t.Helper()
	var out struct{ Text string }
	n.do(http.MethodPost, "/v1/whatif", `{"caller":"`+caller.E164()+`","callee":"`+bob.E164()+`"}`, &out)
	return out.Text
}

// phones is a SIPp that calls and one that is called.
type phones struct {
	n        *node
	uac, uas *peer.Process
}

// call has the callee's phone ring for so long.
func (n *node) call(ring time.Duration) *phones {
	n.t.Helper()
	sipp := peer.SIPp(n.t)
	dir, err := filepath.Abs("../../sipp")
	if err != nil {
		n.t.Fatal(err)
	}
	behind, before := fmt.Sprint(peer.UDPPort(n.t, n.host)), fmt.Sprint(peer.UDPPort(n.t, n.host))
	common := []string{"-i", n.host, "-m", "1", "-nostdin", "-timeout", "40", "-timeout_error"}
	uas := peer.Start(n.t, sipp, nil, append([]string{
		"-sf", filepath.Join(dir, "uas.xml"), "-p", behind, "-d", fmt.Sprint(ring.Milliseconds()), "-key", "peer_host", n.host, "-key", "peer_port", before,
	}, common...)...)
	uac := peer.Start(n.t, sipp, nil, append([]string{
		"-sf", filepath.Join(dir, "uac.xml"), n.host + ":5060", "-s", bob.E164(), "-p", before, "-key", "caller", alice.E164(),
		"-key", "route1", "<sip:as@" + n.host + ":5060;lr>", "-key", "route2", "Route: <sip:iscmark@" + n.host + ":" + behind + ";lr>",
		"-key", "next_host", n.host, "-key", "next_port", behind,
	}, common...)...)
	return &phones{n, uac, uas}
}

// complete waits until both phones have seen their whole scenario. An INVITE that came before the callee's phone listened is sent again.
func (p *phones) complete() {
	p.n.t.Helper()
	ctx, cancel := context.WithTimeout(p.n.t.Context(), 45*time.Second)
	defer cancel()
	for who, process := range map[string]*peer.Process{"caller": p.uac, "callee": p.uas} {
		if err := process.Wait(ctx); err != nil {
			p.n.t.Fatalf("the %s's call did not complete: %v", who, err)
		}
	}
}
