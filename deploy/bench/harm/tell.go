package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// around is how long before and after a fault a call may lose its text without being counted.
const around = 2 * time.Second

// call is what a caller saw of one.
type call struct {
	invite, rang, answered, shown time.Time
	receipted                     bool
}

type fault struct{ begin, end time.Time }

// tell prints what happened, as name=value.
func tell(w io.Writer, n int, messages, texts, faultTimes string) error {
	all := make([]call, n+1)
	again, err := readMessages(messages, all)
	if err != nil {
		return err
	}
	receipted, twice, err := readTexts(texts, all)
	if err != nil {
		return err
	}
	faults, err := readFaults(faultTimes)
	if err != nil {
		return err
	}
	least := n
	for _, f := range faults {
		flying := 0
		for _, c := range all[1:] {
			if !c.invite.IsZero() && c.invite.Before(f.begin) && (c.answered.IsZero() || c.answered.After(f.begin)) {
				flying++
			}
		}
		least = min(least, flying)
	}
	var times []time.Duration
	var first, last time.Time
	var delays []time.Duration // from 180 to the handset
	outside, shown := 0, 0
	for _, c := range all[1:] {
		if c.invite.IsZero() {
			continue
		}
		if first.IsZero() || c.invite.Before(first) {
			first = c.invite
		}
		if c.invite.After(last) {
			last = c.invite
		}
		if rang := c.rang; !rang.IsZero() || !c.answered.IsZero() {
			if rang.IsZero() {
				rang = c.answered // its 180 was lost
			}
			times = append(times, rang.Sub(c.invite))
		}
		if !slices.ContainsFunc(faults, func(f fault) bool {
			return c.invite.After(f.begin.Add(-around)) && c.invite.Before(f.end.Add(around))
		}) {
			outside++
			if c.receipted {
				shown++
			}
			if !c.shown.IsZero() && !c.rang.IsZero() {
				delays = append(delays, c.shown.Sub(c.rang))
			}
		}
	}
	if len(times) == 0 || outside == 0 {
		return fmt.Errorf("%s tells of %d calls that rang, %d of them %v away from any fault: nothing to tell of", messages, len(times), outside, around)
	}
	slices.Sort(times)
	p := func(q int) float64 { return milliseconds(times, q) }
	slices.Sort(delays)
	soon, _ := slices.BinarySearch(delays, 150*time.Millisecond)
	_, err = fmt.Fprintf(w, "faults=%d flying=%d again=%d receipted=%d twice=%d outside=%d share=%.2f p50=%.1f p99=%.1f p999=%.1f placed=%.1f soon=%.2f shown50=%.1f shown99=%.1f\n",
		len(faults), least, again, receipted, twice, outside, 100*float64(shown)/float64(outside), p(500), p(990), p(999), last.Sub(first).Seconds(),
		100*float64(soon)/float64(max(1, len(delays))), milliseconds(delays, 500), milliseconds(delays, 990))
	return err
}

// milliseconds is the q-th thousandth of sorted times, 0 of none.
func milliseconds(sorted []time.Duration, q int) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return float64(sorted[len(sorted)*q/1000].Microseconds()) / 1000
}

// readMessages reads the caller's messages; again counts the INVITEs sent more than once.
func readMessages(path string, all []call) (again int, err error) {
	err = lines(path, func(line string) error {
		fields := strings.Split(line, "\t") // date, time, seconds, S or R, Call-ID, CSeq, start line
		var n int
		if len(fields) < 7 || fields[5] != "CSeq:1 INVITE" {
			return nil
		}
		if _, err := fmt.Sscanf(fields[4], "harm-%d-", &n); err != nil || n < 1 || n >= len(all) {
			return fmt.Errorf("%s: the Call-ID of %q is not one of ours", path, line)
		}
		at, err := seconds(fields[2])
		if err != nil {
			return err
		}
		c := &all[n]
		switch {
		case fields[3] == "S" && strings.HasPrefix(fields[6], "INVITE "):
			if !c.invite.IsZero() {
				again++
			} else {
				c.invite = at
			}
		case strings.HasPrefix(fields[6], "SIP/2.0 180") && c.rang.IsZero():
			c.rang = at
		case strings.HasPrefix(fields[6], "SIP/2.0 200") && c.answered.IsZero():
			c.answered = at
		}
		return nil
	})
	return again, err
}

// readTexts reads whose handset has taken a text, and how many got it more than once.
func readTexts(path string, all []call) (receipted, twice int, err error) {
	err = lines(path, func(line string) error {
		var l struct {
			Event, To string
			At        time.Time
		}
		if !strings.HasPrefix(line, "{") || json.Unmarshal([]byte(line), &l) != nil {
			return nil // the greeting
		}
		var n int
		if _, err := fmt.Sscanf(l.To, "+86138%d", &n); err != nil || n < 1 || n >= len(all) {
			return fmt.Errorf("%s: %s has called nobody", path, l.To)
		}
		if l.Event == "shown" {
			all[n].shown = l.At
			return nil
		}
		if all[n].receipted {
			twice++
			return nil
		}
		all[n].receipted = true
		receipted++
		return nil
	})
	return receipted, twice, err
}

func readFaults(path string) (faults []fault, err error) {
	err = lines(path, func(line string) error {
		begin, end, _ := strings.Cut(line, " ")
		from, err := seconds(begin)
		if err != nil {
			return err
		}
		to, err := seconds(end)
		faults = append(faults, fault{from, to})
		return err
	})
	return faults, err
}

// seconds reads seconds since 1970 with their fraction.
func seconds(s string) (time.Time, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	var sec, nsec int64
	_, err := fmt.Sscan(whole+" "+"1"+(fraction + "000000000")[:9], &sec, &nsec)
	return time.Unix(sec, nsec-1e9), err
}

func lines(path string, each func(string) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	for s.Scan() {
		if err := each(s.Text()); err != nil {
			return err
		}
	}
	return s.Err()
}
