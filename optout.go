package callsign

import "time"

// OptOut is a caller's objection: nothing is sent to Caller of calls to Callee, whichever tenant's the callee is, since a
// handset can't know tenants. Caller and Callee are its key.
type OptOut struct {
	Tenant string // whose row it is
	Caller MSISDN
	Callee MSISDN // 0: all callees
	At     time.Time
	Origin string // what told it: the link of a message, or who did for the caller
}
