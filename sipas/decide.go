package sipas

import (
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sipas/ims"
)

// Why a call is shown nothing. They stand in timelines and label metrics; ims has those of exempt calls, Claims those of
// capped ones.
const (
	NoCallee         = "no_callee"           // no global number is called
	NoSubscriber     = "no_subscriber"       // the callee is none of ours
	NoCaller         = "no_caller"           // the caller's number is unknown
	OwnNumber        = "own_number"          // the subscriber calls themselves
	CallerOutOfRange = "caller_out_of_range" // show.caller_ranges doesn't have the caller
	FixedLine        = "fixed_line"          // the caller's is a fixed line, which shows no texts
	NoText           = "no_text"             // the subscriber has nothing to show now
	OptedOut         = "opted_out"           // the caller wants no texts
	Unreadable       = "unreadable"          // the INVITE can't be read
	Overloaded       = "overloaded"          // too much waits: only callees that memory knows are served
	Unavailable      = "unavailable"         // the store did not answer in time, too many wait for it, or the opt-outs were never read
)

// Decision is what Decide found: the text to show, or the first rule that refused, and every rule considered.
type Decision struct {
	Show    bool
	Text    string
	Refusal string // "" if Show
	Rules   []Considered
}

// Considered is one rule and what it said of the call; Refusal is "" where it had nothing against it.
type Considered struct {
	Rule    string `json:"rule"`
	Refusal string `json:"refusal,omitempty"`
}

// Decide is the one decision: calls, what-if and dry calls run it. No I/O; now is given.
func Decide(c callsign.Call, p callsign.Profile, op Operator, now time.Time) (d Decision) {
	consider := func(rule, refusal string, refused bool) {
		if !refused {
			refusal = ""
		} else if d.Refusal == "" {
			d.Refusal = refusal
		}
		d.Rules = append(d.Rules, Considered{rule, refusal})
	}
	text := p.Showable(now)
	consider("the call may be acted on", c.Exempt, c.Exempt != "")
	consider("the caller's number is known", NoCaller, c.Caller == 0)
	consider("somebody else calls", OwnNumber, c.Caller == c.Callee)
	consider("the caller's is no fixed line", FixedLine, ims.IsFixedLine(c.Caller))
	consider("show.caller_ranges has the caller", CallerOutOfRange, !op.callers.contain(c.Caller))
	consider("the subscriber has a text to show", NoText, text == "")
	if d.Refusal == "" {
		d.Show, d.Text = true, text
	}
	return d
}
