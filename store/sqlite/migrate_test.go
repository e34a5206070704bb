package sqlite

import (
	"io/fs"
	"net/url"
	"testing"

	"github.com/pressly/goose/v3"

	"github.com/callsign-as/callsign"
)

// TestTimelinesOfAnOlderSchemaAreKept opens a database as versions before the third left it.
func TestTimelinesOfAnOlderSchemaAreKept(t *testing.T) {
	path := t.TempDir() + "/x.db"
	db, err := pool(path, 1, url.Values{})
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	id := callsign.CallID{1, 2, 3}
	if _, err := db.ExecContext(t.Context(), `
		INSERT INTO calls (id, tenant, caller, callee, sip_call_id, once, access, exempt, at) VALUES (?1, 't', 1, 2, '', '', '', '', 5);
		INSERT INTO call_events (call_id, tenant, at, kind, reason, link, message_id, text, wire)
		VALUES (?1, 't', 7, 'accepted', '', 'a', '1', '', NULL), (?1, 't', 6, 'invite', '', '', '', '', NULL), (?1, 't', 7, 'receipt', 'DELIVRD', '', '1', '', x'00')`,
		id[:]); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}

	e, err := Open(t.Context(), Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	timeline, err := e.Timeline(t.Context(), callsign.Scope{Tenant: "t"}, id)
	if err != nil {
		t.Fatal(err)
	}
	var kinds []callsign.EventKind
	for _, ev := range timeline.Events {
		kinds = append(kinds, ev.Kind)
	}
	if len(kinds) != 3 || kinds[0] != callsign.EventInvite || kinds[1] != callsign.EventAccepted || kinds[2] != callsign.EventReceipt {
		t.Errorf("got %v, want invite, accepted, receipt", kinds)
	}
}
