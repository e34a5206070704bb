package callsign

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// The bounds of a policy.
const (
	maxRules  = 200
	maxTexts  = 32 // with their other languages
	maxGroups = 64
	maxGroup  = 1000
	maxPolicy = 48 << 10 // bytes of JSON: a profile with one must fit into memory
)

// PolicyNetwork is the network of the accounts for a policy's own texts, so that these pass the same door, wait for the same approval
// and are forgotten with their subscriber as all others. Such an account is named by TextAccount.
const PolicyNetwork = "policy"

// TextAccount names the account of a policy's text; language is "" for the text itself.
func TextAccount(m MSISDN, text, language string) string {
	return strings.TrimSuffix(m.E164()[1:]+"/"+text+"/"+language, "/")
}

// NoRev stands in place of a revision for a policy that is to be put only where there is none.
const NoRev = ^uint64(0)

// What a rule shows that is no text's name.
const (
	ShowSignature = "signature"
	ShowNothing   = "nothing"
)

// Policy is what a subscriber says of what is shown, to whom and when.
type Policy struct {
	Account   string                `json:"account,omitempty" yaml:"account,omitempty" doc:"show what this account says, as NETWORK/ACCOUNT; empty: what was said last"`
	TimeZone  string                `json:"time_zone,omitempty" yaml:"time_zone,omitempty" doc:"of all times of the day and dates, like Asia/Shanghai; empty: the tenant's, or UTC"`
	Paused    bool                  `json:"paused,omitempty" yaml:"paused,omitempty" doc:"show nothing, until it is false again"`
	Pauses    []Pause               `json:"pauses,omitempty" yaml:"pauses,omitempty" nullable:"false" maxItems:"32" doc:"show nothing meanwhile"`
	Never     []string              `json:"never,omitempty" yaml:"never,omitempty" nullable:"false" maxItems:"1000" doc:"show nothing to these: numbers, prefixes like +86138*, ranges, @groups, withheld; a number also if it is withheld"`
	Groups    map[string][]string   `json:"groups,omitempty" yaml:"groups,omitempty" doc:"callers by the group's name, 1000 at most in each"`
	Texts     map[string]PolicyText `json:"texts,omitempty" yaml:"texts,omitempty" doc:"texts that rules show, by name"`
	Status    *PolicyStatus         `json:"status,omitempty" yaml:"status,omitempty" doc:"a text for now"`
	Rules     []PolicyRule          `json:"rules,omitempty" yaml:"rules,omitempty" nullable:"false" maxItems:"200" doc:"the one that names caller and time most closely says what is shown; of those alike the first"`
	Default   string                `json:"default,omitempty" yaml:"default,omitempty" doc:"the text that is shown where the signature would be and there is none"`
	Holidays  []string              `json:"holidays,omitempty" yaml:"holidays,omitempty" nullable:"false" maxItems:"366" doc:"dates, as in a rule"`
	Languages map[string]string     `json:"languages,omitempty" yaml:"languages,omitempty" doc:"in which language texts are shown, by the caller's country code, like \"+86\": zh"`
	Repeat    string                `json:"repeat,omitempty" yaml:"repeat,omitempty" doc:"once (to a caller, until the text changes), or a period such as 24h in which a caller is shown one text"`
}

// Pause is from one moment to another.
type Pause struct {
	From time.Time `json:"from" yaml:"from"`
	To   time.Time `json:"to" yaml:"to"`
}

// PolicyText is a text, and the same in other languages. {end} in it stands for when its status or its rule's time ends.
type PolicyText struct {
	Text      string            `json:"text" yaml:"text" doc:"at most 2048 bytes; {end} stands for when the status or the rule's time ends"`
	Languages map[string]string `json:"languages,omitempty" yaml:"languages,omitempty" doc:"the same in other languages, like zh"`
}

// PolicyStatus shows a text until its end.
type PolicyStatus struct {
	Show  string    `json:"show" yaml:"show" doc:"a text's name"`
	Until time.Time `json:"until" yaml:"until"`
}

// PolicyRule says what is shown to whom and when.
type PolicyRule struct {
	Name    string   `json:"name,omitempty" yaml:"name,omitempty" maxLength:"64"`
	Callers []string `json:"callers,omitempty" yaml:"callers,omitempty" nullable:"false" maxItems:"1000" doc:"numbers, prefixes like +86138*, ranges, @groups, withheld; empty: everybody"`
	When    `yaml:",inline"`
	Show    string `json:"show" yaml:"show" doc:"signature, nothing, or a text's name"`
}

// Compiled is a policy as calls read it. It never changes.
type Compiled struct {
	Policy Policy               // as it was written
	Rev    uint64               // its own: it grows with each change to it
	Shown  map[string]Signature // its texts that may be shown, by what is behind the number in TextAccount
	Rules  []Rule               // the last is the status, if there is one
	Repeat time.Duration

	calendar  calendar
	ownZone   bool
	groups    groups
	never     callers
	languages byPrefix
}

// Rule is a compiled PolicyRule.
type Rule struct {
	Title   string
	Show    string
	end     string    // what {end} stands for
	until   time.Time // of a status
	callers callers
	window  window
}

// Compile checks a policy and makes it ready for calls. shown are its texts that may be shown.
func (p Policy) Compile(rev uint64, shown map[string]Signature) (*Compiled, error) {
	c := &Compiled{Policy: p, Rev: rev, Shown: shown, ownZone: p.TimeZone != ""}
	if err := p.bounds(); err != nil {
		return nil, err
	}
	var err error
	if c.calendar, err = parseCalendar(p.TimeZone, p.Holidays); err != nil {
		return nil, err
	}
	if c.languages, err = parseLanguages(p.Languages); err != nil {
		return nil, err
	}
	if c.Repeat, err = parseRepeat(p.Repeat); err != nil {
		return nil, err
	}
	if c.groups, err = p.groups(); err != nil {
		return nil, err
	}
	if c.never, err = parseCallers("never", p.Never, c.groups); err != nil {
		return nil, err
	}
	for i, r := range p.Rules {
		rule, err := p.rule(fmt.Sprintf("rules[%d]", i), r, c.groups)
		if err != nil {
			return nil, err
		}
		c.Rules = append(c.Rules, rule)
	}
	if s := p.Status; s != nil {
		if _, known := p.Texts[s.Show]; !known || s.Until.IsZero() {
			return nil, fmt.Errorf("status shows %q until %v: name one of texts, and an end", s.Show, s.Until)
		}
		c.Rules = append(c.Rules, Rule{Title: "status", Show: s.Show, until: s.Until, window: window{anyDay: true, rank: untilEnd}})
	}
	return c, nil
}

func (p Policy) groups() (gs groups, err error) {
	for _, name := range slices.Sorted(maps.Keys(p.Groups)) {
		list := p.Groups[name]
		l, err := parseCallers("groups: "+name, list, nil)
		if err != nil || l.withheld || l.spans != nil || len(list) > maxGroup || len(p.Groups) > maxGroups || !isTextName(name) {
			return nil, fmt.Errorf("groups: %q: use numbers, at most %d of them, in at most %d groups with names of letters, digits, - and _", name, maxGroup, maxGroups)
		}
		g := group{name, make(map[MSISDN]struct{}, len(list))}
		for _, m := range l.numbers {
			g.numbers[m] = struct{}{}
		}
		gs = append(gs, g)
	}
	return gs, nil
}

func (p Policy) bounds() error {
	texts := 0
	for name, t := range p.Texts {
		if texts += 1 + len(t.Languages); !isTextName(name) || name == ShowSignature || name == ShowNothing {
			return fmt.Errorf("texts: %q is no name for a text: use letters, digits, - and _, but not signature or nothing", name)
		}
		for language := range t.Languages {
			if !isLanguage(language) {
				return fmt.Errorf("texts: %s: %q is no language: write it like zh or pt-BR", name, language)
			}
		}
	}
	network, account, pinned := strings.Cut(p.Account, "/")
	b, err := json.Marshal(p)
	switch {
	case err != nil:
		return fmt.Errorf("the policy can't be kept: %w", err)
	case len(p.Rules) > maxRules || texts > maxTexts:
		return fmt.Errorf("there are %d rules and %d texts: use at most %d and %d", len(p.Rules), texts, maxRules, maxTexts)
	case len(b) > maxPolicy:
		return fmt.Errorf("the policy has %d bytes as JSON: use at most %d", len(b), maxPolicy)
	case p.Account != "" && (!pinned || network == "" || account == "" || network == PolicyNetwork):
		return fmt.Errorf("account is %q: write NETWORK/ACCOUNT, like qq/10001", p.Account)
	}
	if t, known := p.Texts[p.Default]; p.Default != "" && (!known || t.ends()) {
		return fmt.Errorf("default is %q: name one of texts, one without {end}", p.Default)
	}
	for _, pause := range p.Pauses {
		if !pause.From.Before(pause.To) {
			return fmt.Errorf("a pause is from %v to %v: let it end after it begins", pause.From, pause.To)
		}
	}
	return nil
}

func (t PolicyText) ends() bool {
	for _, other := range t.Languages {
		if strings.Contains(other, "{end}") {
			return true
		}
	}
	return strings.Contains(t.Text, "{end}")
}

func (p Policy) rule(where string, r PolicyRule, gs groups) (out Rule, err error) {
	out = Rule{Title: cmp.Or(r.Name, where), Show: r.Show, end: r.To}
	if out.callers, err = parseCallers(where+": callers", r.Callers, gs); err != nil {
		return out, err
	}
	if out.window, err = r.When.parse(where); err != nil {
		return out, err
	}
	text, known := p.Texts[r.Show]
	switch {
	case r.Show != ShowSignature && r.Show != ShowNothing && !known:
		return out, fmt.Errorf("%s shows %q: use signature, nothing, or the name of one of texts", where, r.Show)
	case text.ends() && r.To == "":
		return out, fmt.Errorf("%s shows %q, which tells an end, and has none: give it a time to", where, r.Show)
	}
	return out, nil
}

func isTextName(s string) bool {
	return s != "" && len(s) <= 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == ""
}

func parseRepeat(s string) (time.Duration, error) {
	switch s {
	case "", "always":
		return RepeatAlways, nil
	case "once":
		return RepeatOnce, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < time.Minute || d > 31*24*time.Hour {
		return 0, fmt.Errorf("repeat is %q: use always, once, or a period of 1m to 744h such as 24h", s)
	}
	return d, nil
}

// Asked is a call as a policy sees it.
type Asked struct {
	caller
	moment
	tenant *Tenant
}

// Asked is a call to the policy's subscriber; where the policy names no time zone, holidays or language the tenant's count.
func (c *Compiled) Asked(call Call, now time.Time, t *Tenant) Asked {
	cal := c.calendar
	if !c.ownZone && t != nil {
		cal.zone = t.calendar.zone
	}
	if len(cal.holidays) == 0 && t != nil {
		cal.holidays = t.calendar.holidays
	}
	return Asked{c.groups.caller(call), cal.moment(now), t}
}

// Never reports whether the caller is to be shown nothing.
func (c *Compiled) Never(a *Asked) bool {
	if !c.never.listed {
		return false
	}
	_, number := c.never.has(&a.caller)
	return number || a.private && c.never.withheld
}

// Paused reports whether nobody is to be shown anything now.
func (c *Compiled) Paused(now time.Time) bool {
	for _, p := range c.Policy.Pauses {
		if !now.Before(p.From) && now.Before(p.To) {
			return true
		}
	}
	return c.Policy.Paused
}

// RuleVerdict is what was found of a rule.
type RuleVerdict uint8

// The verdicts; all but the first two are of a subscriber's rules.
const (
	Passes      RuleVerdict = iota // it has nothing against the call
	Refuses                        // nothing is shown
	Wins                           // it says what is shown
	Loses                          // it matches, but another does more closely, or as closely and before it
	OtherCaller                    // it doesn't match
	OtherTime
)

func (v RuleVerdict) String() string {
	return [...]string{"passes", "refuses", "wins", "loses", "other_caller", "other_time"}[v]
}

// Match is how closely the rule names the call's caller and time, the caller before the time, or -1 where it doesn't. One that matches
// loses, until all are looked at.
func (r *Rule) Match(a *Asked) (rank int, v RuleVerdict) {
	if !r.window.holds(&a.moment) || !r.until.IsZero() && !a.now.Before(r.until) {
		return -1, OtherTime
	}
	closeness, ok := r.callers.closeness(&a.caller)
	if !ok {
		return -1, OtherCaller
	}
	return closeness*10 + r.window.rank, Loses
}

// Text is one of the policy's texts as the caller is to see it, in their language if it can be had; its Shown is empty where it may
// not be shown. r is the rule that shows it, nil for the default.
func (c *Compiled) Text(name string, r *Rule, a *Asked) Signature {
	language := c.languages.of(&a.caller)
	if language == "" && a.tenant != nil {
		language = a.tenant.languages.of(&a.caller)
	}
	s := c.Shown[name]
	if language != "" && !a.private {
		if _, has := c.Policy.Texts[name].Languages[language]; has {
			s = c.Shown[name+"/"+language] // nothing until it is approved
		}
	}
	if r != nil && strings.Contains(s.Shown, "{end}") {
		end := r.end
		if until := r.until.In(a.now.Location()); !r.until.IsZero() {
			end = until.Format("15:04")
			if dateOf(until) != a.today {
				end = until.Format("01-02 15:04")
			}
		}
		s.Shown = strings.ReplaceAll(s.Shown, "{end}", end)
	}
	return s
}
