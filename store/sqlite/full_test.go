package sqlite_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/store"
	"github.com/callsign-as/callsign/store/sqlite"
	"github.com/callsign-as/callsign/store/storetest"
)

// TestAFullDiskLosesNothing has a node take updates, write timelines and look callees up while something else fills its disk.
func TestAFullDiskLosesNothing(t *testing.T) {
	full := storetest.Lasting(t)
	for sentence, size := range map[string]int64{ // of the database, when the disk fills
		"a write-ahead log that can't grow":                          0,
		"a database that can't grow, so that its log can't be empty": 2 << 20,
	} {
		t.Run(sentence, func(t *testing.T) {
			disk := peer.Disk(t, 16)
			path, filler := filepath.Join(disk, "x.db"), filepath.Join(disk, "filler")
			e := open(t, path)
			updates := storetest.NewUpdates(t, e)
			updates.Refused = func(err error) {
				if says := "the disk of " + path + " is full: make room on it"; !strings.Contains(err.Error(), says) {
					t.Errorf("an update was refused with %q, want one that says %q", err, says)
				}
			}
			lookUps := storetest.NewLookUps(t, store.CachedOptions{Truth: e})
			timelines := newTimelines(e)
			reads := func(ctx context.Context) { readOn(ctx, t, e, &updates.Acks) }
			stop := storetest.Go(t, updates.Run, lookUps.Run, reads, timelines.run)

			acked(t, &updates.Acks, 100)
			peer.Until(t, "the database to grow", func() bool {
				st, err := os.Stat(path)
				return err == nil && st.Size() > size
			})
			fill(t, filler)
			peer.Until(t, "updates to be refused", func() bool { return updates.Refusals.Load() > 0 })
			storetest.Last(t, full)
			remove(t, filler)
			written := timelines.count("written")
			acked(t, &updates.Acks, updates.N()+100)
			peer.Until(t, "timelines to be written again", func() bool { return timelines.count("written") > written })
			stop()
			if lookUps.Failed.Load() > 0 {
				t.Errorf("%d look-ups had no answer", lookUps.Failed.Load())
			}
			if err := e.Close(); err != nil {
				t.Error(err)
			}
			undamaged(t, path)
			updates.Check(t, open(t, path))
			timelines.check(t, path)
			t.Logf("full for %v: %d updates acknowledged, %d refused; %d look-ups, the longest took %v; timelines: %d events, %v written, %v dropped",
				full, updates.N(), updates.Refusals.Load(), lookUps.N.Load(), time.Duration(lookUps.Longest.Load()),
				timelines.recorded, timelines.count("written"), timelines.count("dropped"))
		})
	}
}

// TestANodeThatStartsOnAFullDisk begins as calls need it, or says what it waits for.
func TestANodeThatStartsOnAFullDisk(t *testing.T) {
	for sentence, stops := range map[string]bool{
		"finds the log of a node that could not empty it, and reads": false,
		"after a clean stop has no room for a log, and says so":      true,
	} {
		t.Run(sentence, func(t *testing.T) {
			disk := peer.Disk(t, 4)
			path, filler := filepath.Join(disk, "x.db"), filepath.Join(disk, "filler")
			before := open(t, path)
			updates := storetest.NewUpdates(t, before)
			stop := storetest.Go(t, updates.Run)
			acked(t, &updates.Acks, 100)
			fill(t, filler)
			peer.Until(t, "updates to be refused", func() bool { return updates.Refusals.Load() > 0 })
			stop()
			if stops {
				remove(t, filler)
			}
			if err := before.Close(); err != nil {
				t.Fatal(err)
			}
			fill(t, filler)
			e := sqlite.New(sqlite.Options{Path: path})
			t.Cleanup(func() { _ = e.Close() })
			err := e.Open(t.Context())
			if stops && (err == nil || !strings.Contains(err.Error(), "its disk is full: make room on it")) || !stops && err != nil {
				t.Errorf("opened on a full disk: %v", err)
			}
			if !stops {
				updates.Check(t, e)
			}
			remove(t, filler)
			if err := e.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			updates.Check(t, e)
		})
	}
}

func acked(t *testing.T, acks *storetest.Acks, n int64) {
	t.Helper()
	peer.Until(t, "updates to be acknowledged", func() bool { return acks.N() >= n })
}

func remove(t *testing.T, filler string) {
	t.Helper()
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
}

// fill takes all the room that a disk has, in a file that goes on where it ended.
func fill(t *testing.T, filler string) {
	t.Helper()
	f, err := os.OpenFile(filler, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size > 0; {
		if _, err := f.Write(make([]byte, size)); errors.Is(err, syscall.ENOSPC) {
			size /= 2
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// readOn reads from the database itself, as memory does with what it doesn't know: what was acknowledged before a read is
// read.
func readOn(ctx context.Context, t *testing.T, e storetest.Profiles, acks *storetest.Acks) {
	for i := 0; ctx.Err() == nil; i = (i + 1) % storetest.People {
		before := acks.Version(i)
		p, err := e.Profile(ctx, storetest.Person(i))
		if ctx.Err() == nil && (err != nil || p.Signature.Stamp.Version < before) {
			t.Errorf("version %d was acknowledged, %d is read, %v", before, p.Signature.Stamp.Version, err)
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
		}
	}
}

func undamaged(t *testing.T, path string) {
	t.Helper()
	if got := ask[string](t, path, `PRAGMA integrity_check`); got != "ok" {
		t.Errorf("the database is damaged: %s", got)
	}
}

// ask is the one answer to a query by another connection than the engine's.
func ask[T any](t *testing.T, path, query string) (answer T) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow(query).Scan(&answer); err != nil {
		t.Fatal(err)
	}
	return answer
}

// timelines are calls' events, which go through a journal.
type timelines struct {
	journal  *store.Journal
	metrics  *prometheus.Registry
	recorded int
}

func newTimelines(e store.EventKeeper) *timelines {
	metrics := prometheus.NewRegistry()
	return &timelines{journal: store.NewJournal(store.JournalOptions{Keep: e, Queue: 200, Metrics: metrics}), metrics: metrics}
}

// run records events of 1 KB until ctx ends.
func (tl *timelines) run(ctx context.Context) {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = tl.journal.Run(ctx)
	}()
	wire := bytes.Repeat([]byte("x"), 1<<10)
	for tick := time.NewTicker(500 * time.Microsecond); ctx.Err() == nil; tl.recorded++ {
		now := time.Now()
		tl.journal.Record(callsign.Event{
			Call:   callsign.Call{ID: callsign.NewCallID(now, callsign.BranchKey{byte(tl.recorded)}), Callee: storetest.Person(0), At: now},
			Tenant: "ours", At: now, Kind: callsign.EventSubmitted, Wire: wire,
		})
		<-tick.C
	}
	<-ended
}

func (tl *timelines) count(result string) int {
	families, _ := tl.metrics.Gather()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == result {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// check is called after run: each event is written once, or was dropped and counted; none was refused for good.
func (tl *timelines) check(t *testing.T, path string) {
	t.Helper()
	written, dropped := tl.count("written"), tl.count("dropped")
	if written+dropped != tl.recorded || dropped == 0 {
		t.Errorf("of %d events %d are counted as written, %d as dropped", tl.recorded, written, dropped)
	}
	if rows := ask[int](t, path, `SELECT count(*) FROM call_events`); rows != written {
		t.Errorf("%d events are counted as written, %d are there", written, rows)
	}
}
