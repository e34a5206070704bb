package sigsync

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

type importer struct {
	keeper
	rows []callsign.ImportRow
}

func (i *importer) Import(_ context.Context, _ callsign.Scope, rows []callsign.ImportRow) ([]error, error) {
	i.rows = rows
	refused := make([]error, len(rows))
	for n, row := range rows {
		if row.Name == "taken" {
			refused[n] = callsign.ErrNumberTaken
		}
	}
	return refused, nil
}

func TestAnImportPassesTheDoorOfEveryText(t *testing.T) {
	now := time.Now()
	at := now.Add(-time.Hour)
	row := func(name, text string, at time.Time) callsign.ImportRow {
		return callsign.ImportRow{MSISDN: 8613800000001, Name: name, Signature: callsign.Signature{
			Network: "qq", Account: "1", Text: text, Shown: "said by the file", Stamp: callsign.TimedStamp(at), At: at,
		}}
	}
	nameless := row("nameless account", "x", at)
	nameless.Account = ""
	rows := []callsign.ImportRow{
		row("too long", strings.Repeat("x", maxText+1), at),
		row("cleaned", "two\nlines", at),
		row("taken", "x", at),
		row("no UTF-8", "\xff", at),
		nameless,
		{MSISDN: 8613800000002, Name: "alone"},
		row("silent", "", time.Time{}),
		row("ahead", "x", now.AddDate(1, 0, 0)),
	}
	var to importer
	refused, err := NewIntake(Options{Keeper: &to}).Import(t.Context(), callsign.Scope{Tenant: "t"}, rows)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []error{ErrUnusable, nil, callsign.ErrNumberTaken, ErrUnusable, ErrUnusable, nil, nil, nil} {
		if !errors.Is(refused[i], want) || (refused[i] == nil) != (want == nil) {
			t.Errorf("%s: refused %v, want %v", rows[i].Name, refused[i], want)
		}
	}
	byName := map[string]callsign.ImportRow{}
	for _, r := range to.rows {
		byName[r.Name] = r
	}
	if len(byName) != 5 {
		t.Errorf("%d rows were passed on, want 5: %+v", len(byName), to.rows)
	}
	if got := byName["cleaned"]; got.Shown != Clean("two\nlines") || got.Text != "two\nlines" || got.Stamp != rows[1].Stamp {
		t.Errorf("a text was passed on as %+v", got.Signature)
	}
	if got := byName["alone"]; !reflect.DeepEqual(got, rows[5]) {
		t.Errorf("a subscriber alone was passed on as %+v", got)
	}
	if got := byName["silent"]; !got.At.IsZero() {
		t.Errorf("an account that has said nothing was given the time %v", got.At)
	}
	if got := byName["ahead"]; got.At.After(time.Now()) || got.Stamp.Version > time.Now().UnixMicro() {
		t.Errorf("a time a year ahead was passed on as %v, %+v", got.At, got.Stamp)
	}
}
