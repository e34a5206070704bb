package postgres_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/storetest"
)

// TestAKilledNodeHasToldTheOthersWhatItAcknowledged kills a node that takes updates, again and again, while another one looks
// the same numbers up.
func TestAKilledNodeHasToldTheOthersWhatItAcknowledged(t *testing.T) {
	url := peer.Postgres(t, false).Database("")
	e := open(t, url)
	storetest.NewUpdates(t, e) // makes the subscribers
	lookUps := storetest.NewLookUps(t, store.CachedOptions{Truth: e})
	stop := storetest.Go(t, lookUps.Run)
	peer.Until(t, "the feed to stand", func() bool { return lookUps.Stood.Load() == 1 })
	var acks storetest.Acks
	for range 20 {
		acks.Kill(t, victim(t, url))
		acks.Check(t, e)
		peer.Until(t, "the other node to show the newest of all", func() bool { return lookUps.Newest(e) })
	}
	stop()
	if stood := lookUps.Stood.Load(); stood != 1 {
		t.Errorf("the other node read all again %d times: the test saw nothing", stood-1)
	}
	t.Logf("%d updates acknowledged, %d look-ups", acks.N(), lookUps.N.Load())
}

// victim runs TestVictim of this binary in a process of its own.
func victim(t *testing.T, url string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestVictim$")
	cmd.Env = append(os.Environ(), "POSTGRES_TEST_VICTIM="+url)
	return cmd
}

// TestVictim is what another test runs in processes of its own; alone it does nothing.
func TestVictim(t *testing.T) {
	if url := os.Getenv("POSTGRES_TEST_VICTIM"); url != "" {
		storetest.Victim(t, open(t, url))
	}
}
