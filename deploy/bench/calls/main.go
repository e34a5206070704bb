// Calls places calls through a proxy at a steady rate and answers them: it is the S-CSCF before an application server and
// the S-CSCF behind it, in one process, so that one clock times both. Calls begin at their time, whatever became of those
// before (an open loop); one without an answer is sent again as RFC 3261 says. ACK and BYE, which pass an application server
// by that did not record its route, are left out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"time"
)

type options struct {
	proxy, caller, callee netip.AddrPort
	rate                  float64
	calls, first          int
	silent, texts         int // how many callees there are, without a text and with one
	textEvery             int
	answerAfter, patience time.Duration
	every                 time.Duration // a line of progress; 0: none
}

func (o options) direct() bool { return o.proxy == o.callee }

// odi is the URI by which the S-CSCF knows a call again that comes back to it.
func (o options) odi() string {
	return "sip:iscmark@" + o.callee.String() + ";lr;s=1;h=0;d=1;a=7369703a2b383631333930303030303030303040696d732e74657374"
}

func main() {
	o := options{
		caller: netip.MustParseAddrPort("127.77.0.1:6060"),
		callee: netip.MustParseAddrPort("127.77.0.3:6060"),
	}
	flag.TextVar(&o.proxy, "proxy", o.callee, "where INVITEs go, ADDRESS:PORT; the callee's address: no proxy, the direct path")
	flag.TextVar(&o.caller, "caller", o.caller, "where the caller is")
	flag.TextVar(&o.callee, "callee", o.callee, "where the callee is")
	flag.Float64Var(&o.rate, "rate", 500, "calls a second")
	flag.IntVar(&o.calls, "calls", 5000, "how many")
	flag.IntVar(&o.silent, "silent", 100_000, "to how many different numbers without a text, from +8613900000000 on")
	flag.IntVar(&o.texts, "texts", 10_000, "how many numbers with a text follow them")
	flag.IntVar(&o.textEvery, "text-every", 0, "one call in how many goes to such a number; 0: none")
	flag.IntVar(&o.first, "first", 0, "where in their order the callees begin")
	flag.DurationVar(&o.answerAfter, "answer-after", 100*time.Millisecond, "how long it rings")
	flag.DurationVar(&o.patience, "patience", 8*time.Second, "how long the last calls may take")
	flag.DurationVar(&o.every, "every", 0, "how often to print how the calls get on; 0: never")
	flag.Parse()
	sound, err := place(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if !sound {
		os.Exit(3)
	}
}

// place places the calls and prints what was found, as one line of name=value.
func place(o options) (sound bool, err error) {
	if o.rate <= 0 || o.calls <= 0 || o.silent <= 0 || o.texts <= 0 || o.silent+o.texts > 10_000_000 || o.textEvery < 0 || o.first < 0 {
		return false, errors.New("use more than none of -rate, -calls, -silent and -texts, at most ten million callees, and nothing negative")
	}
	runtime.GOMAXPROCS(6) // however few cores: each of the three threads sleeps in the kernel with a processor of its own
	route := "<" + o.odi() + ">"
	if !o.direct() {
		route = "<sip:as@" + o.proxy.String() + ";lr>, " + route
	}
	r := &run{o: o, maker: newMaker(o.caller.String(), route, newOrder(o)), calls: make([]call, o.calls), answers: make(chan due, o.calls)}
	if r.caller, err = dial(o.caller, o.proxy); err != nil {
		return false, err
	}
	peer := o.proxy
	if o.direct() {
		peer = o.caller
	}
	if r.callee, err = dial(o.callee, peer); err != nil {
		return false, err
	}
	stop := r.tellProgress(os.Stdout)
	err = r.run()
	stop()
	if err != nil {
		return false, err
	}
	line, sound := r.summary()
	fmt.Println(line)
	if s := r.firstStrange.Load(); s != nil {
		fmt.Fprintf(os.Stderr, "the first message that is none of a good call: %s\n", *s)
	}
	return sound, nil
}
