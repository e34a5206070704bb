package relay

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/callsign-as/callsign"
)

// hushed are set-ups of which nobody wants to hear more, by a part of their HMAC: a megabyte. Another takes a place that is
// taken; then more is told of the first than anybody needs.
type hushed [1 << 17]atomic.Uint64

func (h *hushed) place(b callsign.BranchKey) (*atomic.Uint64, uint64) {
	word := binary.NativeEndian.Uint64(b[8:])
	return &h[word%uint64(len(h))], word
}

func (h *hushed) has(b callsign.BranchKey) bool {
	at, word := h.place(b)
	return at.Load() == word
}

// Hush keeps the relay from telling more of a set-up than it has told already: most calls are of no interest once their callee
// is known, and to tell of each of their answers costs as much as to forward one. It may be called from any goroutine, and
// promises nothing.
func (r *Relay) Hush(b callsign.BranchKey) {
	at, word := r.hushed.place(b)
	at.Store(word)
}
