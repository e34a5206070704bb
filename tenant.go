package callsign

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// TenantPolicy is what an operator says for all subscribers of a tenant.
type TenantPolicy struct {
	TimeZone   string            `json:"time_zone,omitempty" yaml:"time_zone,omitempty" doc:"of blackouts, and of subscribers who name none; empty: UTC"`
	Callers    []string          `json:"callers,omitempty" yaml:"callers,omitempty" nullable:"false" maxItems:"1000" doc:"who may be shown anything: numbers, prefixes like +8613*, ranges; empty: whom show.caller_ranges has"`
	Exclude    []string          `json:"exclude,omitempty" yaml:"exclude,omitempty" nullable:"false" maxItems:"1000" doc:"calls from or to these are shown nothing: numbers, prefixes, short codes like 10086"`
	Private    string            `json:"private,omitempty" yaml:"private,omitempty" enum:"show,skip" doc:"whether callers are shown anything who withhold their number; show, if it is empty"`
	Blackouts  []When            `json:"blackouts,omitempty" yaml:"blackouts,omitempty" nullable:"false" maxItems:"32" doc:"times in which nothing is shown"`
	Holidays   []string          `json:"holidays,omitempty" yaml:"holidays,omitempty" nullable:"false" maxItems:"366" doc:"dates, of subscribers who name none"`
	Channels   map[string]string `json:"channels,omitempty" yaml:"channels,omitempty" doc:"flash, ussd or none, by access type like 3GPP-GERAN; any: of all others"`
	Languages  map[string]string `json:"languages,omitempty" yaml:"languages,omitempty" doc:"in which language texts are shown, by the caller's country code, where the subscriber doesn't say"`
	Repeat     string            `json:"repeat,omitempty" yaml:"repeat,omitempty" doc:"always, once, or a period such as 24h: subscribers may only ask for less; empty: as show.repeat says"`
	PerDay     int               `json:"per_day,omitempty" yaml:"per_day,omitempty" minimum:"0" maximum:"1000" doc:"how many texts one caller gets within 24 hours at most; 0: no limit"`
	MaxRules   int               `json:"max_rules,omitempty" yaml:"max_rules,omitempty" minimum:"0" maximum:"200" doc:"how many rules a subscriber's policy may have; 0: 200"`
	Moderation string            `json:"moderation,omitempty" yaml:"moderation,omitempty" enum:"required" doc:"required: a person approves each new text before it is shown"`
}

// Tenant is a TenantPolicy as calls read it. It never changes.
type Tenant struct {
	Policy    TenantPolicy
	Rev       uint64
	Repeat    time.Duration
	calendar  calendar
	callers   callers
	exclude   callers
	blackouts []window
	languages byPrefix
}

// Compile checks a tenant's policy and makes it ready for calls.
func (p TenantPolicy) Compile(rev uint64) (*Tenant, error) {
	t := &Tenant{Policy: p, Rev: rev}
	var err error
	if t.calendar, err = parseCalendar(p.TimeZone, p.Holidays); err != nil {
		return nil, err
	}
	if t.callers, err = parseCallers("callers", p.Callers, nil); err != nil {
		return nil, err
	}
	if t.exclude, err = parseCallers("exclude", p.Exclude, nil); err != nil {
		return nil, err
	}
	if t.languages, err = parseLanguages(p.Languages); err != nil {
		return nil, err
	}
	if t.Repeat, err = parseRepeat(p.Repeat); err != nil {
		return nil, err
	}
	for i, when := range p.Blackouts {
		w, err := when.parse(fmt.Sprintf("blackouts[%d]", i))
		if err != nil {
			return nil, err
		}
		t.blackouts = append(t.blackouts, w)
	}
	if t.callers.withheld || t.exclude.withheld {
		return nil, errors.New("callers and exclude are of numbers: to show nothing to callers who withhold theirs write private: skip")
	}
	seen := map[string]bool{}
	for access, channel := range p.Channels {
		if seen[strings.ToLower(access)] {
			return nil, fmt.Errorf("channels has %q twice, in small and in capital letters: leave one out", access)
		}
		seen[strings.ToLower(access)] = true
		if access == "" || !slices.Contains([]string{"flash", "ussd", "none"}, channel) {
			return nil, fmt.Errorf("channels has %q: %q: write flash, ussd or none for an access type like 3GPP-GERAN, or any", access, channel)
		}
	}
	switch {
	case p.Private != "" && p.Private != "show" && p.Private != "skip":
		return nil, fmt.Errorf("private is %q: use show or skip", p.Private)
	case p.Moderation != "" && p.Moderation != "required":
		return nil, fmt.Errorf("moderation is %q: use required, or leave it out", p.Moderation)
	case p.PerDay < 0 || p.PerDay > 1000 || p.MaxRules < 0 || p.MaxRules > maxRules:
		return nil, fmt.Errorf("per_day is %d and max_rules %d: use 0 to 1000 and 0 to %d", p.PerDay, p.MaxRules, maxRules)
	}
	return t, nil
}

// Bounds is what of a subscriber's policy the operator doesn't allow. One that is paused may stay as it was: OFF holds whatever the
// operator has said since.
func (t *Tenant) Bounds(p Policy) error {
	if t != nil && !p.Paused && t.Policy.MaxRules > 0 && len(p.Rules) > t.Policy.MaxRules {
		return fmt.Errorf("there are %d rules: the operator allows %d", len(p.Rules), t.Policy.MaxRules)
	}
	return nil
}

// The methods below answer for a call; a nil Tenant has nothing against any.

// Takes reports whether callers of its number may be shown anything.
func (t *Tenant) Takes(call Call) bool {
	if t == nil || !t.callers.listed {
		return true
	}
	c := groups(nil).caller(call)
	_, ok := t.callers.has(&c)
	return ok
}

// Excludes reports whether calls from its caller, or to its callee, are shown nothing.
func (t *Tenant) Excludes(call Call) bool {
	if t == nil || !t.exclude.listed {
		return false
	}
	caller, callee := groups(nil).caller(call), groups(nil).caller(Call{Caller: call.Callee})
	_, from := t.exclude.has(&caller)
	_, to := t.exclude.has(&callee)
	return from || to
}

// Hides reports whether its caller is shown nothing since they withhold their number.
func (t *Tenant) Hides(call Call) bool { return t != nil && call.Private && t.Policy.Private == "skip" }

// Dark reports whether it is a blackout's time.
func (t *Tenant) Dark(now time.Time) bool {
	if t == nil || t.blackouts == nil {
		return false
	}
	m := t.calendar.moment(now)
	return slices.ContainsFunc(t.blackouts, func(w window) bool { return w.holds(&m) })
}

// Channel is over which channel its caller may be shown a text: "" any, "none" over none.
func (t *Tenant) Channel(call Call) string {
	if t == nil {
		return ""
	}
	others := ""
	for access, channel := range t.Policy.Channels {
		switch {
		case strings.EqualFold(access, call.Access):
			return channel
		case strings.EqualFold(access, "any"):
			others = channel
		}
	}
	return others
}

// PerDay is how many texts a caller gets within 24 hours, 0 for no limit.
func (t *Tenant) PerDay() int {
	if t == nil {
		return 0
	}
	return t.Policy.PerDay
}

// Sparing is of two repeat periods the one that shows less; of once and a period that is the operator's, since either may.
func Sparing(operators, subscribers time.Duration) time.Duration {
	switch {
	case operators == RepeatAlways:
		return subscribers
	case operators == RepeatOnce || subscribers == RepeatOnce:
		return operators
	}
	return max(operators, subscribers)
}

// Silent is of a tenant whose policy can't be used, so that nobody knows what it forbids: nobody is shown anything, and texts wait for a
// person.
func Silent() *Tenant {
	return &Tenant{Policy: TenantPolicy{Moderation: "required"}, callers: callers{listed: true}, calendar: calendar{zone: time.UTC}}
}
