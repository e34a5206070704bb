package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

type smscCommand struct {
	Listen    string   `default:"127.0.0.1:2775" help:"Where SMPP is served."`
	HTTP      string   `name:"http" default:"127.0.0.1:8775" help:"Where the handsets are served, as JSON: /handsets, /handsets/NUMBER, /events; and answer: POST /handsets/NUMBER/messages and /ussd."`
	SystemID  string   `name:"system-id" help:"The only system_id that may bind; any without it."`
	Password  string   `help:"The password that must come with it."`
	Account   []string `placeholder:"ID:PASSWORD" help:"More system_ids that may bind, each with its password; then no other may."`
	Behaviour string   `type:"path" placeholder:"FILE" help:"How the SMSC and its handsets misbehave, as JSON; GET and PUT /behaviour show and change it while it runs."`
	Seed      uint64   `help:"What happens by chance happens again with the same seed; it is printed."`
	Lines     bool     `help:"Instead of drawing handsets print a line of JSON when a message is shown, and one when its receipt is taken."`
}

// Run simulates an SMSC until it is told to stop.
func (c smscCommand) Run(s surroundings) error {
	options, err := c.options()
	if err != nil {
		return err
	}
	smpp, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("%w: if another process has it, choose another address with --listen", err)
	}
	web, err := net.Listen("tcp", c.HTTP)
	if err != nil {
		_ = smpp.Close()
		return fmt.Errorf("%w: if another process has it, choose another address with --http", err)
	}
	options.OnMessage = func(m smsc.Message) { _ = smsc.Draw(s.stdout, m) }
	if c.Lines {
		options.OnMessage = func(m smsc.Message) { printLine(s.stdout, "shown", m.At, m) }
		options.OnReceipt = func(m smsc.Message) { printLine(s.stdout, "receipted", time.Now(), m) }
	}
	server := smsc.New(options)
	fmt.Fprintf(s.stdout, "SMPP on %s, handsets on http://%s/handsets, seed %d\n", smpp.Addr(), web.Addr(), server.Seed)
	group, ctx := errgroup.WithContext(s.ctx)
	group.Go(func() error { return server.Run(ctx, smpp) })
	group.Go(func() error { return serveHTTP(ctx, web, server.Handler()) })
	return group.Wait()
}

func (c smscCommand) options() (o smsc.Options, err error) {
	o = smsc.Options{SystemID: c.SystemID, Password: c.Password, Seed: c.Seed, Accounts: map[string]string{}}
	for _, account := range c.Account {
		id, password, ok := strings.Cut(account, ":")
		if !ok || id == "" {
			return o, usageError{fmt.Errorf("--account %q: write it like ID:PASSWORD", id)}
		}
		o.Accounts[id] = password
	}
	if c.Behaviour == "" {
		return o, nil
	}
	b, err := os.ReadFile(c.Behaviour)
	if err != nil {
		return o, usageError{fmt.Errorf("--behaviour: %w", err)}
	}
	if o.Behaviour, err = smsc.ParseBehaviour(b); err != nil {
		return o, usageError{fmt.Errorf("--behaviour %s: %w", c.Behaviour, err)}
	}
	return o, nil
}

// printLine tells, in one write, of one message of which several may come at once.
func printLine(w io.Writer, event string, at time.Time, m smsc.Message) {
	_ = json.NewEncoder(w).Encode(struct {
		Event string          `json:"event"`
		At    time.Time       `json:"at"`
		To    callsign.MSISDN `json:"to"`
		ID    string          `json:"id"`
		Text  string          `json:"text"`
	}{event, at, m.To, m.ID, m.Text})
}

func serveHTTP(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stopped := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stopped()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
