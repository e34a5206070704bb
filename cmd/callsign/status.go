package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// networkView is a network as the API tells it.
type networkView struct {
	Network, Connector, Failing string
	Parts                       int
	OfParts                     int       `json:"of_parts"`
	Interval                    float64   `json:"interval_seconds"`
	Lag                         float64   `json:"lag_seconds"`
	Read                        time.Time `json:"read_at"`
	Resting                     time.Time `json:"resting_until"`
	Watching                    bool
	Sources                     []struct {
		Source  string
		Durable int64
	}
}

type providerStatus struct{ client }

// Run shows a row for each network.
func (c providerStatus) Run(s surroundings) error {
	var raw json.RawMessage
	if err := c.do(s.ctx, http.MethodGet, pathTo("networks"), nil, &raw); err != nil {
		return err
	}
	var all struct{ Items []networkView }
	if err := json.Unmarshal(raw, &all); err != nil {
		return err
	}
	var rows [][]string
	for _, n := range all.Items {
		rows = append(rows, n.row())
	}
	return c.show(s.stdout, raw, "NETWORK\tCONNECTOR\tPARTS\tINTERVAL\tLAG\tREAD\tSTATE", rows...)
}

func (n networkView) row() []string {
	state := []string{"works"}
	if n.Failing != "" {
		state = []string{"fails: " + n.Failing}
	}
	if !n.Resting.IsZero() {
		state = append(state, "left alone until "+local(n.Resting))
	}
	if n.Watching {
		state = append(state, "tells of changes")
	}
	for _, source := range n.Sources {
		state = append(state, strings.TrimSpace(fmt.Sprintf("%s pushes, up to %d is kept", source.Source, source.Durable)))
	}
	parts, interval, lag := "", "", ""
	if n.OfParts > 0 {
		parts = fmt.Sprintf("%d of %d", n.Parts, n.OfParts)
		interval, lag = seconds(n.Interval), seconds(n.Lag)
	} else {
		state = state[1:] // nobody reads it
	}
	return []string{n.Network, n.Connector, parts, interval, lag, local(n.Read), strings.Join(state, "; ")}
}

// seconds is a duration as a person reads it.
func seconds(s float64) string {
	return time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond).String()
}
