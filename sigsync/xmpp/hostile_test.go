package xmpp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/sigsync"
)

const (
	opened  = `<?xml version='1.0'?><stream:stream xmlns='jabber:component:accept' xmlns:stream='http://etherx.jabber.org/streams' from='s.test' id='1'><handshake/>`
	fenced  = `<iq type='result' id='callsign-1' from='bob@im.test' to='signature@s.test'/>`
	hi      = `<presence from='bob@im.test/desk' to='signature@s.test'><status>hi</status></presence>`
	bye     = `<presence from='bob@im.test/desk' to='signature@s.test'><priority>5</priority><status xml:lang='en'>bye</status></presence>`
	account = "bob@im.test"
	late    = "" // among what a server says: nothing, for longer than is waited for answers
)

// against has a Provider's Watch follow bob at a server that does as it is told; it returns what was told and why it ended, once
// every goroutine has.
func against(t *testing.T, server func(net.Conn)) (told []string, sent int64, err error) {
	t.Helper()
	changes, _, sent, err := heardFrom(t, server)
	for _, c := range changes {
		told = append(told, c.Text)
	}
	return told, sent, err
}

// heardFrom gives the changes themselves, and why bob couldn't be followed.
func heardFrom(t *testing.T, server func(net.Conn)) (changes []callsign.Change, failed error, sent int64, err error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		counted := &counting{Conn: ours}
		c := DefaultConfig()
		c.Server, c.Domain, c.Secret = "127.0.0.1:1", "s.test", "secret"
		p := &Provider{c, sigsync.NewShared(func(ctx context.Context) (*link, error) {
			ctx, cancel := context.WithTimeout(ctx, c.Timeout)
			defer cancel()
			return join(ctx, c, counted, "secret")
		})}
		var all sync.WaitGroup
		all.Go(func() { _, _ = io.Copy(io.Discard, theirs) })
		all.Go(func() {
			server(theirs)
			_ = theirs.Close()
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		follow := make(chan sigsync.Follow, 1)
		follow <- sigsync.Follow{Accounts: []string{account}, Failed: func(_ string, why error) { failed = why }}
		err = p.Watch(ctx, follow, func(some []callsign.Change) { changes = append(changes, some...) })
		if ctx.Err() != nil {
			t.Error("Watch doesn't end by itself")
		}
		sent = counted.read
		_ = theirs.Close()
		all.Wait()
	})
	return changes, failed, sent, err
}

type counting struct {
	net.Conn
	read int64
}

func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.read += int64(n)
	return n, err
}

func says(parts ...string) func(net.Conn) {
	return func(c net.Conn) {
		for _, p := range parts {
			if p == late {
				time.Sleep(20 * time.Second)
			}
			_, _ = io.WriteString(c, p)
			time.Sleep(time.Millisecond) // in the bubble: what it tells is put before the next is said
		}
	}
}

// forever writes text until the other side has enough.
func forever(first, text string) func(net.Conn) {
	return func(c net.Conn) {
		_, err := io.WriteString(c, first)
		for err == nil {
			_, err = io.WriteString(c, text)
		}
	}
}

func TestHostileServers(t *testing.T) {
	for sentence, test := range map[string]struct {
		server func(net.Conn)
		told   []string
		why    string
	}{
		"one that is as it should be":         {says(opened, hi, fenced, bye, "</stream:stream>"), []string{"hi", "bye"}, "closed the stream"},
		"one that never says anything":        {func(c net.Conn) { time.Sleep(time.Hour) }, nil, "opens no stream within 10s"},
		"one that falls silent":               {func(c net.Conn) { _, _ = io.WriteString(c, opened); time.Sleep(time.Hour) }, nil, "timeout"},
		"one that opens in trickles":          {func(c net.Conn) { trickle(c, opened, time.Second) }, nil, "opens no stream within 10s"},
		"an endless line":                     {forever("", "xxxxxxxxxxxxxxxx"), nil, "unexpected token"},
		"an endless name":                     {forever("<", "xxxxxxxxxxxxxxxx"), nil, "longer than 65536 bytes"},
		"an endless text":                     {forever(opened+"<presence from='bob@im.test/desk'><status>", "xxxxxxxxxxxxxxxx"), nil, "longer than 65536 bytes"},
		"endless white space":                 {forever(opened, "                "), nil, "longer than 65536 bytes"},
		"endless clients":                     {clients, []string{"hi"}, "closed"}, // the stream, or the pipe beneath it: whoever notices first
		"elements in elements":                {forever(opened+"<presence from='bob@im.test/desk'>", "<a>"), nil, "longer than 65536 bytes"},
		"elements in elements of a message":   {forever(opened+"<message>", "<a>"), nil, "longer than 65536 bytes"},
		"entities in entities":                {says(`<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b "c"><!ENTITY d "&b;&b;">]>` + opened), nil, "unexpected token"},
		"an entity":                           {says(opened, `<presence from='bob@im.test/desk'><status>&lol;</status></presence>`), nil, "invalid character entity"},
		"a document type in the stream":       {says(opened, `<!DOCTYPE a>`), nil, "directive"},
		"huge numbers":                        {says(opened, `<presence from='bob@im.test/a'><priority>99999999999999999999</priority><status>hi</status></presence>`, fenced), []string{"hi"}, "closed"},
		"another encoding":                    {says(`<?xml version='1.0' encoding='ISO-8859-1'?>` + strings.TrimPrefix(opened, `<?xml version='1.0'?>`)), nil, "encoding"},
		"bytes that are no UTF-8":             {says(opened, "<presence from='bob@im.test/desk'><status>\xff\xfe</status></presence>"), nil, "invalid UTF-8"},
		"UTF-16":                              {says("<\x00?\x00x\x00m\x00l\x00"), nil, "xmpp"},
		"a stream in the stream":              {says(opened, `<stream:stream>`), nil, "restart"},
		"an answer to a question of another":  {says(opened, hi, strings.Replace(fenced, "bob@", "eve@", 1), late, "</stream:stream>"), []string{"hi"}, "closed the stream"}, // told when nothing more came in time
		"somebody whom nobody asked for":      {says(opened, strings.ReplaceAll(hi, "bob@", "eve@"), fenced), nil, "closed"},
		"somebody who is no address":          {says(opened, strings.ReplaceAll(hi, "bob@im.test", "@@@"), fenced), nil, "closed"},
		"an element of nobody's":              {says(opened, `<stream:other/>`), nil, "unknown stream level element"},
		"the wrong secret":                    {says(strings.Replace(opened, "<handshake/>", `<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`, 1)), nil, "refuses our credentials"},
		"an error in the middle":              {says(opened, hi, fenced, `<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>`), []string{"hi"}, "another connection"},
		"who is gone, before anything else":   {says(opened, `<presence from='bob@im.test' type='unavailable'/>`, fenced, "</stream:stream>"), nil, "closed the stream"},
		"who is gone keeps the text":          {says(opened, hi, fenced, `<presence from='bob@im.test/desk' type='unavailable'/>`, "</stream:stream>"), []string{"hi"}, "closed the stream"},
		"the same twice is told once":         {says(opened, hi, fenced, hi, hi, "</stream:stream>"), []string{"hi"}, "closed the stream"},
		"an emptied text is told":             {says(opened, hi, fenced, `<presence from='bob@im.test/desk'/>`, "</stream:stream>"), []string{"hi", ""}, "closed the stream"},
		"a client without a text beside it":   {says(opened, hi, fenced, `<presence from='bob@im.test/phone'/>`, "</stream:stream>"), []string{"hi"}, "closed the stream"},
		"the client of the greatest priority": {says(opened, bye, strings.Replace(hi, "desk", "phone", 1), fenced, "</stream:stream>"), []string{"bye"}, "closed the stream"},
	} {
		told, read, err := against(t, test.server)
		if err == nil || !strings.Contains(err.Error(), test.why) || !slices.Equal(told, test.told) {
			t.Errorf("%s: told %q, then %v; want %q and an error with %q", sentence, told, err, test.told, test.why)
		}
		if read > 3*maxStanza && sentence != "endless clients" {
			t.Errorf("%s: %d bytes were read", sentence, read)
		}
		if credentials := strings.Contains(test.why, "credentials"); errors.Is(err, sigsync.ErrCredentials) != credentials {
			t.Errorf("%s: %v: are the credentials wrong?", sentence, err)
		}
	}
}

// A server that answers late must not make an old text newer than what was pushed meanwhile.
func TestATextIsAsOldAsWhenItWasHeard(t *testing.T) {
	changes, _, _, _ := heardFrom(t, says(opened, hi, late, "</stream:stream>"))
	began := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // of the bubble
	if len(changes) != 1 || changes[0].At.Sub(began) > time.Second || changes[0].Stamp != callsign.TimedStamp(changes[0].At) {
		t.Errorf("told %+v, want it as old as when it was heard, right after %v", changes, began)
	}
}

func TestWhomNoServerHasIsTold(t *testing.T) {
	unreachable := `<presence from='bob@im.test' type='error'><error type='cancel'><remote-server-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></presence>`
	for sentence, test := range map[string]struct {
		says []string
		want error
	}{
		"a server that can't be reached":        {[]string{opened, unreachable, fenced, hi, "</stream:stream>"}, sigsync.ErrNoAccount},
		"one who hasn't consented yet may":      {[]string{opened, `<presence from='bob@im.test' type='unsubscribed'/>`, fenced, "</stream:stream>"}, nil},
		"one who is there, whatever is told us": {[]string{opened, hi, unreachable, fenced, "</stream:stream>"}, nil},
	} {
		changes, failed, _, _ := heardFrom(t, says(test.says...))
		if !errors.Is(failed, test.want) || failed != nil && len(changes) > 0 {
			t.Errorf("%s: %v and %+v, want %v", sentence, failed, changes, test.want)
		}
	}
}

func trickle(c net.Conn, text string, every time.Duration) {
	for i := range text {
		if _, err := io.WriteString(c, text[i:i+1]); err != nil {
			return
		}
		time.Sleep(every)
	}
}

// clients are ten thousand of one account; the first one's text has the greatest priority, but it is forgotten for the others'.
func clients(c net.Conn) {
	says(opened, hi, fenced)(c)
	for i := range 10_000 {
		_, _ = fmt.Fprintf(c, `<presence from='bob@im.test/%d'><status>hi</status></presence>`, i)
	}
	_, _ = io.WriteString(c, "</stream:stream>")
}

func TestAServerThatClosesAtAnyByte(t *testing.T) {
	session := opened + hi + fenced + bye + `<iq type='get' id='x' from='im.test' to='s.test'><query xmlns='jabber:iq:version'/></iq>`
	want := []string{"hi", "bye"}
	for i := range len(session) {
		told, _, err := against(t, says(session[:i]))
		if err == nil || errors.Is(err, sigsync.ErrCredentials) {
			t.Errorf("closed after %q: %v", session[:i], err)
		}
		// Both may come before either is put: the newest is told then.
		if len(told) > 2 || len(told) == 1 && !slices.Contains(want, told[0]) || len(told) == 2 && !slices.Equal(told, want) {
			t.Errorf("closed after %q: told %q", session[:i], told)
		}
	}
}

func TestOnlySoManyClientsOfAnAccountAreKept(t *testing.T) {
	c := &contact{clients: map[string]client{}}
	for i := range 3 * maxClients {
		c.hears(fmt.Sprint(i), presence{note: sigsync.Note{Text: fmt.Sprint(i)}}, time.Unix(int64(i), 0))
	}
	if len(c.clients) != maxClients || c.says().Text != fmt.Sprint(3*maxClients-1) {
		t.Errorf("%d are kept, and the account says %q", len(c.clients), c.says().Text)
	}
}
