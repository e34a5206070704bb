package records

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
)

var began = time.Date(2026, 1, 2, 3, 4, 5, 678e6, time.UTC)

func call(n byte) callsign.Call {
	return callsign.Call{
		ID: callsign.CallID{15: n}, Caller: 8613800000001, Callee: 8613900000002, SIPCallID: "a@192.0.2.1", ICID: "icid-7", Once: "icid:icid-7", At: began,
	}
}

func event(kind callsign.EventKind, change ...func(*callsign.Event)) callsign.Event {
	e := callsign.Event{Call: call(1), Tenant: "default", At: began.Add(time.Second), Kind: kind}
	for _, c := range change {
		c(&e)
	}
	return e
}

func reason(r string) func(*callsign.Event) { return func(e *callsign.Event) { e.Reason = r } }

func over(link, channel string) func(*callsign.Event) {
	return func(e *callsign.Event) { e.Link, e.Channel = link, channel }
}

func id(of string) func(*callsign.Event) { return func(e *callsign.Event) { e.MessageID = of } }

func ended(o callsign.OutcomeState, why string) func(*callsign.Event) {
	return func(e *callsign.Event) { e.Outcome, e.Reason = o, why }
}

func TestACallsLinesAreOneRecord(t *testing.T) {
	invite, decided, ringing := event(callsign.EventInvite), event(callsign.EventDecided), event(callsign.EventRinging)
	submitted, accepted := event(callsign.EventSubmitted, over("east", "flash")), event(callsign.EventAccepted, id("m-1"))
	answered := event(callsign.EventAnswered)
	for name, c := range map[string]struct {
		lines   []callsign.Event
		waits   bool // for its time to be over
		want    string
		pending bool // no record at all
	}{
		"shown": {
			lines: []callsign.Event{invite, decided, ringing, submitted, accepted, event(callsign.EventReceipt, reason("DELIVRD")), answered},
			want:  "shown flash east 1 m-1 DELIVRD true ",
		},
		"confirmed by the phone": {
			lines: []callsign.Event{invite, event(callsign.EventSubmitted, over("gw", "ussd")), accepted, event(callsign.EventReceipt, reason("CONFIRMED"))},
			want:  "shown ussd gw 1 m-1 CONFIRMED true ",
		},
		"in three parts": {
			lines: []callsign.Event{invite, submitted, submitted, submitted, accepted, event(callsign.EventReceipt, reason("DELIVRD"))},
			want:  "shown flash east 3 m-1 DELIVRD true ",
		},
		"taken, and nothing more is said": {
			lines: []callsign.Event{invite, submitted, accepted, answered}, waits: true, want: "accepted flash east 1 m-1  true ",
		},
		"on its way for ever": {
			lines: []callsign.Event{invite, submitted, accepted, event(callsign.EventReceipt, reason("ENROUTE"))}, waits: true,
			want: "accepted flash east 1 m-1 ENROUTE true ",
		},
		"taken and not shown": {
			lines: []callsign.Event{invite, submitted, accepted, event(callsign.EventReceipt, reason("UNDELIV (err:012)"))},
			want:  "not_shown flash east 1 m-1 UNDELIV (err:012) false ",
		},
		"taken back": {
			lines: []callsign.Event{invite, submitted, accepted, event(callsign.EventWithdrawn)}, want: "withdrawn flash east 1 m-1  false ",
		},
		"refused": {
			lines: []callsign.Event{invite, submitted, event(callsign.EventFailed, ended(callsign.Failed, "0x45"))}, waits: true,
			want: "failed flash east 1   false 0x45",
		},
		"refused by one link, taken by another": {
			lines: []callsign.Event{
				invite, submitted, submitted, event(callsign.EventFailed, ended(callsign.Failed, "0x45")),
				event(callsign.EventSubmitted, over("west", "flash")), accepted, event(callsign.EventReceipt, reason("DELIVRD")),
			},
			want: "shown flash west 1 m-1 DELIVRD true ",
		},
		"written and not answered": {
			lines: []callsign.Event{invite, submitted, event(callsign.EventFailed, ended(callsign.Ambiguous, "no answer"))}, waits: true,
			want: "sent flash east 1   false no answer",
		},
		"no link at all": {
			lines: []callsign.Event{invite, event(callsign.EventFailed, ended(callsign.Failed, "no link is bound"))}, waits: true,
			want: "failed   0   false no link is bound",
		},
		"answered before it was written": {
			lines: []callsign.Event{invite, event(callsign.EventFailed, ended(callsign.Dropped, "the call was answered"))},
			want:  "skipped   0   false the call was answered",
		},
		"skipped":                {lines: []callsign.Event{invite, event(callsign.EventSkipped, reason("opted_out"))}, want: "skipped   0   false opted_out"},
		"never rang":             {lines: []callsign.Event{invite, decided}, waits: true, want: "skipped   0   false nothing more was heard of the call"},
		"what waits waits":       {lines: []callsign.Event{invite, submitted, accepted}, pending: true},
		"without its beginning":  {lines: []callsign.Event{submitted, accepted, event(callsign.EventReceipt, reason("DELIVRD"))}, pending: true},
		"a receipt comes again":  {lines: []callsign.Event{invite, submitted, accepted, event(callsign.EventReceipt, reason("DELIVRD")), event(callsign.EventReceipt, reason("DELIVRD"))}, want: "shown flash east 1 m-1 DELIVRD true "},
		"a line break in a word": {lines: []callsign.Event{invite, event(callsign.EventSkipped, reason("a\r\nb\u2028c\xff"))}, want: "skipped   0   false a  b c\uFFFD"},
	} {
		t.Run(name, func(t *testing.T) {
			joined := newCalls()
			var records []*Record
			for _, e := range c.lines {
				if r := joined.add(e, began); r != nil {
					records = append(records, r)
				}
			}
			if c.waits {
				if len(records) > 0 || joined.oldest(time.Minute, began.Add(time.Minute-1)) != nil {
					t.Fatal("the record did not wait")
				}
				records = append(records, joined.oldest(time.Minute, began.Add(time.Minute)))
			}
			if c.pending {
				if len(records) > 0 {
					t.Fatalf("got %+v, want none yet", *records[0])
				}
				return
			}
			if len(records) != 1 || records[0] == nil || len(joined.byID) != 0 || joined.order.Len() != 0 {
				t.Fatalf("%d records, %d open; want one, none", len(records), len(joined.byID))
			}
			r := records[0]
			got := fmt.Sprintf("%s %s %s %d %s %s %t %s", r.State, r.Channel, r.Link, r.Parts, r.MessageID, r.Receipt, r.Chargeable, r.Reason)
			if got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if whose := fmt.Sprint(r.Time, r.ICID, r.CallID, r.Tenant, r.Caller, r.Callee); whose != fmt.Sprint(began, "icid-7", "a@192.0.2.1", "default", "8613800000001", "8613900000002") {
				t.Errorf("it is %s", whose)
			}
		})
	}
}

func TestNoMoreCallsAreOpenThanThereIsRoomFor(t *testing.T) {
	joined := newCalls()
	joined.most = 2
	var full []string
	for n := range byte(4) {
		e := event(callsign.EventInvite)
		e.Call = call(n)
		if r := joined.add(e, began); r != nil {
			full = append(full, r.ID[30:])
		}
	}
	if got := strings.Join(full, " "); got != "00 01" || len(joined.byID) != 2 {
		t.Errorf("the records of calls %q made room, %d are open; want 00 01, 2", got, len(joined.byID))
	}
}

// node runs Records in a bubble until it is stopped.
func node(t *testing.T, o Options) (rs *Records, stop func()) {
	t.Helper()
	rs, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- rs.Run(ctx) }()
	return rs, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// skippedCall tells all of a call that was shown nothing.
func skippedCall(rs *Records, n int) {
	for _, kind := range []callsign.EventKind{callsign.EventInvite, callsign.EventSkipped} {
		e := event(kind, reason("no_text"))
		e.Call.ID = callsign.CallID{12: byte(n >> 16), 13: byte(n >> 8), 14: byte(n), 15: 1}
		rs.Record(e)
	}
}

// lines are those of all files of a format, and how many files there are with and without .part.
func lines(t *testing.T, dir, format string) (all []string, whole, parts int) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "calls-*"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(names)
	for _, name := range names {
		if !strings.HasSuffix(strings.TrimSuffix(name, part), "."+format) {
			continue
		}
		if strings.HasSuffix(name, part) {
			parts++
		} else {
			whole++
		}
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if header := headers[format]; !strings.HasPrefix(string(b), header) {
			t.Errorf("%s does not begin with its header", name)
		} else {
			for l := range strings.Lines(string(b[len(header):])) {
				all = append(all, l)
			}
		}
	}
	return all, whole, parts
}

func config(dir string) Config {
	c := DefaultConfig()
	c.Dir, c.Formats = dir, []string{"csv", "jsonl"}
	return c
}

func TestFilesRotateAndMayBeFetched(t *testing.T) {
	for name, c := range map[string]struct {
		change                func(*Config)
		after                 time.Duration
		whole, parts, stopped int
	}{
		"by time":                    {func(c *Config) { c.RotateAfter = time.Minute }, time.Minute + flushEvery, 1, 0, 2},
		"not before":                 {func(c *Config) { c.RotateAfter = time.Minute }, time.Minute - 2*flushEvery, 0, 1, 1},
		"by size":                    {func(c *Config) { c.RotateBytes = 64 << 10 }, 3 * flushEvery, 1, 0, 2},
		"what is written stays open": {func(*Config) {}, 3 * flushEvery, 0, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config(t.TempDir())
				c.change(&cfg)
				rs, stop := node(t, Options{Config: cfg})
				for n := range 1000 {
					skippedCall(rs, n)
				}
				time.Sleep(c.after)
				synctest.Wait()
				all, whole, parts := lines(t, cfg.Dir, "csv")
				if len(all) != 1000 || whole != c.whole || parts != c.parts {
					t.Errorf("%d records in %d files and %d parts, want 1000, %d, %d", len(all), whole, parts, c.whole, c.parts)
				}
				skippedCall(rs, 1000)
				synctest.Wait()
				stop()
				for _, format := range cfg.Formats {
					if all, whole, parts := lines(t, cfg.Dir, format); len(all) != 1001 || whole != c.stopped || parts != 0 {
						t.Errorf("%s, stopped: %d records in %d files and %d parts, want 1001, %d, 0", format, len(all), whole, parts, c.stopped)
					}
				}
			})
		})
	}
}

func TestWhatIsOpenIsWrittenAtTheEnd(t *testing.T) {
	dir := t.TempDir()
	rs, stop := node(t, Options{Config: config(dir)})
	rs.Record(event(callsign.EventInvite))
	rs.Record(event(callsign.EventSubmitted, over("east", "flash")))
	rs.Record(event(callsign.EventAccepted, id("m-1")))
	stop()
	all, _, _ := lines(t, dir, "jsonl")
	if len(all) != 1 || !strings.Contains(all[0], `"state":"accepted"`) || !strings.Contains(all[0], `"message_id":"m-1"`) {
		t.Errorf("got %q", all)
	}
}

func TestWhatAKilledProcessLeftIsPublishedInWholeLines(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"calls-20260101T000000.000000Z.csv.part":   headers["csv"] + "whole\ntor",
		"calls-20260101T000000.000000Z.jsonl.part": "{\"id\":\"1\"}\n{\"id\"",
		"calls-20260101T000001.000000Z.csv.part":   headers["csv"],
		"calls-20260101T000002.000000Z.csv.part":   "time,i",
		"somebody-elses.part":                      "x",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		_, stop := node(t, Options{Config: config(dir)})
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		stop()
	})
	got := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		b, _ := os.ReadFile(filepath.Join(dir, e.Name()))
		got[e.Name()] = string(b)
	}
	want := map[string]string{
		"calls-20260101T000000.000000Z.csv":   headers["csv"] + "whole\n",
		"calls-20260101T000000.000000Z.jsonl": "{\"id\":\"1\"}\n",
		"somebody-elses.part":                 "x", ".lock": "",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestADirectoryIsOneProcesssAlone(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		_, stop := node(t, Options{Config: config(dir)})
		time.Sleep(2 * flushEvery)
		second, stopSecond := node(t, Options{Config: config(dir)})
		skippedCall(second, 1)
		time.Sleep(2 * flushEvery)
		if err := second.Err(); err == nil || !strings.Contains(err.Error(), "give each node a directory of its own") {
			t.Errorf("the second says %v", err)
		}
		stop()
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		if err := second.Err(); err != nil {
			t.Errorf("the first has ended, and the second says %v", err)
		}
		stopSecond()
		if all, _, _ := lines(t, dir, "csv"); len(all) != 1 {
			t.Errorf("%d records, want the second's one", len(all))
		}
	})
}

func TestADirectoryThatIsAwayLosesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "records")
	if err := os.WriteFile(dir, nil, 0o600); err != nil { // a file stands in its place
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		rs, stop := node(t, Options{Config: config(dir)})
		skippedCall(rs, 1)
		time.Sleep(3 * flushEvery)
		synctest.Wait()
		if rs.Err() == nil {
			t.Error("nothing is said of it")
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		if err := rs.Err(); err != nil {
			t.Errorf("it is mended, and %v is said", err)
		}
		stop()
		if all, _, _ := lines(t, dir, "csv"); len(all) != 1 {
			t.Errorf("%d records, want 1", len(all))
		}
	})
}

func TestACallNeverWaitsForARecord(t *testing.T) {
	rs, err := New(Options{Config: config(t.TempDir()), Queue: 2})
	if err != nil {
		t.Fatal(err)
	}
	for n := range 3 { // nothing reads: Run doesn't run
		skippedCall(rs, n)
	}
	if n := len(rs.queue); n != 2 {
		t.Errorf("%d lines wait, want 2; the others are dropped", n)
	}
}

func TestAFileTakesNoMoreThanItsBufferWhileTheDiskTakesNone(t *testing.T) {
	f := &file{dir: filepath.Join(t.TempDir(), "none"), format: "csv", config: DefaultConfig(), encode: encodeCSV}
	r := &Record{Reason: strings.Repeat("x", 1<<16)}
	n := 0
	for ; n < 1000 && f.add(r) == nil; n++ {
	}
	if n == 1000 || f.pending.Len() > maxBuffered+1<<17 {
		t.Errorf("%d records of 64 KiB were taken, %d bytes wait", n, f.pending.Len())
	}
	if err := f.flush(began); !errors.Is(err, os.ErrNotExist) || f.pending.Len() < maxBuffered {
		t.Errorf("flush says %v, %d bytes wait", err, f.pending.Len())
	}
	if err := os.Mkdir(f.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := f.flush(began); err != nil || f.pending.Len() > 0 {
		t.Errorf("flush says %v, %d bytes wait", err, f.pending.Len())
	}
}

func TestWhoWantsToBePrivateIsNotNamed(t *testing.T) {
	dir := t.TempDir()
	rs, stop := node(t, Options{Config: config(dir)})
	for _, kind := range []callsign.EventKind{callsign.EventInvite, callsign.EventSkipped} {
		e := event(kind, func(e *callsign.Event) {
			e.Call.Private, e.Text, e.Wire = true, "On the road", []byte("INVITE sip:+8613800000001")
		})
		rs.Record(e)
	}
	stop()
	for _, format := range []string{"csv", "jsonl"} {
		all, _, _ := lines(t, dir, format)
		if len(all) != 1 || strings.Contains(all[0], "13800000001") || strings.Contains(all[0], "road") || !strings.Contains(all[0], "8613900000002") {
			t.Errorf("%s: got %q", format, all)
		}
	}
}

func TestNoFieldOfACSVIsAFormula(t *testing.T) {
	for _, begins := range []string{"=", "+", "-", "@", "'"} {
		evil := begins + `cmd|' /C calc'!A0`
		var b bytes.Buffer
		if err := encodeCSV(&b, &Record{ID: evil, ICID: evil, CallID: evil, Tenant: evil, Link: evil, MessageID: evil, Receipt: evil, Reason: evil}); err != nil {
			t.Fatal(err)
		}
		fields, err := csv.NewReader(&b).Read()
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range fields {
			if f != "" && strings.ContainsAny(f[:1], "=+-@") {
				t.Errorf("%s begins with %q", columns[i], f[:1])
			}
			if strings.Contains(f, "calc") && f[1:] != evil {
				t.Errorf("%s is %q, not the text behind an apostrophe", columns[i], f)
			}
		}
	}
}

func FuzzARecordIsOneLine(f *testing.F) {
	f.Add("icid", "a@b", "=1+1", "\"quoted\", and\nbroken\r")
	f.Add("\xff", "\u2028", "'", "-")
	f.Fuzz(func(t *testing.T, icid, callID, link, why string) {
		joined := newCalls()
		invite := event(callsign.EventInvite)
		invite.Call.ICID, invite.Call.SIPCallID = icid, callID
		joined.add(invite, began)
		joined.add(event(callsign.EventSubmitted, over(link, "flash")), began)
		r := joined.add(event(callsign.EventReceipt, reason(why)), began)
		if r == nil {
			if r = joined.oldest(0, began); r == nil {
				t.Fatal("there is no record")
			}
		}
		var asCSV, asJSON bytes.Buffer
		if err := errors.Join(encodeCSV(&asCSV, r), encodeJSON(&asJSON, r)); err != nil {
			t.Fatal(err)
		}
		for _, b := range [][]byte{asCSV.Bytes(), asJSON.Bytes()} {
			if bytes.Count(b, []byte("\n")) != 1 || b[len(b)-1] != '\n' || bytes.Contains(b, []byte("\r")) {
				t.Fatalf("%q is not one line", b)
			}
		}
		fields, err := csv.NewReader(&asCSV).Read()
		if err != nil || len(fields) != len(columns) {
			t.Fatalf("%d fields, %v", len(fields), err)
		}
		for i, want := range map[int]string{2: r.ICID, 3: r.CallID, 9: r.Link, 12: r.Receipt} {
			got := strings.TrimPrefix(fields[i], "'")
			if got != want && got != strings.TrimPrefix(want, "'") || fields[i] != "" && strings.ContainsAny(fields[i][:1], "=+-@") {
				t.Errorf("%s is %q, want %q", columns[i], fields[i], want)
			}
		}
		var back Record
		if err := json.Unmarshal(asJSON.Bytes(), &back); err != nil || back != *r {
			t.Errorf("%+v, %v; want %+v", back, err, *r)
		}
	})
}

func TestAFullDiskLosesNoRecordAndDoublesNone(t *testing.T) {
	dir := peer.Disk(t, 4)
	cfg := config(dir)
	cfg.Formats = []string{"jsonl"}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 4<<20-64<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		rs, stop := node(t, Options{Config: cfg})
		const calls = 3000
		for n := range calls { // more than there is room for
			skippedCall(rs, n)
		}
		time.Sleep(3 * flushEvery)
		synctest.Wait()
		if err := rs.Err(); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("the disk is full, and %v is said", err)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * flushEvery)
		synctest.Wait()
		if err := rs.Err(); err != nil {
			t.Errorf("there is room, and %v is said", err)
		}
		stop()
		all, _, _ := lines(t, dir, "jsonl")
		different := map[string]bool{}
		for _, l := range all {
			var r Record
			if err := json.Unmarshal([]byte(l), &r); err != nil {
				t.Fatal(err)
			}
			different[r.ID] = true
		}
		if len(all) != calls || len(different) != calls {
			t.Errorf("%d records of %d calls, want %d of as many", len(all), len(different), calls)
		}
	})
}
