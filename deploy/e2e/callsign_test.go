// Package e2e runs one binary of Callsign, built once, against peers that are not ours, as its users would.
package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

const (
	alice = callsign.MSISDN(8613800000001)
	bob   = callsign.MSISDN(8613900000002)
)

var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "callsign-e2e-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "callsign")
		build := exec.Command("go", "build", "-o", binary, "github.com/callsign-as/callsign/cmd/callsign")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "go build: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// node is a running callsign serve with the SMSC that it sends to.
type node struct {
	t            *testing.T
	host, config string
	sip, http    string
	admin        string
	smsc         *smsc.Server
	texts        *atomic.Int64 // that handsets were shown; the SMSC remembers the last ones only
	stopSMSC     func()
	process      *peer.Process
}

// serve starts a node; change may edit its configuration (YAML text).
func serve(t *testing.T, change func(string) string) *node {
	t.Helper()
	host, dir := peer.Host(), t.TempDir()
	n := &node{t: t, texts: &atomic.Int64{}, host: host, sip: host + ":5060", http: host + ":8080", config: filepath.Join(dir, "callsign.yaml")}
	n.smsc, n.stopSMSC = startSMSC(t, host+":2775", func(smsc.Message) { n.texts.Add(1) })
	config := fmt.Sprintf(`sip: { listen: [udp://%[1]s:5060] }
show: { caller_ranges: ["+86138"] }
smpp: { links: [ { name: a, address: "%[1]s:2775", system_id: x, password: y, channel: flash } ] }
store: { url: "sqlite://%[2]s/callsign.db" }
http: { listen: "%[1]s:8080" }
state: { dir: "%[2]s" }
`, host, dir)
	if change != nil {
		config = change(config)
	}
	if err := os.WriteFile(n.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	n.start()
	n.until("the store to open", func() bool { return strings.Contains(n.process.Output(), "database is open") })
	n.admin = strings.TrimSpace(n.command("key", "create", "--role", "admin", "-c", n.config))
	n.do(http.MethodPut, "/v1/subscribers/"+bob.E164(), `{"name":"Bob"}`, nil)
	return n
}

func startSMSC(t *testing.T, address string, shown func(smsc.Message)) (*smsc.Server, func()) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	s := smsc.New(smsc.Options{SystemID: "x", Password: "y", OnMessage: shown})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, l) }()
	stopped := false
	stop := func() {
		if !stopped {
			stopped = true
			cancel()
			<-done
		}
	}
	t.Cleanup(stop)
	return s, stop
}

// start starts the daemon (again) and waits until it serves.
func (n *node) start() {
	n.t.Helper()
	n.process = peer.Start(n.t, binary, nil, "serve", "-c", n.config)
	n.until("the node to serve", func() bool { return n.get("/healthz") == http.StatusOK })
}

func (n *node) until(what string, so func() bool) {
	n.t.Helper()
	peer.Until(n.t, what, so)
}

func (n *node) ready() {
	n.t.Helper()
	n.until("the node to be ready", func() bool { return n.get("/readyz") == http.StatusOK })
}

func (n *node) get(path string) int {
	res, err := http.Get("http://" + n.http + path)
	if err != nil {
		return 0
	}
	_ = res.Body.Close()
	return res.StatusCode
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

// command runs a command of the binary and returns what it printed.
func (n *node) command(args ...string) string {
	n.t.Helper()
	cmd := exec.CommandContext(n.t.Context(), binary, args...)
	cmd.Dir = n.t.TempDir()
	cmd.Env = append(os.Environ(), "CALLSIGN_SERVER=http://"+n.http, "CALLSIGN_KEY="+n.admin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		n.t.Fatalf("callsign %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return string(out)
}

// says sets the subscriber's text.
func (n *node) says(text string) {
	n.t.Helper()
	n.command("signature", "put", bob.E164(), text)
}

// timeline is the kinds and reasons of the newest call's events, once it has the one that is waited for.
func (n *node) timeline(until string) []string {
	n.t.Helper()
	var lines []string
	n.until("the timeline to say "+until, func() bool {
		var list struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
		}
		n.do(http.MethodGet, "/v1/calls?callee="+url.QueryEscape(bob.E164()), "", &list)
		lines = nil
		if len(list.Items) == 0 {
			return false
		}
		var call struct {
			Events []struct{ Kind, Reason string } `json:"events"`
		}
		n.do(http.MethodGet, "/v1/calls/"+list.Items[0].ID, "", &call)
		found := false
		for _, e := range call.Events {
			line := strings.TrimSuffix(e.Kind+": "+e.Reason, ": ")
			lines = append(lines, line)
			found = found || line == until
		}
		return found
	})
	return lines
}

// phones is a pair of SIPp instances: a caller who calls through the node, a callee behind it.
type phones struct {
	n        *node
	uac, uas *peer.Process
	logs     string
}

type scene struct {
	uac, uas string // scenario files without .xml
	joined   bool   // both Routes in one header line
	header   string // one more, where they are
	caller   callsign.MSISDN
	pause    time.Duration // how long the callee rings
}

func (n *node) call(s scene) *phones {
	n.t.Helper()
	sipp := peer.SIPp(n.t)
	if s.uac == "" {
		s.uac = "uac"
	}
	if s.uas == "" {
		s.uas = "uas"
	}
	if s.caller == 0 {
		s.caller = alice
	}
	if s.pause == 0 {
		s.pause = 300 * time.Millisecond
	}
	dir, err := filepath.Abs("../sipp")
	if err != nil {
		n.t.Fatal(err)
	}
	p := &phones{n: n, logs: n.t.TempDir()}
	behind, before := peer.UDPPort(n.t, n.host), peer.UDPPort(n.t, n.host)
	common := []string{"-i", n.host, "-m", "1", "-nostdin", "-trace_msg", "-timeout", "40", "-timeout_error"}
	p.uas = peer.Start(n.t, sipp, nil, append([]string{
		"-sf", filepath.Join(dir, s.uas+".xml"), "-p", fmt.Sprint(behind),
		"-d", fmt.Sprint(s.pause.Milliseconds()), "-key", "peer_host", n.host, "-key", "peer_port", fmt.Sprint(before), "-message_file", filepath.Join(p.logs, "uas"),
	}, common...)...)
	n.listens(behind)
	route1, route2 := "<sip:as@"+n.sip+";lr>", fmt.Sprintf("<sip:iscmark@%s:%d;lr;s=1;h=0;d=1;a=7369703a>", n.host, behind)
	if s.joined {
		route1, route2 = route1+", "+route2, cmp.Or(s.header, "X-None: 1")
	} else {
		route2 = "Route: " + route2
	}
	p.uac = peer.Start(n.t, sipp, nil, append([]string{
		"-sf", filepath.Join(dir, s.uac+".xml"), n.sip, "-s", bob.E164(), "-p", fmt.Sprint(before),
		"-key", "caller", s.caller.E164(), "-key", "route1", route1, "-key", "route2", route2,
		"-key", "next_host", n.host, "-key", "next_port", fmt.Sprint(behind), "-message_file", filepath.Join(p.logs, "uac"),
	}, common...)...)
	return p
}

// listens waits until a phone has its port. Whether it is in use stands in the kernel's table: to try it would take it from the
// phone, which then gives up.
func (n *node) listens(port int) {
	n.t.Helper()
	ip := netip.MustParseAddr(n.host).As4()
	slices.Reverse(ip[:])
	socket := fmt.Appendf(nil, " %X:%04X ", ip, port)
	n.until("SIPp to listen", func() bool {
		sockets, err := os.ReadFile("/proc/net/udp")
		return err == nil && bytes.Contains(sockets, socket)
	})
}

// complete waits until both phones have seen their whole scenario.
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

// message is one line of SIPp's message log.
type message struct {
	at   time.Time
	sent bool
	text string
}

// log reads what a phone sent and received.
func (p *phones) log(who string) (all []message) {
	p.n.t.Helper()
	b, err := os.ReadFile(filepath.Join(p.logs, who))
	if err != nil {
		p.n.t.Fatal(err)
	}
	rest := string(b)
	for {
		_, after, ok := strings.Cut(rest, "----------------------------------------------- ")
		if !ok {
			return all
		}
		stamp, after, _ := strings.Cut(after, "\n")
		head, after, _ := strings.Cut(after, "\n\n")
		var m message
		var size int
		m.sent = strings.Contains(head, "sent")
		if i := strings.IndexAny(head, "[("); i >= 0 {
			_, _ = fmt.Sscanf(head[i+1:], "%d", &size)
		}
		if m.at, err = time.ParseInLocation("2006-01-02 15:04:05.000000", strings.TrimSpace(stamp)[:26], time.Local); err != nil {
			p.n.t.Fatalf("SIPp's log: %v", err)
		}
		if size == 0 || size > len(after) {
			p.n.t.Fatalf("SIPp's log: a message of %d bytes in %q", size, head)
		}
		m.text, rest = after[:size], after[size:]
		all = append(all, m)
	}
}

// first is the first message that begins so.
func first(t *testing.T, all []message, sent bool, begins string) message {
	t.Helper()
	for _, m := range all {
		if m.sent == sent && strings.HasPrefix(m.text, begins) {
			return m
		}
	}
	t.Fatalf("no message begins with %q", begins)
	return message{}
}
