// Subscribers fills a database with those whom the benchmarks call, by the engine's own methods; texts pass the intake, as
// every text does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/store/sqlite"
)

const (
	first  = callsign.MSISDN(8613900000000)
	tenant = "default"
	batch  = 1000
)

func main() {
	path := flag.String("path", "callsign.db", "the database; it is created")
	silent := flag.Int("silent", 100_000, "how many subscribers without a text, from +8613900000000 on")
	texts := flag.Int("texts", 10_000, "how many with one follow them")
	flag.Parse()
	if err := fill(context.Background(), *path, *silent, *texts); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fill(ctx context.Context, path string, silent, texts int) (err error) {
	engine, err := sqlite.Open(ctx, sqlite.Options{Path: path})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	for i := range silent + texts {
		s := callsign.Subscriber{MSISDN: first + callsign.MSISDN(i), Name: "Subscriber " + strconv.Itoa(i)}
		if _, err := engine.PutSubscriber(ctx, callsign.Scope{Tenant: tenant}, s); err != nil {
			return err
		}
	}
	intake := sigsync.NewIntake(sigsync.Options{Keeper: engine})
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- intake.Run(ctx) }()
	defer func() {
		cancel()
		err = errors.Join(err, <-ended)
	}()
	var changes []callsign.Change
	for i := silent; i < silent+texts; i++ {
		changes = append(changes, callsign.Change{
			Tenant: tenant, Source: "bench", ID: strconv.Itoa(i), Network: callsign.ManualNetwork,
			Account: (first + callsign.MSISDN(i)).E164()[1:], Text: "On the road, call you back at six", Stamp: callsign.Stamp{Version: 1},
		})
	}
	for len(changes) > 0 {
		n := min(batch, len(changes))
		statuses, err := intake.Put(ctx, changes[:n])
		if err != nil {
			return err
		}
		for i, s := range statuses {
			if s != callsign.Stored {
				return fmt.Errorf("the text of account %s is %s", changes[i].Account, s)
			}
		}
		changes = changes[n:]
	}
	return nil
}
