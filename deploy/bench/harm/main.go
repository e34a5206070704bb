// Harm makes the faults of harm.sh that a shell can't make, and tells from the logs of a run what they did.
package main

import (
	"fmt"
	"os"
	"time"
)

const usage = `usage:
  harm calls N SUBSCRIBERS                       SIPp's -inf: a caller of its own for each call, and a callee of so many
  harm subscribers N TEXT RULES                  puts that many callees, each with the text, by a policy of so many rules if there are any, to
                                                 CALLSIGN_SERVER with CALLSIGN_KEY
  harm flood AS NEXT SECONDS RATE                INVITEs to nobody, so many a second; 0: as fast as they can be sent
  harm abuse SECONDS                             all that can be done to the API of CALLSIGN_SERVER at once; CALLSIGN_KEY makes its sources
  harm lock DATABASE SECONDS                     takes an SQLite database from everybody, readers too
  harm tcp AS CALLER CALLEE CALLS SUBSCRIBERS RATE MESSAGES   the calls, over TCP, with SIPp's -trace_shortmsg of them
  harm tell CALLS MESSAGES LINES FAULTS          what SIPp's -trace_shortmsg, the SMSC's lines and the faults' times say`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "harm:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	number := func(i int) (n int) {
		_, _ = fmt.Sscan(args[i], &n)
		return n
	}
	seconds := func(i int) (d time.Duration) {
		var s float64
		_, _ = fmt.Sscan(args[i], &s)
		return time.Duration(s * float64(time.Second))
	}
	switch {
	case len(args) == 3 && args[0] == "calls":
		return calls(os.Stdout, number(1), number(2))
	case len(args) == 4 && args[0] == "subscribers":
		return subscribers(number(1), os.Getenv("CALLSIGN_SERVER"), os.Getenv("CALLSIGN_KEY"), args[2], number(3))
	case len(args) == 5 && args[0] == "flood":
		return flood(args[1], args[2], seconds(3), number(4))
	case len(args) == 2 && args[0] == "abuse":
		return abuse(os.Getenv("CALLSIGN_SERVER"), os.Getenv("CALLSIGN_KEY"), seconds(1))
	case len(args) == 3 && args[0] == "lock":
		return lock(args[1], seconds(2))
	case len(args) == 8 && args[0] == "tcp":
		return tcp(os.Stdout, args[1], args[2], args[3], number(4), number(5), number(6), args[7])
	case len(args) == 5 && args[0] == "tell":
		return tell(os.Stdout, number(1), args[2], args[3], args[4])
	}
	return fmt.Errorf("can't be used like this\n%s", usage)
}
