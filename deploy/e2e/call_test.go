package e2e_test

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign/gsmbridge/smsc"
)

// shown waits for n messages on the caller's handset.
func (n *node) shown(count int) []smsc.Message {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
	defer cancel()
	messages, err := n.smsc.Wait(ctx, alice, count)
	if err != nil {
		n.t.Fatalf("the handset shows %d messages, want %d: %v", len(n.smsc.Messages(alice)), count, err)
	}
	return messages
}

func TestASignatureIsShownAndTheCallIsUntouched(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		joined     bool
		text       string
		dataCoding byte
	}{
		"two Route headers, GSM 7-bit":                     {false, "On the road [back at 6]", 0xF0},
		"one comma-joined Route header, Chinese and emoji": {true, "在高铁上 🚄 信号不好", 0x18},
	} {
		t.Run(name, func(t *testing.T) {
			n := serve(t, nil)
			n.says(c.text)
			n.ready()
			p := n.call(scene{joined: c.joined})
			shown := n.shown(1)[0]
			p.complete()

			if shown.Text != c.text || !shown.Flash || shown.DataCoding != c.dataCoding || shown.To != alice {
				t.Errorf("the handset got %+v, want %q as Flash SMS under data coding %#x", shown, c.text, c.dataCoding)
			}
			answered := first(t, p.log("uas"), true, "SIP/2.0 200")
			if !shown.At.Before(answered.at) {
				t.Errorf("shown at %v, after the answer at %v", shown.At, answered.at)
			}
			differsInViaRouteAndMaxForwardsOnly(t, first(t, p.log("uac"), true, "INVITE").text, first(t, p.log("uas"), false, "INVITE").text)
			if got := n.timeline("answered"); !slices.Contains(got, "accepted") || !slices.Contains(got, "receipt: DELIVRD") {
				t.Errorf("the timeline says %q", got)
			}
			if messages := n.smsc.Messages(alice); len(messages) != 1 {
				t.Errorf("the handset got %d messages, want 1", len(messages))
			}
		})
	}
}

var (
	ourVia      = regexp.MustCompile(`\r\nVia: SIP/2\.0/UDP 127\.[0-9.]+:5060;branch=z9hG4bK-cs-[0-9a-f]{32}\r\n`)
	maxForwards = regexp.MustCompile(`\r\nMax-Forwards: (\d+)\r\n`)
	asRoute     = regexp.MustCompile(`Route: <sip:as@[^>]*>(, |\r\n)`)
)

// differsInViaRouteAndMaxForwardsOnly undoes in what arrived what the AS may do, and compares byte for byte.
func differsInViaRouteAndMaxForwardsOnly(t *testing.T, sent, arrived string) {
	t.Helper()
	if n := len(ourVia.FindAllString(arrived, -1)); n != 1 {
		t.Errorf("%d Vias of ours arrived, want 1", n)
	}
	if asRoute.MatchString(arrived) {
		t.Error("our own Route arrived")
	}
	undone := strings.Replace(ourVia.ReplaceAllString(arrived, "\r\n"), "\r\nMax-Forwards: 67\r\n", "\r\nMax-Forwards: 68\r\n", 1)
	joined := strings.Contains(sent, ">, <sip:iscmark")
	want := asRoute.ReplaceAllString(sent, "")
	if joined {
		want = asRoute.ReplaceAllString(sent, "Route: ")
	}
	if undone != want || !maxForwards.MatchString(arrived) {
		t.Errorf("arrived\n%q\nwant\n%q", undone, want)
	}
	if strings.Contains(arrived, "Record-Route") {
		t.Error("a Record-Route arrived")
	}
}

func TestTheCallIsTheSameWhateverHappensToItsText(t *testing.T) {
	t.Parallel()
	const text = "On the road"
	for _, c := range []struct {
		name   string
		scene  scene
		config func(string) string
		before func(*node)
		want   int    // messages on the handset
		says   string // in the timeline; "" where the call leaves none or says nothing special
	}{
		{name: "the callee has no signature", before: func(n *node) { n.says("") }},
		{name: "the callee is no subscriber", before: func(n *node) { n.do(http.MethodDelete, "/v1/subscribers/+8613900000002", "", nil) }},
		{name: "busy", scene: scene{uac: "uac_busy", uas: "uas_busy"}, says: "ended: the call failed with 486"},
		{name: "cancelled before it rings", scene: scene{uac: "uac_cancel", uas: "uas_cancel"}, says: "ended: the caller hung up"},
		{name: "a retransmitted INVITE", scene: scene{uas: "uas_slow", pause: 1800 * time.Millisecond}, want: 1, says: "receipt: DELIVRD"},
		{name: "the caller is out of range", scene: scene{caller: 8613700000009}, says: "skipped: caller_out_of_range"},
		{name: "no range is configured", config: func(c string) string { return strings.Replace(c, `["+86138"]`, "[]", 1) }, says: "skipped: caller_out_of_range"},
		{name: "the SMSC is down", before: func(n *node) { n.stopSMSC() }, says: "answered"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := serve(t, c.config)
			n.says(text)
			if c.config == nil {
				n.ready()
			}
			if c.before != nil {
				c.before(n)
			}
			p := n.call(c.scene)
			p.complete()
			if c.says != "" {
				n.timeline(c.says)
			}
			if got := n.smsc.Messages(alice); len(got) != c.want {
				t.Errorf("the handset got %d messages, want %d", len(got), c.want)
			}
			if c.scene.uas == "" {
				differsInViaRouteAndMaxForwardsOnly(t, first(t, p.log("uac"), true, "INVITE").text, first(t, p.log("uas"), false, "INVITE").text)
			}
		})
	}
}

func TestACallOutlivesAKilledAndRestartedNode(t *testing.T) {
	t.Parallel()
	n := serve(t, nil)
	n.says("On the road")
	n.ready()
	p := n.call(scene{pause: 6 * time.Second})
	n.shown(1) // so its 180 has passed
	n.process.Kill()
	n.start()
	n.until("SIP to be served again", func() bool { return strings.Contains(n.process.Output(), "serving") })
	p.complete()
	if got := n.smsc.Messages(alice); len(got) != 1 {
		t.Errorf("the handset got %d messages, want 1: a restart must not send again", len(got))
	}
}

func TestANodeThatIsToldToStopLetsItsCallsThrough(t *testing.T) {
	t.Parallel()
	n := serve(t, nil)
	n.says("On the road")
	n.ready()
	p := n.call(scene{pause: 3 * time.Second})
	n.shown(1) // it rings
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := n.process.Terminate(ctx)
	ended := time.Now()
	if err != nil {
		t.Errorf("it ended with %v", err)
	}
	p.complete()
	if answered := first(t, p.log("uas"), true, "SIP/2.0 200"); ended.Before(answered.at) {
		t.Errorf("it stopped at %v, before the answer at %v", ended, answered.at)
	}
	first(t, p.log("uac"), false, "SIP/2.0 200")
}
