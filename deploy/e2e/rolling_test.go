package e2e_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

// TestNodesAreRestartedOneAfterTheOtherUnderLoad is an upgrade: two call nodes behind a softswitch and an API node, on PostgreSQL and Redis, each on an
// address of its own, are restarted in turn while calls come and an IM system pushes; at last a node is killed and comes back. deploy/bench/rolling.sh
// runs it at 500 calls a second.
func TestNodesAreRestartedOneAfterTheOtherUnderLoad(t *testing.T) {
	t.Parallel()
	rate, seconds := sized(t, "CALLSIGN_TEST_RATE", 50), sized(t, "CALLSIGN_TEST_SECONDS", 24)
	database, redis := peer.Postgres(t, true).Database(""), peer.Redis(t)
	shared := func(config string) string {
		config = strings.Replace(config, `caller_ranges: ["+86138"]`, `caller_ranges: ["+86138"], per_caller_per_hour: 0, per_second: 0`, 1)
		return config + "cache: { url: \"" + redis.URL() + "\" }\n"
	}
	s := chain(t, database, shared, "-m", "512")
	api := serve(t, func(config string) string { return shared(on(database)(config)) })
	var answered atomic.Int64
	im := newIMSystem(api, 1, &answered)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended, pushed := make(chan error, 1), make(chan struct{})
	go func() { ended <- im.client.Run(ctx) }()
	pushing, enough := context.WithCancel(ctx)
	go func() {
		defer close(pushed)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				im.push(t, 1)
			case <-pushing.Done():
				return
			}
		}
	}()

	restarts := 0
	s.calls(rate*seconds, rate, func() {
		for deadline := time.Now().Add(time.Duration(seconds)*time.Second - 10*time.Second); time.Now().Before(deadline); restarts++ {
			n := append(s.nodes, api)[restarts%3]
			if err := n.process.Terminate(t.Context()); err != nil {
				t.Errorf("a node did not end well: %v", err)
			}
			n.start()
			n.ready()
		}
		s.nodes[0].process.Kill()
		time.Sleep(time.Second) // as long as systemd leaves it, by deploy/callsign.service
		s.nodes[0].start()
	})
	enough()
	<-pushed
	within, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := im.client.Flush(within); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	im.kept()
	if restarts < 3 {
		t.Errorf("%d restarts, want each node's", restarts)
	}
	if n := s.texts(); n < rate*seconds/2 {
		t.Errorf("%d of %d calls were shown a text", n, rate*seconds)
	}
	t.Logf("%d calls at %d/s, none failed, %d texts; %d restarts and a kill; %d events pushed, each kept", rate*seconds, rate, s.texts(), restarts, im.pushed)
}
