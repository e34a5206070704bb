package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
	"github.com/callsign-as/callsign/sipas"
	"github.com/callsign-as/callsign/sipas/ims"
	"github.com/callsign-as/callsign/sipas/phone"
	"github.com/callsign-as/callsign/store"
)

type callCommand struct {
	client
	From    string        `arg:"" help:"Who calls, like +8613800000001."`
	To      string        `arg:"" help:"The subscriber who is called, like +8613900000002."`
	Dry     bool          `help:"Place no call: ask what would be shown (the API's /v1/whatif)."`
	Private bool          `help:"With --dry: the caller withholds the number."`
	SIP     string        `name:"sip" default:"127.0.0.1:5060" help:"Where the application server takes SIP."`
	Trace   bool          `help:"Draw the call as a ladder: S-CSCF, AS, SMSC and handset, with times."`
	Next    string        `placeholder:"ADDRESS:PORT" help:"Who comes behind the application server; without it a test phone that rings and answers."`
	Ring    time.Duration `default:"3s" help:"How long the test phone rings."`
}

// Run places the call, or asks what it would show.
func (c callCommand) Run(s surroundings) error {
	from, err := callsign.ParseMSISDN(c.From)
	if err != nil {
		return usageError{err}
	}
	to, err := callsign.ParseMSISDN(c.To)
	if err != nil {
		return usageError{err}
	}
	if c.Private && !c.Dry {
		return usageError{errors.New("the test call tells its number: with --private use --dry")}
	}
	if c.Dry {
		return c.whatIf(s, from, to)
	}
	if err := c.do(s.ctx, http.MethodGet, "/v1/calls?limit=1", nil, nil); err != nil {
		return err // before anybody's phone shows anything
	}
	since := time.Now()
	if err := c.place(s, from, to); err != nil {
		return err
	}
	// A call to somebody who has nothing to show leaves no timeline.
	if why, raw, err := c.ask(s.ctx, from, to); err != nil {
		return err
	} else if why.Refusal == sipas.NoSubscriber || why.Refusal == sipas.NoText {
		if c.JSON {
			return c.show(s.stdout, raw, "")
		}
		return shownNothing(s.stdout, from, why.Refusal)
	}
	seen, err := c.seen(s.ctx, from, to, since)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.show(s.stdout, seen.raw, "")
	}
	if c.Trace {
		if seen, err = c.receipted(s.ctx, seen); err == nil {
			err = drawLadder(s.stdout, seen.Events)
		}
		if err != nil {
			return err
		}
		if seen.SaidBy.Origin != "" {
			fmt.Fprintf(s.stdout, "The text was set by %s.\n", fit(seen.SaidBy.Origin, 80))
		}
		return seen.tell(s.stdout, from, to)
	}
	for _, e := range seen.Events {
		fmt.Fprintf(s.stdout, "%s  %-9s  %s\n", e.At.Local().Format("15:04:05.000"), e.Kind, e.Reason)
	}
	return seen.tell(s.stdout, from, to)
}

// answer is what the API says that a call would show.
type answer struct {
	Show    bool     `json:"show"`
	Text    string   `json:"text"`
	Refusal string   `json:"refusal"`
	Reasons []string `json:"reasons"`

	Channel  string `json:"channel"`
	Coding   string `json:"coding"`
	Units    int    `json:"units"`
	MaxUnits int    `json:"max_units"`
	Cut      bool   `json:"cut"`
	Parts    int    `json:"parts"`
}

func (c callCommand) ask(ctx context.Context, from, to callsign.MSISDN) (out answer, raw json.RawMessage, err error) {
	in := map[string]any{"caller": from.E164(), "callee": to.E164(), "private": c.Private}
	if err := c.do(ctx, http.MethodPost, "/v1/whatif", in, &raw); err != nil {
		return out, nil, err
	}
	return out, raw, json.Unmarshal(raw, &out)
}

func (c callCommand) whatIf(s surroundings, from, to callsign.MSISDN) error {
	out, raw, err := c.ask(s.ctx, from, to)
	if err != nil {
		return err
	}
	if c.JSON {
		return c.show(s.stdout, raw, "")
	}
	for _, r := range out.Reasons {
		fmt.Fprintln(s.stdout, r)
	}
	if !out.Show {
		_, err := fmt.Fprintf(s.stdout, "%s would be shown nothing\n", from.E164())
		return err
	}
	cut := ""
	if out.Cut {
		cut = ", cut to fit"
	}
	fmt.Fprintf(s.stdout, "by %s as %s: %d of %d units in %d message(s)%s\n", out.Channel, out.Coding, out.Units, out.MaxUnits, out.Parts, cut)
	smsc.Draw(s.stdout, smsc.Message{To: from, Text: out.Text, Flash: true})
	return nil
}

// place calls through the application server to a test phone, or to whoever is behind it.
func (c callCommand) place(s surroundings, from, to callsign.MSISDN) error {
	as, err := netip.ParseAddrPort(c.SIP)
	if err != nil {
		return usageError{fmt.Errorf("--sip %q: write an IP address and port, like 127.0.0.1:5060", c.SIP)}
	}
	next, err := netip.ParseAddrPort(c.Next)
	if err != nil && c.Next != "" {
		return usageError{fmt.Errorf("--next %q: write an IP address and port, like 127.0.0.1:6060", c.Next)}
	}
	progress := s.stdout
	if c.JSON {
		progress = s.stderr
	}
	call := phone.Call{From: from, To: to, Status: func(status int, text string) {
		fmt.Fprintf(progress, "%s  %d %s\n", time.Now().Format("15:04:05.000"), status, text)
	}}
	return placeThrough(s.ctx, as, next, c.Ring, call)
}

// placeThrough has a test phone call through as to next, or, if that is none, to another test phone that rings for ring.
func placeThrough(ctx context.Context, as, next netip.AddrPort, ring time.Duration, call phone.Call) error {
	local, err := towards(as)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	phones, running := errgroup.WithContext(ctx)
	caller, err := phone.Listen(local, 0)
	if err != nil {
		return err
	}
	phones.Go(func() error { return caller.Run(running) })
	if !next.IsValid() {
		callee, err := phone.Listen(local, ring)
		if err != nil {
			stop()
			return errors.Join(err, phones.Wait())
		}
		phones.Go(func() error { return callee.Run(running) })
		next = callee.Addr()
	}
	call.Route = []netip.AddrPort{as, next}
	err = caller.Place(ctx, call)
	stop()
	return errors.Join(err, phones.Wait())
}

// towards is the address of this machine from which as is reached, so that it finds the way back.
func towards(as netip.AddrPort) (netip.AddrPort, error) {
	c, err := net.Dial("udp", as.String()) // sends nothing
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("no way to the application server: %w", err)
	}
	defer c.Close()
	return netip.AddrPortFrom(c.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), 0), nil
}

// seenCall is a call's timeline as the API tells it.
type seenCall struct {
	raw    json.RawMessage
	ID     string `json:"id"`
	SaidBy struct {
		Origin string `json:"origin"`
	} `json:"said_by"`
	Events []seenEvent `json:"events"`
}

type seenEvent struct {
	At        time.Time          `json:"at"`
	Kind      callsign.EventKind `json:"kind"`
	Reason    string             `json:"reason"`
	Text      string             `json:"text"`
	Link      string             `json:"link"`
	MessageID string             `json:"message_id"`
}

// receiptTime is how long the receipt of a text that was accepted is waited for.
const receiptTime = 3 * time.Second

// receipted is call with the receipt of its text, if that comes soon.
func (c callCommand) receipted(ctx context.Context, call seenCall) (seenCall, error) {
	for end := time.Now().Add(receiptTime); time.Now().Before(end); {
		last, _ := call.ending()
		if last.Kind != callsign.EventAccepted || slices.ContainsFunc(call.Events, func(e seenEvent) bool { return e.Kind == callsign.EventReceipt }) {
			return call, nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return call, ctx.Err()
		}
		var now seenCall
		if err := c.do(ctx, http.MethodGet, pathTo("calls", call.ID), nil, &now); err != nil {
			return call, err
		}
		call = now
	}
	return call, nil
}

// seen waits until the timeline of the call that was just placed says how its text ended.
func (c callCommand) seen(ctx context.Context, from, to callsign.MSISDN, since time.Time) (call seenCall, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	query := url.Values{"caller": {from.E164()}, "callee": {to.E164()}, "since": {since.UTC().Format(time.RFC3339Nano)}}
	for {
		var list struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
		}
		if err := c.do(ctx, http.MethodGet, "/v1/calls?"+query.Encode(), nil, &list); err != nil {
			return call, err
		}
		if len(list.Items) > 0 {
			if err := c.do(ctx, http.MethodGet, pathTo("calls", list.Items[0].ID), nil, &call.raw); err != nil {
				return call, err
			}
			if err := json.Unmarshal(call.raw, &call); err != nil {
				return call, err
			}
			if _, ended := call.ending(); ended {
				return call, nil
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return call, fmt.Errorf("the call went through, but its timeline says nothing of a text: is %s a subscriber (callsign subscriber get %s)?", to.E164(), to.E164())
		}
	}
}

// ending is the event that says whether the text was shown.
func (c seenCall) ending() (last seenEvent, ended bool) {
	for _, e := range c.Events {
		switch e.Kind {
		case callsign.EventAccepted, callsign.EventSkipped, callsign.EventFailed:
			last, ended = e, true
		}
	}
	return last, ended
}

// tell draws the caller's phone, or says why it stayed dark.
func (c seenCall) tell(w io.Writer, from, to callsign.MSISDN) error {
	last, _ := c.ending()
	if last.Kind != callsign.EventAccepted {
		return shownNothing(w, from, last.Reason)
	}
	text := ""
	for _, e := range c.Events {
		if e.Kind == callsign.EventSubmitted {
			text = e.Text
		}
	}
	fmt.Fprintf(w, "%s, calling %s, sees:\n", from.E164(), to.E164())
	smsc.Draw(w, smsc.Message{To: from, Text: text, Flash: true})
	return nil
}

func shownNothing(w io.Writer, from callsign.MSISDN, reason string) error {
	_, err := fmt.Fprintf(w, "%s was shown nothing: %s\n", from.E164(), explain(reason))
	return err
}

// explain says what a reason in a timeline means and what can be done about it.
func explain(reason string) string {
	if more, ok := map[string]string{
		sipas.NoSubscriber:     "the callee is no subscriber: callsign subscriber put NUMBER makes one",
		sipas.NoCaller:         "the caller's number is not known: P-Asserted-Identity has none (see show.caller_identity)",
		sipas.OwnNumber:        "subscribers who call themselves are shown nothing",
		sipas.CallerOutOfRange: "show.caller_ranges does not have the caller: add a prefix like +8613, or any",
		sipas.FixedLine:        "the caller's number is a fixed line's: those show no texts",
		sipas.OptedOut:         "the caller has opted out by SMS: START from their phone undoes it",
		sipas.Excluded:         "the operator's policy excludes the caller or the callee: see exclude in callsign policy get",
		sipas.Withheld:         "the operator's policy shows nothing to callers who withhold their number: see private in callsign policy get",
		sipas.Blackout:         "the operator's policy has a blackout now: see callsign policy get",
		sipas.NoChannel:        "the operator's policy has no channel for the caller's access: see channels in callsign policy get",
		sipas.Never:            "the subscriber's policy never shows this caller anything: see callsign policy get NUMBER",
		sipas.Paused:           "the subscriber shows nothing for now: see paused and pauses in callsign policy get NUMBER, or ON by SMS",
		sipas.RuleNothing:      "the subscriber's rule shows this caller nothing now: callsign call FROM TO --dry tells which",
		sipas.NoText:           "the subscriber has nothing to show: callsign signature put NUMBER TEXT sets one",
		sipas.Unavailable:      "the store did not answer in time: see /readyz",
		ims.Diverted:           "another number was dialled: the text of who took the call over would tell who that is",
		store.AlreadyDelivered: "this call has its text already",
		store.CallerCap:        "the caller got as many texts as show.per_caller_per_hour allows",
		store.DayCap:           "the caller got as many texts in 24 hours as the operator's policy allows, or as they want: see per_day in callsign policy get and in /v1/opt-outs",
		store.GlobalCap:        "this node sends no more than show.per_second",
		store.Repeated:         "show.repeat: the caller has seen this text already",
	}[reason]; ok {
		return more
	}
	return reason
}
