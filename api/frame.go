package api

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/callsign-as/callsign"
)

// subprotocol is what a source must ask for in Sec-WebSocket-Protocol.
const subprotocol = "callsign.v1"

// The codes with which a push connection ends, beside 1001, 1007, 1009, 1012 and 1013 (RFC 6455 §7.4).
const (
	closeProtocol  = 4400 // not JSON, no frame of ours: don't reconnect before it is mended
	closeKey       = 4401 // the key expired or was revoked
	closeSource    = 4403 // events of a source that the key may not send: don't reconnect
	closeHeartbeat = 4408 // no sign of life in two heartbeats
	closeReplaced  = 4409 // a newer connection of this source took over
	closeCredit    = 4429 // more events than the credit, twice
)

// nackCode says why a batch was not taken. Nothing of it was kept, unless it is unavailable: then some may come back as
// duplicates.
type nackCode string

// The codes of a nack. After any of them the source goes on from the event after the last acknowledged one; retryable says
// whether the same batch may be sent again as it is.
const (
	nackBadEvent nackCode = "bad_event"          // the event "id" is no CloudEvent of ours
	nackTooMany  nackCode = "too_many_events"    // more than max_batch
	nackMismatch nackCode = "seq_mismatch"       // seq doesn't count the events, or they are none
	nackGap      nackCode = "seq_gap"            // an event before it was not taken
	nackCredit   nackCode = "over_credit"        // more than the credit would be unacknowledged: retryable
	nackAway     nackCode = "unavailable"        // the store is away, or an event before it was not kept: retryable
	nackSource   nackCode = "source_not_allowed" // the event "id" is of another source: the connection closes with 4403
)

func (c nackCode) retryable() bool { return c == nackCredit || c == nackAway }

// retryAfter is what a nack unavailable asks for, in milliseconds.
const retryAfter = 1000

// The frames that the server sends.
type (
	helloFrame struct {
		Op          string `json:"op"`
		Session     string `json:"session"`
		ResumeFrom  int64  `json:"resume_from"`
		Credit      int    `json:"credit"`
		HeartbeatMS int64  `json:"heartbeat_ms"`
		MaxBatch    int    `json:"max_batch"`
		MaxBytes    int    `json:"max_bytes"`
	}
	ackFrame struct {
		Op      string        `json:"op"`
		Batch   string        `json:"batch"`
		UpTo    int64         `json:"up_to"`
		Results []eventResult `json:"results"`
		Credit  int           `json:"credit"`
	}
	eventResult struct {
		ID     string          `json:"id"`
		Status callsign.Status `json:"status"`
	}
	nackFrame struct {
		Op    string    `json:"op"`
		Batch string    `json:"batch"`
		Error nackError `json:"error"`
	}
	nackError struct {
		Code         nackCode `json:"code"`
		Retryable    bool     `json:"retryable"`
		ID           string   `json:"id"`
		RetryAfterMS int      `json:"retry_after_ms"`
	}
	resyncFrame struct {
		Op      string `json:"op"`
		Account string `json:"account,omitempty"` // empty: all
	}
	goawayFrame struct {
		Op      string `json:"op"`
		GraceMS int64  `json:"grace_ms"`
		Reason  string `json:"reason"`
	}
)

func newNack(batch string, code nackCode, id string) nackFrame {
	f := nackFrame{Op: "nack", Batch: batch, Error: nackError{Code: code, Retryable: code.retryable(), ID: id}}
	if code == nackAway {
		f.Error.RetryAfterMS = retryAfter
	}
	return f
}

// eventsFrame is the one frame that a source sends.
type eventsFrame struct {
	Op     string            `json:"op"`
	Batch  string            `json:"batch"`
	Seq    []int64           `json:"seq"`
	Events []json.RawMessage `json:"events"`
}

// maxBatchName bounds what every answer to a batch repeats.
const maxBatchName = 128

// parseFrame reads what a source sent. Its error ends the connection with 4400 and is the reason there.
func parseFrame(data []byte) (f eventsFrame, err error) {
	if err := json.Unmarshal(data, &f); err != nil {
		var mistyped *json.UnmarshalTypeError
		if errors.As(err, &mistyped) {
			return f, fmt.Errorf("the frame's %.40q can't be a JSON %s", mistyped.Field, mistyped.Value)
		}
		return f, errors.New("the frame is not JSON")
	}
	switch {
	case f.Op != "events":
		return f, fmt.Errorf("op %.40q is unknown: send events", f.Op)
	case len(f.Batch) > maxBatchName:
		return f, fmt.Errorf("batch is longer than %d bytes", maxBatchName)
	case len(f.Seq) != 2:
		return f, errors.New("seq is not [first,last]")
	}
	return f, nil
}

// countsEvents reports whether seq numbers the events, from 1 on and without gaps.
func (f *eventsFrame) countsEvents() bool {
	first, last := f.Seq[0], f.Seq[1]
	return first >= 1 && last >= first && last-first == int64(len(f.Events)-1)
}
