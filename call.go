package callsign

import (
	"encoding/hex"
	"fmt"
	"time"
)

// BranchKey is what the relay knows a call set-up by: the 16 bytes of HMAC in the branch of our Via.
type BranchKey [16]byte

// CallID is our own key of a call's timeline: 6 bytes of milliseconds since 1970, then 10 of its BranchKey, so that
// keys sort by time. As text it is 32 hexadecimal digits.
type CallID [16]byte

// NewCallID makes the key of the set-up whose INVITE came at t.
func NewCallID(t time.Time, b BranchKey) (id CallID) {
	ms := uint64(t.UnixMilli())
	for i := range 6 {
		id[i] = byte(ms >> (40 - 8*i))
	}
	copy(id[6:], b[:10])
	return id
}

func (id CallID) String() string { return hex.EncodeToString(id[:]) }

// MarshalText gives the 32 hexadecimal digits.
func (id CallID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText reads what MarshalText gives.
func (id *CallID) UnmarshalText(b []byte) error {
	if n, err := hex.Decode(id[:], b[:min(len(b), 32)]); err != nil || n != 16 || len(b) != 32 {
		return fmt.Errorf("call id %q is not 32 hexadecimal digits", b)
	}
	return nil
}

// Call is one set-up as ims read it.
type Call struct {
	ID             CallID
	Caller, Callee MSISDN
	// SIPCallID is the Call-ID header's value. Once tells forks, spirals and retransmissions of one call: icid-value,
	// else Session-ID, else Call-ID and From tag.
	SIPCallID, Once string
	ICID            string     // icid-value alone, "" if the INVITE had none; for records, timelines don't keep it
	Access          string     // the caller's access type as P-Access-Network-Info writes it, "" if unknown
	AccessFrom      AccessFrom // who told it
	Exempt          string     // why the call must not be acted on, "" if it may
	// Private: the caller wants nobody to be told who they are. A text may be sent to them; their number is not shown, kept
	// or logged.
	Private bool
	At      time.Time
}

// AccessFrom says who told over which access a caller came.
type AccessFrom string

// The rungs of the access ladder, the most reliable first.
const (
	AccessNetwork      AccessFrom = "network"      // the call itself, in P-Access-Network-Info
	AccessRegistration AccessFrom = "registration" // the caller's last third-party REGISTER
	AccessPeer         AccessFrom = "peer"         // where the call came from
	AccessRange        AccessFrom = "range"        // the caller's number
	AccessDefault      AccessFrom = "default"      // the configuration, for want of anything better
)

// The repeat periods that are none; any other is how long a caller is not shown the same callee's text again.
const (
	RepeatAlways time.Duration = 0  // a caller is shown a text at each call
	RepeatOnce   time.Duration = -1 // a caller is shown a callee's text once, until it changes
)

// Delivery is one text on its way to one caller. It says what to show; how it is coded and cut is gsmbridge's.
type Delivery struct {
	Call    Call
	Profile Profile // with the Signature whose Text it is
	Text    string
	Channel string        // the only one over which it may be shown; "": any
	Repeat  time.Duration // where a policy is more sparing with texts than the node; RepeatAlways: it isn't
	PerDay  int           // how many texts the caller may be shown within 24 hours; 0: no limit
	// PerCallee is how many of them may be this callee's; 0: no limit.
	PerCallee int
}

// Outcome is how a delivery's submission ended; receipts come later, as events.
type Outcome struct {
	State                            OutcomeState
	Channel, Link, MessageID, Reason string
}

// OutcomeState is how far a delivery came.
type OutcomeState string

// The states of an Outcome.
const (
	Accepted  OutcomeState = "accepted"  // the SMSC took it
	Failed    OutcomeState = "failed"    // no link took it; Reason says why
	Ambiguous OutcomeState = "ambiguous" // written, no answer in time: it may be shown, and is never sent again
	Dropped   OutcomeState = "dropped"   // the call was over before it was written
)

// Event is one line of a call's timeline. It carries the whole Call, so that lines may be kept in any order.
type Event struct {
	Call   Call
	Tenant string
	At     time.Time
	Kind   EventKind
	// Reason says why, or how; Link, MessageID and Text are set where the kind has them. Wire is the message itself, as much of it as is kept.
	Reason, Link, MessageID, Text string
	Wire                          []byte
	// Channel is a submitted text's, Outcome how its attempt or its way ended that failed. Both are for records: timelines
	// don't keep them.
	Channel string
	Outcome OutcomeState
}

// Kept is the event as it may be kept: of a private call without the caller's number, and without the message that holds it.
func (e Event) Kept() Event {
	if e.Call.Private {
		e.Call.Caller, e.Wire = 0, nil
	}
	return e
}

// EventKind names a line of a timeline.
type EventKind string

// The kinds of Event, in the order in which a good call has them.
const (
	EventInvite    EventKind = "invite"
	EventRinging   EventKind = "ringing"
	EventDecided   EventKind = "decided"   // will show Text at its time: no rule refused; Reason is the Origin of the text
	EventSkipped   EventKind = "skipped"   // will show nothing, Reason says why
	EventSubmitted EventKind = "submitted" // Text went out on Link; Reason is its form: channel, alphabet, units of those to be had
	EventAccepted  EventKind = "accepted"  // the SMSC gave it MessageID
	EventFailed    EventKind = "failed"    // it could not be sent, or the SMSC refused it
	EventReceipt   EventKind = "receipt"   // the SMSC said what became of MessageID: Reason is its stat, CONFIRMED if the phone itself did
	EventWithdrawn EventKind = "withdrawn" // the SMSC took MessageID back, as the call was over before its receipt
	EventAnswered  EventKind = "answered"
	EventEnded     EventKind = "ended" // cancelled, or a final failure: Reason has which
)

// Timeline is a call with its events in order of time.
type Timeline struct {
	Call   Call
	Events []Event
}

// CallFilter selects calls of a tenant, from Since and before Until; zero fields don't narrow. Page.After is a CallID as text: newest first.
type CallFilter struct {
	Caller, Callee MSISDN
	Since, Until   time.Time
	Page           Page
}

// MO is a message that a handset sent to us.
type MO struct {
	From MSISDN
	To   string
	Text string
	Link string
}
