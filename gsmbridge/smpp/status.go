package smpp

import (
	"errors"
	"fmt"

	"github.com/fiorix/go-smpp/smpp/pdu"
)

// Status is a command_status (SMPP 3.4 §5.1.3).
type Status uint32

// The statuses that this room gives or that callers ask for.
const (
	StatusOK               Status = 0x00
	StatusInvalidLength    Status = 0x02 // command_length
	StatusInvalidCommand   Status = 0x03
	StatusInvalidBindState Status = 0x04
	StatusAlreadyBound     Status = 0x05
	StatusSystemError      Status = 0x08
	StatusInvalidDest      Status = 0x0B
	StatusBindFailed       Status = 0x0D
	StatusInvalidPassword  Status = 0x0E
	StatusInvalidSystemID  Status = 0x0F
	StatusCancelFailed     Status = 0x11
	StatusQueueFull        Status = 0x14
	StatusThrottled        Status = 0x58
	StatusTemporary        Status = 0x64 // the ESME can't take it now
	StatusPermanent        Status = 0x65 // the ESME will never take it
	StatusQueryFailed      Status = 0x67
	StatusInvalidTLVs      Status = 0xC0
)

// String is the status in words with its value, "invalid password (0x0E)".
func (s Status) String() string {
	words := pdu.Status(s).Error()
	if s >= 0x100 {
		words = "the SMSC's own status"
	}
	return fmt.Sprintf("%s (0x%02X)", words, uint32(s))
}

// StatusError is a peer's refusal.
type StatusError struct {
	Command string // what it refused, like "submit_sm"
	Status  Status
}

func (e *StatusError) Error() string { return e.Command + " refused: " + e.Status.String() }

// What became of a request that was not answered, for errors.Is. Any other error but a *StatusError says that the request
// could not be coded, so nothing was written either, or of Query that its answer could not be read.
var (
	// ErrNotSent says that nothing of the request was written, so it may be sent elsewhere.
	ErrNotSent = errors.New("not sent")
	// ErrAmbiguous says that the request was written and no answer came: the peer may have it.
	ErrAmbiguous = errors.New("sent, but not answered")
)

// Why a session ended, for errors.Is.
var (
	// ErrUnbound says that the peer unbound.
	ErrUnbound = errors.New("the peer unbound")
	// ErrClosed says that this end closed the session.
	ErrClosed = errors.New("the session is closed")
)
