package ims

import (
	"encoding/xml"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

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
	say(!strings.HasPrefix(c.Server.Name, "sip:") && !strings.HasPrefix(c.Server.Name, "sips:"), "ServerName is no SIP URI: the S-CSCF finds nobody there, and calls wait for it")
	if c.Trigger == nil {
		return append(findings, "it has no TriggerPoint: every request comes that begins something, MESSAGE and SUBSCRIBE too, and waits whenever this server is silent")
	}
	toRegistered, toUnregistered := c.matches("INVITE", terminatingRegistered), c.matches("INVITE", terminatingUnregistered)
	if c.matches("REGISTER", originating) && !toRegistered && !toUnregistered {
		say(c.Server.DefaultHandling != 0, "DefaultHandling is 1: subscribers are thrown out of the network whenever this server does not answer their REGISTER; use 0")
		say(!c.tellsDeregistration(), "its RegistrationTypes lack 2: nobody tells when a phone is gone, and its access is believed until its time is over")
		return findings
	}
	say(c.Server.DefaultHandling != 0, "DefaultHandling is 1: a call fails whenever this server is silent; use 0")
	say(c.ProfilePart != nil && *c.ProfilePart == 0, "ProfilePartIndicator is 0: it holds for registered subscribers only, so calls to a GSM phone don't come; leave it out")
	say(c.ProfilePart != nil && *c.ProfilePart == 1, "ProfilePartIndicator is 1: it holds for subscribers who are not registered only, so calls to the others don't come; leave it out")
	has1, has2 := c.names(terminatingRegistered), c.names(terminatingUnregistered)
	switch {
	case !c.names(-1):
		findings = append(findings, "it does not ask for Method INVITE: other requests come, and calls perhaps don't")
	case !toRegistered && !toUnregistered && has1 && has2:
		findings = append(findings, "SessionCase 1 and 2 are there and neither matches: in different groups ConditionTypeCNF 1 ANDs them, in one group ConditionTypeCNF 0 does, and no call is both; use ConditionTypeCNF 1 and one group")
	default:
		say(!toRegistered && !has1, "SessionCase 1 is missing: calls to who is registered don't come")
		say(!toUnregistered && !has2, "SessionCase 2 is missing: calls to who is not registered don't come, so none to a GSM phone")
		say(!toRegistered && has1 || !toUnregistered && has2, "a SessionCase of 1 and 2 is there and does not match, so such calls don't come: another condition that is ANDed with it excludes it, or audio")
	}
	say(c.matches("INVITE", originating) || c.matches("INVITE", originatingUnregistered), "SessionCase 0 or 3 match: calls that the subscriber makes come too; they are relayed and shown nothing, and wait whenever this server is silent")
	say(c.matches("INVITE", originatingCDIV), "SessionCase 4 matches: diverted calls come too; they are relayed and shown nothing, and wait whenever this server is silent")
	say(c.matches("MESSAGE", terminatingRegistered), "requests other than INVITE match, like MESSAGE: they are relayed for nothing, and wait whenever this server is silent; AND the Method with the rest")
	say(len(findings) > 0 && c.Trigger.CNF == 0, "ConditionTypeCNF is 0: what is in one group is ANDed and the groups are ORed; if the other way round was meant, use 1")
	return findings
}

// names reports whether a session case is asked for, or with -1 Method INVITE.
func (c filterCriteria) names(sessionCase int) bool {
	return slices.ContainsFunc(c.Trigger.SPTs, func(s spt) bool {
		return s.Negated == 0 && (s.SessionCase != nil && *s.SessionCase == sessionCase || sessionCase < 0 && s.Method == "INVITE")
	})
}

// matches evaluates the conditions for a request with audio, as an S-CSCF does (TS 29.228 Annex C): with CNF groups are ANDed and
// what is in one is ORed, else the other way round. A condition on something else is taken to hold.
func (c filterCriteria) matches(method string, sessionCase int) bool {
	cnf := c.Trigger.CNF == 1
	groups := map[int]bool{}
	for _, s := range c.Trigger.SPTs {
		holds := s.holds(method, sessionCase)
		for _, g := range s.Groups {
			before, seen := groups[g]
			switch {
			case !seen:
				groups[g] = holds
			case cnf:
				groups[g] = before || holds
			default:
				groups[g] = before && holds
			}
		}
	}
	for _, holds := range groups {
		if holds != cnf {
			return !cnf
		}
	}
	return cnf
}

func (s spt) holds(method string, sessionCase int) (holds bool) {
	switch {
	case s.Method != "":
		holds = s.Method == method
	case s.SessionCase != nil:
		holds = *s.SessionCase == sessionCase
	case s.Session != nil && s.Session.Line == "m" && s.Session.Content != "":
		audio, err := regexp.MatchString(s.Session.Content, "audio 49170 RTP/AVP 8")
		holds = audio || err != nil
	default:
		return true
	}
	return holds != (s.Negated != 0)
}

// tellsDeregistration reports whether the REGISTERs that end a registration are among those asked for: all are, where no type
// is named.
func (c filterCriteria) tellsDeregistration() bool {
	named := false
	for _, s := range c.Trigger.SPTs {
		if s.Method == "REGISTER" && len(s.Types) > 0 {
			named = true
			if slices.Contains(s.Types, 2) {
				return true
			}
		}
	}
	return !named
}
