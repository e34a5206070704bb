package main

import (
	"strings"
	"testing"
	"time"

	"github.com/rivo/uniseg"

	"github.com/callsign-as/callsign"
)

func TestTheLadder(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	at := func(ms int, kind callsign.EventKind, reason string) seenEvent {
		return seenEvent{At: noon.Add(time.Duration(ms) * time.Millisecond), Kind: kind, Reason: reason, Text: "在高铁上", Link: "a", MessageID: "4711"}
	}
	unlinked := at(6, callsign.EventFailed, "no link")
	unlinked.Link = ""
	for sentence, c := range map[string]struct {
		event seenEvent
		want  string
	}{
		"SIP comes from the S-CSCF":             {at(1, callsign.EventInvite, ""), "│─ INVITE ─────────▶│"},
		"a decision is the AS's own":            {at(1, callsign.EventDecided, "qq/7"), "│                   │ decided: “在高铁上”"},
		"a policy's text has its name":          {at(1, callsign.EventDecided, "policy/dinner"), "│                   │ decided by the policy's text dinner: “在高铁上”"},
		"a text goes to the SMSC":               {at(1, callsign.EventSubmitted, ""), "│                   │─ submit_sm a ────▶│"},
		"an answer comes back":                  {at(1, callsign.EventAccepted, ""), "│                   │◀─ accepted 4711 ──│"},
		"a receipt tells of the handset":        {at(1, callsign.EventReceipt, "DELIVRD"), "│                   │◀─ DELIVRD ────────────────────────────│"},
		"a bad one tells of the SMSC":           {at(1, callsign.EventReceipt, "EXPIRED"), "│                   │◀─ EXPIRED ────────│"},
		"what failed says on which link":        {at(1, callsign.EventFailed, "no answer"), "│                   │ failed on a: no answer"},
		"without a link it is ours":             {unlinked, "│                   │ failed: no link"},
		"the call's end is the S-CSCF's":        {at(1, callsign.EventEnded, "the caller hung up"), "│─ the caller hu… ─▶│"},
		"what is long is cut, not the next one": {at(1, callsign.EventEnded, strings.Repeat("长", 50)), "│─ 长长长长长长… ──▶│"},
		"no control character gets through":     {at(1, callsign.EventEnded, "a\x1b[2Jb\u202e"), "│─ a [2Jb ─────────▶│"},
	} {
		var out strings.Builder
		if err := drawLadder(&out, []seenEvent{at(0, callsign.EventInvite, ""), c.event}); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(out.String(), "\n")
		if got := strings.TrimSpace(lines[2]); !strings.HasPrefix(strings.TrimLeft(got, "+0123456789.ms "), c.want) {
			t.Errorf("%s:\ngot  %s\nwant %s", sentence, got, c.want)
		}
		if !strings.Contains(lines[1], noon.Local().Format("15:04:05.000")) || !strings.Contains(lines[2], "+") {
			t.Errorf("%s: no times in\n%s", sentence, out.String())
		}
		if got := uniseg.StringWidth(lines[1]); got != 15+4*laneWidth-laneWidth+1 {
			t.Errorf("%s: the first line has %d columns", sentence, got)
		}
	}
}
