package smsc

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// Behaviour is how the SMSC and its handsets differ from ones that take all, show it and send a receipt at once. It is for
// tests and drills, and may change at any time.
type Behaviour struct {
	BindStatus      smpp.Status `json:"bind_status"`       // refuses binds with it
	SilentAfterBind bool        `json:"silent_after_bind"` // answers nothing more

	SubmitStatus smpp.Status            `json:"submit_status"` // refuses messages with it
	SubmitShare  float64                `json:"submit_share"`  // only this share of them; 0: all
	Prefixes     map[string]smpp.Status `json:"prefixes"`      // refuses messages to numbers that begin so; the longest counts
	Rate         int                    `json:"rate"`          // messages taken in a second; more are throttled; 0: all
	Delay        Duration               `json:"delay"`         // before a message's answer
	Jitter       Duration               `json:"jitter"`        // at most, on top of delay
	Silent       bool                   `json:"silent"`        // shows messages and never answers
	LoseAnswers  float64                `json:"lose_answers"`  // share of messages that are shown and never answered
	ShowAfter    Duration               `json:"show_after"`    // from a message's answer until its handset shows it: it can be cancelled

	NoReceipts    bool                `json:"no_receipts"`    // though they were asked for
	LoseReceipts  float64             `json:"lose_receipts"`  // share of receipts that never come
	ReceiptDelay  Duration            `json:"receipt_delay"`  // from showing to the receipt
	ReceiptFirst  bool                `json:"receipt_first"`  // before the answer that names the id
	ReceiptTwice  bool                `json:"receipt_twice"`  //
	ReceiptStat   string              `json:"receipt_stat"`   // instead of DELIVRD
	ReceiptForm   string              `json:"receipt_form"`   // how receipts write ids: "" as the answer did, hex, zeros
	ReceiptFormOf func(string) string `json:"-"`              // the same in Go
	ReceiptOnAny  bool                `json:"receipt_on_any"` // on another session of the same system_id, if it has one

	CloseAfter int `json:"close_after"` // closes the connection after so many messages of a session; 0: never
	CutAfter   int `json:"cut_after"`   // the same in the middle of a PDU
	// These are of every PDU that goes out after the bind's answer, receipts and enquire_links too.
	OutOfOrder    bool `json:"out_of_order"`   // in pairs, the second one first: the first waits for it
	AnswersTwice  bool `json:"answers_twice"`  // two times each
	UnknownPDUs   bool `json:"unknown_pdus"`   // after one that nobody knows
	OversizedPDUs bool `json:"oversized_pdus"` // after one of 5 kB

	USSDBusy           smpp.Status `json:"ussd_busy"`            // handsets are busy: USSD is refused with it, SMS is not
	USSDUntilConnected smpp.Status `json:"ussd_until_connected"` // the same for handsets whose call isn't connected yet
}

// Duration is a time.Duration that is "1.5s" in JSON.
type Duration time.Duration

// MarshalText writes it as time.Duration's String does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration does.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("%q is no duration: write it like 1.5s", b)
	}
	*d = Duration(v)
	return nil
}

// Validate tells what can't be.
func (b Behaviour) Validate() error {
	var problems []error
	refuse := func(bad bool, format string, args ...any) {
		if bad {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	for _, s := range []struct {
		key   string
		share float64
	}{{"submit_share", b.SubmitShare}, {"lose_answers", b.LoseAnswers}, {"lose_receipts", b.LoseReceipts}} {
		refuse(!(s.share >= 0 && s.share <= 1), "%s: %v is out of range: use 0 to 1", s.key, s.share)
	}
	for _, d := range []struct {
		key string
		d   Duration
	}{{"delay", b.Delay}, {"jitter", b.Jitter}, {"show_after", b.ShowAfter}, {"receipt_delay", b.ReceiptDelay}} {
		refuse(d.d < 0 || d.d > Duration(time.Hour), "%s: %v is out of range: use 0s to 1h", d.key, time.Duration(d.d))
	}
	for _, n := range []struct {
		key string
		n   int
	}{{"rate", b.Rate}, {"close_after", b.CloseAfter}, {"cut_after", b.CutAfter}} {
		refuse(n.n < 0, "%s: %d is below 0", n.key, n.n)
	}
	refuse(!slices.Contains([]string{"", "hex", "zeros"}, b.ReceiptForm), "receipt_form: %q is none: use hex or zeros, or leave it empty", b.ReceiptForm)
	for prefix := range b.Prefixes {
		refuse(prefix == "" || strings.Trim(prefix, "0123456789") != "", "prefixes: %q: write the digits with which numbers begin", prefix)
	}
	return errors.Join(problems...)
}

// ParseBehaviour reads JSON: what it doesn't name is 0.
func ParseBehaviour(b []byte) (v Behaviour, err error) {
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, fmt.Errorf("%w: GET /behaviour shows all keys", err)
	}
	if d.More() {
		return v, errors.New("something follows the behaviour: send one JSON object")
	}
	return v, v.Validate()
}

// receiptID is how a receipt writes a message's id.
func (b Behaviour) receiptID(id string) string {
	switch {
	case b.ReceiptFormOf != nil:
		return b.ReceiptFormOf(id)
	case b.ReceiptForm == "zeros":
		return "0000" + id
	case b.ReceiptForm == "hex":
		if n, err := strconv.ParseUint(id, 10, 64); err == nil {
			return strconv.FormatUint(n, 16)
		}
	}
	return id
}

// refusal is what a message to a number is refused with, StatusOK if it isn't.
func (b Behaviour) refusal(number string, ussd, connected bool, chance func() float64) smpp.Status {
	for n := len(number); n > 0; n-- {
		if status, ok := b.Prefixes[number[:n]]; ok {
			return status
		}
	}
	switch {
	case !ussd:
	case b.USSDBusy != smpp.StatusOK:
		return b.USSDBusy
	case !connected && b.USSDUntilConnected != smpp.StatusOK:
		return b.USSDUntilConnected
	}
	if b.SubmitShare == 0 || chance() < b.SubmitShare {
		return b.SubmitStatus
	}
	return smpp.StatusOK
}
