package main

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/callsign-as/callsign/api"
	"github.com/callsign-as/callsign/gsmbridge"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
	"github.com/callsign-as/callsign/sipas"
)

// TestTheHandsetHasItsSay is a node with an SMSC and a USSD gateway, and a caller who is called back to.
func TestTheHandsetHasItsSay(t *testing.T) {
	serve := func() (*smsc.Server, string) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := smsc.New(smsc.Options{})
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx, ln) }()
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
		return s, ln.Addr().String()
	}
	texts, textsAddress := serve()
	gateway, gatewayAddress := serve()
	d := daemonFor(t, func(c *Config, _ *daemon) {
		c.Show.CallerRanges = []string{"any"}
		c.Show.AccessByRange = []sipas.RangeAccess{{Range: "+8613", Access: "3GPP-GERAN"}}
		c.SMPP.Links = []gsmbridge.LinkConfig{
			{Name: "texts", Address: textsAddress, SystemID: "x", Sender: "10086"},
			{Name: "gateway", Address: gatewayAddress, SystemID: "x", Channel: gsmbridge.USSD},
		}
		c.SMPP.Templates = []gsmbridge.Template{{Text: "{name}: {signature}"}}
	})
	waitFor(t, func() bool { return len(d.problems()) == 0 })
	_, key, _ := command(t, nil, "key", "create", "--role", "admin", "-c", write(t, "store: { url: \""+d.config.Store.URL+"\" }\n"))
	for _, args := range [][]string{{"subscriber", "put", demoSubscriber.E164(), "--name", "Li Na"}, {"signature", "put", demoSubscriber.E164(), "Back at six"}} {
		args = append(args, "--server", "http://"+d.listener.Addr().String(), "--key", strings.TrimSpace(key))
		if code, _, stderr := command(t, nil, args...); code != exitOK {
			t.Fatal(stderr)
		}
	}
	shown := func() (all []string) {
		for _, s := range []*smsc.Server{texts, gateway} {
			for _, m := range s.Messages(demoCaller) {
				how := "SMS"
				switch {
				case m.Flash:
					how = "flash"
				case m.USSD:
					how = "ussd"
				}
				all = append(all, how+": "+m.Text)
			}
		}
		return all
	}
	const (
		onUSSD  = "ussd: Li Na: Back at six"
		onFlash = "flash: Li Na: Back at six"
		stopped = "SMS: You get no more texts when you call. To get them again, send START."
		started = "SMS: You get texts again when you call. To stop them, send STOP."
	)
	send := func(text string) {
		t.Helper()
		if err := texts.Send(t.Context(), demoCaller, "10086", text); err != nil {
			t.Error(err)
		}
	}
	for _, step := range []struct {
		name string
		do   func()
		want []string // in all
	}{
		{"over GERAN a call shows a text by USSD", func() { placed(t, d) }, []string{onUSSD}},
		{"a busy phone gets it as a flash SMS", func() {
			if err := gateway.Behave(smsc.Behaviour{USSDBusy: 0x40A}); err != nil {
				t.Error(err)
			}
			placed(t, d)
		}, []string{onFlash, onUSSD}},
		{"STOP is confirmed once", func() { send("Stop!"); send("STOP") }, []string{onFlash, stopped, onUSSD}},
		{"and obeyed at once", func() { placed(t, d) }, []string{onFlash, stopped, onUSSD}},
		{"what-if tells it", func() {
			if r, err := d.whatIf(t.Context(), api.WhatIfRequest{Caller: demoCaller, Callee: demoSubscriber}); err != nil || r.Refusal != sipas.OptedOut {
				t.Errorf("got %+v, %v", r, err)
			}
		}, []string{onFlash, stopped, onUSSD}},
		{"START is confirmed", func() { send("start") }, []string{onFlash, stopped, started, onUSSD}},
	} {
		step.do()
		waitFor(t, func() bool { return len(shown()) >= len(step.want) })
		if got := shown(); !slices.Equal(got, step.want) {
			t.Fatalf("%s: got %q, want %q", step.name, got, step.want)
		}
	}
	waitFor(t, func() bool { // the feed tells that it was undone
		placed(t, d)
		return len(shown()) > 4
	})
}
