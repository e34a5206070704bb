package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// subscriberView is a subscriber as the API tells it.
type subscriberView struct {
	MSISDN   string        `json:"msisdn"`
	Name     string        `json:"name"`
	Accounts []accountView `json:"accounts"`
}

type accountView struct {
	Network string    `json:"network"`
	Account string    `json:"account"`
	Text    string    `json:"text"`
	Shown   string    `json:"shown"`
	Review  string    `json:"review"`
	At      time.Time `json:"at"`
}

type subscriberCommand struct {
	Put    subscriberPut    `cmd:"" help:"Create or change a subscriber."`
	Get    subscriberGet    `cmd:"" help:"Show a subscriber with accounts and texts."`
	List   subscriberList   `cmd:"" help:"List all subscribers."`
	Remove subscriberRemove `cmd:"" help:"Remove a subscriber with all accounts and texts."`
	Import subscriberImport `cmd:"" help:"Create or change subscribers from a CSV or JSON Lines file."`
	Export subscriberExport `cmd:"" help:"Write all subscribers as CSV or JSON Lines."`
	Data   subscriberData   `cmd:"" help:"Print all that is kept of one number, as JSON."`
	Erase  subscriberErase  `cmd:"" help:"Erase one number: subscriber, texts, keys, and the number in calls."`
}

type subscriberPut struct {
	client
	MSISDN string `arg:"" help:"The number, like +8613900000002."`
	Name   string `help:"A name for administrators; callers never see it."`
}

// Run puts the subscriber.
func (c subscriberPut) Run(s surroundings) error {
	return c.putAndShow(s, pathTo("subscribers", c.MSISDN), map[string]string{"name": c.Name}, "MSISDN\tNAME", func(v subscriberView) []string {
		return []string{v.MSISDN, v.Name}
	})
}

// putAndShow puts in and shows what came back as one row.
func (c *client) putAndShow(s surroundings, path string, in any, header string, row func(subscriberView) []string) error {
	var raw json.RawMessage
	if err := c.do(s.ctx, http.MethodPut, path, in, &raw); err != nil {
		return err
	}
	var v subscriberView
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	return c.show(s.stdout, raw, header, row(v))
}

type subscriberGet struct {
	client
	MSISDN string `arg:"" help:"The number, like +8613900000002."`
}

// Run shows the subscriber's accounts, one a row.
func (c subscriberGet) Run(s surroundings) error { return c.showAccounts(s, c.MSISDN) }

func (c *client) showAccounts(s surroundings, msisdn string) error {
	var raw json.RawMessage
	if err := c.do(s.ctx, http.MethodGet, pathTo("subscribers", msisdn), nil, &raw); err != nil {
		return err
	}
	var v subscriberView
	if err := json.Unmarshal(raw, &v); err != nil {
		return err
	}
	var rows [][]string
	for _, a := range v.Accounts {
		rows = append(rows, []string{v.MSISDN, v.Name, a.Network, a.Account, local(a.At), a.Review, a.Shown})
	}
	return c.show(s.stdout, raw, "MSISDN\tNAME\tNETWORK\tACCOUNT\tSAID\tREVIEW\tSHOWN", rows...)
}

type subscriberList struct {
	client
}

// Run lists the subscribers.
func (c subscriberList) Run(s surroundings) error {
	return list(s, &c.client, "/v1/subscribers", "MSISDN\tNAME\tACCOUNTS", func(v subscriberView) []string {
		return []string{v.MSISDN, v.Name, strconv.Itoa(len(v.Accounts))}
	})
}

type subscriberRemove struct {
	client
	MSISDN string `arg:"" help:"The number, like +8613900000002."`
}

// Run removes the subscriber.
func (c subscriberRemove) Run(s surroundings) error {
	return c.remove(s, pathTo("subscribers", c.MSISDN), c.MSISDN)
}

// remove deletes what path names and says so.
func (c *client) remove(s surroundings, path, what string) error {
	if err := c.do(s.ctx, http.MethodDelete, path, nil, nil); err != nil {
		return err
	}
	return said(s.stdout, c.JSON, map[string]string{"removed": what}, what+" is removed")
}

// said prints one sentence, or with --json what it says.
func said(w io.Writer, asJSON bool, object any, sentence string) error {
	if asJSON {
		return json.NewEncoder(w).Encode(object)
	}
	_, err := fmt.Fprintln(w, sentence)
	return err
}

type accountCommand struct {
	Put      accountPut       `cmd:"" help:"Link an IM account to a subscriber, on your word."`
	Link     accountLink      `cmd:"" help:"Ask for an IM account to be linked once that is proved."`
	Links    accountLinks     `cmd:"" help:"List what waits for a proof, and how what is linked was proved."`
	Withdraw accountWithdraw  `cmd:"" help:"Withdraw what waits for a proof."`
	List     accountList      `cmd:"" aliases:"get" help:"List a subscriber's accounts."`
	Remove   accountRemove    `cmd:"" help:"Unlink an IM account."`
	Import   subscriberImport `cmd:"" help:"Read accounts, with their subscribers, from a file: as subscriber import."`
	Resync   accountResync    `cmd:"" help:"Ask an IM network's sources that are connected to this node to say their texts again."`
}

type accountArgs struct {
	MSISDN  string `arg:"" help:"The subscriber's number, like +8613900000002."`
	Network string `arg:"" help:"The IM network, like qq."`
	Account string `arg:"" help:"The account's name there."`
}

func (a accountArgs) path() string {
	return pathTo("subscribers", a.MSISDN, "accounts", a.Network, a.Account)
}

type accountPut struct {
	client
	accountArgs
}

// Run links the account.
func (c accountPut) Run(s surroundings) error {
	if err := c.do(s.ctx, http.MethodPut, c.path(), nil, nil); err != nil {
		return err
	}
	return said(s.stdout, c.JSON, map[string]string{"msisdn": c.MSISDN, "network": c.Network, "account": c.Account},
		fmt.Sprintf("%s's account %s is linked to %s", c.Network, c.Account, c.MSISDN))
}

type accountList struct {
	client
	MSISDN string `arg:"" help:"The subscriber's number, like +8613900000002."`
}

// Run lists the accounts.
func (c accountList) Run(s surroundings) error { return c.showAccounts(s, c.MSISDN) }

type accountRemove struct {
	client
	accountArgs
}

// Run unlinks the account.
func (c accountRemove) Run(s surroundings) error {
	return c.remove(s, c.path(), c.Network+"'s account "+c.Account)
}

type accountResync struct {
	client
	Network  string   `arg:"" help:"The IM network, like qq."`
	Accounts []string `arg:"" optional:"" help:"The accounts; without any all that have a text."`
}

// Run asks for the texts.
func (c accountResync) Run(s surroundings) error {
	in := map[string][]string{}
	if len(c.Accounts) > 0 {
		in["accounts"] = c.Accounts
	}
	var out struct {
		Asked int `json:"asked"`
	}
	if err := c.do(s.ctx, http.MethodPost, pathTo("networks", c.Network, "resync"), in, &out); err != nil {
		return err
	}
	if out.Asked == 0 {
		return fmt.Errorf("no source of %s is connected to this node: ask another node, or wait until it connects", c.Network)
	}
	return said(s.stdout, c.JSON, out, fmt.Sprintf("%d sources of %s are asked", out.Asked, c.Network))
}

type signatureCommand struct {
	Put    signaturePut     `cmd:"" help:"Set a subscriber's text by hand; an empty one clears it."`
	Get    signatureGet     `cmd:"" aliases:"list" help:"Show what each of a subscriber's accounts says."`
	Remove signatureRemove  `cmd:"" help:"Clear the text that was set by hand."`
	Import subscriberImport `cmd:"" help:"Read texts, with their subscribers, from a file: as subscriber import."`
}

type signaturePut struct {
	client
	MSISDN string `arg:"" help:"The subscriber's number, like +8613900000002."`
	Text   string `arg:"" help:"The text; quote it."`
}

// Run sets the text.
func (c signaturePut) Run(s surroundings) error { return c.putSignature(s, c.MSISDN, c.Text) }

func (c *client) putSignature(s surroundings, msisdn, text string) error {
	var out struct {
		Status string `json:"status"`
	}
	if err := c.do(s.ctx, http.MethodPut, pathTo("subscribers", msisdn, "signature"), map[string]string{"text": text}, &out); err != nil {
		return err
	}
	return said(s.stdout, c.JSON, out, fmt.Sprintf("%s's text: %s", msisdn, out.Status))
}

type signatureRemove struct {
	client
	MSISDN string `arg:"" help:"The subscriber's number, like +8613900000002."`
}

// Run clears the text.
func (c signatureRemove) Run(s surroundings) error { return c.putSignature(s, c.MSISDN, "") }

type signatureGet struct {
	client
	MSISDN string `arg:"" help:"The subscriber's number, like +8613900000002."`
}

// Run shows the texts.
func (c signatureGet) Run(s surroundings) error { return c.showAccounts(s, c.MSISDN) }
