package sipas

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sipas/ims"
)

// Config is the section show of the configuration.
type Config struct {
	At               string         `yaml:"at" doc:"when a text is sent: ringing (180, or 183 where no 180 comes), invite, or answer"`
	Until            string         `yaml:"until" doc:"after what nothing is sent any more: answer, or window (then an answered call may still get its text); window, if at is answer"`
	Window           time.Duration  `yaml:"window" doc:"how long after its release a text may still be sent; 1s to 2m"`
	No180After       time.Duration  `yaml:"no_180_after" doc:"some networks send 183 and never 180: after so long the call counts as ringing; 1s to 1m"`
	Repeat           string         `yaml:"repeat" doc:"always; once (per caller, until the text changes); or a period such as 24h in which a caller gets the same callee's text once"`
	CallerRanges     []string       `yaml:"caller_ranges" doc:"callers who may be sent texts: prefixes like +8613, ranges like +8613800000000-+8613899999999, or any; empty: nobody is sent anything"`
	CallerIdentity   ims.CallerFrom `yaml:"caller_identity" doc:"asserted: the caller's number is P-Asserted-Identity's only; from: From's where there is none, only behind a trunk that checks it"`
	Region           string         `yaml:"region" doc:"country whose national rules read numbers without +, as two letters like CN; empty: such numbers are no numbers, the call is shown nothing"`
	MSRNRanges       []string       `yaml:"msrn_ranges" doc:"temporary numbers of visited networks (MSRN), in the forms of caller_ranges: nobody dialled such a Request-URI, the callee is then in To"`
	AccessByPeer     []PeerAccess   `yaml:"access_by_peer" doc:"over which access callers come whose calls these peers send, where neither the call nor a registration tells; the first that fits"`
	AccessByRange    []RangeAccess  `yaml:"access_by_range" doc:"over which access callers come who have these numbers, where nothing better tells; the first that fits"`
	AccessDefault    string         `yaml:"access_default" doc:"over which access callers come where nothing tells, like 3GPP-E-UTRAN-FDD; empty: it is unknown"`
	PerCallerPerHour int            `yaml:"per_caller_per_hour" doc:"texts that one caller gets in an hour at the most; 0: no limit"`
	PerSecond        int            `yaml:"per_second" doc:"texts that this node sends in a second at the most; 0: no limit"`
}

// DefaultConfig sends nothing: caller_ranges is empty.
func DefaultConfig() Config {
	return Config{
		At: "ringing", Until: "answer", Window: 30 * time.Second, No180After: 6 * time.Second, Repeat: "always",
		CallerIdentity: ims.Asserted, PerCallerPerHour: 20, PerSecond: 200,
	}
}

// Validate reports the first value that makes no sense.
func (c *Config) Validate() error {
	oneOf := func(key, value string, allowed ...string) error {
		if slices.Contains(allowed, value) {
			return nil
		}
		return fmt.Errorf("show.%s is %q: use %s", key, value, strings.Join(allowed, " or "))
	}
	within := func(key string, d, low, high time.Duration) error {
		if d < low || d > high {
			return fmt.Errorf("show.%s is %v: use %v to %v", key, d, low, high)
		}
		return nil
	}
	_, operatorErr := NewOperator(*c)
	_, roamingErr := parseNumbers("show.msrn_ranges", c.MSRNRanges)
	_, ladderErr := newLadder(*c)
	err := errors.Join(
		oneOf("at", c.At, "ringing", "invite", "answer"),
		oneOf("until", c.Until, "answer", "window"),
		oneOf("caller_identity", string(c.CallerIdentity), string(ims.Asserted), string(ims.From)),
		within("window", c.Window, time.Second, 2*time.Minute), // within store.DeliverOnce, or what it used up is not given back
		within("no_180_after", c.No180After, time.Second, time.Minute),
		operatorErr, roamingErr, ladderErr,
	)
	switch {
	case err != nil:
		return err
	case c.Region != "" && !ims.IsRegion(c.Region):
		return fmt.Errorf("show.region is %q: use the two capital letters of a country, like CN", c.Region)
	case c.PerCallerPerHour < 0 || c.PerSecond < 0:
		return errors.New("show.per_caller_per_hour and show.per_second can't be negative: use 0 for no limit")
	}
	return nil
}

// RepeatPeriod is Repeat as a duration, callsign.RepeatAlways or callsign.RepeatOnce.
func (c *Config) RepeatPeriod() (time.Duration, error) {
	switch c.Repeat {
	case "always":
		return callsign.RepeatAlways, nil
	case "once":
		return callsign.RepeatOnce, nil
	}
	d, err := time.ParseDuration(c.Repeat)
	if err != nil || d < time.Minute {
		return 0, fmt.Errorf("show.repeat is %q: use always, once, or a period of at least 1m such as 24h", c.Repeat)
	}
	return d, nil
}

// Operator is the operator's own policy, compiled: the node's, and the tenant's whose subscriber is called.
type Operator struct {
	callers numbers
	repeat  time.Duration
	tenant  *callsign.Tenant // nil: it has none
}

// NewOperator compiles what Decide asks of a Config.
func NewOperator(c Config) (op Operator, err error) {
	if op.callers, err = parseNumbers("show.caller_ranges", c.CallerRanges); err != nil {
		return op, err
	}
	op.repeat, err = c.RepeatPeriod()
	return op, err
}

// With is op for the subscribers of a tenant.
func (op Operator) With(t *callsign.Tenant) Operator {
	op.tenant = t
	return op
}
