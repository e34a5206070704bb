package ims

import (
	"encoding/xml"
	"fmt"
)

// The elements of a service profile that carry initial filter criteria (TS 29.228 Annex B and F).
type (
	filterCriteria struct {
		XMLName xml.Name `xml:"InitialFilterCriteria"`

		Priority    int               `xml:"Priority"`
		Trigger     *triggerPoint     `xml:"TriggerPoint"`
		Server      applicationServer `xml:"ApplicationServer"`
		ProfilePart *int              `xml:"ProfilePartIndicator"` // 0: only while registered, 1: only while not
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
		Types       []int        `xml:"Extension>RegistrationType,omitempty"` // of a REGISTER: 0 initial, 1 again, 2 no longer
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
