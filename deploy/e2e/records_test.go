package e2e_test

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A node's records tell of each call who pays for which text; what a killed node left is published by the next one.
func TestCallsLeaveRecords(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "records")
	n := serve(t, func(config string) string {
		return config + "records: { dir: \"" + dir + "\", formats: [csv, jsonl] }\n"
	})
	n.ready()
	n.says("Back at six")
	p := n.call(scene{})
	n.shown(1)
	p.complete()
	n.timeline("receipt: DELIVRD")
	n.until("the record to be on disk", func() bool { return len(records(t, dir, ".csv.part")) == 2 })
	n.process.Kill()
	n.start()
	n.until("the killed node's records to be published", func() bool { return len(records(t, dir, ".csv")) == 2 })
	n.ready()
	n.call(scene{uac: "uac_cancel", uas: "uas_cancel"}).complete()
	n.until("the cancelled call's record", func() bool { return len(records(t, dir, ".csv.part")) == 2 })
	if err := n.process.Terminate(t.Context()); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.part")); left != nil {
		t.Errorf("a node that stopped left %q", left)
	}

	rows := records(t, dir, ".csv")
	if len(rows) != 4 { // two files, each with a header
		t.Fatalf("there are %q", rows)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	for i, want := range map[int]map[string]string{
		1: {"tenant": "default", "caller": "8613800000001", "callee": "8613900000002", "state": "shown", "channel": "flash", "link": "a", "parts": "1", "receipt": "DELIVRD", "chargeable": "true", "reason": ""},
		3: {"state": "skipped", "chargeable": "false", "parts": "0", "channel": "", "reason": "the caller hung up"},
	} {
		for name, value := range want {
			if got := rows[i][column[name]]; got != value {
				t.Errorf("record %d: %s is %q, want %q", i, name, got, value)
			}
		}
		if icid, id := rows[i][column["icid"]], rows[i][column["call_id"]]; icid == "" || icid != id { // as uac.xml writes them
			t.Errorf("record %d: icid is %q, call_id %q; want them alike", i, icid, id)
		}
	}
	document, err := os.ReadFile("../records.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range rows[0] {
		if !strings.Contains(string(document), "| `"+name+"` |") {
			t.Errorf("deploy/records.md does not explain %s", name)
		}
	}
}

// records are the lines of all CSV files whose name ends so, with their headers.
func records(t *testing.T, dir, ending string) (rows [][]string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "calls-*"+ending))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		f, err := os.Open(name)
		if err != nil {
			return nil // published meanwhile
		}
		more, err := csv.NewReader(f).ReadAll()
		_ = f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		rows = append(rows, more...)
	}
	return rows
}
