package sipas

import (
	"slices"
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
	Excluded         = "excluded"            // the operator excludes the caller or the callee
	Withheld         = "withheld"            // the operator shows nothing to callers who withhold their number
	Blackout         = "blackout"            // the operator shows nothing at this time
	NoChannel        = "no_channel"          // the operator shows nothing over the caller's access
	Never            = "never"               // the subscriber never shows this caller anything
	Paused           = "paused"              // the subscriber shows nothing for now
	RuleNothing      = "rule"                // the subscriber's rule for the call shows nothing
	Overloaded       = "overloaded"          // too much waits: only callees that memory knows are served
	Unavailable      = "unavailable"         // the store did not answer in time, too many wait for it, or the opt-outs were never read
)

// Decision is what Decide found: the text to show, or the first rule that refused, and every rule considered.
type Decision struct {
	Show      bool
	Text      string
	Signature callsign.Signature // whose Text it is
	Refusal   string             // "" if Show

	textless bool         // there is nothing to show, whoever else refused
	rules    []Considered // but the subscriber's, which stand behind the first before of them
	before   int
	policy   *callsign.Compiled
	verdicts []callsign.RuleVerdict // of the subscriber's

	// How it may be shown, as in callsign.Delivery.
	Channel           string
	Repeat            time.Duration
	PerDay, PerCallee int
}

// Considered is one rule and what was found of it. Refusal is "" where it had nothing against the call.
type Considered struct {
	Rule    string
	Verdict callsign.RuleVerdict
	Refusal string
}

func (d *Decision) consider(rule, refusal string, refused bool) {
	verdict := callsign.Refuses
	if !refused {
		verdict, refusal = callsign.Passes, ""
	} else if d.Refusal == "" {
		d.Refusal = refusal
	}
	d.rules = append(d.rules, Considered{rule, verdict, refusal})
}

// Considered are all rules in the order in which they were considered. Calls, which don't tell why, don't pay for it.
func (d *Decision) Considered() []Considered {
	all := slices.Clone(d.rules[:d.before])
	for i, v := range d.verdicts {
		c := Considered{Rule: d.policy.Rules[i].Title, Verdict: v}
		if v == callsign.Wins && d.policy.Rules[i].Show == callsign.ShowNothing {
			c.Refusal = RuleNothing
		}
		all = append(all, c)
	}
	return append(all, d.rules[d.before:]...)
}

// Decide is the one decision: calls, what-if and dry calls run it. No I/O; now is given.
func Decide(c callsign.Call, p callsign.Profile, op Operator, now time.Time) (d Decision) {
	rules := 9 // with those of Workers.Decide
	if op.tenant != nil {
		rules += 5
	}
	if p.Policy != nil {
		rules += 2
	}
	d.rules = make([]Considered, 0, rules)
	d.consider("the call may be acted on", c.Exempt, c.Exempt != "")
	d.consider("the caller's number is known", NoCaller, c.Caller == 0)
	d.consider("somebody else calls", OwnNumber, c.Caller == c.Callee)
	d.consider("the caller's is no fixed line", FixedLine, ims.IsFixedLine(c.Caller))
	d.consider("show.caller_ranges has the caller", CallerOutOfRange, !op.callers.contain(c.Caller))
	d.Repeat = op.repeat
	if t := op.tenant; t != nil {
		d.consider("the operator's callers have the caller", CallerOutOfRange, !t.Takes(c))
		d.consider("the operator excludes neither caller nor callee", Excluded, t.Excludes(c))
		d.consider("the operator lets callers withhold their number", Withheld, t.Hides(c))
		d.consider("the operator has no blackout", Blackout, t.Dark(now))
		d.Channel, d.PerDay, d.Repeat = t.Channel(c), t.PerDay(), callsign.Sparing(d.Repeat, t.Repeat)
		d.consider("the operator has a channel for the caller's access", NoChannel, d.Channel == "none")
	}
	text := p.Signature
	text.Shown = p.Showable(now)
	if p.Policy != nil {
		d.Repeat = callsign.Sparing(d.Repeat, p.Policy.Repeat)
		text = d.ask(p.Policy, op.tenant, c, now, text)
	}
	d.textless = text.Shown == ""
	d.consider("the subscriber has a text to show", NoText, d.textless)
	if d.Refusal == "" {
		d.Show, d.Text, d.Signature = true, text.Shown, text
	}
	return d
}

// ask is the subscriber's own say: never, pauses, and of the rules that match the one that names caller and time most closely, of
// those alike the first. It gives what is to be shown in place of the signature.
func (d *Decision) ask(p *callsign.Compiled, t *callsign.Tenant, c callsign.Call, now time.Time, signature callsign.Signature) callsign.Signature {
	a := p.Asked(c, now, t)
	d.consider("the subscriber shows this caller something", Never, p.Never(&a))
	d.consider("the subscriber shows something now", Paused, p.Paused(now))
	d.policy, d.before, d.verdicts = p, len(d.rules), make([]callsign.RuleVerdict, len(p.Rules))
	best, most := -1, -1
	for i := range p.Rules {
		rank, verdict := p.Rules[i].Match(&a)
		d.verdicts[i] = verdict
		if rank > most {
			best, most = i, rank
		}
	}
	if best >= 0 {
		won := &p.Rules[best]
		d.verdicts[best] = callsign.Wins
		switch won.Show {
		case callsign.ShowSignature:
		case callsign.ShowNothing:
			if d.Refusal == "" {
				d.Refusal = RuleNothing
			}
		default:
			return p.Text(won.Show, won, &a)
		}
	}
	if signature.Shown == "" && p.Policy.Default != "" {
		return p.Text(p.Policy.Default, nil, &a)
	}
	return signature
}

// Delivery is what a decision to show something sends.
func (d Decision) Delivery(c callsign.Call, p callsign.Profile) callsign.Delivery {
	p.Signature = d.Signature
	return callsign.Delivery{Call: c, Profile: p, Text: d.Text, Channel: d.Channel, Repeat: d.Repeat, PerDay: d.PerDay, PerCallee: d.PerCallee}
}

// Decide decides about a call to p as this node stands: with what its tenant's operator and its caller say. What-if asks it too. The
// caller's opt-out is asked for once more at release, since it may come meanwhile.
func (ws *Workers) Decide(c callsign.Call, p callsign.Profile, now time.Time) Decision {
	op, known := ws.operator, true
	if ws.Tenants != nil {
		op.tenant, known = ws.Tenants.Tenant(p.Tenant)
	}
	d := Decide(c, p, op, now)
	d.refuse("the tenant's policy is known", Unavailable, !known)
	if ws.OptOuts != nil {
		wants, known := ws.OptOuts.Wants(c.Caller, c.Callee)
		d.refuse("opt-outs are known", Unavailable, !known)
		d.refuse("the caller has not opted out", OptedOut, wants.None)
		d.PerDay, d.PerCallee = stricter(d.PerDay, wants.PerDay), wants.PerCallee
	}
	return d
}

// stricter is of two caps the smaller; 0 is none.
func stricter(a, b int) int {
	if min(a, b) == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// refuse considers one rule more, after what is to be shown was found.
func (d *Decision) refuse(rule, refusal string, refused bool) {
	if d.consider(rule, refusal, refused); refused {
		d.Show, d.Text, d.Signature = false, "", callsign.Signature{}
	}
}
