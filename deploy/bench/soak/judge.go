package main

import (
	"fmt"
	"slices"
	"strings"
)

// growth is by how much what the node takes may differ between the second quarter of the samples, when whatever is remembered
// for minutes is full, and the last. Of goroutines and files a few more are allowed for: pools of connections have some at times.
const (
	growth = 1.10
	more   = 10
)

type verdict struct {
	good bool
	text string
}

// judge says whether a soak was good: no call failed, nothing was dropped, nine of ten calls to somebody with a text were shown
// one, and what the node takes of the machine is flat, by the medians of the second quarter and of the last.
func judge(list []sample) verdict {
	v := verdict{good: true}
	var b strings.Builder
	say := func(good bool, format string, values ...any) {
		sign := "good"
		if !good {
			sign, v.good = "BAD ", false
		}
		fmt.Fprintf(&b, "%s  %s\n", sign, fmt.Sprintf(format, values...))
	}
	last, quarter := list[len(list)-1], len(list)/4
	say(last[failed] == 0, "calls that failed: %.0f of %.0f", last[failed], last[sent])
	say(last[dropped] == 0, "events and lines of timelines that were dropped: %.0f", last[dropped])
	say(true, "datagrams that the kernel dropped, for the node had no processor in time, and that came again: %.0f", last[kernel])
	say(last[accepted] >= last[sent]/2*0.9, "texts that the SMSC accepted: %.0f; every second call is to somebody with one: %.0f", last[accepted], last[sent]/2)
	for _, c := range []struct {
		column int
		unit   float64
		most   float64
		name   string
	}{{resident, 1e6, 0, "resident memory, MB"}, {goroutines, 1, more, "goroutines"}, {files, 1, more, "open files"}} {
		before, after := median(list[quarter:2*quarter], c.column), median(list[len(list)-quarter:], c.column)
		say(after <= max(before*growth, before+c.most), "%s: median %.1f in the second quarter, %.1f in the last (%+.1f%%)", c.name, before/c.unit, after/c.unit, (after/before-1)*100)
	}
	v.text = strings.TrimRight(b.String(), "\n")
	return v
}

func median(list []sample, column int) float64 {
	var all []float64
	for _, s := range list {
		all = append(all, s[column])
	}
	slices.Sort(all)
	return all[len(all)/2]
}
