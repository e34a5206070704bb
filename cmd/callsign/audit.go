package main

import (
	"strconv"
	"time"
)

type auditCommand struct{ client }

// Run shows the audit, newest first.
func (c auditCommand) Run(s surroundings) error {
	type audited struct {
		At                              time.Time
		Action, MSISDN, Object, Address string
		KeyID                           string `json:"key_id"`
		Status                          int
	}
	return list(s, &c.client, "/v1/audit", "AT\tKEY\tADDRESS\tSTATUS\tACTION\tNUMBER\tOBJECT", func(a audited) []string {
		status := "?"
		if a.Status != 0 {
			status = strconv.Itoa(a.Status)
		}
		return []string{local(a.At), a.KeyID, a.Address, status, a.Action, a.MSISDN, a.Object}
	})
}
