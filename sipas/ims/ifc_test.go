package ims

import (
	"strings"
	"testing"
)

func TestOurOwnFilterCriteriaAreFine(t *testing.T) {
	out, err := IFC("sip:as.ims.test:5060", 10)
	if err != nil {
		t.Fatal(err)
	}
	findings, err := LintIFC(string(out))
	if err != nil || len(findings) > 0 {
		t.Errorf("got %q, %v", findings, err)
	}
	for _, want := range []string{"<Method>INVITE</Method>", "<SessionCase>1</SessionCase>", "<SessionCase>2</SessionCase>", "<DefaultHandling>0</DefaultHandling>", "<Method>REGISTER</Method>", "<Priority>11</Priority>", "audio.*"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("%s is missing in\n%s", want, out)
		}
	}
}

func TestLintSaysWhyItMatters(t *testing.T) {
	out, err := IFC("sip:as.ims.test:5060", 0)
	if err != nil {
		t.Fatal(err)
	}
	good, _, _ := strings.Cut(string(out), "</InitialFilterCriteria>")
	good = "<IMSSubscription><ServiceProfile>" + good + "</InitialFilterCriteria></ServiceProfile></IMSSubscription>"
	for name, c := range map[string]struct{ old, with, want string }{
		"it ends calls":            {"<DefaultHandling>0", "<DefaultHandling>1", "a call fails whenever"},
		"no server":                {"sip:as.ims.test:5060", "as.ims.test", "ServerName"},
		"registered only":          {"<SessionCase>2</SessionCase>", "<SessionCase>1</SessionCase>", "SessionCase 2 is missing"},
		"unregistered only":        {"<SessionCase>1</SessionCase>", "<SessionCase>2</SessionCase>", "SessionCase 1 is missing"},
		"originating":              {"<SessionCase>1</SessionCase>", "<SessionCase>0</SessionCase>", "SessionCase 0 or 3"},
		"diverting":                {"<SessionCase>1</SessionCase>", "<SessionCase>4</SessionCase>", "SessionCase 4"},
		"another method":           {"<Method>INVITE</Method>", "<Method>MESSAGE</Method>", "Method INVITE"},
		"groups that never match":  {"<Group>1</Group>\n      <SessionCase>2", "<Group>3</Group>\n      <SessionCase>2", "no call is both"},
		"OR and AND the other way": {"<ConditionTypeCNF>1", "<ConditionTypeCNF>0", "ConditionTypeCNF is 0"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := strings.Replace(good, c.old, c.with, 1)
			if changed == good {
				t.Fatalf("%q is not in\n%s", c.old, good)
			}
			findings, err := LintIFC(changed)
			if err != nil || !strings.Contains(strings.Join(findings, "\n"), c.want) {
				t.Errorf("got %q, %v; want %q", findings, err, c.want)
			}
		})
	}
	for name, bad := range map[string]string{"nothing": "", "no criteria": "<a/>", "no XML": "<InitialFilterCriteria><x>", "no number": "<InitialFilterCriteria><Priority>x</Priority></InitialFilterCriteria>"} {
		if _, err := LintIFC(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
