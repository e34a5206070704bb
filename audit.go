package callsign

import "time"

// Audit is a change that was asked for: what, when, by whom. It is kept before the change is made, so that there is none
// without it, and again when it is known how that ended.
type Audit struct {
	ID      string // grows with time
	Tenant  string
	At      time.Time
	KeyID   string // "": somebody on the machine itself
	Address string // whom the request came from
	Action  string // method and path, as the API's document writes them
	MSISDN  MSISDN // whom it is about; 0: nobody, or erased
	Object  string // what else the path names, but no person's account
	Status  int    // the HTTP status of the answer; 0: not known
}

// AuditProved begins the Action of a link that was proved; its Proof follows.
const AuditProved = "link proved by "
