package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
)

// TestAStartedNodeRemembers runs a node that has read number 1, stops it, lets something happen, and starts another.
func TestAStartedNodeRemembers(t *testing.T) {
	nothing := func(*truth, string) {}
	away := func(tr *truth, _ string) { tr.err, tr.feedErr = errDown, errDown }
	for sentence, c := range map[string]struct {
		first   func(c *Cached, tr *truth) // before the first node stops
		between func(tr *truth, file string)
		down    time.Duration // until the second starts
		told    bool          // the second is told by its feed that number 1 has revision 2
		rev     int           // what it answers: -1 an error, 0 that it is nobody's
		known   bool          // it knew without being asked
		logs    string
	}{
		"it is read again before anybody asks":             {between: nothing, rev: 1, known: true},
		"a change while it was down is seen":               {between: func(tr *truth, _ string) { tr.set(2) }, rev: 2, known: true},
		"so is a deletion":                                 {between: func(tr *truth, _ string) { tr.set(0) }, rev: 0, known: true},
		"the truth away, it answers for ten minutes":       {between: away, down: 9 * time.Minute, rev: 1},
		"and no longer":                                    {between: away, down: 11 * time.Minute, rev: -1},
		"which count from the end of the first's feed":     {first: func(_ *Cached, tr *truth) { tr.feed(errDown); time.Sleep(6 * time.Minute) }, between: away, down: 5 * time.Minute, rev: -1},
		"the truth away, a change that is told forgets it": {between: away, told: true, rev: -1},
		"without a file it begins empty": {between: func(tr *truth, file string) {
			away(tr, "")
			_ = os.Remove(file)
		}, rev: -1},
		"a damaged file is told and left": {between: func(tr *truth, file string) {
			away(tr, "")
			b, _ := os.ReadFile(file)
			b[len(b)-6]++
			_ = os.WriteFile(file, b, 0o600)
		}, rev: -1, logs: "damaged"},
		"so is one that was cut off": {between: func(tr *truth, file string) { away(tr, ""); _ = os.Truncate(file, 20) }, rev: -1, logs: "damaged"},
		"so is one of a node that knew no policies": {between: func(tr *truth, file string) {
			away(tr, "")
			b, _ := os.ReadFile(file)
			b = bytes.Replace(b[:len(b)-crc32.Size], []byte(snapshotBegins), []byte("callsign memory 1\n"), 1)
			_ = os.WriteFile(file, binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), 0o600)
		}, rev: -1, logs: "another version"},
		"so is one that can't be read": {between: func(tr *truth, file string) {
			away(tr, "")
			_ = os.Remove(file)
			_ = os.Mkdir(file, 0o700)
		}, rev: -1, logs: "can't be used"},
		"so is one from the future": {between: func(tr *truth, file string) {
			away(tr, "")
			b := binary.AppendVarint([]byte(snapshotBegins), time.Now().Add(time.Second).UnixMicro())
			_ = os.WriteFile(file, binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b)), 0o600)
		}, rev: -1, logs: "clock was set back"},
	} {
		t.Run(sentence, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "memory")
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				tr := &truth{profiles: map[callsign.MSISDN]callsign.Profile{}, cut: make(chan error)}
				tr.set(1)
				node := func(during func(*Cached)) {
					n := NewCached(CachedOptions{Truth: tr, Snapshot: file, Log: slog.New(slog.NewTextHandler(&log, nil))})
					ctx, cancel := context.WithCancel(t.Context())
					ended := make(chan error, 1)
					go func() { ended <- n.Run(ctx) }()
					synctest.Wait()
					during(n)
					cancel()
					if err := <-ended; err != nil {
						t.Error(err)
					}
				}
				node(func(n *Cached) {
					_, _ = n.Profile(t.Context(), 1)
					if c.first != nil {
						c.first(n, tr)
					}
				})
				if st, err := os.Stat(file); err != nil || st.Mode().Perm() != 0o600 {
					t.Fatalf("the file is %v, %v", st, err)
				}
				c.between(tr, file)
				time.Sleep(c.down)
				log.Reset()
				node(func(n *Cached) {
					if c.told {
						n.changed(1, 2)
					}
					reads := tr.reads
					if _, _, known := n.Peek(1); known != c.known {
						t.Errorf("it knew without being asked: %v, want %v", known, c.known)
					}
					p, err := n.Profile(t.Context(), 1)
					got := int(p.Rev)
					if err != nil && !errors.Is(err, callsign.ErrNotFound) {
						got = -1
					}
					if got != c.rev || (tr.reads == reads) != c.known {
						t.Errorf("revision %d, %v, after %d reads, want %d", got, err, tr.reads-reads, c.rev)
					}
					if st, err := os.Stat(file); err == nil && !st.IsDir() {
						t.Error("the file is still there")
					}
				})
				if !strings.Contains(log.String(), c.logs) {
					t.Errorf("logged %q, want %q", log.String(), c.logs)
				}
			})
		})
	}
}

func (tr *truth) count() int {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.reads
}

// TestWarmingIsSlow keeps the store for the calls, and goes on once it is there.
func TestWarmingIsSlow(t *testing.T) {
	file := filepath.Join(t.TempDir(), "memory")
	synctest.Test(t, func(t *testing.T) {
		old, _ := filled(t, 3200)
		old.o.Snapshot = file
		old.save()
		tr := &truth{profiles: map[callsign.MSISDN]callsign.Profile{}, cut: make(chan error), err: errDown}
		c := NewCached(CachedOptions{Truth: tr, Snapshot: file})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		time.Sleep(10*time.Second + time.Millisecond)
		if n := tr.count(); n != 11 {
			t.Errorf("while the store was away %d were read in 10 s, want one a second", n)
		}
		tr.fail(nil)
		time.Sleep(500 * time.Millisecond)
		if n := tr.count() - 11; n > 0 {
			t.Errorf("%d were read within the second", n)
		}
		time.Sleep(10 * time.Second)
		if n := tr.count(); n != 3200 {
			t.Errorf("in the end %d were read, want 3200", n)
		}
		cancel()
		<-ended
	})
}

// FuzzSnapshot reads anything under a right checksum: without a panic, and what it takes is written as it was read.
func FuzzSnapshot(f *testing.F) {
	const now = 1_767_268_800_000_000
	c, _ := filled(f, 3)
	_, _ = c.Profile(f.Context(), 4)
	b := c.snapshot(time.UnixMicro(now))
	f.Add(b[len(snapshotBegins) : len(b)-crc32.Size])
	f.Add([]byte{})
	f.Add([]byte("\xc9\xc9\xc9\xc9\xc9\xc9\xc9@\x7f\x00\x00\x03\xea\xc6d")) // written longer ago than a Duration can say
	f.Fuzz(func(t *testing.T, body []byte) {
		file := append([]byte(snapshotBegins), body...)
		entries, err := readSnapshot(string(binary.BigEndian.AppendUint32(file, crc32.ChecksumIEEE(file))), time.UnixMicro(now))
		if err != nil {
			if entries != nil {
				t.Errorf("%d entries with %v", len(entries), err)
			}
			return
		}
		c := NewCached(CachedOptions{Truth: everyone{}, MaxBytes: 1 << 30})
		kept := map[callsign.MSISDN]entry{}
		for _, e := range entries {
			if e.read > 0 {
				t.Errorf("read %d s after its cache began", e.read)
			}
			c.shard(e.msisdn).put(e, nil)
			kept[e.msisdn] = entry{msisdn: e.msisdn, rev: e.rev, packed: e.packed}
		}
		again, err := readSnapshot(string(c.snapshot(time.UnixMicro(now))), time.UnixMicro(now))
		if err != nil || len(again) > len(kept) {
			t.Fatalf("written again: %d entries, %v, want %d", len(again), err, len(kept))
		}
		for _, e := range again {
			if e.read = 0; e != kept[e.msisdn] {
				t.Errorf("%+v was written as %+v", kept[e.msisdn], e)
			}
		}
	})
}
