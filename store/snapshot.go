package store

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"os"
	"strings"
	"time"

	"github.com/callsign-as/callsign"
)

// A snapshot is what memory had when its node stopped: whom a started node will be asked for. Nothing in it is believed. Each
// entry is stale, so the first look at its number asks the truth, and warm asks it for all of them beside the calls: what
// changed while the node was down is never shown as it was. Only while the truth can't be read an entry is shown, for
// MaxStale from the last moment at which the node that wrote it would have been told of a change. The file is removed
// when it is read, so that what is erased later stays nowhere.
// Its first line names the form: one that lacks policies would show what they forbid.
const snapshotBegins = "callsign memory 2\n"

const (
	warmBatch = 32                    // how many numbers are read in a row while a node warms up
	warmPause = 10 * time.Millisecond // and then it leaves the store to the calls: 3200 a second at the most
	warmAgain = time.Second           // how long it waits while the store is away
)

// save writes what memory has in one step.
func (c *Cached) save() {
	if c.o.Snapshot == "" {
		return
	}
	if err := replace(c.o.Snapshot, c.snapshot(time.Now())); err != nil {
		c.o.Log.Warn("memory could not be saved: the next start begins with an empty one", "err", err)
	}
}

func replace(path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path+".new"))
	}
	return os.Rename(path+".new", path)
}

// snapshot has of each entry, the oldest first, for how many seconds it may have been untrue, and ends with a checksum.
func (c *Cached) snapshot(now time.Time) []byte {
	b := binary.AppendVarint([]byte(snapshotBegins), now.UnixMicro())
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for slot := s.slots[0].younger; slot != 0; slot = s.slots[slot].younger {
			e := &s.slots[slot]
			unfed := c.unfed(e, now.Sub(c.began)) + time.Second - 1
			for _, n := range [...]uint64{uint64(e.msisdn), e.rev, uint64(unfed / time.Second), uint64(len(e.packed))} {
				b = binary.AppendUvarint(b, n)
			}
			b = append(b, e.packed...)
		}
		s.mu.Unlock()
	}
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// readSnapshot gives its entries as a cache that begins now has them.
func readSnapshot(file string, now time.Time) (entries []entry, err error) {
	end := len(file) - crc32.Size
	if end < len(snapshotBegins) || !strings.HasPrefix(file, snapshotBegins) ||
		crc32.ChecksumIEEE([]byte(file[:end])) != binary.BigEndian.Uint32([]byte(file[end:])) {
		return nil, errors.New("it is damaged, or of another version")
	}
	u := unpacker{file[len(snapshotBegins):end], true}
	age := now.Sub(time.UnixMicro(u.int()))
	if age < 0 {
		return nil, errors.New("it is from the future: the clock was set back")
	}
	for u.ok && u.rest != "" {
		e := entry{msisdn: callsign.MSISDN(u.uint()), rev: u.uint()}
		unfed := int64(min(u.uint(), math.MaxInt32))
		e.read = -int32(min(int64(age/time.Second)+1+unfed, math.MaxInt32))
		e.packed = strings.Clone(u.cut(u.uint())) // or it would keep the whole file
		if _, ok := Unpack(e.msisdn, e.rev, e.packed); ok != (e.rev > 0) || e.msisdn == 0 {
			u.ok = false
		}
		entries = append(entries, e)
	}
	if !u.ok {
		return nil, errors.New("it is damaged")
	}
	return entries, nil
}

// load puts the snapshot's entries where nothing is known yet, and tells their numbers.
func (c *Cached) load() (numbers []callsign.MSISDN) {
	if c.o.Snapshot == "" {
		return nil
	}
	file, err := os.ReadFile(c.o.Snapshot)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var entries []entry
	if err = errors.Join(err, os.Remove(c.o.Snapshot)); err == nil {
		entries, err = readSnapshot(string(file), time.Now())
	}
	if err != nil {
		c.o.Log.Warn("the memory of this node's last run can't be used: it begins with an empty one", "file", c.o.Snapshot, "err", err)
		return nil
	}
	for _, e := range entries {
		s := c.shard(e.msisdn)
		p, _ := Unpack(e.msisdn, e.rev, e.packed)
		s.mu.Lock()
		if e.generation = c.generation.Load() - 2; s.get(e.msisdn) == nil { // older than any by which a feed has stood
			s.put(e, p.Policy)
		}
		s.mu.Unlock()
		numbers = append(numbers, e.msisdn)
	}
	c.o.Log.Info("numbers of this node's last run are read again beside the calls", "numbers", len(numbers))
	return numbers
}

// warm reads numbers once the feed stands by what is read, slowly enough that calls don't notice. While the truth is away it
// skips one a second.
func (c *Cached) warm(ctx context.Context, stands <-chan struct{}, numbers []callsign.MSISDN) {
	select {
	case <-ctx.Done():
		return
	case <-stands:
	}
	for i, m := range numbers {
		_, _ = c.Profile(ctx, m)
		var pause time.Duration
		if !c.knows(m) {
			pause = warmAgain
		} else if i%warmBatch == warmBatch-1 {
			pause = warmPause
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (c *Cached) knows(m callsign.MSISDN) bool {
	s := c.shard(m)
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.look(s, m).state == fresh
}
