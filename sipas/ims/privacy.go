package ims

import "bytes"

// private reports whether the caller asks that nobody is told who they are (RFC 3323 §4.2, RFC 3325 §9.3). The network knows it
// all the same, and a text may be sent to them; it must not be shown, kept or logged.
func private(m sipMessage) (yes bool) {
	for _, f := range m.all("privacy", "") {
		for _, v := range bytes.FieldsFunc(f, func(r rune) bool { return r == ';' || r == ',' }) {
			switch v = bytes.TrimSpace(v); {
			case equalFold(v, "id"), equalFold(v, "header"), equalFold(v, "user"), equalFold(v, "critical"):
				yes = true
			}
		}
	}
	return yes
}
