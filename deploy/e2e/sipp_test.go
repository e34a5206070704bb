package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

// scenario is a line of deploy/sipp/README.md's table.
type scenario struct{ name, uac, uas, proves, shown string }

func scenarios(t *testing.T) (all []scenario) {
	t.Helper()
	b, err := os.ReadFile("../sipp/README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(b), "| --- |")
	for _, line := range strings.Split(table, "\n")[1:] {
		if cells := strings.Split(line, "|"); len(cells) == 7 {
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			all = append(all, scenario{cells[1], cells[2], cells[3], cells[4], cells[5]})
		}
	}
	if len(all) == 0 {
		t.Fatal("deploy/sipp/README.md has no table of scenarios")
	}
	return all
}

func TestEveryScenarioFileStandsInTheTable(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../sipp/*.xml")
	if err != nil {
		t.Fatal(err)
	}
	var there, listed []string
	for _, f := range files {
		there = append(there, strings.TrimSuffix(filepath.Base(f), ".xml"))
	}
	for _, s := range scenarios(t) {
		listed = append(listed, s.uac)
		if s.uas != "" {
			listed = append(listed, s.uas)
		}
	}
	slices.Sort(listed)
	if listed = slices.Compact(listed); !slices.Equal(there, listed) {
		t.Errorf("the folder has %q, the table %q", there, listed)
	}
}

// script runs deploy/sipp/run.sh against as, and returns what it said and how it ended.
func script(t *testing.T, as, local string, args ...string) (output string, err error) {
	t.Helper()
	peer.SIPp(t)
	path, err := filepath.Abs("../sipp/run.sh")
	if err != nil {
		t.Fatal(err)
	}
	p := peer.Start(t, "sh", nil, append([]string{path, as, "--local", local}, args...)...)
	ctx, cancel := context.WithTimeout(t.Context(), 45*time.Second)
	defer cancel()
	err = p.Wait(ctx)
	if ctx.Err() != nil {
		_ = p.Terminate(context.WithoutCancel(t.Context())) // so that it takes its phones with it
		t.Fatalf("run.sh was not done in 45 s: %s", p.Output())
	}
	return p.Output(), err
}

// Why a scenario's call is shown nothing, where the callee's timeline tells.
var shownNothing = map[string]string{
	"early-200":         "skipped: the call was answered",
	"busy":              "ended: the call failed with 486",
	"cancel-before-180": "ended: the caller hung up",
	"diverted":          "skipped: diverted",
	"emergency":         "skipped: emergency",
	"priority":          "skipped: priority",
	"replaces":          "skipped: replaced",
}

func TestTheScenariosOfAnIntegrator(t *testing.T) {
	t.Parallel()
	host := peer.Host()
	trunk := fmt.Sprint(peer.UDPPort(t, host))
	n := serve(t, func(c string) string {
		c = strings.Replace(c, "5060]", "5060], next_hop: ["+host+":"+trunk+"]", 1)
		return strings.Replace(c, `["+86138"]`, `["+86138"], per_caller_per_hour: 0`, 1)
	})
	n.says("On the road")
	n.ready()
	out, err := script(t, n.sip, host, "--caller", alice.E164(), "--callee", bob.E164(), "--trunk", trunk)
	if err != nil {
		t.Errorf("run.sh: %v\n%s", err, out)
	}
	all := scenarios(t)
	for _, s := range all {
		if !regexp.MustCompile(`(?m)^ok +` + s.name + ` +` + regexp.QuoteMeta(s.proves) + `$`).MatchString(out) {
			t.Errorf("run.sh did not say that %s is ok", s.name)
		}
	}
	if want := fmt.Sprintf("%d passed, 0 failed\n", len(all)); !strings.HasSuffix(out, want) {
		t.Errorf("run.sh ended with\n%s\nwant %q", out, want)
	}

	messages := 0
	for _, s := range all {
		switch s.shown {
		case "once":
			messages++
			n.until(s.name+" to be shown", func() bool { return slices.Contains(n.told(s.name), "receipt: DELIVRD") })
		case "nothing":
			if why := shownNothing[s.name]; why != "" {
				n.until(s.name+" to be "+why, func() bool { return slices.Contains(n.told(s.name), why) })
			}
		default:
			t.Errorf("%s is shown %q: say once or nothing", s.name, s.shown)
		}
	}
	if got := len(n.shown(messages)); got != messages {
		t.Errorf("the handset got %d messages, want %d, one for each scenario that is shown", got, messages)
	}
	if told := n.told("spiral"); !slices.Contains(told, "skipped: already_delivered") {
		t.Errorf("the spiral's second pass was not refused: %q", told)
	}
}

// told is what the timelines of a scenario's calls say: its name begins their Call-IDs.
func (n *node) told(scenario string) (lines []string) {
	n.t.Helper()
	var list struct {
		Items []struct {
			ID        string `json:"id"`
			SIPCallID string `json:"sip_call_id"`
		} `json:"items"`
	}
	n.do(http.MethodGet, "/v1/calls?limit=100&callee="+url.QueryEscape(bob.E164()), "", &list)
	for _, item := range list.Items {
		if !strings.HasPrefix(item.SIPCallID, scenario+"-1-") {
			continue
		}
		var call struct {
			Events []struct{ Kind, Reason string } `json:"events"`
		}
		n.do(http.MethodGet, "/v1/calls/"+item.ID, "", &call)
		for _, e := range call.Events {
			lines = append(lines, strings.TrimSuffix(e.Kind+": "+e.Reason, ": "))
		}
	}
	return lines
}

func TestTheScenariosOverIPv6(t *testing.T) {
	t.Parallel()
	c, err := net.ListenPacket("udp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6: ", err)
	}
	as := c.LocalAddr().String()
	_ = c.Close()
	n := serve(t, func(c string) string { return strings.Replace(c, "5060]", `5060, "udp://`+as+`"]`, 1) })
	n.says("On the road")
	n.ready()
	out, err := script(t, as, "::1", "--port", "18000", "two-routes", "joined-routes", "busy", "cancel-after-180", "options")
	if err != nil || !strings.HasSuffix(out, "5 passed, 0 failed\n") {
		t.Errorf("run.sh: %v\n%s", err, out)
	}
	n.shown(3)
}

func TestTheScriptFindsWhatAnASDoesWrong(t *testing.T) {
	t.Parallel()
	const fold = "X-Odd:   keep   these   spaces"
	replace := func(what, by string) func(string) string {
		return func(m string) string { return strings.Replace(m, what, by, 1) }
	}
	or := func(do func(string) string) func(string) string {
		if do == nil {
			return func(m string) string { return m }
		}
		return do
	}
	for name, c := range map[string]struct {
		request func(string) string // what it does to requests on their way
		answer  func(string) string // and to answers; nil: nothing
		says    string
	}{
		"nothing":                    {says: "1 passed, 0 failed\n"},
		"it normalises a header":     {request: replace(fold, "X-Odd: keep these spaces"), says: "the INVITE did not arrive as it was sent: < " + fold},
		"it puts a Record-Route":     {request: replace("\r\nMax", "\r\nRecord-Route: <sip:as;lr>\r\nMax"), says: "the INVITE did not arrive as it was sent"},
		"it touches the Request-URI": {request: replace(";user=phone SIP", " SIP"), says: "the INVITE did not arrive as it was sent"},
		"it takes no hop":            {request: replace("Max-Forwards: 67", "Max-Forwards: 68"), says: "the INVITE did not arrive as it was sent"},
		"it refuses":                 {request: func(string) string { return "" }, says: "received 'SIP/2.0 403 Forbidden"},
		"it swallows the ringing": {answer: func(m string) string {
			if strings.HasPrefix(m, "SIP/2.0 180") {
				return ""
			}
			return m
		}, says: "not all that uas sent reached uac as it was: < SIP/2.0 180 Ringing"},
		"it changes an answer's header": {answer: replace("SIP/2.0 180 Ringing", "SIP/2.0 180 Alerting"), says: "not all that uas sent reached uac as it was: < SIP/2.0 180 Ringing"},
	} {
		t.Run(name, func(t *testing.T) {
			host := peer.Host()
			out, err := script(t, brokenAS(t, host, or(c.request), or(c.answer)), host, "two-routes")
			if (err == nil) != (name == "nothing") || !strings.Contains(out, c.says) {
				t.Errorf("run.sh: %v\n%s\nwant %q", err, out, c.says)
			}
		})
	}
}

// brokenAS is a proxy for one call that changes what it forwards; a request of which nothing is left is refused,
// an answer of which nothing is left swallowed.
func brokenAS(t *testing.T, host string, request, answer func(string) string) string {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(host+":0")))
	if err != nil {
		t.Fatal(err)
	}
	as := c.LocalAddr().String()
	done := make(chan struct{})
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	next := regexp.MustCompile(`Route: <sip:odi_k3@([0-9.:]+);lr>`)
	ownVia := regexp.MustCompile(`Via: SIP/2.0/UDP as;branch=z9hG4bK-as(, |\r\nVia: )`)
	go func() {
		defer close(done)
		var caller netip.AddrPort
		b := make([]byte, 65535)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			m, to := string(b[:n]), caller
			if at := next.FindStringSubmatch(m); at != nil {
				caller, to = from, netip.MustParseAddrPort(at[1])
				_, header, _ := strings.Cut(m, "\r\n")
				m = strings.Replace(m, "\r\nRoute: <sip:as@"+as+";lr>", "", 1)
				m = strings.Replace(m, "Max-Forwards: 68", "Max-Forwards: 67", 1)
				m = strings.Replace(m, "\r\nVia: ", "\r\nVia: SIP/2.0/UDP as;branch=z9hG4bK-as\r\nVia: ", 1)
				if m = request(m); m == "" {
					m, to = "SIP/2.0 403 Forbidden\r\n"+header, caller
				}
			} else if m = answer(ownVia.ReplaceAllString(m, "Via: ")); m == "" {
				continue
			}
			_, _ = c.WriteToUDPAddrPort([]byte(m), to)
		}
	}()
	return as
}
