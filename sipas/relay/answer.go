package relay

import (
	"net/netip"
	"strconv"

	"github.com/callsign-as/callsign"
)

// reasons of the answers that the relay gives itself. It gives one only instead of relaying, never after it.
var reasons = map[int]string{
	200: "OK",                  // OPTIONS to us, a third-party REGISTER
	403: "Forbidden",           // trusted, but we are not what its Route names, or it has none and there is no next hop
	482: "Loop Detected",       // a trunk's request that came back again and again
	483: "Too Many Hops",       // RFC 3261 §16.3
	503: "Service Unavailable", // no next hop can be had, or we drain: an S-CSCF goes on without us at once
}

// answer builds an answer of our own to a request, to be sent where it came from. The To tag tells us the ACK (RFC 3261
// §16.11 has a stateless proxy answer nothing itself: Deviation, a tag that is an HMAC stands in for the state).
func answer(out, msg []byte, status int, m *message, v via, peer netip.AddrPort, stream bool, tag string) []byte {
	out = append(out, "SIP/2.0 "...)
	out = strconv.AppendInt(out, int64(status), 10)
	out = append(append(append(out, ' '), reasons[status]...), "\r\n"...)
	_, at := cutLine(msg, 0)
	for at < m.end {
		name, h, ok := fieldAt(msg, at)
		if !ok {
			break
		}
		at = h.line.to
		line := msg[h.line.from:h.line.to]
		switch {
		case h.line == m.vias[0].line:
			edits := viaEdits(msg, v, peer, stream)
			for i := range edits {
				edits[i].at.from -= h.line.from
				edits[i].at.to -= h.line.from
			}
			out = splice(out, line, edits[:]...)
		case h.line == m.to.line:
			out = append(out, msg[h.line.from:h.value.to]...)
			if _, tagged := param(msg, h.value, "tag"); !tagged {
				out = append(append(out, ";tag="...), tag...)
			}
			out = append(out, "\r\n"...)
		case named(name, "via", "v"), named(name, "from", "f"), named(name, "call-id", "i"), named(name, "cseq", ""),
			status == 200 && (named(name, "contact", "m") || named(name, "expires", "")): // as long as it was asked for (RFC 3261 §10.3)
			out = append(out, line...)
		}
	}
	return append(out, "Content-Length: 0\r\n\r\n"...)
}

func viaEdits(msg []byte, v via, peer netip.AddrPort, stream bool) [2]edit {
	named, isIP := address(v.host)
	return receivedFrom(msg, v, peer.Addr().String(), peer.Port(), !isIP || named != peer.Addr(), stream)
}

// answersUs reports whether an ACK belongs to an answer of our own: its To tag is the one that we gave.
func answersUs(msg []byte, m *message, s *signer, key callsign.BranchKey) bool {
	tag, _ := param(msg, m.to.value, "tag")
	return tag.text(msg) == s.answerTag(key)
}
