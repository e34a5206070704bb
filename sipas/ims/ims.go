// Package ims reads what SIP and IMS headers say about a call: who is called, who calls, over which access, and whether
// the call may be acted on at all. It knows nothing of signatures, does no I/O and owns no goroutine.
package ims

import (
	"bytes"
	"errors"

	"github.com/callsign-as/callsign"
)

// Why a call must not be acted on; they stand in callsign.Call.Exempt.
const (
	Emergency   = "emergency"   // urn:service:sos (RFC 5031 §4.2), or Priority emergency or psap-callback (RFC 7090 §5)
	Priority    = "priority"    // Resource-Priority (RFC 4412)
	Originating = "originating" // the served user is the caller, or diverts (RFC 5502 §4, RFC 8498)
	Diverted    = "diverted"    // the callee is not the number that was dialled
	Replaced    = "replaced"    // Replaces or Join: a call that goes on, not a new one (RFC 3891, RFC 3911)
)

// CallerFrom says which header tells who calls.
type CallerFrom string

// The values of CallerFrom.
const (
	Asserted CallerFrom = "asserted" // P-Asserted-Identity only (RFC 3325 §9.1): the network vouches for it
	From     CallerFrom = "from"     // From where there is no P-Asserted-Identity: only behind a trunk that checks it
)

// Reader reads INVITEs as the operator's network writes them. The zero Reader reads international numbers and believes
// P-Asserted-Identity.
type Reader struct {
	Region     string // ISO 3166-1 alpha-2: whose national rules read numbers without "+"; "": such are no numbers
	CallerFrom CallerFrom
	Roaming    func(callsign.MSISDN) bool // reports a visited network's temporary number (MSRN), which nobody dialled; may be nil
}

// Read reads an initial INVITE. ID and At are left to the caller. The error says what can't be read; such a call is
// relayed like any other and gets no text.
func (r Reader) Read(invite []byte) (callsign.Call, error) {
	m := readMessage(invite)
	id := m.first("call-id", "i")
	switch {
	case !bytes.HasPrefix(m.line, []byte("INVITE ")):
		return callsign.Call{}, errors.New("read INVITE: it is none")
	case len(id) == 0:
		return callsign.Call{}, errors.New("read INVITE: it has no Call-ID")
	}
	call := callsign.Call{SIPCallID: string(id), Access: access(m), Private: private(m)}
	if call.Access != "" {
		call.AccessFrom = callsign.AccessNetwork
	}
	call.Callee, _ = r.Callee(invite)
	call.Caller = r.caller(m)
	call.ICID = icid(m)
	call.Once = once(m, call.ICID)
	call.Exempt = r.exempt(m, call.Callee)
	return call, nil
}

// caller is who calls: of the asserted identities (RFC 3325 §9.1 has up to two) a tel one is preferred, then a SIP one that
// says that it is a number.
func (r Reader) caller(m sipMessage) (best callsign.MSISDN) {
	fields := m.all("p-asserted-identity", "")
	if len(fields) == 0 && r.CallerFrom == From {
		fields = m.all("from", "f")
	}
	rank := 0
	for _, id := range identities(fields) {
		sure := 1
		switch {
		case id.isTel():
			sure = 3
		case id.isPhone():
			sure = 2
		}
		if n, ok := r.number(id); ok && sure > rank {
			best, rank = n, sure
		}
	}
	return best
}

// once tells forks, spirals and retransmissions of one call: the charging identity (RFC 7315 §5.6), else the session
// identifier (RFC 7989 §5), else Call-ID and From tag.
func once(m sipMessage, icid string) string {
	if icid != "" {
		return "icid:" + icid
	}
	if id, _, _ := bytes.Cut(m.first("session-id", ""), []byte(";")); len(bytes.TrimSpace(id)) > 0 {
		return "session:" + string(bytes.TrimSpace(id))
	}
	return "call:" + string(m.first("call-id", "i")) + ";" + param(addrSpec(m.first("from", "f")).params, "tag")
}

// icid is the call's name for charging, "" if it has none.
func icid(m sipMessage) string {
	return param(append([]byte(";"), m.first("p-charging-vector", "")...), "icid-value")
}

// exempt says why the call must not be acted on, "" if it may.
func (r Reader) exempt(m sipMessage, callee callsign.MSISDN) string {
	switch {
	case emergency(m):
		return Emergency
	case len(m.all("resource-priority", "")) > 0:
		return Priority
	case notTerminating(addrSpec(m.first("p-served-user", "")).params):
		return Originating
	case len(m.all("replaces", ""))+len(m.all("join", "")) > 0:
		return Replaced
	case r.diverted(m, callee):
		return Diverted
	}
	return ""
}

// emergency looks at To as well: it still says sos where the Request-URI already names who answers.
func emergency(m sipMessage) bool {
	const sos = "urn:service:sos"
	if hasPrefixFold(requestURI(m.line), sos) || hasPrefixFold(addrSpec(m.first("to", "t")).uri, sos) {
		return true
	}
	for _, p := range m.all("priority", "") {
		if equalFold(p, "emergency") || equalFold(p, "psap-callback") {
			return true
		}
	}
	return false
}

// notTerminating reports a session case that isn't a call to the served user. None at all is one to them.
func notTerminating(params []byte) bool {
	sescase, said := lookup(params, "sescase")
	return said && !equalFold(sescase, "term") || hasParam(params, "orig-cdiv")
}

// diverted reports whether another number was dialled than the callee's: by Diversion (RFC 5806), by the first entry, a cause
// or a change of user (mp) in History-Info (RFC 7044 §5, RFC 4458 §2.2), or by To. To show the text of who took the call
// over would tell the caller who that is.
func (r Reader) diverted(m sipMessage, callee callsign.MSISDN) bool {
	if len(m.all("diversion", "")) > 0 {
		return true
	}
	history := identities(m.all("history-info", ""))
	for _, id := range history {
		switch param(id.uri, "cause") {
		case "302", "408", "480", "486", "487", "404", "503":
			return true
		}
		if hasParam(id.params, "mp") {
			return true
		}
	}
	dialled := identities(m.all("to", "t"))
	if len(history) > 0 {
		dialled = append(dialled, history[0])
	}
	for _, id := range dialled {
		if n, ok := r.number(id); ok && n != callee || !ok && !sameNumber(id, callee) {
			return true
		}
	}
	return false
}

// sameNumber compares digits that no rule reads with the number they led to: a dialled "0138…" or "138…" ends like
// "+86138…". Something that isn't a number says nothing.
func sameNumber(dialled identity, m callsign.MSISDN) bool {
	d, ok := readDigits(dialled.subscriber())
	digits := bytes.TrimLeft(d.b[:d.n], "0")
	if !ok || len(digits) < 5 {
		return true
	}
	full := []byte(m.E164()[1:])
	return bytes.HasSuffix(full, digits) || bytes.HasSuffix(digits, full)
}
