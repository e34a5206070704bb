package peer

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// PresenceAgent is a Kamailio of a test's own that knows the presence of ims.test in memory alone, and lets the user callsign, with the
// password "secret", see it.
type PresenceAgent struct {
	t       testing.TB
	host    string
	config  string
	process *Process
	last    int
	tags    map[string]string // by user: of what is published
}

// Presence starts an agent; more is put into its configuration's part for modules.
func Presence(t testing.TB, more string) *PresenceAgent {
	t.Helper()
	a := &PresenceAgent{t: t, host: Host(), tags: map[string]string{}}
	a.config = filepath.Join(t.TempDir(), "presence.cfg")
	config := fmt.Sprintf(`
debug=2
log_stderror=yes
children=2
listen=udp:%[1]s:5060
listen=tcp:%[1]s:5060
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "xlog.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "auth.so"
loadmodule "presence.so"
loadmodule "presence_xml.so"
modparam("presence", "db_url", "")
modparam("presence", "subs_db_mode", 0)
modparam("presence", "publ_cache", 2)
modparam("presence", "server_address", "sip:%[1]s:5060")
modparam("presence", "max_expires", 3600)
modparam("presence_xml", "db_url", "")
modparam("presence_xml", "force_active", 1)
modparam("presence_xml", "integrated_xcap_server", 0)
%[2]s
request_route {
	if (is_method("PUBLISH")) {
		handle_publish();
		exit;
	}
	if (is_method("SUBSCRIBE")) {
		if (!pv_www_authenticate("ims.test", "secret", "0")) {
			www_challenge("ims.test", "1");
			exit;
		}
		if ($rU == "forbidden") {
			sl_send_reply("403", "Forbidden");
			exit;
		}
		if ($rU == "nobody") {
			sl_send_reply("404", "Not Found");
			exit;
		}
		xlog("L_WARN", "SUBSCRIBE $ru to-tag '$tt' expires $hdr(Expires)\n");
		handle_subscribe();
		exit;
	}
	sl_send_reply("405", "Method Not Allowed");
}
`, a.host, more)
	if err := os.WriteFile(a.config, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	a.Start()
	return a
}

// Address is where it is asked.
func (a *PresenceAgent) Address() string { return a.host + ":5060" }

// Start starts it (again), without anything that it knew.
func (a *PresenceAgent) Start() {
	a.t.Helper()
	clear(a.tags)
	a.process = StartKamailio(a.t, a.config)
	Until(a.t, "the presence agent to answer", func() bool { return strings.HasPrefix(a.ask("OPTIONS", "x", "", "", ""), "SIP/2.0 405") })
}

// Output is its log so far.
func (a *PresenceAgent) Output() string { return a.process.Output() }

// Kill is kill -9 of it and its children.
func (a *PresenceAgent) Kill() {
	a.process.signal(syscall.SIGSTOP)
	a.process.signal(syscall.SIGKILL)
	a.process.Kill()
}

// Publish says a presence document of a user, in place of the one before.
func (a *PresenceAgent) Publish(user, document string) {
	a.t.Helper()
	answer := a.ask("PUBLISH", user, "Event: presence\r\nExpires: 600\r\n", a.tags[user], document)
	_, tag, found := strings.Cut(answer, "\r\nSIP-ETag: ")
	if !strings.HasPrefix(answer, "SIP/2.0 200") || !found {
		a.t.Fatalf("PUBLISH of %s was answered\n%s", user, answer)
	}
	a.tags[user], _, _ = strings.Cut(tag, "\r\n")
}

// ask sends a request and gives the first answer; "" if none comes.
func (a *PresenceAgent) ask(method, user, headers, tag, body string) string {
	a.last++
	c, err := net.Dial("udp", a.Address())
	if err != nil {
		a.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(2 * time.Second))
	if tag != "" {
		headers += "SIP-If-Match: " + tag + "\r\n"
	}
	if body != "" {
		headers += "Content-Type: application/pidf+xml\r\n"
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%[1]s sip:%[2]s@ims.test SIP/2.0\r\nVia: SIP/2.0/UDP %[3]s;branch=z9hG4bKp%[4]d\r\nMax-Forwards: 70\r\nFrom: <sip:%[2]s@ims.test>;tag=p\r\n"+
		"To: <sip:%[2]s@ims.test>\r\nCall-ID: p%[4]d@%[3]s\r\nCSeq: 1 %[1]s\r\n%[5]sContent-Length: %[6]s\r\n\r\n%[7]s",
		method, user, c.LocalAddr(), a.last, headers, strconv.Itoa(len(body)), body)
	if _, err := c.Write(b.Bytes()); err != nil {
		return ""
	}
	answer := make([]byte, 4096)
	n, _ := c.Read(answer)
	return string(answer[:n])
}
