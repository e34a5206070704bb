package main

import (
	"encoding/json"
	"fmt"
	"net/http"
)

type subscriberData struct {
	client
	MSISDN string `arg:"" help:"The number, a subscriber's or not, like +8613900000002."`
}

// Run prints all that is kept of a number as one JSON object, whether --json is said or not: there is no table for it.
func (c subscriberData) Run(s surroundings) error {
	var all map[string]json.RawMessage
	calls, after := []json.RawMessage{}, ""
	for {
		path := pathTo("subscribers", c.MSISDN, "export") + after
		var page map[string]json.RawMessage
		if err := c.do(s.ctx, http.MethodGet, path, nil, &page); err != nil {
			return err
		}
		if all == nil {
			all = page
		}
		var more []json.RawMessage
		if err := json.Unmarshal(page["calls"], &more); err != nil {
			return fmt.Errorf("GET %s: %w: is that a Callsign?", path, err)
		}
		calls = append(calls, more...)
		if page["next"] == nil {
			break
		}
		var next string
		if err := json.Unmarshal(page["next"], &next); err != nil {
			return fmt.Errorf("GET %s: %w: is that a Callsign?", path, err)
		}
		after = "?after=" + next
	}
	delete(all, "next")
	b, err := json.Marshal(calls)
	if err != nil {
		return err
	}
	all["calls"] = b
	out := json.NewEncoder(s.stdout)
	out.SetIndent("", "  ")
	return out.Encode(all)
}

type subscriberErase struct {
	client
	MSISDN string `arg:"" help:"The number, a subscriber's or not, like +8613900000002."`
}

// Run erases the number.
func (c subscriberErase) Run(s surroundings) error {
	var out struct {
		Calls int64 `json:"calls"`
	}
	if err := c.do(s.ctx, http.MethodPost, pathTo("subscribers", c.MSISDN, "erase"), nil, &out); err != nil {
		return err
	}
	return said(s.stdout, c.JSON, out, fmt.Sprintf("%s is erased, also from %d calls", c.MSISDN, out.Calls))
}
