package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/rivo/uniseg"

	"github.com/callsign-as/callsign"
)

// The lanes of a ladder, from left to right.
const (
	laneSCSCF = iota
	laneAS
	laneSMSC
	laneHandset
	lanes
)

// laneWidth is how far the lanes are apart, in columns; noteWidth how much of a text stands beside one.
const (
	laneWidth = 20
	noteWidth = 64
)

// rung is one line of a ladder: what went from one lane to another, or, where these are the same, what happened there.
type rung struct {
	from, to int
	what     string
}

// rungOf is where an event of a timeline belongs. What the SMSC does with the handset isn't seen: a receipt tells it.
func rungOf(e seenEvent) rung {
	switch e.Kind {
	case callsign.EventInvite:
		return rung{laneSCSCF, laneAS, "INVITE"}
	case callsign.EventRinging:
		return rung{laneSCSCF, laneAS, e.Reason}
	case callsign.EventAnswered:
		return rung{laneSCSCF, laneAS, "200"}
	case callsign.EventEnded:
		return rung{laneSCSCF, laneAS, e.Reason}
	case callsign.EventDecided:
		by := ""
		if name, ok := strings.CutPrefix(e.Reason, callsign.PolicyNetwork+"/"); ok {
			by = " by the policy's text " + name
		}
		return rung{laneAS, laneAS, "decided" + by + ": “" + e.Text + "”"}
	case callsign.EventSubmitted:
		return rung{laneAS, laneSMSC, "submit_sm " + e.Link}
	case callsign.EventAccepted:
		return rung{laneSMSC, laneAS, "accepted " + e.MessageID}
	case callsign.EventWithdrawn:
		return rung{laneAS, laneSMSC, "cancel_sm " + e.MessageID}
	case callsign.EventReceipt:
		if stat, _, _ := strings.Cut(e.Reason, " "); stat == "DELIVRD" || stat == "CONFIRMED" {
			return rung{laneHandset, laneAS, e.Reason}
		}
		return rung{laneSMSC, laneAS, e.Reason}
	}
	what := string(e.Kind)
	if e.Link != "" {
		what += " on " + e.Link
	}
	return rung{laneAS, laneAS, what + ": " + e.Reason}
}

// drawLadder draws what went between whom and when: the time of the first event, and of the others how long after it.
func drawLadder(w io.Writer, events []seenEvent) error {
	var out strings.Builder
	out.WriteString(strings.Repeat(" ", 15))
	for _, name := range []string{"S-CSCF", "AS", "SMSC", "handset"} {
		out.WriteString(fit(name, laneWidth))
	}
	out.WriteByte('\n')
	for i, e := range events {
		when := e.At.Local().Format("15:04:05.000")
		if i > 0 {
			when = fmt.Sprintf("+%.1f ms", float64(e.At.Sub(events[0].At))/float64(time.Millisecond))
		}
		fmt.Fprintf(&out, "%12s   %s\n", when, strings.TrimRight(rungOf(e).draw(), " "))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (r rung) draw() string {
	var line strings.Builder
	left, right := min(r.from, r.to), max(r.from, r.to)
	for lane := range lanes {
		line.WriteString("│")
		switch {
		case lane == left && left == right:
			line.WriteString(" " + fit(r.what, noteWidth))
			return line.String()
		case lane == left:
			line.WriteString(r.arrow((right-left)*laneWidth - 1))
		case lane < left || lane >= right:
			line.WriteString(strings.Repeat(" ", laneWidth-1))
		default: // the arrow goes over it
			s := line.String()
			line.Reset()
			line.WriteString(strings.TrimSuffix(s, "│"))
		}
	}
	return line.String()
}

// arrow is what goes, between the lanes, with its head where it goes to.
func (r rung) arrow(width int) string {
	what := strings.TrimRight(fit(r.what, width-5), " ")
	line := "─ " + what + " " + strings.Repeat("─", max(0, width-4-uniseg.StringWidth(what)))
	if r.to > r.from {
		return line + "▶"
	}
	return "◀" + line
}

// fit is text in so many columns, filled with spaces or cut. It may be foreign: no control character gets through.
func fit(text string, columns int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, text)
	var out strings.Builder
	taken, state := 0, -1
	for text != "" {
		var cluster string
		var width int
		cluster, text, width, state = uniseg.FirstGraphemeClusterInString(text, state)
		if taken+width > columns-1 && (text != "" || taken+width > columns) {
			out.WriteString("…")
			taken++
			break
		}
		out.WriteString(cluster)
		taken += width
	}
	return out.String() + strings.Repeat(" ", max(0, columns-taken))
}
