package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// linkView is a link as the API tells it.
type linkView struct {
	Network string    `json:"network"`
	Account string    `json:"account"`
	State   string    `json:"state"`
	Proof   string    `json:"proof"`
	Code    string    `json:"code,omitempty"`
	By      string    `json:"by,omitempty"`
	Asked   time.Time `json:"asked_at"`
	Expires time.Time `json:"expires_at,omitzero"`
	Proved  time.Time `json:"proved_at,omitzero"`
}

type accountLink struct {
	client
	accountArgs
	Proof string `enum:"signature,sms,network" default:"signature" help:"signature: the account says the code that is printed; sms: the number sends it; network: the network has verified the number."`
}

// Run asks for the link and says what is to be done with its code.
func (c accountLink) Run(s surroundings) error {
	var out linkView
	if err := c.do(s.ctx, http.MethodPost, pathTo("subscribers", c.MSISDN, "links"),
		map[string]string{"network": c.Network, "account": c.Account, "proof": c.Proof}, &out); err != nil {
		return err
	}
	sentence := fmt.Sprintf("%s's account %s is linked to %s", c.Network, c.Account, c.MSISDN)
	switch c.Proof {
	case "signature":
		sentence = fmt.Sprintf("%s\nput it into the signature of %s's account %s until %s; it is not shown to anybody", out.Code, c.Network, c.Account, local(out.Expires))
	case "sms":
		sentence = fmt.Sprintf("%s\nsend it by SMS from %s to the number that texts come from, until %s", out.Code, c.MSISDN, local(out.Expires))
	}
	return said(s.stdout, c.JSON, out, sentence)
}

type accountLinks struct {
	client
	MSISDN string `arg:"" help:"The subscriber's number, like +8613900000002."`
}

// Run lists the links.
func (c accountLinks) Run(s surroundings) error {
	var raw json.RawMessage
	if err := c.do(s.ctx, http.MethodGet, pathTo("subscribers", c.MSISDN, "links"), nil, &raw); err != nil {
		return err
	}
	var all struct{ Items []linkView }
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	var rows [][]string
	for _, v := range all.Items {
		rows = append(rows, []string{v.Network, v.Account, v.State, v.Proof, v.By, local(v.Proved), local(v.Expires)})
	}
	return c.show(s.stdout, raw, "NETWORK\tACCOUNT\tSTATE\tPROOF\tBY\tPROVED\tEXPIRES", rows...)
}

type accountWithdraw struct {
	client
	accountArgs
}

// Run withdraws what waits.
func (c accountWithdraw) Run(s surroundings) error {
	return c.remove(s, pathTo("subscribers", c.MSISDN, "links", c.Network, c.Account), "the link of "+c.Network+"'s account "+c.Account)
}
