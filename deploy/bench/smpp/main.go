// Smpp submits the same short message again and again, through one SMPP library, from as many goroutines as the window has
// places, each waiting for its answer; or it is the SMSC that all of them submit to.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// The message: a text of 33 characters by Flash SMS.
const (
	from, to   = "Callsign", "8613800000000"
	text       = "On the road, call you back at six"
	dataCoding = 0xF0
	validity   = 30 * time.Second
)

// library submits the message once and waits for its answer, which gives its id.
type library func() (id string, err error)

var libraries = map[string]func(ctx context.Context, address string, window int) (submit library, unbind func(), err error){
	"callsign": callsignClient, "gosmpp": gosmppClient, "fiorix": fiorixClient,
}

func main() {
	address := flag.String("address", "127.77.0.11:2775", "where the SMSC is")
	name := flag.String("library", "", "callsign, gosmpp or fiorix; empty: be the SMSC")
	window := flag.Int("window", 10, "submits that wait for their answer at once")
	seconds := flag.Float64("seconds", 3, "how long it is measured, after a warming tenth of that")
	flag.Parse()
	if err := run(*address, *name, *window, *seconds); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(address, name string, window int, seconds float64) error {
	if name == "" {
		return serve(address)
	}
	client, known := libraries[name]
	if !known {
		return fmt.Errorf("no library is called %q", name)
	}
	submit, unbind, err := client(context.Background(), address, window)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	defer unbind()
	during := time.Duration(seconds * float64(time.Second))
	if _, err := submitFor(during/10, window, submit); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	before, began := cpu(), time.Now()
	n, err := submitFor(during, window, submit)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	took, used := time.Since(began), cpu()-before
	fmt.Printf("rate=%.0f cpu=%.4f\n", float64(n)/took.Seconds(), used.Seconds()/float64(n)*1000)
	return nil
}

// submitFor submits from window goroutines and counts what was answered.
func submitFor(d time.Duration, window int, submit library) (n int64, err error) {
	var (
		answered atomic.Int64
		over     atomic.Bool
		failed   = make(chan error, window)
		group    sync.WaitGroup
	)
	timer := time.AfterFunc(d, func() { over.Store(true) })
	defer timer.Stop()
	for range window {
		group.Go(func() {
			for !over.Load() {
				id, err := submit()
				if err == nil && id != messageID {
					err = fmt.Errorf("the message id is %q, the SMSC said %q", id, messageID)
				}
				if err != nil {
					failed <- err
					return
				}
				answered.Add(1)
			}
		})
	}
	group.Wait()
	select {
	case err = <-failed:
	default:
	}
	return answered.Load(), err
}

// cpu is what this process used, in user space and in the kernel.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
