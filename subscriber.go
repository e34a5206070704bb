package callsign

import "time"

// Subscriber is a person whose callers are shown something.
type Subscriber struct {
	MSISDN   MSISDN
	Tenant   string
	Name     string
	Rev      uint64
	Accounts []Signature // one for each linked account; its Text is empty until the account says something
}

// Phases is what Linked.Phase is below.
const Phases = 1 << 31

// Linked is an account as who polls it sees it. Phase is its place in a pass over all accounts of its network, drawn at random
// when it was linked, so that any range of phases is an even share of them.
type Linked struct {
	Tenant, Account string
	Phase           int64
	Text            string // what it last said
	Stamp           Stamp
	Said            bool // it ever said something
}

// Slice is some accounts of a network: those in [From, To) of its phases whose Phase, modulo Parts, is among Of.
type Slice struct {
	Network  string
	From, To int64
	Parts    int
	Of       []int
}

// Profile is everything that a call needs to know of its callee, as one value with one revision: one look-up, one cache
// entry, one invalidation. Rev grows in the same transaction as any change to subscriber, signature or policy.
// Signature is the one to show: the newest by At of those with a Shown text that have not expired, of the policy's account alone
// if it names one.
type Profile struct {
	MSISDN    MSISDN
	Tenant    string
	Rev       uint64
	Name      string
	Signature Signature
	Policy    *Compiled // nil: the subscriber has none
}

// Showable is the text that may be shown at now, or "".
func (p Profile) Showable(now time.Time) string {
	if !p.Signature.Expires.IsZero() && !now.Before(p.Signature.Expires) {
		return ""
	}
	return p.Signature.Shown
}

// Role says which doors a key opens.
type Role string

// The roles of a key.
const (
	RoleAdmin      Role = "admin"      // everything of its tenant
	RoleOperator   Role = "operator"   // reads, and writes subscribers; no keys
	RoleSource     Role = "source"     // pushes one network's signatures
	RoleSubscriber Role = "subscriber" // one number's own data
)

// Scope is who asks and whose rows they see. Only authentication makes one; every admin method of an engine takes it, so
// that no handler can forget it. The call path has none: a number belongs to one tenant, and Profile names it.
type Scope struct {
	Tenant  string
	Role    Role
	KeyID   string
	Network string // of a source
	Source  string // of a source: what its events are numbered under
	MSISDN  MSISDN // of a subscriber
}

// DefaultTenant is the tenant of an installation that has one.
const DefaultTenant = "default"

// Key is an API key's record: the key itself is never kept, only its SHA-256.
type Key struct {
	ID, Name         string
	Hash             [32]byte
	Scope            Scope
	Created, Expires time.Time // Expires zero: never
	Revoked          bool
}

// Page is one step of a keyset pagination: the rows after After (an engine's own order), at most Limit (1..1000).
type Page struct {
	After string
	Limit int
}
