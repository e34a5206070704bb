package e2e_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

// pushClient is a client that is not ours: a script that knows the protocol from /asyncapi.json alone.
type pushClient struct {
	name    string
	command []string
	environ []string
}

func pushClients(t *testing.T) []pushClient {
	t.Helper()
	node, modules := peer.Node(t, "ws")
	return []pushClient{
		{"node", []string{node, beside(t, "push.mjs")}, []string{"NODE_PATH=" + modules}},
		{"python", []string{peer.Python(t), beside(t, "push.py")}, nil},
	}
}

func beside(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// with sets keys of the section http.
func with(section string) func(config string) string {
	return func(config string) string { return strings.Replace(config, `:8080" }`, `:8080", `+section+` }`, 1) }
}

// sourceKey makes a key of a source, and gives its id too.
func (n *node) sourceKey(more object) (key, id string) {
	n.t.Helper()
	in := object{"name": "test", "role": "source"}
	maps.Copy(in, more)
	b, err := json.Marshal(in)
	if err != nil {
		n.t.Fatal(err)
	}
	var out struct{ Key, ID string }
	n.do(http.MethodPost, "/v1/keys", string(b), &out)
	return out.Key, out.ID
}

// textOf is what an account of the subscriber says.
func (n *node) textOf(e164, network, account string) string {
	n.t.Helper()
	var s struct {
		Accounts []struct{ Network, Account, Text string } `json:"accounts"`
	}
	n.do(http.MethodGet, "/v1/subscribers/"+e164, "", &s)
	for _, a := range s.Accounts {
		if a.Network == network && a.Account == account {
			return a.Text
		}
	}
	return ""
}

func (n *node) link(network string, accounts ...string) {
	n.t.Helper()
	for _, account := range accounts {
		n.do(http.MethodPut, "/v1/subscribers/"+bob.E164()+"/accounts/"+network+"/"+account, "", nil)
	}
}

// play runs a scenario of a script, with a network, an account and a key of its own. needs is what the scenario asks for, beside
// what all may ask for; the answer is sent as JSON.
func (c pushClient) play(t *testing.T, n *node, scenario string, needs map[string]func() any) {
	t.Helper()
	network := c.name + "-" + scenario // so each begins with number 1
	n.link(network, "known", "timed", "timeless")
	key, id := n.sourceKey(object{"network": network, "source": "im"})
	all := map[string]func() any{
		"text":      func() any { return n.textOf(bob.E164(), network, "known") },
		"text late": func() any { return n.textOf(bob.E164(), network, "late") },
		"link late": func() any { n.link(network, "late"); return nil },
		"revoke":    func() any { n.do(http.MethodDelete, "/v1/keys/"+id, "", nil); return nil },
		"another source's key": func() any {
			other, _ := n.sourceKey(object{"network": network, "source": "other"})
			return other
		},
		"a key that expires": func() any {
			brief, _ := n.sourceKey(object{"network": network, "expires_in": 3})
			return brief
		},
		"an administrator's key": func() any { return n.admin },
	}
	maps.Copy(all, needs)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.command[0], append(c.command[1:len(c.command):len(c.command)], n.http, scenario, key)...)
	cmd.Env = append(cmd.Environ(), c.environ...)
	cmd.WaitDelay = time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var saw []string
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		saw = append(saw, lines.Text())
		what, asks := strings.CutPrefix(lines.Text(), "need ")
		if !asks {
			continue
		}
		answer := all[what]
		if answer == nil {
			t.Errorf("the script needs %q, which nobody gives", what)
			cancel()
			break
		}
		b, err := json.Marshal(answer())
		if err != nil {
			t.Error(err)
		}
		_, _ = fmt.Fprintf(stdin, "%s\n", b) // a script that is gone says why below
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s\nIt saw:\n%s", err, stderr.String(), strings.Join(saw, "\n"))
	}
}

func TestPushClientsThatAreNotOursSeeWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	clients := pushClients(t)
	limits := object{"credit": 4, "heartbeat_ms": 20000, "max_batch": 6, "max_bytes": 8192}
	for config, scenarios := range map[string][]string{
		"credit: 4, max_batch: 6, max_bytes: 8192": {
			"hello", "ack", "nack", "not_utf8", "blamed_id", "credit", "batches", "resume", "replaced", "source", "resync", "broken", "refusals", "expires",
		},
		"heartbeat: 500ms": {"silent", "revoked"},
		"connections: 1":   {"full"},
	} {
		n := serve(t, with(config))
		n.ready()
		for _, c := range clients {
			for _, scenario := range scenarios {
				t.Run(c.name+"/"+scenario, func(t *testing.T) {
					n := *n
					n.t = t
					c.play(t, &n, scenario, map[string]func() any{"limits": func() any { return limits }})
				})
			}
		}
	}
}

func TestPushClientsThatAreNotOursAreSentAwayByANodeThatStops(t *testing.T) {
	t.Parallel()
	for _, c := range pushClients(t) {
		for _, scenario := range []string{"goaway", "chatty"} {
			t.Run(c.name+"/"+scenario, func(t *testing.T) {
				n := serve(t, with("credit: 100, grace: 3s")) // more than who is never silent sends within the grace, however slow the machine
				n.ready()
				ended := make(chan error, 1)
				c.play(t, n, scenario, map[string]func() any{
					"grace": func() any { return 3000 },
					"stop": func() any {
						go func() { ended <- n.process.Terminate(context.Background()) }()
						return nil
					},
				})
				if err := <-ended; err != nil {
					t.Errorf("the node ended with %v", err)
				}
			})
		}
	}
}

func TestPushClientsThatAreNotOursWaitForAStoreThatIsAway(t *testing.T) {
	t.Parallel()
	server := peer.Postgres(t, true)
	n := serve(t, on(server.Database("")))
	n.ready()
	for _, c := range pushClients(t) {
		t.Run(c.name, func(t *testing.T) {
			n := *n
			n.t = t
			var other string
			c.play(t, &n, "unavailable", map[string]func() any{
				"stop the store": func() any {
					other, _ = n.sourceKey(object{"network": c.name + "-unavailable", "source": "other"}) // not seen by the node yet
					server.Stop()
					return nil
				},
				"another source's key": func() any { return other },
				"start the store":      func() any { server.Start(); return nil },
				"text": func() any {
					n.ready()
					return n.textOf(bob.E164(), c.name+"-unavailable", "known")
				},
			})
		})
	}
}
