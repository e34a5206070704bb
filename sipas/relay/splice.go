package relay

import "strconv"

// edit replaces one span of a message by text.
type edit struct {
	at   span
	text []byte
}

// splice appends msg to out with the edits made, which may be given in any order but don't overlap. All other bytes stay
// as they are.
func splice(out, msg []byte, edits ...edit) []byte {
	at := 0
	for done := range edits {
		next := done
		for i := done + 1; i < len(edits); i++ {
			if edits[i].at.from < edits[next].at.from {
				next = i
			}
		}
		edits[done], edits[next] = edits[next], edits[done]
		e := edits[done]
		out = append(append(out, msg[at:e.at.from]...), e.text...)
		at = e.at.to
	}
	return append(out, msg[at:]...)
}

// dropFirst removes the first of two values: with its comma where they share a line, else with its line.
func dropFirst(of [2]header, n int) edit {
	if n > 1 && of[0].line == of[1].line {
		return edit{at: span{of[0].value.from, of[1].value.from}}
	}
	return edit{at: of[0].line}
}

// receivedFrom is the edits that write into a Via where it came from (RFC 3261 §18.2.1, RFC 3581 §4): received where the
// sender's own host differs or rport asks for it, and rport's value. A value that the sender wrote itself is replaced.
// Deviation: over a stream both are written unasked, so that an answer finds the connection without any state.
func receivedFrom(msg []byte, v via, peer string, port uint16, differs, stream bool) [2]edit {
	behind := span{v.sentBy.to, v.sentBy.to} // not at the end, where a quote may be left open
	edits := [2]edit{{at: behind}, {at: behind}}
	number := strconv.AppendUint([]byte{'='}, uint64(port), 10)
	switch {
	case v.hasRport:
		if at := v.rport; at.empty() && (at.from == 0 || msg[at.from-1] != '=') {
			edits[0] = edit{at: at, text: number}
		} else {
			edits[0] = edit{at: at, text: number[1:]}
		}
	case stream:
		edits[0].text = append([]byte(";rport"), number...)
	}
	switch {
	case v.hasReceived && !v.received.empty():
		edits[1] = edit{at: v.received, text: []byte(peer)}
	case v.hasRport || differs || stream:
		edits[1].text = []byte(";received=" + peer)
	}
	return edits
}
