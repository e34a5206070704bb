package ims

import "github.com/callsign-as/callsign"

// Callee reads, from an INVITE's bytes, whom it calls. It is a cheap scan for the many calls whose callee has nothing to show;
// what Read says later decides. ok is false where there is no number.
//
// It is P-Served-User (RFC 5502 §4), else the number of the Request-URI, else To: where the Request-URI is not the number that
// was dialled. It isn't where it is one of Roaming's; nor where number portability has put a routing number in its place. An
// rn or npdi beside the number says nothing against it: rn only routes, the number in front of it is the one called (RFC 4694
// §5.1). So only one that is the rn itself, or can't be read as a number, is not the callee's.
func (r Reader) Callee(invite []byte) (m callsign.MSISDN, ok bool) {
	line, f := startLine(invite)
	var to []byte
	for {
		name, value, more := f.next()
		if !more {
			break
		}
		switch {
		case equalFold(name, "p-served-user"):
			return r.number(addrSpec(value))
		case to == nil && (equalFold(name, "to") || equalFold(name, "t")):
			to = value
		}
	}
	uri := identity{uri: requestURI(line)}
	m, ok = r.number(uri)
	if r.routed(uri, m, ok) {
		return r.number(addrSpec(to))
	}
	return m, ok
}

// routed reports whether a Request-URI says where a call is to go, and no longer whom it calls.
func (r Reader) routed(uri identity, m callsign.MSISDN, readable bool) bool {
	if readable && r.Roaming != nil && r.Roaming(m) {
		return true
	}
	rn, ported := uri.userParam("rn")
	if !ported {
		_, dipped := uri.userParam("npdi")
		return dipped && !readable
	}
	routing, _ := readDigits(rn)
	called, _ := readDigits(uri.subscriber())
	return !readable || routing.n > 0 && routing.b == called.b
}
