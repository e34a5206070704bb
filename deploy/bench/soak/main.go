// Soak runs a node for long: it has calls placed and, beside them, pushes texts over the websocket, while another one of it is an
// IM system that is read. Every ten seconds it notes what the node takes of the machine, as CSV; at the end it plots that, says whether it was
// flat, and holds the node to every push that it acknowledged.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

type options struct {
	server, admin, key, im string
	callees                int // how many have a text; their numbers follow those without one
	silent                 int
	pushes                 float64 // a second
	csv, plot              string
}

func main() {
	var o options
	flag.StringVar(&o.server, "server", "", "the node's API")
	flag.StringVar(&o.admin, "admin", "", "an administrator's key")
	flag.StringVar(&o.key, "key", "", "the key of the source that pushes")
	flag.StringVar(&o.im, "im", "", "ADDRESS:PORT; be the IM system that is read, there, and nothing else")
	flag.IntVar(&o.silent, "silent", 10_000, "subscribers without a text, from +8613900000000 on")
	flag.IntVar(&o.callees, "texts", 5000, "subscribers with one, who follow: by turns one whose account pushes and one whose is read")
	flag.Float64Var(&o.pushes, "pushes", 100, "events a second that are pushed")
	flag.StringVar(&o.csv, "csv", "soak.csv", "the samples")
	flag.StringVar(&o.plot, "plot", "soak.svg", "their plot")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "soak [flags] CALLS ARGUMENT…: CALLS is the program calls, -every 10s among its arguments")
		flag.PrintDefaults()
	}
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := error(nil)
	if o.im != "" {
		err = serveIM(ctx, o.im)
	} else {
		err = o.run(ctx, flag.Args())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}

func (o *options) run(ctx context.Context, calls []string) error {
	if len(calls) == 0 {
		return errors.New("no program places calls: name it behind the flags")
	}
	pusher, err := newPusher(o)
	if err != nil {
		return err
	}
	loading, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() {
		ended <- pusher.run(loading)
		cancel()
	}()
	list, err := o.sampled(loading, calls)
	cancel()
	if err = errors.Join(err, <-ended); err != nil {
		return err
	}
	if err := plot(o.plot, list); err != nil {
		return err
	}
	lost, err := pusher.lost(ctx)
	if err != nil {
		return err
	}
	last := list[len(list)-1]
	fmt.Printf("%.0f s, %.0f calls, %.0f texts accepted, %.0f receipted in time, %d events pushed and acknowledged, %.0f reads of the network\n",
		last[seconds], last[sent], last[accepted], last[receipted], pusher.acked.Load(), last[reads])
	fmt.Printf("acknowledged texts that are not the newest of their account: %d\n", lost)
	verdict := judge(list)
	fmt.Println(verdict.text)
	fmt.Printf("failed %.0f\n", last[failed])
	if !verdict.good || lost > 0 {
		return errors.New("the soak was not sound")
	}
	return nil
}

// everybodySpoke waits until every account's first text is kept.
func (o *options) everybodySpoke(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 5*time.Minute, errors.New("after five minutes some accounts have no text yet: see the node's log"))
	defer cancel()
	for {
		now, err := o.scrape(ctx)
		if err != nil {
			return err
		}
		if now[read] >= float64(o.callees/2) && now[pushed] >= float64((o.callees+1)/2) {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sampled has the calls placed, and samples the node at each line of their progress.
func (o *options) sampled(ctx context.Context, calls []string) (list []sample, err error) {
	if err := o.everybodySpoke(ctx); err != nil {
		return nil, err
	}
	file, err := os.Create(o.csv)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	fmt.Fprintln(file, strings.Join(names[:], ","))
	command := exec.CommandContext(ctx, calls[0], calls[1:]...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.Stderr = os.Stderr
	lines, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	in := bufio.NewScanner(lines)
	for in.Scan() {
		got := values(in.Text())
		if !strings.HasPrefix(in.Text(), "progress ") {
			fmt.Println(in.Text())
			if len(list) > 0 { // what is known at the end is the last sample's
				last := &list[len(list)-1]
				last[failed] = max(last[failed], got["calls"]-got["completed"])
			}
			continue
		}
		now, scrapeErr := o.scrape(ctx)
		err = errors.Join(err, scrapeErr)
		now[seconds], now[sent], now[failed] = got["seconds"], got["sent"], got["failed"]
		if len(list) > 0 {
			now[failed] = max(now[failed], list[len(list)-1][failed])
		}
		list = append(list, now)
		fmt.Fprintln(file, now.line())
	}
	if err = errors.Join(err, in.Err(), command.Wait()); err != nil {
		return nil, err
	}
	if len(list) < 8 {
		return nil, fmt.Errorf("%d samples tell nothing: let it run for two minutes at least", len(list))
	}
	return list, nil
}

// values are those of a line of name=value.
func values(line string) map[string]float64 {
	found := map[string]float64{}
	for word := range strings.FieldsSeq(line) {
		if name, value, ok := strings.Cut(word, "="); ok {
			found[name], _ = strconv.ParseFloat(value, 64)
		}
	}
	return found
}
