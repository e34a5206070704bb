package ims

import (
	"encoding/xml"
	"fmt"
	"slices"
	"strings"
)

// The elements of a service profile that carry initial filter criteria (TS 29.228 Annex B and F).
type (
	filterCriteria struct {
		XMLName xml.Name `xml:"InitialFilterCriteria"`

		Priority int               `xml:"Priority"`
		Trigger  *triggerPoint     `xml:"TriggerPoint"`
		Server   applicationServer `xml:"ApplicationServer"`
	}
	triggerPoint struct {
		CNF  int   `xml:"ConditionTypeCNF"` // 1: groups are ANDed, what is in one is ORed; 0: the other way round
		SPTs []spt `xml:"SPT"`
	}
	spt struct {
		Negated     int          `xml:"ConditionNegated"`
		Groups      []int        `xml:"Group"`
		Method      string       `xml:"Method,omitempty"`
		SessionCase *int         `xml:"SessionCase,omitempty"`
		Session     *sessionLine `xml:"SessionDescription,omitempty"`
	}
	sessionLine struct {
		Line    string `xml:"Line"`
		Content string `xml:"Content"`
	}
	applicationServer struct {
		Name            string `xml:"ServerName"`
		DefaultHandling int    `xml:"DefaultHandling"` // 0: SESSION_CONTINUED
	}
)

// The values of SessionCase (TS 29.228 Annex F).
const (
	originating = iota
	terminatingRegistered
	terminatingUnregistered
	originatingUnregistered
	originatingCDIV
)

// IFC is the filter criteria that chain an application server into calls to its subscribers, as XML for an HSS: INVITE, to
// who is registered or not (a GSM callee often is not), with audio; going on without it where it is silent. The second one
// has it told who registers over which access.
func IFC(server string, priority int) ([]byte, error) {
	registered, unregistered := terminatingRegistered, terminatingUnregistered
	all := []filterCriteria{{
		Priority: priority,
		Trigger: &triggerPoint{CNF: 1, SPTs: []spt{
			{Groups: []int{0}, Method: "INVITE"},
			{Groups: []int{1}, SessionCase: &registered},
			{Groups: []int{1}, SessionCase: &unregistered},
			{Groups: []int{2}, Session: &sessionLine{Line: "m", Content: "audio.*"}},
		}},
		Server: applicationServer{Name: server},
	}, {
		Priority: priority + 1,
		Trigger:  &triggerPoint{CNF: 1, SPTs: []spt{{Groups: []int{0}, Method: "REGISTER"}}},
		Server:   applicationServer{Name: server},
	}}
	out, err := xml.MarshalIndent(all, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write filter criteria: %w", err)
	}
	return append(out, '\n'), nil
}

// LintIFC reads the filter criteria in an HSS's XML, wherever they stand in it, and says what of them would keep texts from
// being shown or could harm calls, and why. The error says that there are none to read.
func LintIFC(document string) (findings []string, err error) {
	decoder := xml.NewDecoder(strings.NewReader(document))
	found := 0
	for {
		token, err := decoder.Token()
		if token == nil {
			break
		}
		if err != nil {
			return findings, fmt.Errorf("read filter criteria: %w", err)
		}
		start, ok := token.(xml.StartElement)
		if !ok || start.Name.Local != "InitialFilterCriteria" {
			continue
		}
		var c filterCriteria
		if err := decoder.DecodeElement(&c, &start); err != nil {
			return findings, fmt.Errorf("read filter criteria %d: %w", found+1, err)
		}
		found++
		for _, f := range c.lint() {
			findings = append(findings, fmt.Sprintf("criteria %d (priority %d): %s", found, c.Priority, f))
		}
	}
	if found == 0 {
		return nil, fmt.Errorf("read filter criteria: no InitialFilterCriteria in it: give the XML of the HSS's service profile")
	}
	return findings, nil
}

func (c filterCriteria) lint() (findings []string) {
	say := func(bad bool, finding string) {
		if bad {
			findings = append(findings, finding)
		}
	}
	say(!strings.HasPrefix(c.Server.Name, "sip:") && !strings.HasPrefix(c.Server.Name, "sips:"), "ServerName is no SIP URI: the S-CSCF finds nobody there")
	say(c.Server.DefaultHandling != 0, "DefaultHandling is 1: a call fails whenever this server is silent; use 0")
	if c.Trigger == nil {
		return append(findings, "it has no TriggerPoint: every request comes, BYE and MESSAGE too")
	}
	groups := map[int]map[int]bool{} // of each session case
	invite := false
	for _, s := range c.Trigger.SPTs {
		if s.Method == "REGISTER" {
			return findings // third-party registration, nothing of a call
		}
		invite = invite || s.Method == "INVITE" && s.Negated == 0
		if s.SessionCase != nil && s.Negated == 0 {
			for _, g := range s.Groups {
				if groups[*s.SessionCase] == nil {
					groups[*s.SessionCase] = map[int]bool{}
				}
				groups[*s.SessionCase][g] = true
			}
		}
	}
	say(!invite, "it does not ask for Method INVITE: other requests come, and calls perhaps don't")
	say(groups[originating] != nil || groups[originatingUnregistered] != nil, "SessionCase 0 or 3: calls that the subscriber makes come too; they are relayed and shown nothing")
	say(groups[originatingCDIV] != nil, "SessionCase 4: diverted calls come too; they are relayed and shown nothing")
	say(groups[terminatingRegistered] == nil, "SessionCase 1 is missing: calls to who is registered don't come")
	say(groups[terminatingUnregistered] == nil, "SessionCase 2 is missing: calls to who is not registered don't come, so none to a GSM phone")
	apart := groups[terminatingRegistered] != nil && groups[terminatingUnregistered] != nil && !slices.ContainsFunc(c.Trigger.SPTs, func(s spt) bool {
		return slices.ContainsFunc(s.Groups, func(g int) bool { return groups[terminatingRegistered][g] && groups[terminatingUnregistered][g] })
	})
	say(c.Trigger.CNF == 1 && apart, "SessionCase 1 and 2 are in different groups, which are ANDed (ConditionTypeCNF 1): no call is both; put them into one group")
	say(c.Trigger.CNF == 0 && len(c.Trigger.SPTs) > 1 && !apart && len(groups) > 1, "ConditionTypeCNF is 0: what is in one group is ANDed, and no call is both SessionCase 1 and 2")
	return findings
}
