package main

import (
	"context"
	"net/netip"
	"strings"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/api"
	"github.com/callsign-as/callsign/sipas"
	"github.com/callsign-as/callsign/sipas/phone"
)

const (
	// testRing is how long the test phone of a test call rings, and testCallTime how long the whole may take.
	testRing     = 2 * time.Second
	testCallTime = 8 * time.Second
)

// testCall places a call through this node itself, as callsign call does.
func (d *daemon) testCall(ctx context.Context, caller, callee callsign.MSISDN) (answers []api.TestCallAnswer, err error) {
	would, err := d.whatIf(ctx, api.WhatIfRequest{Caller: caller, Callee: callee, At: time.Now()})
	if err != nil {
		return nil, err
	}
	if would.Refusal == sipas.CallerOutOfRange {
		return nil, api.TestCallRefusal(explain(would.Refusal))
	}
	as, ok := d.ownSIP()
	if !ok {
		return nil, api.TestCallRefusal("the test phone speaks UDP only: add a udp:// address to sip.listen")
	}
	ctx, cancel := context.WithTimeout(ctx, testCallTime)
	defer cancel()
	call := phone.Call{From: caller, To: callee, Status: func(status int, text string) {
		answers = append(answers, api.TestCallAnswer{At: time.Now().UTC(), Status: status, Text: text})
	}}
	err = placeThrough(ctx, as, netip.AddrPort{}, testRing, call)
	return answers, err
}

// ownSIP is where this node takes SIP over UDP, as its own machine reaches it.
func (d *daemon) ownSIP() (at netip.AddrPort, ok bool) {
	for i, listen := range d.config.SIP.Listen {
		if !strings.HasPrefix(listen, "udp://") {
			continue
		}
		at = d.relay.Addrs()[i]
		if at.Addr().IsUnspecified() {
			at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port()) // which [::] takes too
		}
		return at, true
	}
	return at, false
}
