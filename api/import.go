package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Importer keeps rows in their order, all in one transaction: refused has an error for each row of which something was not
// kept, and with err nothing was.
type Importer interface {
	Import(context.Context, callsign.Scope, []callsign.ImportRow) (refused []error, err error)
}

// importRow is a row of an import. Its members have no limits here: a value that can't be kept refuses its row alone.
type importRow struct {
	MSISDN  string `json:"msisdn" doc:"E.164 number, with or without its +"`
	Name    string `json:"name,omitempty" doc:"for administrators, at most 200 characters; empty: it stays as it is"`
	Network string `json:"network,omitempty" doc:"name of the IM network, as configured"`
	Account string `json:"account,omitempty" doc:"the account's name there, which is linked to the number"`
	Text    string `json:"text,omitempty" doc:"what the account says now, or without an account the text set by hand: at most 2048 bytes of UTF-8; empty: it stays as it is. One that moderation holds or rejects is kept so, and not refused. Where a source counts the account's versions, the source's text stays"`
}

// refusedRow is a row of which something was not kept.
type refusedRow struct {
	Row    int    `json:"row" doc:"its index in rows, from 0"`
	Reason string `json:"reason" doc:"what is wrong and what to do, for a person"`
}

// imported is what became of an import.
type imported struct {
	Refused []refusedRow `json:"refused" nullable:"false" doc:"in the order of the rows; all others are kept"`
}

func (s *Server) registerImport(api huma.API) {
	route(s, api, "POST /v1/import", "Create or change subscribers, their accounts and texts, in one transaction, in the order of the rows; "+
		"the body has at most 1 MiB", http.StatusOK, operators(), s.importRows)
}

func (s *Server) importRows(ctx context.Context, scope callsign.Scope, in *struct {
	Body struct {
		Rows []importRow `json:"rows" minItems:"1" maxItems:"1000" nullable:"false"`
	}
},
) (*reply[imported], error) {
	now := time.Now()
	reasons := make([]error, len(in.Body.Rows))
	var (
		good []callsign.ImportRow
		at   []int // where they stand in the body
	)
	for i, r := range in.Body.Rows {
		row, err := r.read(now)
		if reasons[i] = err; err == nil {
			good, at = append(good, row), append(at, i)
		}
	}
	refused, err := s.o.Importer.Import(ctx, scope, good)
	if err == nil && len(refused) != len(good) {
		err = fmt.Errorf("the import told of %d rows, of %d", len(refused), len(good)) // another row would be taken for kept
	}
	if err != nil {
		return nil, err
	}
	linked := map[string][]string{} // by network
	for i, row := range good {
		if reasons[at[i]] = refused[i]; refused[i] == nil && row.Network != "" && row.Network != callsign.ManualNetwork {
			linked[row.Network] = append(linked[row.Network], row.Account)
		}
	}
	for network, accounts := range linked {
		s.Resync(scope.Tenant, network, accounts...)
	}
	out := imported{Refused: []refusedRow{}}
	for i, err := range reasons {
		if err != nil {
			out.Refused = append(out.Refused, refusedRow{i, reason(err)})
		}
	}
	return ok(out), nil
}

// read makes of a row what is kept of it. Its text is said now; without an account it is the one set by hand.
func (r importRow) read(now time.Time) (row callsign.ImportRow, err error) {
	m, err := callsign.ParseMSISDN(r.MSISDN)
	if err != nil {
		return row, err
	}
	if r.Text != "" && r.Network == "" && r.Account == "" || r.Network == callsign.ManualNetwork && r.Account == "" {
		r.Network, r.Account = callsign.ManualNetwork, digits(m)
	}
	switch {
	case utf8.RuneCountInString(r.Name) > 200:
		return row, errors.New("name: it has more than 200 characters: shorten it")
	case r.Network == "" && r.Account != "":
		return row, errors.New("network: it is missing: name the account's IM network, like qq")
	case r.Network != "" && r.Account == "":
		return row, errors.New("account: it is missing: name it, or leave out its network")
	case r.Network != "" && !networkName.MatchString(r.Network):
		return row, errors.New("network: use up to 32 small letters, digits, '.', '_' and '-'")
	case r.Network == callsign.ManualNetwork && r.Account != digits(m):
		return row, errors.New("account: manual is every subscriber's own: leave out network and account to set its text")
	case r.Network == callsign.PolicyNetwork:
		return row, errors.New("network: policy is for the texts of policies: put the policy instead")
	case utf8.RuneCountInString(r.Account) > 512 || !plain(r.Account):
		return row, errors.New("account: it has more than 512 characters, or a control character: write it as its network does")
	}
	row = callsign.ImportRow{MSISDN: m, Name: r.Name, Signature: callsign.Signature{Network: r.Network, Account: r.Account}}
	if r.Text != "" {
		row.Text, row.Stamp, row.At, row.Origin = r.Text, callsign.TimedStamp(now), now, handSource+"/"+newID()
	}
	return row, nil
}

// reason is why a row was refused, as a person reads it.
func reason(err error) string {
	switch {
	case errors.Is(err, callsign.ErrNumberTaken):
		return "the number belongs to another tenant: have it removed there first"
	case errors.Is(err, callsign.ErrAccountTaken):
		return "the account belongs to another number: unlink it there first"
	}
	return err.Error()
}
