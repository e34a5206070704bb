package callsign

// ImportRow is one line of a bulk load: a subscriber, one account of it if Network is set, and what that account last said
// if At is (the manual account has no name but the number's digits). An empty Name leaves the one that is there. So what
// Subscriber tells of a person is what an import takes: one row for each account.
type ImportRow struct {
	MSISDN MSISDN
	Name   string
	Signature
}
