package e2e_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

// softswitch is a real Kamailio with deploy/kamailio's configuration, which chains two nodes.
type softswitch struct {
	t           *testing.T
	host, trunk string // the softswitch, and who is called behind it
	nodes       []*node
	process     *peer.Process
}

// chain starts two nodes on a database, and the softswitch before them; change may edit their configuration further.
func chain(t *testing.T, database string, change func(string) string, kamailio ...string) *softswitch {
	t.Helper()
	peer.Kamailio(t)
	s := &softswitch{t: t, host: peer.Host(), trunk: peer.Host()}
	for range 2 {
		s.nodes = append(s.nodes, serve(t, func(config string) string {
			config = strings.Replace(on(database)(config), "sip: { ", fmt.Sprintf("sip: { next_hop: [%q], trust: [\"%s/32\"], secret: 0123456789abcdef, ", s.host+":5070", s.host), 1)
			if change != nil {
				config = change(config)
			}
			return config
		}))
	}
	s.nodes[0].says("Back at six")
	for _, n := range s.nodes {
		n.ready()
	}
	dir := t.TempDir()
	real := strings.NewReplacer("192.0.2.30", s.host, "192.0.2.40", s.trunk, "192.0.2.10", s.nodes[0].host, "192.0.2.11", s.nodes[1].host,
		"/etc/kamailio", dir)
	for _, name := range []string{"softswitch.cfg", "dispatcher.list"} {
		b, err := os.ReadFile(filepath.Join("../kamailio", name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(real.Replace(string(b))), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.process = peer.StartKamailio(t, filepath.Join(dir, "softswitch.cfg"), kamailio...)
	peer.Until(t, "the softswitch to answer", func() bool { return poll(t, s.host+":5060") == "200" })
	return s
}

// calls places calls at a rate; each must complete.
func (s *softswitch) calls(n, rate int, during func()) {
	s.t.Helper()
	patience := time.Duration(n/rate+40) * time.Second
	phone := func(scenario, host string, args ...string) *peer.Process {
		file, err := filepath.Abs("../lab/" + scenario + ".xml")
		if err != nil {
			s.t.Fatal(err)
		}
		return peer.Start(s.t, peer.SIPp(s.t), nil, append([]string{
			"-sf", file, "-i", host, "-p", "5060", "-nostdin", "-m", fmt.Sprint(n), "-s", bob.E164(), "-key", "domain", "ims.test",
			"-d", "300", "-timeout", fmt.Sprint(patience.Seconds()), "-timeout_error", "-l", "10000", "-buff_size", "8388608", "-max_recv_loops", "2000", "-timer_resol", "1",
		}, args...)...)
	}
	callee := phone("callee", s.trunk)
	at := node{t: s.t, host: s.trunk}
	at.listens(5060)
	caller := phone("caller", peer.Host(), "-r", fmt.Sprint(rate), "-key", "caller", alice.E164(), "-key", "dialled", bob.E164(), "-key", "also", "X-None: 1", s.host+":5060")
	if during != nil {
		during()
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for who, p := range map[string]*peer.Process{"caller": caller, "callee": callee} {
		if err := p.Wait(ctx); err != nil {
			s.t.Fatalf("a %s's call did not complete: %v", who, err)
		}
	}
}

// texts is how many the caller was shown.
func (s *softswitch) texts() (n int) {
	for _, node := range s.nodes {
		n += int(node.texts.Load())
	}
	return n
}

func TestASoftswitchChainsCallsignAndNeverWaitsForIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		during func(s *softswitch) // after a first call
		calls  int
		texts  int // of the calls after it, at least; -1: any number
	}{
		"both nodes run":         {func(*softswitch) {}, 4, 4},
		"a node is killed":       {func(s *softswitch) { s.nodes[0].process.Kill() }, 8, -1},
		"a node drains and ends": {func(s *softswitch) { _ = s.nodes[0].process.Terminate(t.Context()) }, 8, -1},
		"both nodes are dead": {func(s *softswitch) {
			for _, n := range s.nodes {
				n.process.Kill()
			}
		}, 4, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := chain(t, peer.Postgres(t, false).Database(""), nil)
			s.calls(1, 1, nil)
			peer.Until(t, "the first call's text", func() bool { return s.texts() == 1 })
			c.during(s)
			s.calls(c.calls, 10, nil)
			if c.texts >= 0 {
				peer.Until(t, fmt.Sprintf("%d texts", c.texts+1), func() bool { return s.texts() == c.texts+1 })
			}
		})
	}
}
