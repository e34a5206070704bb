package main

import (
	"encoding/csv"
	"encoding/json"

	"github.com/callsign-as/callsign"
)

type subscriberExport struct {
	client
	Format string `enum:"csv,jsonl" default:"csv" help:"csv or jsonl."`
}

// Run writes all subscribers, a line for each and one for each account that is linked, as import reads them. What a linked
// account says is not written: its source says it again.
func (c subscriberExport) Run(s surroundings) error {
	lines := csv.NewWriter(s.stdout)
	objects := json.NewEncoder(s.stdout)
	objects.SetEscapeHTML(false)
	write := func(r record) error {
		if c.Format == "jsonl" {
			return objects.Encode(r)
		}
		return lines.Write([]string{r.MSISDN, r.Name, r.Network, r.Account, r.Text})
	}
	if c.Format == "csv" {
		if err := lines.Write(recordColumns); err != nil {
			return err
		}
	}
	return pages(s, &c.client, "/v1/subscribers", func(items []subscriberView, _ json.RawMessage) error {
		for _, v := range items {
			first := record{MSISDN: v.MSISDN, Name: v.Name}
			var linked []record
			for _, a := range v.Accounts {
				if a.Network == callsign.ManualNetwork {
					first.Text = a.Text
				} else if a.Network != callsign.PolicyNetwork { // its texts go with callsign policy get
					linked = append(linked, record{MSISDN: v.MSISDN, Name: v.Name, Network: a.Network, Account: a.Account})
				}
			}
			for _, r := range append([]record{first}, linked...) {
				if err := write(r); err != nil {
					return err
				}
			}
		}
		lines.Flush()
		return lines.Error()
	})
}
