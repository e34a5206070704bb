package callsign

import "time"

// TimedEpoch is the epoch of every stamp that a time made. Sources' own epochs start at 0, so an account that was ever
// written with a version takes no timed write again: it is versioned or timed, never both.
const TimedEpoch = -1

// ManualNetwork is the network of a subscriber's own account for texts that are set by hand; the account's name is the
// MSISDN's digits. Every subscriber has it.
const ManualNetwork = "manual"

// Stamp orders the writes to one account. Newer is the whole of the who-wins rule; the SQL of each engine repeats it in
// one WHERE clause and storetest holds the two against each other.
type Stamp struct{ Epoch, Version int64 }

// TimedStamp is the stamp of a write by a source without versions: its time, or the time at which a poll's read began.
func TimedStamp(t time.Time) Stamp { return Stamp{TimedEpoch, t.UnixMicro()} }

// Timed reports whether a time made s.
func (s Stamp) Timed() bool { return s.Epoch == TimedEpoch }

// MaxAhead is how far a source's clock may be ahead of ours. A time beyond it doesn't count, or a wrong year would win for ever.
const MaxAhead = time.Minute

// Newer reports whether s, which arrives after t, wins over it: the greater (epoch, version). Of two timed writes of the
// same microsecond the later received wins; a versioned one that comes again is a duplicate.
func (s Stamp) Newer(t Stamp) bool {
	if s.Epoch != t.Epoch {
		return s.Epoch > t.Epoch
	}
	return s.Version > t.Version || s.Version == t.Version && s.Timed()
}

// Signature is what an account last said. Text is raw (at most 2 KiB of UTF-8); Shown is derived from it, cleaned and
// approved: empty means nothing may be shown. Origin ("source/id") names the push or poll that set it, so a timeline joins it.
// Review, Reason and Reviewed tell administrators why; calls, and so profiles, know Shown alone.
type Signature struct {
	Network, Account, Text, Shown, Lang string
	Stamp                               Stamp
	At, Expires                         time.Time // when it was said; when it ends (zero: never)
	Origin                              string
	Review                              Review
	Reason                              string    // why it is pending or rejected, short
	Reviewed                            time.Time // when a person decided; zero: none did
}

// Change is one account's new text as its source said it: the only way in for a text, whichever door it came through.
// An empty Text clears. Seq is the source's own number of the event (0: not numbered): the greatest durable one is where
// the source resumes.
type Change struct {
	Tenant, Source, ID string
	Seq                int64
	Network, Account   string
	Text, Lang         string
	Stamp              Stamp
	At, Expires        time.Time
	// Received: Stamp is the time of receipt, for the source gave none that counts. Sent again, it would be another stamp, so
	// an event whose Seq is durable is not applied a second time.
	Received bool
}

// Origin is what Signature.Origin keeps of a Change.
func (c Change) Origin() string { return c.Source + "/" + c.ID }

// Entry is a Change as the intake passed it on. Refused: its text can't be kept, only its Seq counts. Shown is empty while Review is
// Held or Barred.
type Entry struct {
	Change
	Shown   string
	Refused bool
	Review  Review
	Reason  string
}

// Status is what became of a Change.
type Status string

// The statuses of a Change; all of them are final for the source, none asks for it again.
const (
	Stored    Status = "stored"
	Duplicate Status = "duplicate" // the same stamp was kept before
	Stale     Status = "stale"     // a newer one is kept
	Unlinked  Status = "unlinked"  // no subscriber has this account
	Pending   Status = "pending"   // kept, shown once a person approves it
	Rejected  Status = "rejected"  // not to be shown: the words or the reviewer refuse it; or not kept: no valid UTF-8, or too long
)
