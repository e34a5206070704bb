package main

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/callsign-as/callsign"
)

type reviewCommand struct {
	List    reviewList    `cmd:"" help:"List texts that wait for approval, or that were rejected or approved."`
	Approve reviewApprove `cmd:"" help:"Have a text shown."`
	Reject  reviewReject  `cmd:"" help:"Have a text not shown, though nothing held it."`
}

// reviewView is a text as the API tells it.
type reviewView struct {
	MSISDN  string    `json:"msisdn"`
	Network string    `json:"network"`
	Account string    `json:"account"`
	Becomes string    `json:"becomes"`
	At      time.Time `json:"at"`
	Epoch   int64     `json:"epoch"`
	Version int64     `json:"version"`
	Reason  string    `json:"reason"`
}

type reviewList struct {
	client
	State string `enum:"pending,rejected,approved" default:"pending" help:"pending, rejected or approved."`
}

// Run lists texts as callers would see them, those that were said first first.
func (c reviewList) Run(s surroundings) error {
	return list(s, &c.client, "/v1/reviews?state="+c.State, "MSISDN\tNETWORK\tACCOUNT\tSTAMP\tSAID\tREASON\tBECOMES", func(v reviewView) []string {
		return []string{v.MSISDN, v.Network, v.Account, stamp{callsign.Stamp{Epoch: v.Epoch, Version: v.Version}}.String(), local(v.At), v.Reason, v.Becomes}
	})
}

type reviewApprove struct{ verdictArgs }

// Run approves the text.
func (c reviewApprove) Run(s surroundings) error { return c.send(s, "approve") }

type reviewReject struct{ verdictArgs }

// Run rejects the text.
func (c reviewReject) Run(s surroundings) error { return c.send(s, "reject") }

type verdictArgs struct {
	client
	accountArgs
	Stamp  stamp  `arg:"" help:"The STAMP that review list shows with the text."`
	Reason string `help:"Why; kept with the text."`
}

// stamp is a callsign.Stamp on a command line, VERSION@EPOCH: what begins with an epoch's minus would be taken for a flag.
type stamp struct{ callsign.Stamp }

func (s stamp) String() string { return fmt.Sprintf("%d@%d", s.Version, s.Epoch) }

// UnmarshalText reads what String gives.
func (s *stamp) UnmarshalText(b []byte) error {
	version, epoch, _ := strings.Cut(string(b), "@")
	v, err := strconv.ParseInt(version, 10, 64)
	e, err2 := strconv.ParseInt(epoch, 10, 64)
	if err != nil || err2 != nil {
		return fmt.Errorf("%q is no stamp: copy it from callsign review list", b)
	}
	s.Stamp = callsign.Stamp{Epoch: e, Version: v}
	return nil
}

// send sends the verdict on the text that was listed: another one stays as it is.
func (c *verdictArgs) send(s surroundings, verdict string) error {
	var out struct {
		Review string `json:"review"`
	}
	if err := c.do(s.ctx, http.MethodPost, pathTo("reviews"), map[string]any{
		"msisdn": c.MSISDN, "network": c.Network, "account": c.Account, "epoch": c.Stamp.Epoch, "version": c.Stamp.Version,
		"verdict": verdict, "reason": c.Reason,
	}, &out); err != nil {
		return err
	}
	return said(s.stdout, c.JSON, out, fmt.Sprintf("what %s's account %s of %s says is %s", c.Network, c.Account, c.MSISDN, out.Review))
}
