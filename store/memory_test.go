package store

import (
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/callsign-as/callsign"
)

// sieve is what a shard must do, as plainly as it can be said: entries in the order in which they came, and a hand that
// stands before the entry of a number, or at 0 before the oldest.
type sieve struct {
	entries []entry
	hand    callsign.MSISDN
	bytes   int
	limit   int
}

func (s *sieve) at(m callsign.MSISDN) int {
	return slices.IndexFunc(s.entries, func(e entry) bool { return e.msisdn == m })
}

func (s *sieve) drop(m callsign.MSISDN) {
	i := s.at(m)
	if i < 0 {
		return
	}
	if s.hand == m {
		if s.hand = 0; i+1 < len(s.entries) {
			s.hand = s.entries[i+1].msisdn
		}
	}
	s.bytes -= s.entries[i].cost()
	s.entries = slices.Delete(s.entries, i, i+1)
}

func (s *sieve) put(e entry) (evicted int) {
	s.drop(e.msisdn)
	if e.cost() > s.limit {
		return 0
	}
	for ; s.bytes+e.cost() > s.limit; evicted++ {
		i := max(0, s.at(s.hand))
		for ; s.entries[i].marked; i = (i + 1) % len(s.entries) {
			s.entries[i].marked = false
		}
		s.hand = s.entries[i].msisdn
		s.drop(s.hand)
	}
	s.entries = append(s.entries, e)
	s.bytes += e.cost()
	return evicted
}

func TestMemoryIsASieve(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 40).Draw(t, "entries") * entryCost
		model := sieve{limit: limit}
		var s shard
		s.open(limit)
		number := rapid.Custom(func(t *rapid.T) callsign.MSISDN {
			return callsign.MSISDN(rapid.Uint64Range(1, 60).Draw(t, "number") << rapid.SampledFrom([]int{0, 40}).Draw(t, "shift"))
		})
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				e := entry{msisdn: number.Draw(t, "m"), rev: rapid.Uint64().Draw(t, "rev"), packed: strings.Repeat("x", rapid.IntRange(0, 200).Draw(t, "size"))}
				if got, want := s.put(e, nil), model.put(e); got != want {
					t.Fatalf("%d were evicted, want %d", got, want)
				}
			},
			"look": func(t *rapid.T) {
				m := number.Draw(t, "m")
				if e := s.get(m); e != nil {
					e.marked = true
				}
				if i := model.at(m); i >= 0 {
					model.entries[i].marked = true
				}
			},
			"drop": func(t *rapid.T) {
				m := number.Draw(t, "m")
				s.drop(m)
				model.drop(m)
			},
			"": func(t *rapid.T) {
				if s.bytes != model.bytes || s.entries != len(model.entries) {
					t.Fatalf("%d entries of %d bytes, want %d of %d", s.entries, s.bytes, len(model.entries), model.bytes)
				}
				slot := s.slots[0].younger
				for _, want := range model.entries {
					got := s.slots[slot]
					if s.get(got.msisdn) != &s.slots[slot] {
						t.Fatalf("%d is not found", got.msisdn)
					}
					slot, got.older, got.younger = got.younger, 0, 0
					if got != want {
						t.Fatalf("next in order is %+v, want %+v", got, want)
					}
				}
				if slot != 0 {
					t.Fatalf("behind the youngest stands slot %d", slot)
				}
			},
		})
	})
}

func TestWhatIsRememberedIsWhatWasRead(t *testing.T) {
	text := rapid.String()
	rapid.Check(t, func(t *rapid.T) {
		at := func(name string) time.Time { return FromMicros(rapid.Int64().Draw(t, name)) }
		p := callsign.Profile{
			MSISDN: 7, Tenant: text.Draw(t, "tenant"), Rev: rapid.Uint64().Draw(t, "rev"), Name: text.Draw(t, "name"),
			Signature: callsign.Signature{
				Network: text.Draw(t, "network"), Account: text.Draw(t, "account"), Text: text.Draw(t, "text"), Shown: text.Draw(t, "shown"),
				Lang: text.Draw(t, "lang"), Origin: text.Draw(t, "origin"),
				Stamp: callsign.Stamp{Epoch: rapid.Int64().Draw(t, "epoch"), Version: rapid.Int64().Draw(t, "version")}, At: at("at"), Expires: at("expires"),
			},
		}
		if rapid.Bool().Draw(t, "shown as it was said") {
			p.Signature.Shown = p.Signature.Text
		}
		packed := Pack(&p)
		if got, ok := Unpack(7, p.Rev, packed); !ok || got != p {
			t.Errorf("got %+v, %v, want %+v", got, ok, p)
		}
		if _, ok := Unpack(7, p.Rev, packed[:len(packed)-1]); ok && len(packed) > 0 {
			t.Error("what is cut off at its end is taken for whole")
		}
	})
}

// filled is a Cached that knows the first n numbers, and how long their texts are together.
func filled(tb testing.TB, n int) (c *Cached, texts int) {
	c = NewCached(CachedOptions{Truth: everyone{}, MaxBytes: 1 << 30})
	for m := range callsign.MSISDN(n) {
		p, err := c.Profile(tb.Context(), m+1)
		if err != nil {
			tb.Fatal(err)
		}
		texts += len(p.Signature.Shown)
	}
	return c, texts
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestMemoryTakesWhatItSays keeps the bound in bytes honest. At these counts the index is as empty, and as full, as it may be.
func TestMemoryTakesWhatItSays(t *testing.T) {
	for _, n := range []int{99_000, 195_000} {
		before := heap()
		c, _ := filled(t, n)
		took, says := heap()-before, 0
		for i := range c.shards {
			says += c.shards[i].bytes
		}
		if took > says*110/100 || took < says*75/100 {
			t.Errorf("%d profiles take %d bytes, and are said to take %d", n, took, says)
		}
	}
}

func BenchmarkPeek(b *testing.B) {
	const n = 1_000_000
	before := heap()
	c, texts := filled(b, n)
	after := heap()
	i := callsign.MSISDN(0)
	for b.Loop() {
		i = (i*1664525 + 1013904223) % n
		if _, found, _ := c.Peek(i + 1); !found {
			b.Fatal("not there: ", i)
		}
	}
	b.ReportMetric(float64(after-before-texts)/n, "B/entry-beyond-text")
}

// BenchmarkGrow is the longest that a shard's lock is held: its index and its slab become larger, at a million entries in all.
func BenchmarkGrow(b *testing.B) {
	c, _ := filled(b, 1_000_000)
	s := &c.shards[0]
	for b.Loop() {
		s.slots = append(slices.Clip(s.slots), entry{})
		s.reindex(len(s.index))
	}
}
