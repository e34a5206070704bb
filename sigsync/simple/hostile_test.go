package simple

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emiago/sipgo/sip"
	"golang.org/x/sync/errgroup"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/sigsync"
)

const there = `<?xml version="1.0"?><presence xmlns="urn:ietf:params:xml:ns:pidf" entity="sip:b@ims.test"><tuple id="t"><status><basic>open</basic></status><note>hi</note></tuple></presence>`

// heard is an endpoint with one dialog, and what it heard.
func heard() (e *endpoint, d *dialog, notices *[]notice) {
	notices = &[]notice{}
	d = newDialog(sip.Uri{Scheme: "sip", User: "b", Host: "ims.test"}, func(n notice) { *notices = append(*notices, n) })
	d.callID, d.local = "id", "ours"
	return &endpoint{dialogs: map[string]*dialog{"id": d}}, d, notices
}

// notify is a NOTIFY for that dialog; headers replace its own by their names.
func notify(body string, headers ...string) string {
	lines := []string{
		"Via: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bKn", "From: <sip:b@ims.test>;tag=theirs", "To: <sip:callsign@ims.test>;tag=ours", "Call-ID: id",
		"CSeq: 7 NOTIFY", "Contact: <sip:agent@127.0.0.1:5060>", "Event: presence", "Subscription-State: active;expires=600", "Content-Type: application/pidf+xml",
	}
	for _, h := range headers {
		name, _, _ := strings.Cut(h, ":")
		for i, line := range lines {
			if strings.HasPrefix(line, name+":") {
				lines[i] = h
			}
		}
	}
	return fmt.Sprintf("NOTIFY sip:callsign@127.0.0.1:5070 SIP/2.0\r\n%s\r\nContent-Length: %d\r\n\r\n%s", strings.Join(lines, "\r\n"), len(body), body)
}

func request(t *testing.T, message string) *sip.Request {
	t.Helper()
	m, err := sip.NewParser().ParseSIP([]byte(message))
	if err != nil {
		t.Fatalf("%v\n%s", err, message)
	}
	return m.(*sip.Request)
}

func TestHowANotificationIsAnswered(t *testing.T) {
	for sentence, test := range map[string]struct {
		message string
		status  int
		text    string // what is heard; "-": nothing is told
	}{
		"one that is as it should be":     {notify(there), 200, "hi"},
		"one without a document":          {notify(""), 200, "-"},
		"of a dialog that is not known":   {notify(there, "Call-ID: other"), 481, ""},
		"to another tag":                  {notify(there, "To: <sip:callsign@ims.test>;tag=other"), 481, ""},
		"of no tag":                       {notify(there, "To: <sip:callsign@ims.test>"), 481, ""},
		"of a fork":                       {notify(there, "From: <sip:b@ims.test>;tag=fork"), 481, ""},
		"of another event":                {notify(there, "Event: dialog"), 489, ""},
		"of an event with an id":          {notify(there, "Event: presence ;id=1"), 200, "hi"},
		"without a state":                 {notify(there, "Subscription-State: "), 400, ""},
		"of another type":                 {notify(there, "Content-Type: application/cpim-pidf+xml"), 415, ""},
		"of the type in capitals":         {notify(there, "Content-Type: APPLICATION/PIDF+XML;charset=utf-8"), 200, "hi"},
		"older than the one before":       {notify(there, "CSeq: 4 NOTIFY"), 500, ""},
		"a document that is cut":          {notify(there[:len(there)-5]), 200, "-"},
		"entities in entities":            {notify(`<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]>` + strings.Replace(there, ">hi<", ">&d;<", 1)), 200, "-"},
		"elements in elements":            {notify(strings.Replace(there, ">hi<", ">hi"+strings.Repeat("<a>", 9000)+"<", 1)), 200, "-"},
		"a document that is too long":     {notify(strings.Replace(there, ">hi<", ">"+strings.Repeat("x", maxDocument)+"<", 1)), 200, "-"},
		"bytes that are no UTF-8":         {notify(strings.Replace(there, ">hi<", ">\xff\xfe<", 1)), 200, "-"},
		"another encoding":                {notify(strings.Replace(there, `"1.0"`, `"1.0" encoding="UTF-16"`, 1)), 200, "-"},
		"a document of something else":    {notify(`<html/>`), 200, "-"},
		"huge numbers in the state":       {notify(there, "Subscription-State: active;expires=99999999999999999999;retry-after=-1"), 200, "hi"},
		"a state without an end":          {notify(there, "Subscription-State: active;"+strings.Repeat(";x", 10_000)), 200, "hi"},
		"the greatest of sequence number": {notify(there, "CSeq: 2147483647 NOTIFY"), 200, "hi"},
	} {
		e, d, notices := heard()
		d.remote, d.theirs = "theirs", 5
		status, _ := e.hears(request(t, test.message))
		got := ""
		for _, n := range *notices {
			if got = "-"; n.tells && n.err == nil {
				got = n.note.Text
			}
		}
		if status != test.status || got != test.text {
			t.Errorf("%s: answered %d, heard %q; want %d and %q", sentence, status, got, test.status, test.text)
		}
	}
}

func TestANotificationThatIsCutAtAnyByte(t *testing.T) {
	whole := notify(there)
	for i := range len(whole) {
		m, err := sip.NewParser().ParseSIP([]byte(whole[:i]))
		if err != nil {
			continue
		}
		r, isRequest := m.(*sip.Request)
		if !isRequest {
			t.Fatalf("%q is no request", whole[:i])
		}
		e, _, notices := heard()
		e.hears(r)
		for _, n := range *notices {
			if n.tells && n.err == nil {
				t.Errorf("cut after %d bytes it tells %q", i, n.note.Text)
			}
		}
	}
}

// agent answers each SUBSCRIBE on a socket of its own with what says returns.
func agent(t *testing.T, says func(subscribe string) []string) Config {
	t.Helper()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 65535)
		for {
			n, from, err := socket.ReadFrom(b)
			if err != nil {
				return
			}
			if strings.HasPrefix(string(b[:n]), "SUBSCRIBE ") {
				for _, message := range says(string(b[:n])) {
					_, _ = socket.WriteTo([]byte(message), from)
				}
			}
		}
	}()
	t.Cleanup(func() { _ = socket.Close(); <-done })
	c := DefaultConfig()
	c.Listen, c.Agent = "udp://"+free.LocalAddr().String(), socket.LocalAddr().String()
	c.URI, c.From, c.Password, c.Timeout = "sip:{account}@ims.test", "sip:callsign@ims.test", "secret", 500*time.Millisecond
	return c
}

func header(message, name string) string {
	for line := range strings.SplitSeq(message, "\r\n") {
		if value, found := strings.CutPrefix(line, name+": "); found {
			return value
		}
	}
	return ""
}

// answer is a response to a request.
func answer(subscribe, status string, headers ...string) string {
	to := header(subscribe, "To")
	if !strings.Contains(to, "tag=") {
		to += ";tag=theirs"
	}
	return fmt.Sprintf("SIP/2.0 %s\r\nVia: %s\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: %s\r\nContact: <sip:agent@127.0.0.1:5060>\r\n%sContent-Length: 0\r\n\r\n",
		status, header(subscribe, "Via"), header(subscribe, "From"), to, header(subscribe, "Call-ID"), header(subscribe, "CSeq"), strings.Join(append(headers, ""), "\r\n"))
}

// notification is a NOTIFY in a subscribe's dialog.
func notification(subscribe, state, body string) string {
	return notify(body, "From: "+header(subscribe, "To")+";tag=theirs", "To: "+header(subscribe, "From"), "Call-ID: "+header(subscribe, "Call-ID"), "Subscription-State: "+state)
}

func TestWhatAReadMakesOfAgents(t *testing.T) {
	const nonce = `WWW-Authenticate: Digest realm="ims.test",nonce="n",algorithm=MD5,qop="auth"`
	for sentence, test := range map[string]struct {
		says func(subscribe string) []string
		want error  // nil: none
		why  string // in the error
		text string // "-": no change
	}{
		"one that is as it should be": {func(s string) []string {
			return []string{answer(s, "200 OK", "Expires: 0"), notification(s, "terminated;reason=timeout", there)}
		}, nil, "", "hi"},
		"the notification comes first": {func(s string) []string {
			return []string{notification(s, "terminated;reason=timeout", there), answer(s, "200 OK", "Expires: 0")}
		}, nil, "", "hi"},
		"a provisional answer before": {func(s string) []string {
			return []string{answer(s, "100 Trying"), answer(s, "202 Accepted"), notification(s, "terminated", there)}
		}, nil, "", "hi"},
		"it waits for the account's consent": {func(s string) []string { return []string{answer(s, "202 Accepted"), notification(s, "pending", "")} }, nil, "", "-"},
		"the account doesn't let us see it": {func(s string) []string {
			return []string{answer(s, "200 OK"), notification(s, "terminated;reason=rejected", "")}
		}, sigsync.ErrNoAccount, "rejected", ""},
		"it never answers":  {func(string) []string { return nil }, errSilent, "", ""},
		"it never notifies": {func(s string) []string { return []string{answer(s, "200 OK")} }, nil, "no notification comes", ""},
		"it answers bytes":  {func(string) []string { return []string{strings.Repeat("x", 60_000), "\x00\xff\xfe", "SIP/2.0 200"} }, errSilent, "", ""},
		"it answers to somebody else": {func(s string) []string {
			return []string{strings.Replace(answer(s, "200 OK"), "branch=z9", "branch=y9", 1)}
		}, errSilent, "", ""},
		"the account is not there":      {func(s string) []string { return []string{answer(s, "404 Not Found")} }, sigsync.ErrNoAccount, "404", ""},
		"the account is forbidden":      {func(s string) []string { return []string{answer(s, "403 Forbidden")} }, sigsync.ErrNoAccount, "403", ""},
		"it asks for a digest for ever": {func(s string) []string { return []string{answer(s, "401 Unauthorized", nonce)} }, sigsync.ErrCredentials, "401", ""},
		"with new nonces for ever":      {func(s string) []string { return []string{answer(s, "401 Unauthorized", nonce+",stale=true")} }, sigsync.ErrCredentials, "401", ""},
		"a digest forbids":              {digestForbids(nonce), sigsync.ErrCredentials, "403", ""},
		"a challenge that is none": {func(s string) []string {
			return []string{answer(s, "407 Proxy Authentication Required", "Proxy-Authenticate: \xff")}
		}, nil, "digest", ""},
		"a challenge without a header": {func(s string) []string { return []string{answer(s, "401 Unauthorized")} }, nil, "WWW-Authenticate", ""},
		"it wants rest": {func(s string) []string {
			return []string{answer(s, "503 Service Unavailable", "Retry-After: 7 (later)")}
		}, &sigsync.LimitedError{}, "7s", ""},
		"it wants rest for ever": {func(s string) []string {
			return []string{answer(s, "503 Service Unavailable", "Retry-After: 99999999999999999999")}
		}, &sigsync.LimitedError{}, "1h0m0s", ""},
		"a status that is none": {func(s string) []string { return []string{answer(s, "999 No")} }, nil, "999", ""},
		"a document that can't be read": {func(s string) []string {
			return []string{answer(s, "200 OK"), notification(s, "terminated", "<presence")}
		}, nil, "document", ""},
	} {
		p, err := New(agent(t, test.says))
		if err != nil {
			t.Fatal(err)
		}
		changes, err := p.Read(t.Context(), []string{"b"})
		var limited *sigsync.LimitedError
		switch {
		case test.text == "-" && (err != nil || len(changes) > 0), test.text != "-" && test.text != "" && (err != nil || len(changes) != 1 || changes[0].Text != test.text):
			t.Errorf("%s: %+v, %v; want %q", sentence, changes, err, test.text)
		case test.text == "" && (err == nil || !strings.Contains(err.Error(), test.why)):
			t.Errorf("%s: %+v, %v; want an error with %q", sentence, changes, err, test.why)
		case errors.As(test.want, &limited):
			if !errors.As(err, &limited) {
				t.Errorf("%s: %v, want to rest", sentence, err)
			}
		case test.want != nil && !errors.Is(err, test.want):
			t.Errorf("%s: %v, want %v", sentence, err, test.want)
		}
	}
}

func digestForbids(nonce string) func(string) []string {
	return func(s string) []string {
		if header(s, "Authorization") == "" {
			return []string{answer(s, "401 Unauthorized", nonce)}
		}
		return []string{answer(s, "403 Forbidden")}
	}
}

// What a socket of nobody's sends is not looked at, however good.
func TestOnlyTheAgentIsHeard(t *testing.T) {
	stranger, err := net.ListenPacket("udp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	var trusted atomic.Bool
	c := agent(t, func(s string) []string {
		_, contact, _ := strings.Cut(header(s, "Contact"), "@")
		contact, _, _ = strings.Cut(contact, ";")
		at, err := net.ResolveUDPAddr("udp", contact)
		forged := []string{notification(s, "terminated", strings.Replace(there, "hi", "forged", 1)), answer(s, "200 OK")}
		for _, message := range forged {
			if err == nil {
				_, err = stranger.WriteTo([]byte(message), at)
			}
		}
		if err != nil || trusted.Load() {
			return nil // the stranger alone answers
		}
		return []string{answer(s, "200 OK"), notification(s, "terminated", there)}
	})
	read := func(trust ...string) ([]callsign.Change, error) {
		c.Trust = trust
		p, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return p.Read(t.Context(), []string{"b"})
	}
	if changes, err := read(); err != nil || len(changes) != 1 || changes[0].Text != "hi" {
		t.Errorf("%+v, %v; want what the agent said", changes, err)
	}
	trusted.Store(true)
	if changes, err := read("127.0.0.0/8"); err != nil || len(changes) != 1 || changes[0].Text != "forged" {
		t.Errorf("%+v, %v: the stranger is not heard where it is trusted: the test proves nothing", changes, err)
	}
}

// TestAnAgentThatClosesAtAnyByte sends all of a session over TCP up to a byte, and closes.
func TestAnAgentThatClosesAtAnyByte(t *testing.T) {
	var all errgroup.Group
	all.SetLimit(16)
	length := 0
	read := func(cut int) error {
		host := peer.Host() // ports of its own: what was free a moment ago may be another's
		agent, err := net.Listen("tcp", host+":5060")
		if err != nil {
			return err
		}
		defer agent.Close()
		whole := make(chan int, 1)
		go func() {
			defer close(whole)
			conn, err := agent.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			b := make([]byte, 65535)
			n, _ := conn.Read(b)
			session := answer(string(b[:n]), "200 OK", "Expires: 0") + notification(string(b[:n]), "terminated;reason=timeout", there)
			_, _ = conn.Write([]byte(session[:min(cut, len(session))]))
			whole <- len(session)
			if cut >= len(session) {
				_, _ = conn.Read(b) // the answer to the notification
			}
		}()
		c := DefaultConfig()
		c.Listen, c.Agent = "tcp://"+host+":5070", host+":5060"
		c.URI, c.From, c.Timeout = "sip:{account}@ims.test", "sip:callsign@ims.test", 100*time.Millisecond
		if cut >= 1<<20 {
			c.Timeout = 10 * time.Second
		}
		p, err := New(c)
		if err != nil {
			return err
		}
		changes, err := p.Read(t.Context(), []string{"b"})
		_ = agent.Close() // who never connected is not waited for
		n := <-whole
		switch {
		case n == 0: // a busy machine: it had no time to ask
			return errSilent
		case cut >= 1<<20 && (err != nil || len(changes) != 1):
			return fmt.Errorf("the whole session: %+v, %w", changes, err)
		case cut < n && (err == nil || len(changes) > 0):
			return fmt.Errorf("closed after %d of %d bytes: %+v, %v", cut, n, changes, err)
		}
		if cut >= 1<<20 {
			length = n
		}
		return nil
	}
	if err := read(1 << 20); err != nil {
		t.Fatal(err)
	}
	for cut := range length {
		all.Go(func() error {
			err := read(cut)
			for range 10 {
				if !errors.Is(err, errSilent) {
					break
				}
				err = read(cut)
			}
			return err
		})
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
}

func TestTheWayToAnAgentIsKept(t *testing.T) {
	const recorded = "Record-Route: <sip:p1@127.0.0.1;lr>, <sip:p2@127.0.0.1;lr>"
	for sentence, test := range map[string]struct {
		establish func(*endpoint, *dialog)
		want      string
	}{
		"before anything is known": {func(*endpoint, *dialog) {}, "SUBSCRIBE sip:b@ims.test SIP/2.0"},
		"by an answer, whose proxies are named from the other end": {func(_ *endpoint, d *dialog) {
			m, err := sip.NewParser().ParseSIP([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1\r\nTo: <sip:b@ims.test>;tag=theirs\r\nContact: <sip:agent@127.0.0.1:5061>\r\n" + recorded + "\r\nContent-Length: 0\r\n\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			res := m.(*sip.Response)
			d.establish("theirs", res.Contact(), res.GetHeaders("Record-Route"), false)
		}, "SUBSCRIBE sip:agent@127.0.0.1:5061 SIP/2.0|Route: <sip:p2@127.0.0.1;lr>|Route: <sip:p1@127.0.0.1;lr>|To: <sip:b@ims.test>;tag=theirs"},
		"by a notification": {func(e *endpoint, _ *dialog) {
			e.hears(request(t, strings.Replace(notify(there), "Event:", recorded+"\r\nEvent:", 1)))
		}, "SUBSCRIBE sip:agent@127.0.0.1:5060 SIP/2.0|Route: <sip:p1@127.0.0.1;lr>|Route: <sip:p2@127.0.0.1;lr>|To: <sip:b@ims.test>;tag=theirs"},
	} {
		e, d, _ := heard()
		d.target = d.uri
		e.c.From, e.c.Listen, e.at = "sip:callsign@ims.test", "udp://127.0.0.1:5070", netip.MustParseAddrPort("127.0.0.1:5070")
		test.establish(e, d)
		r, err := e.request(d, time.Hour)
		if err != nil {
			t.Errorf("%s: %v", sentence, err)
			continue
		}
		var got []string
		for line := range strings.SplitSeq(r.String(), "\r\n") {
			if strings.HasPrefix(line, "SUBSCRIBE") || strings.HasPrefix(line, "Route:") || strings.HasPrefix(line, "To:") && strings.Contains(line, "tag=") {
				got = append(got, line)
			}
		}
		if strings.Join(got, "|") != test.want {
			t.Errorf("%s: %q, want %q", sentence, got, test.want)
		}
	}
}
