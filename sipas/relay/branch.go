package relay

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"net/netip"

	"github.com/callsign-as/callsign"
)

// ourCookie begins each branch of ours; what follows is the BranchKey in hexadecimal.
const ourCookie = magicCookie + "-cs-"

const ourBranchLen = len(ourCookie) + 2*len(callsign.BranchKey{})

// signer makes the branches of one goroutine. A branch is an HMAC over what retransmissions, CANCEL and the ACK of a
// failure have in common with their INVITE (RFC 3261 §16.11), and over where its answers go: so that an answer is
// only popped when we made its Via, and can only be sent where the request came from.
type signer struct {
	now, previous hash.Hash // previous is nil without one
	sum           [sha256.Size]byte
}

func newSigner(secret, previous []byte) *signer {
	s := &signer{now: hmac.New(sha256.New, secret)}
	if len(previous) > 0 {
		s.previous = hmac.New(sha256.New, previous)
	}
	return s
}

// branch is the key of the branch that goes on top of v. It reads nothing that an answer doesn't carry.
func (s *signer) branch(h hash.Hash, msg []byte, m *message, v via, answerTo netip.AddrPort) (key callsign.BranchKey) {
	h.Reset()
	part := func(b []byte) {
		h.Write(b)
		h.Write([]byte{0})
	}
	part(v.branch.of(msg))
	part(v.sentBy.of(msg))
	addr := answerTo.Addr().As16()
	part(addr[:])
	part([]byte{byte(answerTo.Port() >> 8), byte(answerTo.Port())})
	if !bytes.HasPrefix(v.branch.of(msg), []byte(magicCookie)) { // an RFC 2543 element's, which need not be unique
		tag, _ := param(msg, m.from.value, "tag")
		part(m.callID.value.of(msg))
		part(m.cseqNumber.of(msg))
		part(tag.of(msg))
	}
	copy(key[:], h.Sum(s.sum[:0]))
	return key
}

// ours reports whether top is a Via that we put on top of below, and its key.
func (s *signer) ours(msg []byte, m *message, top, below via, answerTo netip.AddrPort) (key callsign.BranchKey, ok bool) {
	b := top.branch.of(msg)
	if len(b) != ourBranchLen || !bytes.HasPrefix(b, []byte(ourCookie)) {
		return key, false
	}
	if _, err := hex.Decode(key[:], b[len(ourCookie):]); err != nil {
		return key, false
	}
	for _, h := range []hash.Hash{s.now, s.previous} {
		if h != nil {
			if made := s.branch(h, msg, m, below, answerTo); hmac.Equal(made[:], key[:]) {
				return key, true
			}
		}
	}
	return key, false
}

// probe is the key of the n-th probe of a next hop.
func (s *signer) probe(hop netip.AddrPort, n uint64) (key callsign.BranchKey) {
	s.now.Reset()
	fmt.Fprintf(s.now, "probe %s %d", hop, n)
	copy(key[:], s.now.Sum(s.sum[:0]))
	return key
}

// answerTag is the To tag of an answer of our own to what has this branch: the ACK that brings it back is for us.
func (s *signer) answerTag(key callsign.BranchKey) string {
	s.now.Reset()
	s.now.Write([]byte("to-tag"))
	s.now.Write(key[:])
	return "cs-" + hex.EncodeToString(s.now.Sum(s.sum[:0])[:8])
}
