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
	const invite, registered, unregistered = "<Method>INVITE</Method>", "<SessionCase>1</SessionCase>", "<SessionCase>2</SessionCase>"
	for name, c := range map[string]struct {
		change []string // old and new, in turn
		want   string   // "": nothing
	}{
		"good ones":                       {nil, ""},
		"it ends calls":                   {[]string{"<DefaultHandling>0", "<DefaultHandling>1"}, "a call fails whenever"},
		"no server":                       {[]string{"sip:as.ims.test", "as.ims.test"}, "finds nobody there"},
		"registered only":                 {[]string{unregistered, registered}, "none to a GSM phone"},
		"unregistered only":               {[]string{registered, unregistered}, "calls to who is registered don't come"},
		"originating too":                 {[]string{registered, "<SessionCase>0</SessionCase>"}, "calls that the subscriber makes come too"},
		"originating unregistered":        {[]string{registered, "<SessionCase>3</SessionCase>"}, "calls that the subscriber makes come too"},
		"diverting":                       {[]string{registered, "<SessionCase>4</SessionCase>"}, "diverted calls come too"},
		"another method":                  {[]string{invite, "<Method>MESSAGE</Method>"}, "does not ask for Method INVITE"},
		"another method too":              {[]string{invite, invite + "</SPT><SPT><ConditionNegated>0</ConditionNegated><Group>0</Group><Method>MESSAGE</Method>"}, "relayed for nothing"},
		"any method but one":              {[]string{"<ConditionNegated>0</ConditionNegated>\n      <Group>0</Group>\n      " + invite, "<ConditionNegated>1</ConditionNegated><Group>0</Group><Method>BYE</Method>"}, "does not ask for Method INVITE"},
		"the method or the session case":  {[]string{"<Group>0</Group>\n      " + invite, "<Group>1</Group>" + invite}, "calls that the subscriber makes come too"},
		"groups that never match":         {[]string{"<Group>1</Group>\n      <SessionCase>2", "<Group>3</Group>\n      <SessionCase>2"}, "no call is both"},
		"one session case is excluded":    {[]string{"<SessionDescription>", "<SessionCase>2</SessionCase></SPT><SPT><ConditionNegated>1</ConditionNegated><Group>3</Group><SessionCase>2</SessionCase></SPT><SPT><ConditionNegated>0</ConditionNegated><Group>2</Group><SessionDescription>"}, "is there and does not match"},
		"video only":                      {[]string{"audio.*", "video.*"}, "neither matches"},
		"OR and AND the other way":        {[]string{"<ConditionTypeCNF>1", "<ConditionTypeCNF>0"}, "ConditionTypeCNF is 0"},
		"the same, written the other way": {[]string{"<ConditionTypeCNF>1", "<ConditionTypeCNF>0", "<Group>0</Group>", "<Group>0</Group><Group>1</Group>", "<Group>1</Group>\n      <SessionCase>1", "<Group>0</Group>\n      <SessionCase>1", "<Group>2</Group>", "<Group>0</Group><Group>1</Group>"}, ""},
		"only while registered":           {[]string{"</ApplicationServer>", "</ApplicationServer><ProfilePartIndicator>0</ProfilePartIndicator>"}, "registered subscribers only"},
		"only while not registered":       {[]string{"</ApplicationServer>", "</ApplicationServer><ProfilePartIndicator>1</ProfilePartIndicator>"}, "not registered only"},
		"no trigger":                      {[]string{"TriggerPoint>", "Other>"}, "every request comes"},
	} {
		t.Run(name, func(t *testing.T) {
			for i := 0; i < len(c.change); i += 2 {
				if !strings.Contains(good, c.change[i]) {
					t.Fatalf("%q is not in\n%s", c.change[i], good)
				}
			}
			findings, err := LintIFC(strings.NewReplacer(c.change...).Replace(good))
			if err != nil || !strings.Contains(strings.Join(findings, "\n"), c.want) || c.want == "" && len(findings) > 0 {
				t.Errorf("got %q, %v; want %q", findings, err, c.want)
			}
			for _, f := range findings {
				if _, why, found := strings.Cut(strings.SplitN(f, ": ", 2)[1], ": "); !found && !strings.Contains(f, ", so ") || found && len(why) < 20 {
					t.Errorf("%q does not say why it matters", f)
				}
			}
		})
	}
	_, second, _ := strings.Cut(string(out), "</InitialFilterCriteria>")
	for name, c := range map[string]struct{ old, with, want string }{
		"all of them":  {"", "", ""},
		"a silent end": {"<DefaultHandling>0", "<DefaultHandling>1", "thrown out of the network"},
		"without ends": {"</Method>", "</Method><Extension><RegistrationType>0</RegistrationType><RegistrationType>1</RegistrationType></Extension>", "nobody tells when a phone is gone"},
		"only ends":    {"</Method>", "</Method><Extension><RegistrationType>2</RegistrationType></Extension>", ""},
	} {
		findings, err := LintIFC(strings.Replace(second, c.old, c.with, 1))
		if got := strings.Join(findings, "\n"); err != nil || !strings.Contains(got, c.want) || c.want == "" && got != "" {
			t.Errorf("REGISTER, %s: got %q, %v; want %q", name, got, err, c.want)
		}
	}
	for name, bad := range map[string]string{"nothing": "", "no criteria": "<a/>", "no XML": "<InitialFilterCriteria><x>", "no number": "<InitialFilterCriteria><Priority>x</Priority></InitialFilterCriteria>"} {
		if _, err := LintIFC(bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
