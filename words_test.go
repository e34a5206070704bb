package callsign_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

func rootFS() fs.FS { return os.DirFS(".") }

func TestANumberIsReadInItsWrittenForms(t *testing.T) {
	for in, want := range map[string]callsign.MSISDN{
		"+8613800000001":       8613800000001,
		"8613800000001":        8613800000001,
		"+86 138-0000.0001":    8613800000001,
		"+1(555)0100":          15550100,
		"+123456789012345":     123456789012345,
		"+1234567890123456":    0,
		"+0138":                0,
		"013800000001":         0,
		"":                     0,
		"+":                    0,
		"+86138x":              0,
		"86+138":               0,
		"++86138":              0,
		"-86138":               0,
		"+８６１３８":               0,
		"18446744073709551617": 0,
	} {
		got, err := callsign.ParseMSISDN(in)
		if got != want && want != 0 || (err == nil) != (want != 0) {
			t.Errorf("%q: got %d, %v; want %d", in, uint64(got), err, uint64(want))
		}
	}
}

func TestNoNumberLeaksIntoLogs(t *testing.T) {
	const m = callsign.MSISDN(8613812345601)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("call", "caller", m, "text", fmt.Sprint(m), "error", fmt.Errorf("subscriber %v", m))
	if strings.Contains(log.String(), "12345") || !strings.Contains(log.String(), "+861…01") {
		t.Errorf("logged %s, want it masked", log.String())
	}
	b, err := json.Marshal(m)
	if err != nil || string(b) != `"+8613812345601"` {
		t.Errorf("in JSON: got %s, %v; want it in full", b, err)
	}
}

func TestWhichStampWins(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		s, over callsign.Stamp
		want    bool
	}{
		"a greater version":                     {callsign.Stamp{Epoch: 1, Version: 2}, callsign.Stamp{Epoch: 1, Version: 1}, true},
		"a smaller version":                     {callsign.Stamp{Epoch: 1, Version: 1}, callsign.Stamp{Epoch: 1, Version: 2}, false},
		"the same version is a duplicate":       {callsign.Stamp{Epoch: 1, Version: 1}, callsign.Stamp{Epoch: 1, Version: 1}, false},
		"a greater epoch, whatever the version": {callsign.Stamp{Epoch: 2}, callsign.Stamp{Epoch: 1, Version: 9}, true},
		"a smaller epoch, whatever the version": {callsign.Stamp{Epoch: 1, Version: 9}, callsign.Stamp{Epoch: 2}, false},
		"a later time":                          {callsign.TimedStamp(noon.Add(time.Second)), callsign.TimedStamp(noon), true},
		"an earlier time":                       {callsign.TimedStamp(noon), callsign.TimedStamp(noon.Add(time.Second)), false},
		"the same time: what is received later": {callsign.TimedStamp(noon), callsign.TimedStamp(noon), true},
		"a version over any time":               {callsign.Stamp{}, callsign.TimedStamp(noon), true},
		"no time over a version, however late":  {callsign.TimedStamp(noon.AddDate(99, 0, 0)), callsign.Stamp{}, false},
	} {
		if got := c.s.Newer(c.over); got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestATextIsShowableUntilItExpires(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	p := callsign.Profile{Signature: callsign.Signature{Shown: "hello"}}
	if got := p.Showable(noon); got != "hello" {
		t.Errorf("without an end: got %q", got)
	}
	p.Signature.Expires = noon
	if got := p.Showable(noon.Add(-1)); got != "hello" {
		t.Errorf("before its end: got %q", got)
	}
	if got := p.Showable(noon); got != "" {
		t.Errorf("at its end: got %q, want nothing", got)
	}
}

func TestCallIDsSortByTimeAndRoundTrip(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	early, late := callsign.NewCallID(noon, callsign.BranchKey{255}), callsign.NewCallID(noon.Add(time.Millisecond), callsign.BranchKey{})
	if early.String() >= late.String() {
		t.Errorf("%v does not sort before %v", early, late)
	}
	var got callsign.CallID
	if err := got.UnmarshalText([]byte(early.String())); err != nil || got != early {
		t.Errorf("got %v, %v; want %v", got, err, early)
	}
	for _, bad := range []string{"", "xx", early.String()[1:], early.String() + "0", strings.Repeat("z", 32)} {
		if err := got.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}
