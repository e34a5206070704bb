package callsign

import (
	"errors"
	"fmt"
)

// The errors that every engine returns and every boundary maps.
var (
	ErrNotFound = errors.New("not found")
	ErrConflict = errors.New("belongs to somebody else or was changed meanwhile")
	// ErrChanged says that what was to be changed is not as it was when it was read.
	ErrChanged = errors.New("was changed meanwhile")
	// ErrUnavailable says that the store can't answer now; the same call may succeed later.
	ErrUnavailable = errors.New("store is not available")
	// ErrLinked refuses to link an account to a number that has it.
	ErrLinked = fmt.Errorf("the account is linked to this number already: it %w", ErrConflict)
	// ErrTooMany says that as much waits already as may.
	ErrTooMany = errors.New("too many wait already")
	// ErrNotProved says that a network has verified another number for an account, or none.
	ErrNotProved = errors.New("the network has not verified this number for the account")
	// ErrInvalid says that what was sent can't be used as it is; the error says what to mend.
	ErrInvalid = errors.New("it can't be used")
	// What an import refuses of a row.
	ErrNumberTaken  = fmt.Errorf("the number %w", ErrConflict)
	ErrAccountTaken = fmt.Errorf("the account %w", ErrConflict)
)
