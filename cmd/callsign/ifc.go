package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/callsign-as/callsign/sipas/ims"
)

type ifcCommand struct {
	Server   string `default:"sip:127.0.0.1:5060" help:"Where the S-CSCF reaches this application server, as SIP URI."`
	Priority int    `default:"10" help:"Of the first criteria; lower ones go first. Stand before the SCC AS."`
	Lint     string `placeholder:"FILE" help:"Check the criteria in this file instead."`
}

// Run prints filter criteria for an HSS, or says what is wrong with some.
func (c ifcCommand) Run(s surroundings) error {
	if c.Lint == "" {
		out, err := ims.IFC(c.Server, c.Priority)
		if err != nil {
			return err
		}
		_, err = s.stdout.Write(out)
		return err
	}
	document, err := os.ReadFile(c.Lint)
	if err != nil {
		return usageError{err}
	}
	findings, err := ims.LintIFC(string(document))
	if err != nil {
		return fmt.Errorf("%s: %w", c.Lint, err)
	}
	for _, f := range findings {
		fmt.Fprintln(s.stdout, f)
	}
	if len(findings) > 0 {
		return errors.New("the criteria need a change: callsign ifc prints good ones")
	}
	_, err = fmt.Fprintf(s.stdout, "%s: its criteria are fine\n", c.Lint)
	return err
}
