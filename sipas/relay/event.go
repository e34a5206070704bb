package relay

import (
	"net/netip"
	"time"

	"github.com/callsign-as/callsign"
)

// Event tells what was forwarded of a call set-up, or who registered. It is a value: only an initial INVITE and a REGISTER
// carry bytes, a copy that belongs to whoever receives it. An answer may arrive before its INVITE when they come through different sockets.
type Event struct {
	Branch   callsign.BranchKey
	At       time.Time
	Peer     netip.AddrPort // who sent it to us
	Invite   []byte         // non-nil: an initial INVITE as it was received
	Register []byte         // non-nil: a third-party REGISTER that we answered with 200
	Status   uint16         // an answer to an INVITE, above 100; 0: not an answer
	Cancel   bool
}
