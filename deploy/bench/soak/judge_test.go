package main

import (
	"strings"
	"testing"
)

func TestASoakIsGoodIfNothingFailedAndNothingGrew(t *testing.T) {
	soak := func(change func(i int, s *sample)) []sample {
		list := make([]sample, 40)
		for i := range list {
			n := float64(i + 1)
			list[i] = sample{seconds: 10 * n, sent: 1000 * n, accepted: 500 * n, resident: 100e6, goroutines: 60, files: 30}
			if i < 10 { // what is remembered fills
				list[i][resident] = 40e6 + 6e6*float64(i)
			}
			change(i, &list[i])
		}
		return list
	}
	for name, c := range map[string]struct {
		change func(i int, s *sample)
		bad    string
	}{
		"memory that fills and then stays": {func(int, *sample) {}, ""},
		"one sample that stands out":       {func(i int, s *sample) { s[resident] += 50e6 * float64(i/39) }, ""},
		"a pool that has some more":        {func(i int, s *sample) { s[files] += float64(i / 4) }, ""},
		"a call that failed":               {func(i int, s *sample) { s[failed] = float64(i / 20) }, "calls that failed: 1 of 40000"},
		"a dropped event":                  {func(i int, s *sample) { s[dropped] = float64(i / 20) }, "were dropped: 1"},
		"texts that did not come":          {func(i int, s *sample) { s[accepted] *= 0.8 }, "SMSC accepted: 16000"},
		"memory that grows":                {func(i int, s *sample) { s[resident] += 1e6 * float64(i) }, "resident memory, MB: median 115.0 in the second quarter, 135.0"},
		"goroutines that are never done":   {func(i int, s *sample) { s[goroutines] += float64(i) }, "goroutines: median 75.0"},
		"files that stay open":             {func(i int, s *sample) { s[files] += float64(i) }, "open files: median 45.0"},
	} {
		t.Run(name, func(t *testing.T) {
			got := judge(soak(c.change))
			var bad []string
			for line := range strings.Lines(got.text) {
				if strings.HasPrefix(line, "BAD ") {
					bad = append(bad, line)
				}
			}
			if got.good != (c.bad == "") || len(bad) > 1 || c.bad != "" && !strings.Contains(strings.Join(bad, ""), c.bad) {
				t.Errorf("good is %t, bad: %q; want %q", got.good, bad, c.bad)
			}
		})
	}
}
