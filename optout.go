package callsign

import "time"

// OptOut is a caller's objection: nothing, or no more than PerDay texts within 24 hours, is sent to Caller of calls to Callee, whichever
// tenant's the callee is, since a handset can't know tenants. Caller and Callee are its key.
type OptOut struct {
	Tenant string // whose row it is
	Caller MSISDN
	Callee MSISDN // 0: all callees
	At     time.Time
	Origin string // what told it: the link of a message, or who did for the caller
	PerDay int    // 0: none at all; 1 to 1000
}

// OptOutByOperator begins the Origin of an opt-out that an operator took for the caller. The caller's own replaces it; no operator's
// replaces the caller's own. Of two operators' the stricter stands, but a tenant may make its own less strict.
const OptOutByOperator = "api/"

// Wants is what a caller wants of calls to one callee, by all their opt-outs.
type Wants struct {
	None      bool // no texts
	PerDay    int  // texts within 24 hours at most, whosever; 0: no limit
	PerCallee int  // and of them this callee's
}

// Consent is the proof that a number's holder wants what they write to be shown: they asked for it, were asked whether they mean it,
// and said so from their own handset.
type Consent struct {
	MSISDN    MSISDN
	Tenant    string
	Request   string // what they sent
	Asked     string // what they were asked
	AskedAt   time.Time
	AskedLink string // over which link that went
	Reply     string // "" until they have confirmed it
	RepliedAt time.Time
	ReplyLink string
}
