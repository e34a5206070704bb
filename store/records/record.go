package records

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/callsign-as/callsign"
)

// Record is one call to a subscriber with a text. Its fields, in this order, are a contract: deploy/records.md has them.
type Record struct {
	Time        time.Time `json:"time"`
	ID          string    `json:"id"`
	ICID        string    `json:"icid"`
	CallID      string    `json:"call_id"`
	Tenant      string    `json:"tenant"`
	Caller      string    `json:"caller"`
	Callee      string    `json:"callee"`
	State       string    `json:"state"`
	Channel     string    `json:"channel"`
	Link        string    `json:"link"`
	Parts       int       `json:"parts"`
	MessageID   string    `json:"message_id"`
	Receipt     string    `json:"receipt"`
	ReceiptTime time.Time `json:"receipt_time,omitzero"`
	Chargeable  bool      `json:"chargeable"`
	Reason      string    `json:"reason"`
}

// columns are the names of a Record's fields in a CSV.
var columns = [...]string{
	"time", "id", "icid", "call_id", "tenant", "caller", "callee", "state", "channel", "link", "parts", "message_id", "receipt",
	"receipt_time", "chargeable", "reason",
}

// What became of a call's text: a Record's State.
const (
	shown     = "shown"     // the receipt says so
	accepted  = "accepted"  // the SMSC took it, and no final receipt came
	unshown   = "not_shown" // the receipt says so
	withdrawn = "withdrawn" // it was taken back after the SMSC took it
	sent      = "sent"      // it was written and not answered: it may have been shown
	failed    = "failed"    // no link took it
	skipped   = "skipped"   // none was sent
)

// chargeable is the rule of deploy/records.md: the SMSC took the text, and nothing says that it was not shown.
func chargeable(state string) bool { return state == shown || state == accepted }

// timeText is RFC 3339 in UTC with milliseconds, "" if there is none.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// number is E.164 without +, which spreadsheets take for a formula.
func number(m callsign.MSISDN) string {
	if m == 0 {
		return ""
	}
	return strings.TrimPrefix(m.E164(), "+")
}

// line is s in UTF-8 without what would break a line: it may be a stranger's.
func line(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
}

// encoder writes a Record as a line.
type encoder func(b *bytes.Buffer, r *Record) error

// encoders are the formats by their file's ending.
var encoders = map[string]encoder{"csv": encodeCSV, "jsonl": encodeJSON}

// headers are the first lines of the formats that have one.
var headers = map[string]string{"csv": strings.Join(columns[:], ",") + "\n"}

func encodeJSON(b *bytes.Buffer, r *Record) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

func encodeCSV(b *bytes.Buffer, r *Record) error {
	w := csv.NewWriter(b)
	fields := []string{
		timeText(r.Time), r.ID, r.ICID, r.CallID, r.Tenant, r.Caller, r.Callee, r.State, r.Channel, r.Link, strconv.Itoa(r.Parts), r.MessageID, r.Receipt,
		timeText(r.ReceiptTime), strconv.FormatBool(r.Chargeable), r.Reason,
	}
	for i, f := range fields {
		fields[i] = harmless(f)
	}
	if err := w.Write(fields); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

// harmless puts an apostrophe before what a spreadsheet would take for a formula, and before one that stands there already, so
// that one is always taken off again.
func harmless(s string) string {
	if s != "" && strings.ContainsRune("=+-@'\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}
