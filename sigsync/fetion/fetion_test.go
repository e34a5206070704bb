package fetion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	peerfetion "github.com/callsign-as/callsign/deploy/peer/fetion"
	"github.com/callsign-as/callsign/sigsync"
)

const (
	ours, password = "916098834", "s3cret"
	userID         = uint32(639717376)
	mobile         = "13800138000"
	li             = "793401629"
)

// serving is a server that listens, with Li on it, and a provider for it.
func serving(t *testing.T, listed bool) (*peerfetion.Server, Config) {
	t.Helper()
	s := peerfetion.New(ours, userID, mobile, password)
	s.Add(peerfetion.Contact{SID: li, ID: "222516658", Mobile: "13601804916", Text: "人生 <&>\" 🚄"}, listed)
	l, err := s.Listen(peer.Host() + ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	t.Cleanup(func() { _ = l.Close() })
	return s, configured(l.Addr().String())
}

func configured(address string) Config {
	c := DefaultConfig()
	c.Address, c.SID, c.UserID, c.Mobile, c.Password, c.Timeout = address, ours, userID, mobile, password, 5*time.Second
	return c
}

func provider(t *testing.T, c Config) *Provider {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// watched is a Watch that runs, and what it put.
type watched struct {
	follow chan sigsync.Follow
	mu     sync.Mutex
	puts   []callsign.Change
	hold   chan struct{} // if not nil, each put waits for it
	stop   context.CancelFunc
	ended  chan error
}

func watching(t *testing.T, p *Provider) *watched {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &watched{follow: make(chan sigsync.Follow), stop: cancel, ended: make(chan error, 1)}
	go func() { w.ended <- p.Watch(ctx, w.follow, w.put) }()
	t.Cleanup(cancel)
	return w
}

func (w *watched) put(changes []callsign.Change) {
	if w.hold != nil {
		<-w.hold
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.puts = append(w.puts, changes...)
}

// texts are what was put of an account.
func (w *watched) texts(account string) (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.puts {
		if c.Account == account {
			all = append(all, c.Text)
		}
	}
	return all
}

func (w *watched) says(t *testing.T, account, want string) {
	t.Helper()
	peer.Until(t, account+" to say "+want, func() bool {
		all := w.texts(account)
		return len(all) > 0 && all[len(all)-1] == want
	})
}

func TestWhatContactsSayIsHeard(t *testing.T) {
	for sentence, listed := range map[string]bool{"who is on our list": true, "who has to be asked": false} {
		t.Run(sentence, func(t *testing.T) {
			s, c := serving(t, listed)
			p := provider(t, c)
			began := time.Now()
			w := watching(t, p)
			w.follow <- sigsync.Follow{Accounts: []string{li}}
			w.says(t, li, "人生 <&>\" 🚄")
			changed := time.Now()
			s.Say(li, "Back at six")
			w.says(t, li, "Back at six")
			t.Logf("from change to put: %v", time.Since(changed).Round(10*time.Microsecond))
			s.GoOffline(li)
			s.Say(li, "") // what is told after going offline was taken after it
			w.says(t, li, "")
			if got := slices.Compact(w.texts(li)); len(got) != 3 {
				t.Errorf("heard %q: going offline clears nothing", got)
			}
			for _, change := range w.puts {
				if !change.Stamp.Timed() || change.Stamp != callsign.TimedStamp(change.At) || change.At.Before(began) || change.At.After(time.Now()) {
					t.Errorf("%+v: want the time at which it was heard", change)
				}
			}
			if n, err := p.Number(t.Context(), li); err != nil || n != 8613601804916 {
				t.Errorf("Number: %d, %v", n, err)
			}
			if _, err := p.Number(t.Context(), "1"); !errors.Is(err, sigsync.ErrNoAccount) {
				t.Errorf("the number of somebody unknown: %v", err)
			}
			w.stop()
			if err := <-w.ended; err != nil {
				t.Errorf("Watch: %v", err)
			}
			if _, err := p.Number(t.Context(), li); !errors.Is(err, sigsync.ErrUnwatched) {
				t.Errorf("without a connection: %v", err)
			}
			if changes, err := sigsync.ReadOnce(t.Context(), p, li); err != nil || len(changes) != 1 || changes[0].Text != "" {
				t.Errorf("read once: %+v, %v", changes, err)
			}
			peer.Until(t, "our goroutines to be gone", func() bool {
				stacks := make([]byte, 1<<20)
				return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "fetion.(*session)")
			})
		})
	}
}

// What the server tells at the login comes before anybody is followed, and who isn't is dropped.
func TestWhoIsFollowedLaterIsToldOfAgain(t *testing.T) {
	_, c := serving(t, true)
	w := watching(t, provider(t, c))
	w.says(t, li, "人生 <&>\" 🚄")
	w.mu.Lock()
	first := w.puts[0]
	w.puts = nil
	w.mu.Unlock()
	w.follow <- sigsync.Follow{Accounts: []string{li}}
	w.says(t, li, first.Text)
	if w.puts[0] != first {
		t.Errorf("told again as %+v, want %+v: it is as old as when it was heard", w.puts[0], first)
	}
}

func TestWhoCantBeFollowedIsToldAndAskedAgainWhenNamedAgain(t *testing.T) {
	s, c := serving(t, false)
	w := watching(t, provider(t, c))
	failed := make(chan string, 10)
	w.follow <- sigsync.Follow{Accounts: []string{"not-a-number", "2"}, Failed: func(account string, why error) { failed <- fmt.Sprintf("%s: %v", account, why) }}
	for _, want := range []string{"not-a-number: " + sigsync.ErrNoAccount.Error(), "2: fetion: the server answers 404"} {
		if got := <-failed; !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	s.Add(peerfetion.Contact{SID: "2", ID: "3", Text: "here now"}, false)
	w.follow <- sigsync.Follow{Accounts: []string{"2"}}
	w.says(t, "2", "here now")
}

func TestManyAreAskedOneAfterTheOther(t *testing.T) {
	s, c := serving(t, false)
	accounts := []string{"not-a-number", "1", li} // the first two can't be followed, which stops nobody
	for i := range 200 {
		sid := "5" + strings.Repeat("0", 5) + string(rune('0'+i/100)) + string(rune('0'+i/10%10)) + string(rune('0'+i%10))
		s.Add(peerfetion.Contact{SID: sid, ID: "6" + sid, Text: "text of " + sid}, false)
		accounts = append(accounts, sid)
	}
	p := provider(t, c)
	w := watching(t, p)
	w.follow <- sigsync.Follow{Accounts: accounts[:100]}
	w.follow <- sigsync.Follow{Accounts: accounts[50:]}
	w.follow <- sigsync.Follow{Accounts: accounts[:50], Gone: true}
	for _, sid := range accounts[3:] {
		w.says(t, sid, "text of "+sid)
	}
	if n, err := p.Number(t.Context(), accounts[5]); n != 0 || err != nil {
		t.Errorf("somebody who hides their number: %d, %v", n, err)
	}
}

func TestWhyAWatchEnds(t *testing.T) {
	for sentence, test := range map[string]struct {
		change func(*peerfetion.Server, *Config)
		then   func(*peerfetion.Server)
		is     error // nil: none of sigsync's
		says   string
	}{
		"a wrong password":         {func(_ *peerfetion.Server, c *Config) { c.Password = "wrong" }, nil, sigsync.ErrCredentials, "401"},
		"a wrong number inside":    {func(_ *peerfetion.Server, c *Config) { c.UserID++ }, nil, sigsync.ErrCredentials, "401"},
		"a wrong mobile number":    {func(_ *peerfetion.Server, c *Config) { c.Mobile = "13800138001" }, nil, sigsync.ErrCredentials, "401"},
		"a wrong Fetion number":    {func(_ *peerfetion.Server, c *Config) { c.SID = "1" }, nil, sigsync.ErrCredentials, "400"},
		"a picture to be read":     {func(s *peerfetion.Server, _ *Config) { s.Code = 421 }, nil, sigsync.ErrCredentials, "picture"},
		"a server that is full":    {func(s *peerfetion.Server, _ *Config) { s.Code = 503 }, nil, nil, "503"},
		"no server":                {func(_ *peerfetion.Server, c *Config) { c.Address = "127.0.0.1:1" }, nil, nil, "refused"},
		"the server goes away":     {nil, func(s *peerfetion.Server) { s.Drop() }, nil, "EOF"},
		"somebody else logs in":    {nil, func(s *peerfetion.Server) { s.Kick() }, nil, "somebody else"},
		"the password's file away": {func(_ *peerfetion.Server, c *Config) { c.Password = "file:away" }, nil, sigsync.ErrCredentials, "password"},
	} {
		t.Run(sentence, func(t *testing.T) {
			s, c := serving(t, true)
			if test.change != nil {
				test.change(s, &c)
			}
			if c.Password == "file:away" {
				name := filepath.Join(t.TempDir(), "away")
				if err := os.WriteFile(name, []byte(password), 0o600); err != nil {
					t.Fatal(err)
				}
				c.Password = sigsync.Secret("file:" + name)
				defer func() { c.Password = "" }()
				p := provider(t, c)
				_ = os.Remove(name)
				if err := p.Watch(t.Context(), nil, nil); !errors.Is(err, test.is) {
					t.Errorf("%v", err)
				}
				return
			}
			w := watching(t, provider(t, c))
			if test.then != nil {
				w.says(t, li, "人生 <&>\" 🚄")
				test.then(s)
			}
			err := <-w.ended
			if err == nil || !strings.Contains(err.Error(), test.says) || test.is != nil && !errors.Is(err, test.is) {
				t.Errorf("%v, want %v with %q", err, test.is, test.says)
			}
			if test.is == nil && errors.Is(err, sigsync.ErrCredentials) {
				t.Errorf("%v: it is not for our credentials", err)
			}
		})
	}
}

func TestAfterAConnectionThatEndedAllIsToldAnew(t *testing.T) {
	s, c := serving(t, true)
	p := provider(t, c)
	for n := 1; n <= 3; n++ {
		w := watching(t, p)
		w.says(t, li, "人生 <&>\" 🚄")
		s.Drop()
		if err := <-w.ended; err == nil {
			t.Error("a connection that ended is no error")
		}
		if s.Logins() != n {
			t.Errorf("%d logins, want %d", s.Logins(), n)
		}
	}
}

// What can't be kept while the store is away waits: of each account the newest alone, and the connection goes on.
func TestASlowStoreHoldsUpNothingAndTheNewestIsPut(t *testing.T) {
	s, c := serving(t, true)
	p := provider(t, c)
	hold := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	w := &watched{hold: hold, ended: make(chan error, 1)}
	go func() { w.ended <- p.Watch(ctx, make(chan sigsync.Follow), w.put) }()
	heard := func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.said[li].Text
	}
	peer.Until(t, "the first text", func() bool { return heard() != "" })
	const last = "text 999"
	for i := range 1000 {
		s.Say(li, "text "+string([]rune{rune('0' + i/100), rune('0' + i/10%10), rune('0' + i%10)}))
	}
	peer.Until(t, "the last text", func() bool { return heard() == last })
	close(hold)
	w.says(t, li, last)
	if got := w.texts(li); len(got) > 2 {
		t.Errorf("%d texts were put, want the first and the last", len(got))
	}
	cancel()
	if err := <-w.ended; err != nil {
		t.Error(err)
	}
}

// TestTimers runs in a bubble over net.Pipe: hours cost nothing.
func TestTimers(t *testing.T) {
	for sentence, test := range map[string]struct {
		serve func(*peerfetion.Server, net.Conn)
		after time.Duration // how long the watch lasts; 0: until it is stopped, after six hours
		says  string
	}{
		"we tell that we are there":  {func(s *peerfetion.Server, c net.Conn) { s.Serve(c) }, 0, ""},
		"a server that never speaks": {func(_ *peerfetion.Server, c net.Conn) { _, _ = io.Copy(io.Discard, c) }, 30 * time.Second, "timeout"},
		"a server that never reads":  {func(*peerfetion.Server, net.Conn) {}, 30 * time.Second, "timeout"},
		"a server that never answers whom we ask for": {func(s *peerfetion.Server, c net.Conn) {
			near, far := net.Pipe()
			go s.Serve(far)
			go func() { _, _ = io.Copy(c, near); _ = c.Close() }()
			b := make([]byte, 4096)
			for {
				n, err := c.Read(b)
				if err != nil {
					_ = near.Close()
					return
				}
				if !strings.Contains(string(b[:n]), "AddBuddyV4") { // each request is one write
					_, _ = near.Write(b[:n])
				}
			}
		}, 2 * time.Minute, "AddBuddyV4"},
		"a server that falls silent": {func(s *peerfetion.Server, c net.Conn) {
			near, far := net.Pipe() // what passes is cut off after a minute and a half
			go s.Serve(far)
			go func() { _, _ = io.Copy(near, c); _ = near.Close() }()
			until := time.Now().Add(90 * time.Second)
			b := make([]byte, 4096)
			for {
				n, err := near.Read(b)
				if err != nil {
					return
				}
				if time.Now().Before(until) {
					_, _ = c.Write(b[:n])
				}
			}
		}, 4 * time.Minute, "timeout"},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := peerfetion.New(ours, userID, mobile, password)
				s.Add(peerfetion.Contact{SID: li, ID: "2", Text: "hi"}, true)
				c := configured("127.0.0.1:1")
				c.Timeout = 30 * time.Second
				p := provider(t, c)
				var serving sync.WaitGroup
				var theirs net.Conn
				p.dial = func(context.Context, string, string) (net.Conn, error) {
					var our net.Conn
					our, theirs = net.Pipe()
					serving.Go(func() { test.serve(s, theirs) })
					return our, nil
				}
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ended := make(chan error, 1)
				began := time.Now()
				follow := make(chan sigsync.Follow, 1)
				if test.says == "AddBuddyV4" {
					follow <- sigsync.Follow{Accounts: []string{"5"}}
				}
				go func() { ended <- p.Watch(ctx, follow, func([]callsign.Change) {}) }()
				if test.after == 0 {
					time.Sleep(6 * time.Hour)
					if !s.Subscribed() || s.Logins() != 1 {
						t.Errorf("after six hours: subscribed %v, after %d logins", s.Subscribed(), s.Logins())
					}
					cancel()
				}
				err := <-ended
				if test.after == 0 {
					if err != nil {
						t.Error(err)
					}
				} else if err == nil || !strings.Contains(err.Error(), test.says) || time.Since(began) > test.after+time.Second {
					t.Errorf("%v after %v, want %q after %v", err, time.Since(began), test.says, test.after)
				}
				_ = theirs.Close()
				serving.Wait()
			})
		})
	}
}

func TestConfigurationsThatCanNotWork(t *testing.T) {
	for sentence, test := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no address":              {func(c *Config) { c.Address = "" }, "address"},
		"an address without host": {func(c *Config) { c.Address = ":1" }, "address"},
		"no Fetion number":        {func(c *Config) { c.SID = "" }, "sid"},
		"a name for a number":     {func(c *Config) { c.SID = "li" }, "sid"},
		"no number inside":        {func(c *Config) { c.UserID = 0 }, "user_id"},
		"no mobile number":        {func(c *Config) { c.Mobile = "+8613800138000" }, "mobile"},
		"no password":             {func(c *Config) { c.Password = "" }, "password"},
		"a password that is away": {func(c *Config) { c.Password = "file:/nowhere" }, "password"},
		"a name like a tag":       {func(c *Config) { c.Name = "<x" }, "name"},
		"no time":                 {func(c *Config) { c.Timeout = 0 }, "timeout"},
		"one that can":            {func(*Config) {}, ""},
	} {
		c := configured("127.0.0.1:1")
		test.change(&c)
		_, err := New(c)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", sentence, err, test.want)
		}
	}
}

func TestHostileServers(t *testing.T) {
	asks := func(nonce, key string) string {
		return "SIP-C/4.0 401 Unauthoried\r\nI: 1\r\nQ: 1 R\r\nW: Digest algorithm=\"SHA1-sess-v4\",nonce=\"" + nonce + "\",key=\"" + key + "\"\r\n\r\n"
	}
	key := strings.Repeat("F", 255) + "1" + "010001"
	in := asks("00", key) + "SIP-C/4.0 200 OK\r\nI: 1\r\n" + body(`<results><user-info><contact-list><buddies><b i="2" u="sip:`+li+`@fetion.com.cn;p=1"/></buddies></contact-list></user-info></results>`)
	notice := func(b string) string { return in + "BN 1 SIP-C/4.0\r\nN: PresenceV4\r\n" + body(b) }
	text := func(p string) string {
		return notice(`<events><event type="PresenceChanged"><contacts><c id="2">` + p + `</c></contacts></event></events>`)
	}
	for sentence, test := range map[string]struct {
		sends string
		want  []string // what is heard of Li
	}{
		"nothing":                          {"", nil},
		"a good one":                       {text(`<p i="hi"/>`), []string{"hi"}},
		"another protocol":                 {"HTTP/1.1 200 OK\r\n\r\n", nil},
		"a line without end":               {strings.Repeat("x", 1<<20), nil},
		"a field without end":              {"SIP-C/4.0 401 U\r\nW: " + strings.Repeat("x", 1<<20), nil},
		"fields without end":               {"SIP-C/4.0 401 U\r\n" + strings.Repeat("W: x\r\n", 1<<16), nil},
		"empty lines without end":          {strings.Repeat("\r\n", 1<<19), nil},
		"a body without end":               {"SIP-C/4.0 200 OK\r\nL: 9999999999999999999999\r\n\r\n", nil},
		"a body of less than nothing":      {"SIP-C/4.0 200 OK\r\nL: -1\r\n\r\n", nil},
		"a body that doesn't come":         {"SIP-C/4.0 200 OK\r\nL: 1048576\r\n\r\n", nil},
		"a challenge without a key":        {asks("00", ""), nil},
		"a key of one bit":                 {asks("00", "1010001"), nil},
		"a key of zeros":                   {asks("00", strings.Repeat("0", 262)), nil},
		"a key that is even":               {asks("00", strings.Repeat("F", 255)+"0000002"), nil},
		"a key that is no number":          {asks("00", strings.Repeat("x", 262)), nil},
		"a nonce that fits into no key":    {asks(strings.Repeat("0", 100), key), nil},
		"a login that is let in at once":   {"SIP-C/4.0 200 OK\r\n\r\n", nil},
		"brackets without end":             {notice(strings.Repeat("<a>", 300_000)), nil},
		"an entity that grows":             {notice(`<!DOCTYPE e [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><events><event type="PresenceChanged"><contacts><c id="2"><p i="&b;"/></c></contacts></event></events>`), nil},
		"an entity from a file":            {notice(`<!DOCTYPE e [<!ENTITY a SYSTEM "file:///etc/passwd">]><events><event type="PresenceChanged"><contacts><c id="2"><p i="&a;"/></c></contacts></event></events>`), nil},
		"GBK":                              {text("<p i=\"\xc4\xe3\xba\xc3\"/>"), nil},
		"GBK that says so":                 {notice("<?xml version=\"1.0\" encoding=\"gbk\"?><events><event type=\"PresenceChanged\"><contacts><c id=\"2\"><p i=\"\xc4\xe3\"/></c></contacts></event></events>"), nil},
		"a character that can't be":        {text(`<p i="&#0;"/>`), nil},
		"a body cut short":                 {notice(`<events><event type="Presence`), nil},
		"no body":                          {in + "BN 1 SIP-C/4.0\r\nN: PresenceV4\r\n\r\n", nil},
		"a notice of something else":       {in + "BN 1 SIP-C/4.0\r\nN: SyncUserInfoV4\r\n" + body("<a"), nil},
		"somebody whom we don't have":      {notice(`<events><event type="PresenceChanged"><contacts><c id="9"><p i="x"/></c><c><p i="x"/></c></contacts></event></events>`), nil},
		"a Fetion number that is none":     {notice(`<events><event type="PresenceChanged"><contacts><c id="9"><p sid="../x" i="x"/></c></contacts></event></events>`), nil},
		"an answer that nobody waits for":  {in + "SIP-C/4.0 200 OK\r\nI: 99999999999999999999\r\n\r\n" + text(`<p i="hi"/>`)[len(in):], []string{"hi"}},
		"a refusal of what nobody asked":   {in + "SIP-C/4.0 500 No\r\n\r\n" + text(`<p i="hi"/>`)[len(in):], nil},
		"a request of ours from there":     {in + "R x SIP-C/4.0\r\n\r\n" + text(`<p i="hi"/>`)[len(in):], []string{"hi"}},
		"a text of half a megabyte":        {text(`<p i="` + strings.Repeat("x", 1<<19) + `"/>`), nil},
		"half a message, and it goes away": {text(`<p i="hi"/>`)[:len(in)+20], nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := toldBy(t, test.sends)
			if err == nil || !slices.Equal(got, test.want) {
				t.Errorf("heard %q, %v; want %q and an error, for it ends", got, err, test.want)
			}
		})
	}
	t.Run("contacts that are made up without end", func(t *testing.T) {
		var all strings.Builder
		for i := range 3 {
			var one strings.Builder
			for n := range 5000 {
				one.WriteString(`<c id="2"><p sid="` + itoa(1+n+5000*i) + `" i="x"/></c>`)
			}
			all.WriteString("BN 1 SIP-C/4.0\r\nN: PresenceV4\r\n" + body(`<events><event type="PresenceChanged"><contacts>`+one.String()+`</contacts></event></events>`))
		}
		if n, err := heardFrom(t, in+all.String()); err == nil || n != maxContacts {
			t.Errorf("heard of %d accounts, %v; want %d at most", n, err, maxContacts)
		}
	})
	t.Run("a close at every byte", func(t *testing.T) {
		whole := text(`<p i="hi"/>`)
		for n := range len(whole) + 1 {
			got, err := toldBy(t, whole[:n])
			if err == nil || len(got) > 0 != (n == len(whole)) {
				t.Fatalf("after %d of %d bytes: heard %q, %v", n, len(whole), got, err)
			}
		}
	})
}

// toldBy gives what was heard of Li, and of nobody else.
func toldBy(t *testing.T, sends string) (texts []string, err error) {
	t.Helper()
	err = watchOne(t, sends, func(c callsign.Change) {
		if c.Account == li {
			texts = append(texts, c.Text)
		} else {
			t.Errorf("heard %+v", c)
		}
	})
	return texts, err
}

// heardFrom counts the accounts that were heard.
func heardFrom(t *testing.T, sends string) (accounts int, err error) {
	t.Helper()
	seen := map[string]bool{}
	err = watchOne(t, sends, func(c callsign.Change) { seen[c.Account] = true })
	return len(seen), err
}

// watchOne watches a server that sends this, whatever it is asked, and goes away.
func watchOne(t *testing.T, sends string, changed func(callsign.Change)) error {
	t.Helper()
	l, err := net.Listen("tcp", peer.Host()+":0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	defer all.Wait()
	defer l.Close()
	all.Go(func() {
		theirs, err := l.Accept()
		if err != nil {
			return
		}
		defer theirs.Close()
		_, _ = io.WriteString(theirs, sends)
		_ = theirs.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, theirs) // else what it sent may be lost
	})
	p := provider(t, configured(l.Addr().String()))
	return p.login(t.Context(), make(chan sigsync.Follow), changed)
}

func body(b string) string { return "L: " + itoa(len(b)) + "\r\n\r\n" + b }
