package storetest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"testing"
	"time"

	"github.com/callsign-as/callsign/store"
)

// Victim is what a test runs in a process of its own to kill it: updates and look-ups by one engine. It prints each
// acknowledgement, once Keep has returned.
func Victim(t *testing.T, e Engine) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute) // nobody may be left to kill it
	defer cancel()
	updates := NewUpdates(t, e)
	updates.Acked = func(i int, version int64) { fmt.Printf("acked %d %d\n", i, version) }
	stop := Go(t, NewLookUps(t, store.CachedOptions{Truth: e}).Run)
	defer stop()
	updates.Run(ctx)
}

// Kill starts a process of Victim's, kills it (kill -9) after some acknowledgements, and adds all that it has printed.
func (a *Acks) Kill(t *testing.T, victim *exec.Cmd) {
	t.Helper()
	out, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	lines, left := bufio.NewScanner(out), 1+rand.IntN(People)
	for ; lines.Scan(); left-- { // to the end: what it had printed before it died was acknowledged
		var i int
		var version int64
		if n, err := fmt.Sscanf(lines.Text(), "acked %d %d", &i, &version); n != 2 {
			t.Errorf("the victim says %q: %v", lines.Text(), err)
			break
		}
		a.add(i, version)
		if left == 1 {
			_ = victim.Process.Kill()
		}
	}
	_ = victim.Process.Kill()
	if err := victim.Wait(); left > 0 {
		t.Errorf("the victim ended by itself: %v", err)
	}
}
