package callsign

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Review is what became of the question whether a text may be shown. A text that is held or barred has nothing Shown, and is the
// account's newest all the same: what was said before it doesn't come back.
type Review string

// The states of a Review.
const (
	Unasked  Review = ""         // nothing was against it, so no person was asked
	Held     Review = "pending"  // a person is to decide
	Approved Review = "approved" // a person did: it may be shown
	Barred   Review = "rejected" // the words, the reviewer or a person did: it may not
)

// Status is what the source of a text is told that was kept.
func (r Review) Status() Status {
	switch r {
	case Held:
		return Pending
	case Barred:
		return Rejected
	}
	return Stored
}

// Stands reports whether what was decided of s holds for e, which wins over it, since it says the same again: what a person decided
// does, and what may be shown is not held again. Each engine repeats it in its SQL.
func (s Signature) Stands(e Entry) bool {
	return s.Text == e.Text && (!s.Reviewed.IsZero() || s.Review == Unasked && e.Review == Held)
}

// Reviewable is an account's text, and whose it is, as a person decides on it.
type Reviewable struct {
	MSISDN MSISDN
	Signature
}

// Place is where a list of them goes on after r: they are in the order of At, Network and Account.
func (r Reviewable) Place() string {
	return strconv.FormatInt(r.At.UnixMicro(), 10) + "/" + r.Network + "/" + r.Account
}

// ParsePlace reads what Place gives: at is in microseconds since 1970. An empty one is before all.
func ParsePlace(place string) (at int64, network, account string, err error) {
	if place == "" {
		return math.MinInt64, "", "", nil // what was said before 1970 stands before 0
	}
	before, rest, _ := strings.Cut(place, "/")
	network, account, ok := strings.Cut(rest, "/")
	at, err = strconv.ParseInt(before, 10, 64)
	if err != nil || !ok {
		return 0, "", "", fmt.Errorf("%.60q is no place in a list of texts: send next as it was given", place)
	}
	return at, network, account, nil
}

// Verdict is what a person decides of the text that Stamp names; of another one it says nothing. Review is Approved or Barred.
type Verdict struct {
	MSISDN           MSISDN
	Network, Account string
	Stamp            Stamp
	Review           Review
	Reason           string
	At               time.Time
}
