package simple

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"github.com/callsign-as/callsign/sigsync"
)

// dialog is one subscription as SIP knows it (RFC 6665 §4.1). Its endpoint guards it.
type dialog struct {
	uri           sip.Uri // whose presence
	callID, local string
	remote        string // the agent's tag, once it is known
	target        sip.Uri
	routes        []string
	seq, theirs   uint32
	heard         func(notice) // with the endpoint locked
}

func newDialog(uri sip.Uri, heard func(notice)) *dialog {
	return &dialog{uri: uri, target: uri, callID: rand.Text(), local: rand.Text(), heard: heard}
}

// establish takes what the agent's first message says of the way to it (RFC 3261 §12.1.2): a Contact, and Record-Routes that a
// request names from the other end than its answer does.
func (d *dialog) establish(tag string, contact *sip.ContactHeader, recorded []sip.Header, request bool) {
	if d.remote != "" {
		return
	}
	d.remote = tag
	if contact != nil {
		d.target = contact.Address
	}
	for _, r := range recorded {
		d.routes = append(d.routes, r.Value())
	}
	if !request {
		slices.Reverse(d.routes)
	}
}

// notice is what a NOTIFY says.
type notice struct {
	state
	note  sigsync.Note
	tells bool
	err   error // the document can't be read
}

// state is a Subscription-State (RFC 6665 §8.2.3); zero where a time is not said.
type state struct {
	is, reason     string
	after, expires time.Duration
}

// readState reads the value of a Subscription-State; what it doesn't know is nothing.
func readState(value string) (s state) {
	for i, part := range strings.Split(value, ";") {
		name, value, _ := strings.Cut(part, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.ToLower(strings.TrimSpace(value))
		switch {
		case i == 0:
			s.is = name
		case name == "reason":
			s.reason = value
		case name == "retry-after":
			s.after = seconds(value)
		case name == "expires":
			s.expires = seconds(value)
		}
	}
	return s
}

// seconds reads the number that a header's value begins with, a day at the most; 0: there is none.
func seconds(value string) time.Duration {
	value = strings.TrimSpace(value)
	digits := len(value) - len(strings.TrimLeft(value, "0123456789"))
	n, err := strconv.ParseUint(value[:digits], 10, 64)
	if err != nil && digits == 0 {
		return 0
	}
	if err != nil || n > 24*60*60 {
		return 24 * time.Hour
	}
	return time.Duration(n) * time.Second
}
