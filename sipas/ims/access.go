package ims

import (
	"bytes"
	"strings"
)

// access is the access type of P-Access-Network-Info (RFC 7315 §5.4) as it is written, "" where nobody said. Of several the
// one that the network provided (np) is preferred: a phone may claim anything.
func access(m sipMessage) (kind string) {
	fromNetwork := false
	values(m.all("p-access-network-info", ""), func(v []byte) {
		token := bytes.TrimSpace(v[:indexOutside(v, ';')])
		np := hasParam(v, "np")
		if !isToken(token) || kind != "" && (fromNetwork || !np) {
			return
		}
		kind, fromNetwork = string(token), np
	})
	return kind
}

// IsAccessType reports whether s could be one in P-Access-Network-Info.
func IsAccessType(s string) bool { return isToken([]byte(s)) }

// isToken reports whether b could be an access type: a token (RFC 3261 §25.1) of sane length.
func isToken(b []byte) bool {
	for _, c := range b {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("-.!%*_+`'~", rune(c)) {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 64
}
