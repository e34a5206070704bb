package e2e_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

// iscTimeout is how long the lab's S-CSCF waits for a silent application server; Kamailio's default is five seconds.
const iscTimeout = time.Second

// lab is an S-CSCF and an HSS before a node: deploy/lab, with the node as its application server.
type lab struct {
	*node
	scscf  *peer.Process
	callee int // the port of the subscriber's phone, or of the gateway to the GSM side
}

// lab starts the S-CSCF and the HSS, and registers the subscriber's phone or does not.
func (n *node) lab(registered bool) *lab {
	n.t.Helper()
	peer.Kamailio(n.t)
	dir := n.t.TempDir()
	render := exec.Command("sh", "../lab/lab.sh", "render")
	render.Env = append(os.Environ(), "LAB_DIR="+dir, "LAB_HOST="+n.host, "LAB_AS="+n.sip, "LAB_CALLSIGN="+binary,
		"LAB_SUBSCRIBER="+bob.E164(), fmt.Sprintf("LAB_ISC_TIMEOUT=%d", iscTimeout.Milliseconds()))
	if out, err := render.CombinedOutput(); err != nil {
		n.t.Fatalf("lab.sh render: %v\n%s", err, out)
	}
	l := &lab{node: n, callee: 7071}
	hss := peer.StartKamailio(n.t, filepath.Join(dir, "hss.cfg"))
	n.until("the HSS", func() bool { return strings.Contains(hss.Output(), "Successful socket open") })
	l.scscf = peer.StartKamailio(n.t, filepath.Join(dir, "scscf.cfg"))
	n.until("the S-CSCF to find its HSS", func() bool { return poll(n.t, n.host+":6060") == "200" })
	if registered {
		l.callee = 7070
		register := l.phone("register", "register", "-p", "7080", "-m", "1", "-key", "contact_port", "7070", n.host+":6060")
		ctx, cancel := context.WithTimeout(n.t.Context(), 20*time.Second)
		defer cancel()
		if err := register.Wait(ctx); err != nil {
			n.t.Fatalf("the phone could not register: %v", err)
		}
		l.says("ISC answer 200 to REGISTER") // the third-party one
	}
	return l
}

// poll is the status that an OPTIONS gets, "" if none comes.
func poll(t *testing.T, address string) string {
	t.Helper()
	c, err := net.Dial("udp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(200 * time.Millisecond))
	fmt.Fprintf(c, "OPTIONS sip:%[1]s SIP/2.0\r\nVia: SIP/2.0/UDP %[2]s;branch=z9hG4bKpoll%[3]d\r\nMax-Forwards: 70\r\nFrom: <sip:poll@%[2]s>;tag=p\r\n"+
		"To: <sip:%[1]s>\r\nCall-ID: %[3]d@%[2]s\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", address, c.LocalAddr(), time.Now().UnixNano())
	b := make([]byte, 2048)
	n, _ := c.Read(b)
	_, status, _ := strings.Cut(string(b[:n]), " ")
	status, _, _ = strings.Cut(status, " ")
	return status
}

// says waits until the S-CSCF's log has a line.
func (l *lab) says(line string) {
	l.t.Helper()
	l.until("the S-CSCF to say "+line, func() bool { return strings.Contains(l.scscf.Output(), line) })
}

// phone starts SIPp, on a port of its own since 5060 is the application server's, with a scenario of deploy/lab, or of deploy/sipp by its path; its messages go to a log of that name.
func (l *lab) phone(scenario, log string, args ...string) *peer.Process {
	l.t.Helper()
	file, err := filepath.Abs(filepath.Join("../lab", scenario+".xml"))
	if err != nil {
		l.t.Fatal(err)
	}
	return peer.Start(l.t, peer.SIPp(l.t), nil, append([]string{
		"-sf", file, "-i", l.host, "-nostdin", "-s", bob.E164(), "-key", "domain", "ims.test",
		"-timeout", "40", "-timeout_error", "-trace_msg", "-message_file", filepath.Join(l.logs(), log),
	}, args...)...)
}

func (l *lab) logs() string { return filepath.Dir(l.config) }

// labCall is one call through the S-CSCF; zero fields are a plain one.
type labCall struct {
	caller, callee string // scenario files of deploy/lab, without .xml
	dialled, also  string // the number that was dialled, and one more header of the INVITE
	pause          time.Duration
	calls          int // how many the callee's phone will take
}

// call places a call to the subscriber through the S-CSCF.
func (l *lab) call(c labCall) *phones {
	l.t.Helper()
	if c.callee == "" {
		c.callee = "callee"
	}
	p := &phones{n: l.node, logs: l.logs()}
	p.uas = l.phone(c.callee, "uas", "-p", fmt.Sprint(l.callee), "-m", fmt.Sprint(max(c.calls, 1)), "-d", fmt.Sprint(max(c.pause, 300*time.Millisecond).Milliseconds()))
	l.listens(l.callee)
	p.uac = l.dial(c, "uac", 7090)
	return p
}

// dial is the caller's side alone.
func (l *lab) dial(c labCall, log string, port int) *peer.Process {
	l.t.Helper()
	if c.caller == "" {
		c.caller = "caller"
	}
	if c.dialled == "" {
		c.dialled = bob.E164()
	}
	if c.also == "" {
		c.also = "X-None: 1"
	}
	return l.phone(c.caller, log, "-p", fmt.Sprint(port), "-m", "1", "-key", "caller", alice.E164(), "-key", "dialled", c.dialled, "-key", "also", c.also, l.host+":6060")
}

// ringsAfter is how long the caller waited for 180.
func (p *phones) ringsAfter(log string) time.Duration {
	p.n.t.Helper()
	all := p.log(log)
	return first(p.n.t, all, false, "SIP/2.0 180").at.Sub(first(p.n.t, all, true, "INVITE").at)
}

var wire = regexp.MustCompile(`ISC (sent|back) [A-Z]+ wire (\S+)`)

// isc is what the S-CSCF sent to the application server and got back from it, as it was on the wire.
func (l *lab) isc() (sent, back []string) {
	l.t.Helper()
	for _, m := range wire.FindAllStringSubmatch(l.scscf.Output(), -1) {
		message, err := base64.StdEncoding.DecodeString(m[2])
		if err != nil {
			l.t.Fatalf("the S-CSCF's log: %v", err)
		}
		if m[1] == "sent" {
			sent = append(sent, string(message))
		} else {
			back = append(back, string(message))
		}
	}
	return sent, back
}

var (
	callID = regexp.MustCompile(`\r\nCall-ID: ([^\r]+)\r\n`)
	route  = regexp.MustCompile(`\r\nRoute: ([^\r]+)\r\n`)
)

// cameBack checks that what came back over ISC, by method in its order, has the original dialog identifier of its INVITE byte
// for byte, in that session case, and that an INVITE came back with nothing but Via, our own Route and Max-Forwards changed.
func (l *lab) cameBack(methods string, sessionCase int) {
	l.t.Helper()
	sent, back := l.isc()
	odi, invites := map[string]string{}, map[string]string{}
	for _, m := range sent {
		if strings.HasPrefix(m, "INVITE ") {
			id := callID.FindStringSubmatch(m)[1]
			_, odi[id], _ = strings.Cut(route.FindStringSubmatch(m)[1], ", ")
			invites[id] = m
			if !strings.HasPrefix(odi[id], "<sip:iscmark@"+l.host+":6060;lr;") || !strings.Contains(odi[id], fmt.Sprintf(";d=%d;", sessionCase)) {
				l.t.Errorf("the S-CSCF sent %q, want session case %d", odi[id], sessionCase)
			}
		}
	}
	if len(invites) == 0 {
		l.t.Error("the S-CSCF sent no INVITE over ISC")
	}
	seen, got := map[string]bool{}, []string{}
	for _, m := range back {
		id := callID.FindStringSubmatch(m)[1]
		if r := route.FindStringSubmatch(m); r == nil || r[1] != odi[id] {
			l.t.Errorf("back came Route %q, want %q, in\n%s", r, odi[id], m)
		}
		method, _, _ := strings.Cut(m, " ")
		if !seen[method+id] { // not sent again
			seen[method+id] = true
			got = append(got, method)
		}
		if method == "INVITE" {
			want := strings.Replace(strings.Replace(invites[id], "<sip:"+l.sip+";lr>, ", "", 1), "\r\nMax-Forwards: 67\r\n", "\r\nMax-Forwards: 66\r\n", 1)
			if without := ourVia.ReplaceAllString(m, "\r\n"); without != want {
				l.t.Errorf("back came without our Via\n%q\nwant\n%q", without, want)
			}
		}
	}
	if got := strings.Join(got, " "); got != methods {
		l.t.Errorf("back came %q, want %q", got, methods)
	}
}

func TestThroughARealSCSCF(t *testing.T) {
	t.Parallel()
	const text = "On the road"
	for _, c := range []struct {
		name         string
		unregistered bool
		call         labCall
		run          func(*lab) // instead of the call
		back         string     // what came back over ISC
		want         int        // messages on the handset
		says         string     // in the timeline
		log          string     // of the S-CSCF
	}{
		{name: "the signature is shown to the caller", back: "INVITE", want: 1, says: "receipt: DELIVRD", log: "ISC answer 200 to REGISTER"},
		{name: "the caller hangs up while it rings", call: labCall{caller: "caller_cancel", callee: "callee_cancel"}, back: "INVITE CANCEL ACK", want: 1, says: "ended: the caller hung up"},
		{name: "busy", call: labCall{caller: "caller_busy", callee: "../sipp/uas_busy"}, back: "INVITE ACK", says: "ended: the call failed with 486"},
		{name: "the callee is not registered", unregistered: true, back: "INVITE", want: 1, says: "receipt: DELIVRD", log: "to the gateway"},
		{name: "the application server is dead", run: callTheDead, log: "ISC failed 408: going on without it"},
		{name: "the application server is draining", run: callTheDraining, back: "INVITE", want: 1, log: "ISC failed 503: going on without it"},
		{name: "the application server is killed after 180 and restarted", run: callTheRestarted, back: "INVITE", want: 1, log: "ISC answer 200 to INVITE"},
		{name: "diverted, by Diversion", call: labCall{also: "Diversion: <sip:+8613700000003@ims.test>;reason=unconditional"}, back: "INVITE", says: "skipped: diverted"},
		{name: "diverted, by History-Info", call: labCall{also: "History-Info: <sip:+8613700000003@ims.test>;index=1, <sip:+8613900000002@ims.test>;index=1.1"}, back: "INVITE", says: "skipped: diverted"},
		{name: "another number was dialled", call: labCall{dialled: "+8613700000003"}, back: "INVITE", says: "skipped: diverted"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := serve(t, nil)
			n.says(text)
			n.ready()
			l := n.lab(!c.unregistered)
			if c.run == nil {
				l.call(c.call).complete()
			} else {
				c.run(l)
			}
			if c.says != "" {
				n.timeline(c.says)
			}
			messages := n.smsc.Messages(alice)
			if len(messages) != c.want || c.want > 0 && messages[0].Text != text {
				t.Errorf("the handset got %+v, want %d messages", messages, c.want)
			}
			sessionCase := 1
			if c.unregistered {
				sessionCase = 2
			}
			l.cameBack(c.back, sessionCase)
			if !strings.Contains(l.scscf.Output(), c.log) {
				t.Errorf("the S-CSCF does not say %q", c.log)
			}
		})
	}
}

// callTheDead calls while nobody listens on the application server's port: the S-CSCF waits and goes on without it.
func callTheDead(l *lab) {
	l.process.Kill()
	p := l.call(labCall{})
	p.complete()
	got := p.ringsAfter("uac")
	l.t.Logf("it rang after %v", got)
	if got < iscTimeout-200*time.Millisecond || got > iscTimeout+time.Second {
		l.t.Errorf("it rang after %v, want about %v", got, iscTimeout)
	}
}

// callTheDraining calls while the application server lets the last call through and stops: its 503 costs the new call nothing.
func callTheDraining(l *lab) {
	p := l.call(labCall{pause: 3 * time.Second, calls: 2})
	l.shown(1) // it rings
	ended := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		ended <- l.process.Terminate(ctx)
	}()
	l.until("the node to drain", func() bool { return poll(l.t, l.sip) == "503" })
	late := &phones{n: l.node, logs: l.logs(), uas: p.uas, uac: l.dial(labCall{}, "late", 7091)}
	late.complete()
	p.complete()
	if err := <-ended; err != nil {
		l.t.Errorf("the node ended with %v", err)
	}
	got := late.ringsAfter("late")
	l.t.Logf("the new call rang after %v", got)
	if got > iscTimeout/2 {
		l.t.Errorf("the new call rang after %v, want at once", got)
	}
}

// callTheRestarted kills the application server while it rings.
func callTheRestarted(l *lab) {
	p := l.call(labCall{pause: 3 * time.Second})
	l.shown(1) // so its 180 has passed
	l.process.Kill()
	l.start()
	p.complete()
}

func TestTheLabsCommand(t *testing.T) {
	t.Parallel()
	peer.Kamailio(t)
	peer.SIPp(t)
	for name, c := range map[string]struct {
		up     []string
		prints string
	}{
		"registered":     {[]string{"up"}, "is registered"},
		"not registered": {[]string{"up", "--unregistered"}, "is not registered"},
	} {
		t.Run(name, func(t *testing.T) {
			host, dir := peer.Host(), filepath.Join(t.TempDir(), "lab")
			lab := func(args ...string) (string, error) {
				ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second) // down runs after the test's own
				defer cancel()
				cmd := exec.CommandContext(ctx, "sh", append([]string{"../lab/lab.sh"}, args...)...)
				cmd.Env = append(os.Environ(), "LAB_DIR="+dir, "LAB_HOST="+host, "LAB_CALLSIGN="+binary, "LAB_TEXT=Gone fishing")
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			t.Cleanup(func() { _, _ = lab("down") })
			if out, err := lab(c.up...); err != nil || !strings.Contains(out, c.prints) {
				t.Fatalf("up: got %v, want %q, in\n%s", err, c.prints, out)
			}
			if out, err := lab("up"); err == nil || !strings.Contains(out, "it is up already") {
				t.Errorf("up again: got %v\n%s", err, out)
			}
			if out, err := lab("call"); err != nil || !strings.Contains(out, "Gone fishing") {
				t.Errorf("call: got %v, want the text on the handset, in\n%s", err, out)
			}
			if out, err := lab("down"); err != nil {
				t.Errorf("down: %v\n%s", err, out)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("down left its folder")
			}
			for _, port := range []string{"6060", "6061", "5060"} {
				if c, err := net.ListenPacket("udp", net.JoinHostPort(host, port)); err != nil {
					t.Errorf("down left something running: %v", err)
				} else {
					_ = c.Close()
				}
			}
			if out, err := lab("call"); err == nil || !strings.Contains(out, "lab.sh up") {
				t.Errorf("call after down: got %v\n%s", err, out)
			}
		})
	}
}
