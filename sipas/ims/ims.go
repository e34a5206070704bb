// Package ims reads what SIP and IMS headers say about a call: who is called, who calls, over which access, and whether
// the call may be acted on at all. It knows nothing of signatures, does no I/O and owns no goroutine.
package ims

import (
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"

	"github.com/callsign-as/callsign"
)

// Why a call must not be acted on; they stand in callsign.Call.Exempt.
const (
	Emergency   = "emergency"   // urn:service:sos, or Priority emergency or psap-callback (RFC 7090 §5)
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
}

// Callee reads, from an INVITE's bytes, whom it calls: P-Served-User, else the Request-URI. It is a cheap scan for the many calls
// whose callee has nothing to show; what Read says later decides. ok is false where there is no number.
func (r Reader) Callee(invite []byte) (m callsign.MSISDN, ok bool) {
	line, rest, _ := cutLine(invite)
	uri := line
	for len(rest) > 0 {
		line, rest, _ = cutLine(rest)
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ":")
		if strings.EqualFold(strings.TrimSpace(name), "P-Served-User") {
			return r.number(identity{uri: addrSpec(value)})
		}
	}
	_, uri, _ = strings.Cut(uri, " ")
	uri, _, _ = strings.Cut(uri, " ")
	return r.number(identity{uri: uri})
}

// cutLine gives the first line, unfolded, and what follows.
func cutLine(b []byte) (line string, rest []byte, ok bool) {
	s := string(b[:min(len(b), maxLine)])
	for at := 0; ; {
		n := strings.IndexByte(s[at:], '\n')
		if n < 0 {
			return "", nil, false
		}
		at += n + 1
		if at == len(s) || s[at] != ' ' && s[at] != '\t' || strings.TrimSpace(s[:at]) == "" {
			return strings.TrimSpace(s[:at]), b[at:], true
		}
	}
}

const maxLine = 8 << 10

// headers are a message's header fields as sipgo splits and unfolds them, their values left as they are: whatever one of
// them holds, the others stay readable.
type headers struct{ req *sip.Request }

var splitter = sip.NewParser(sip.WithHeadersParsers(sip.HeadersParser{}))

func (h headers) all(name, compact string) (values []string) {
	for _, n := range []string{name, compact} {
		if n != "" {
			for _, field := range h.req.GetHeaders(n) {
				values = append(values, field.Value())
			}
		}
	}
	return values
}

func (h headers) first(name, compact string) string {
	if v := h.all(name, compact); len(v) > 0 {
		return v[0]
	}
	return ""
}

// Read reads an initial INVITE. ID and At are left to the caller. The error says what can't be read; such a call is
// relayed like any other and gets no text.
func (r Reader) Read(invite []byte) (callsign.Call, error) {
	msg, err := splitter.ParseSIP(invite)
	if err != nil {
		return callsign.Call{}, fmt.Errorf("read INVITE: %w", err)
	}
	req, ok := msg.(*sip.Request)
	if !ok {
		return callsign.Call{}, fmt.Errorf("read INVITE: it is an answer")
	}
	h := headers{req}
	call := callsign.Call{SIPCallID: h.first("Call-ID", "i"), Access: access(h)}
	call.Callee, _ = r.Callee(invite)
	call.Caller = r.caller(h)
	call.Once = once(h)
	call.Exempt = r.exempt(h, call.Callee)
	return call, nil
}

// caller is who calls: of up to two asserted identities (RFC 3325 §9.1) the tel one is preferred.
func (r Reader) caller(h headers) (best callsign.MSISDN) {
	fields := h.all("P-Asserted-Identity", "")
	if len(fields) == 0 && r.CallerFrom == From {
		fields = h.all("From", "f")
	}
	for _, id := range identities(fields) {
		m, ok := r.number(id)
		if ok && (best == 0 || id.scheme() == "tel") {
			best = m
		}
	}
	return best
}

// access is the access type of P-Access-Network-Info (RFC 7315 §5.4), "" where the network did not say.
func access(h headers) string {
	for _, v := range h.all("P-Access-Network-Info", "") {
		kind, _, _ := strings.Cut(v, ";")
		if kind = strings.TrimSpace(kind); kind != "" {
			return kind
		}
	}
	return ""
}

// once tells forks, spirals and retransmissions of one call: the charging identity (RFC 7315 §5.6), else the session
// identifier (RFC 7989 §5), else Call-ID and From tag.
func once(h headers) string {
	if id := param(";"+h.first("P-Charging-Vector", ""), "icid-value"); id != "" {
		return "icid:" + id
	}
	if id, _, _ := strings.Cut(h.first("Session-ID", ""), ";"); strings.TrimSpace(id) != "" {
		return "session:" + strings.TrimSpace(id)
	}
	return "call:" + h.first("Call-ID", "i") + ";" + param(afterAddr(h.first("From", "f")), "tag")
}

// exempt says why the call must not be acted on, "" if it may.
func (r Reader) exempt(h headers, callee callsign.MSISDN) string {
	served := h.first("P-Served-User", "")
	priority := strings.ToLower(strings.TrimSpace(h.first("Priority", "")))
	switch {
	case strings.HasPrefix(strings.ToLower(h.req.Recipient.String()), "urn:service:sos"),
		priority == "emergency", priority == "psap-callback":
		return Emergency
	case len(h.all("Resource-Priority", "")) > 0:
		return Priority
	case strings.EqualFold(param(afterAddr(served), "sescase"), "orig"), hasParam(afterAddr(served), "orig-cdiv"):
		return Originating
	case len(h.all("Replaces", ""))+len(h.all("Join", "")) > 0:
		return Replaced
	case r.diverted(h, callee):
		return Diverted
	}
	return ""
}

// diverted reports whether another number was dialled than the callee's: by Diversion (RFC 5806), by the first entry or a
// cause of History-Info (RFC 7044 §5, RFC 4458 §2.2), or by To. To show the text of who took the call over would tell
// the caller who that is.
func (r Reader) diverted(h headers, callee callsign.MSISDN) bool {
	if len(h.all("Diversion", "")) > 0 {
		return true
	}
	history := identities(h.all("History-Info", ""))
	for _, id := range history {
		switch param(id.uri, "cause") {
		case "302", "408", "480", "486", "487", "404", "503":
			return true
		}
	}
	dialled := identities(h.all("To", "t"))
	if len(history) > 0 {
		dialled = append(dialled, history[0])
	}
	for _, id := range dialled {
		if m, ok := r.number(id); ok && m != callee || !ok && !sameNumber(id.user(), callee) {
			return true
		}
	}
	return false
}

// sameNumber compares digits that no rule reads with the number they led to: a dialled "0138…" or "138…" ends like
// "+86138…". Something that isn't a number says nothing.
func sameNumber(dialled string, m callsign.MSISDN) bool {
	digits := strings.TrimLeft(strings.TrimPrefix(dialled, "+"), "0")
	if len(digits) < 5 || strings.Trim(digits, "0123456789") != "" {
		return true
	}
	full := m.E164()[1:]
	return strings.HasSuffix(full, digits) || strings.HasSuffix(digits, full)
}
