package client

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// The bounds of an event, in bytes, as the server has them.
const (
	maxAttribute = 512
	maxText      = 2048
	maxLang      = 35
)

// Event says what an account's signature is.
type Event struct {
	ID       string    `json:"id"`                 // unique in the source; empty: Push makes one
	Account  string    `json:"account"`            // the account's name in the IM network
	Text     string    `json:"text"`               // at most 2048 bytes of UTF-8; empty: it was cleared
	Lang     string    `json:"lang,omitempty"`     // a language tag (RFC 5646), if known
	Time     time.Time `json:"time"`               // when it was said; zero: Push says now
	Expires  time.Time `json:"expires,omitzero"`   // from then on it is not shown; zero: never
	Version  int64     `json:"version,omitempty"`  // grows with each text of the account; 0: texts are ordered by Time
	Epoch    int64     `json:"epoch,omitempty"`    // raised when versions start anew; only beside Version
	Snapshot bool      `json:"snapshot,omitempty"` // it is no news but an answer to Resync
}

// check says what of e no server would take.
func (e *Event) check() error {
	for name, value := range map[string]string{"ID": e.ID, "Account": e.Account} {
		if value == "" || len(value) > maxAttribute || !plain(value) {
			return fmt.Errorf("its %s is empty, longer than %d bytes, not UTF-8 or has a control character", name, maxAttribute)
		}
	}
	switch {
	case len(e.Text) > maxText || !utf8.ValidString(e.Text):
		return fmt.Errorf("its Text is longer than %d bytes, or not UTF-8", maxText)
	case len(e.Lang) > maxLang || !plain(e.Lang):
		return errors.New("its Lang is no language tag")
	case e.Version < 0 || e.Epoch < 0 || e.Epoch > 0 && e.Version == 0:
		return errors.New("its Version or Epoch is negative, or Epoch stands without Version")
	}
	return nil
}

func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// cloudEvent is e as the protocol has it.
func (e *Event) cloudEvent(source string) map[string]any {
	out := map[string]any{
		"specversion": "1.0", "type": "im.callsign.signature.changed", "source": source, "id": e.ID, "subject": e.Account,
		"time": e.Time.UTC().Format(time.RFC3339Nano),
	}
	if e.Version > 0 {
		out["accountversion"] = e.Version
	}
	if e.Epoch > 0 {
		out["accountepoch"] = e.Epoch
	}
	data := map[string]any{"text": e.Text}
	if e.Lang != "" {
		data["lang"] = e.Lang
	}
	if !e.Expires.IsZero() {
		data["expires_at"] = e.Expires.UTC().Format(time.RFC3339Nano)
	}
	switch {
	case e.Snapshot:
		out["type"] = "im.callsign.signature.snapshot"
	case e.Text == "":
		out["type"] = "im.callsign.signature.cleared"
		return out
	}
	out["data"] = data
	return out
}
