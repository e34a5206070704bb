package msn

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	network "github.com/callsign-as/callsign/deploy/peer/msn"
	"github.com/callsign-as/callsign/sigsync"
)

const (
	buddy = "buddy@callsign.test"
	bob   = "bob@example.test"
)

// configured is a Provider of a network.
func configured(t *testing.T, n *network.Network, change func(*Config)) *Provider {
	t.Helper()
	c := DefaultConfig()
	c.Address, c.Nexus, c.Timeout = n.Address, n.Nexus, 2*time.Second
	c.Logins = []Login{{n.Login, sigsync.Secret(n.Password)}}
	if change != nil {
		change(&c)
	}
	p, err := New(c, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// watching is a Watch that runs.
type watching struct {
	t      *testing.T
	follow chan sigsync.Follow
	ended  chan error
	stop   context.CancelFunc

	mu     sync.Mutex
	heard  []callsign.Change
	failed map[string]error
}

func watch(t *testing.T, w sigsync.Watcher) *watching {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s := &watching{t: t, follow: make(chan sigsync.Follow), ended: make(chan error, 1), stop: cancel, failed: map[string]error{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.ended <- w.Watch(ctx, s.follow, func(changes []callsign.Change) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.heard = append(s.heard, changes...)
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return s
}

func (s *watching) follows(gone bool, accounts ...string) {
	s.t.Helper()
	f := sigsync.Follow{Accounts: accounts, Gone: gone, Failed: func(account string, why error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.failed[account] = why
	}}
	for _, f := range []sigsync.Follow{f, {}} { // the second is taken when the first is done with
		select {
		case s.follow <- f:
		case err := <-s.ended:
			s.t.Fatalf("the session ended: %v", err)
		case <-time.After(20 * time.Second):
			s.t.Fatal("nothing is followed after 20 s")
		}
	}
}

// says waits until the last that was heard of an account is a text, and gives that change.
func (s *watching) says(account, text string) (c callsign.Change) {
	s.t.Helper()
	peer.Until(s.t, fmt.Sprintf("%s to say %q", account, text), func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		for _, c = range slices.Backward(s.heard) {
			if c.Account == account {
				return c.Text == text
			}
		}
		return false
	})
	return c
}

func (s *watching) fails(account string) error {
	s.t.Helper()
	peer.Until(s.t, account+" to fail", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.failed[account] != nil
	})
	return s.failed[account]
}

func (s *watching) count(account string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.heard {
		if c.Account == account {
			n++
		}
	}
	return n
}

func (s *watching) ends() error {
	s.t.Helper()
	select {
	case err := <-s.ended:
		return err
	case <-time.After(20 * time.Second):
		s.t.Fatal("the session goes on after 20 s")
		return nil
	}
}

// The same runs against the server that CALLSIGN_TEST_MSN names.
func TestWhatAContactSaysIsTold(t *testing.T) {
	n := network.Named(t, peer.Host())
	n.Says(t, "said before")
	p := configured(t, n, nil)
	s := watch(t, p.logins[0])
	s.follows(false, n.Account)
	s.says(n.Account, "said before")
	for _, text := range []string{"On the road", "在高铁上 🚄", `<b> & "c" 'd'`, "", "again"} {
		before := time.Now()
		n.Says(t, text)
		c := s.says(n.Account, text)
		if !c.Stamp.Timed() || c.At.Before(before) || c.Stamp != callsign.TimedStamp(c.At) {
			t.Errorf("%q has the stamp %v and the time %v, want when it was heard, after %v", text, c.Stamp, c.At, before)
		}
		t.Logf("%q: told after %v", text, c.At.Sub(before))
	}
	s.stop()
	if err := s.ends(); err != nil {
		t.Errorf("it was told to stop and ends with %v", err)
	}
	got, err := sigsync.ReadOnce(t.Context(), p, n.Account)
	if err != nil || len(got) != 1 || got[0].Text != "again" || got[0].Account != n.Account {
		t.Errorf("read: %+v, %v", got, err)
	}
	wrong := configured(t, n, func(c *Config) { c.Logins[0].Password = "wrong" })
	if _, err := sigsync.ReadOnce(t.Context(), wrong, n.Account); !errors.Is(err, sigsync.ErrCredentials) {
		t.Errorf("a wrong password: %v", err)
	}
}

// ours is a network that does what a real one can't be told to.
func ours(t *testing.T) *network.Network {
	t.Helper()
	n := network.Named(t, peer.Host())
	if n.Server == nil {
		t.Skip("it needs what only the server of deploy/peer/msn does")
	}
	return n
}

// own is one of these with a session that follows Bob.
func own(t *testing.T) (*network.Server, *Provider, *watching) {
	t.Helper()
	n := ours(t)
	p := configured(t, n, nil)
	s := watch(t, p.logins[0])
	s.follows(false, bob)
	s.says(bob, "")
	return n.Server, p, s
}

func ubx(account, payload string) string {
	return fmt.Sprintf("UBX %s %d\r\n%s", account, len(payload), payload)
}

func TestWhatDoesNotTouchAText(t *testing.T) {
	for sentence, do := range map[string]func(*network.Server){
		"he goes offline":                     func(n *network.Server) { n.Online(bob, false) },
		"he changes to a client without them": func(n *network.Server) { n.Silent(bob); n.Online(bob, false); n.Online(bob, true) },
		"an UBX without payload":              func(n *network.Server) { n.Raw(bob, "UBX "+bob+" 0\r\n") },
		"an UBX that is no XML":               func(n *network.Server) { n.Raw(bob, "UBX "+bob+" 3\r\n<<<") },
		"an UBX in another encoding":          func(n *network.Server) { n.Raw(bob, ubx(bob, "<Data><PSM>\xb9\xa4</PSM></Data>")) },
		"a stranger's":                        func(n *network.Server) { n.Raw(bob, ubx("eve@example.test", "<Data><PSM>evil</PSM></Data>")) },
		"commands that nobody knows":          func(n *network.Server) { n.Raw(bob, "ZZZ 1 2 3\r\nBPR 0 x y\r\nNOT 4\r\n<x/>") },
		"somebody adds us":                    func(n *network.Server) { n.Raw(bob, "ADC 0 RL N=eve@example.test F=Eve\r\n") },
		"an answer that nobody asked for":     func(n *network.Server) { n.Raw(bob, "ADC 999 FL N="+bob+" F=x C=y\r\n") },
	} {
		t.Run(sentence, func(t *testing.T) {
			n, _, s := own(t)
			n.Says(bob, "the text")
			s.says(bob, "the text")
			before := s.count(bob)
			do(n)
			n.User("carol@example.test", "")
			n.Says("carol@example.test", "a sign that all before was heard")
			s.follows(false, "carol@example.test")
			s.says("carol@example.test", "a sign that all before was heard")
			if got := s.count(bob); got != before {
				t.Errorf("it is told: %+v", s.heard)
			}
			if s.count("eve@example.test") > 0 {
				t.Error("a stranger's text is told")
			}
		})
	}
}

func TestWhoIsFollowedIsOnTheListsAndNobodyElse(t *testing.T) {
	n, _, s := own(t)
	on := func(account string, want int) {
		t.Helper()
		peer.Until(t, fmt.Sprintf("%s to be on lists %d", account, want), func() bool { return n.Lists(account, buddy) == want })
	}
	on(bob, network.FL|network.AL)

	n.User("asks@example.test", "")
	n.Put("asks@example.test", buddy, network.PL)
	n.Adds("asks@example.test", buddy)
	n.Cut(buddy) // a pending contact is told with the list
	if err := s.ends(); err == nil {
		t.Error("a cut connection is no error")
	}
	s = watch(t, configuredAgain(t, n))
	s.follows(false, "asks@example.test", bob)
	on("asks@example.test", network.FL|network.AL|network.RL)

	s.follows(true, bob)
	on(bob, 0)
	n.Says(bob, "nobody listens")
	s.follows(false, bob)
	s.says(bob, "nobody listens")
	on(bob, network.FL|network.AL)

	// One login follows an account under each spelling under which it is linked.
	s.follows(false, "BOB@example.test")
	s.says("BOB@example.test", "nobody listens")
	s.follows(true, bob)
	n.Says(bob, "one is left")
	s.says("BOB@example.test", "one is left")
	if s.count(bob) != 2 {
		t.Errorf("who is followed no more is told: %+v", s.heard)
	}
}

// configuredAgain is the login of a server once more.
func configuredAgain(t *testing.T, n *network.Server) sigsync.Watcher {
	t.Helper()
	return configured(t, &network.Network{Address: n.Address, Nexus: n.Nexus, Login: buddy, Password: "pass, word=%"}, nil).logins[0]
}

func TestAccountsThatCantBeFollowed(t *testing.T) {
	its := ours(t)
	n := its.Server
	n.Contacts = 3
	s := watch(t, configured(t, its, nil).logins[0])
	s.follows(false, bob)
	s.says(bob, "")
	n.User("carol@example.test", "")
	n.User("dave@example.test", "")
	n.User("erin@example.test", "")
	for account, want := range map[string]error{
		"nobody@example.test":          sigsync.ErrNoAccount,
		"bob":                          sigsync.ErrNoAccount,
		"bob@x.test\r\nREM 9 FL all":   sigsync.ErrNoAccount,
		"a b@example.test":             sigsync.ErrNoAccount,
		strings.Repeat("x", 130) + "@": sigsync.ErrNoAccount,
	} {
		s.follows(false, account)
		if err := s.fails(account); !errors.Is(err, want) {
			t.Errorf("%.40q: %v, want %v", account, err, want)
		}
	}
	s.follows(false, "carol@example.test", "dave@example.test")
	s.says("dave@example.test", "")
	s.follows(false, "erin@example.test")
	if err := s.fails("erin@example.test"); !errors.Is(err, errFull) {
		t.Errorf("a fourth of three: %v", err)
	}
	s.follows(true, "carol@example.test")
	peer.Until(t, "a place to be free", func() bool { return n.Lists("carol@example.test", buddy) == 0 })
	s.follows(false, "erin@example.test")
	s.says("erin@example.test", "")
	if n.In(buddy) != true {
		t.Error("the session did not outlive it")
	}
}

func TestForWhoFindsTheListFullAStrangerLeaves(t *testing.T) {
	n := ours(t)
	n.Server.Contacts = 3
	for _, account := range []string{"old1@example.test", "old2@example.test", "old3@example.test", "new@example.test"} {
		n.Server.User(account, "")
	}
	n.Server.Put("old1@example.test", buddy, network.FL|network.AL)
	n.Server.Put("old2@example.test", buddy, network.FL|network.AL)
	n.Server.Put(bob, buddy, network.FL|network.AL)
	n.Server.Says("new@example.test", "hello")
	s := watch(t, configured(t, n, nil).logins[0])
	s.follows(false, bob, "new@example.test")
	s.says("new@example.test", "hello")
	s.says(bob, "")
	left := 0
	for _, stranger := range []string{"old1@example.test", "old2@example.test"} {
		left += n.Server.Lists(stranger, buddy) & network.FL
	}
	if left != 1 {
		t.Errorf("%d of the two whom nobody follows are on the list: one place was needed", left)
	}
	s.follows(false, "old1@example.test")
	s.says("old1@example.test", "")
	s.follows(false, "old3@example.test")
	if err := s.fails("old3@example.test"); !errors.Is(err, errFull) {
		t.Errorf("a fourth of three: %v", err)
	}
}

func TestAChallengeIsAnswered(t *testing.T) {
	n, _, s := own(t)
	for i := range 20 {
		peer.Until(t, "the answer", func() bool {
			answers := 0
			for _, command := range n.Heard() {
				if strings.HasPrefix(command, "QRY ") {
					answers++
				}
			}
			return answers == i+1 // one at the sign-in
		})
		n.Challenge(buddy)
	}
	n.Says(bob, "still in") // who answers wrongly is put out
	s.says(bob, "still in")
}

func TestWhatChangedWhileTheSessionWasAwayIsToldAtOnce(t *testing.T) {
	for sentence, end := range map[string]func(*network.Server){
		"a cut connection":  func(n *network.Server) { n.Cut(buddy) },
		"a server restart":  func(n *network.Server) { n.Stop(false) },
		"a told restart":    func(n *network.Server) { n.Stop(true) },
		"he was offline":    func(n *network.Server) { n.Cut(buddy); n.Online(bob, false) },
		"a login elsewhere": func(n *network.Server) { _, _ = sigsync.ReadOnce(t.Context(), configuredAgain(t, n), bob) },
		"an error":          func(n *network.Server) { n.Raw(bob, "500\r\n") },
		"sent on":           func(n *network.Server) { n.Raw(bob, "XFR 0 NS 127.0.0.1:1 0 127.0.0.1:1\r\n") },
	} {
		t.Run(sentence, func(t *testing.T) {
			n, p, s := own(t)
			address := n.Address
			end(n)
			err := s.ends()
			if err == nil || !strings.Contains(err.Error(), buddy) || errors.Is(err, sigsync.ErrCredentials) {
				t.Errorf("it ends with %v", err)
			}
			if strings.HasSuffix(sentence, "restart") {
				if err := n.Listen(address); err != nil {
					t.Fatal(err)
				}
			}
			n.Says(bob, "meanwhile")
			s = watch(t, p.logins[0])
			n.Online(bob, true)
			s.follows(false, bob)
			s.says(bob, "meanwhile")
		})
	}
}

func TestHowASignInFails(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "password")
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/plain":
			w.Header().Set("PassportURLs", "DALogin=http://login.example.test/x")
		case "/loop":
			w.Header().Set("PassportURLs", "DALogin=http://"+r.Host+"/again")
		case "/again":
			http.Redirect(w, r, "/again", http.StatusFound)
		case "/broken":
			w.Header().Set("PassportURLs", "DALogin=http://"+r.Host+"/500")
		case "/500":
			w.WriteHeader(http.StatusInternalServerError)
		case "/noticket":
			w.Header().Set("PassportURLs", "DALogin=http://"+r.Host+"/empty")
		}
	}))
	t.Cleanup(web.Close)
	for sentence, test := range map[string]struct {
		server func(*network.Server)
		config func(*Config)
		want   string
		is     error
	}{
		"a wrong password":                {nil, func(c *Config) { c.Logins[0].Password = "wrong" }, "401", sigsync.ErrCredentials},
		"no such login":                   {nil, func(c *Config) { c.Logins[0].Account = "no@callsign.test" }, "911", sigsync.ErrCredentials},
		"a password's file that went":     {nil, func(c *Config) { c.Logins[0].Password = sigsync.Secret("file:" + secret) }, "password", sigsync.ErrCredentials},
		"nobody listens":                  {nil, func(c *Config) { c.Address = "127.0.0.1:1" }, "refused", nil},
		"no nexus":                        {nil, func(c *Config) { c.Nexus = web.URL + "/nothing" }, "see that it is a nexus", nil},
		"a login server without TLS":      {nil, func(c *Config) { c.Nexus = web.URL + "/plain" }, "http would show the password", nil},
		"login servers that send on":      {nil, func(c *Config) { c.Nexus = web.URL + "/loop" }, "sent us on 5 times", nil},
		"a broken login server":           {nil, func(c *Config) { c.Nexus = web.URL + "/broken" }, "500 Internal Server Error without a ticket", nil},
		"a login server without a ticket": {nil, func(c *Config) { c.Nexus = web.URL + "/noticket" }, "without a ticket", nil},
		"a web server's address":          {nil, func(c *Config) { c.Address = strings.TrimPrefix(web.URL, "http://") }, "is no command", nil},
		"servers that send on":            {func(n *network.Server) { n.SendTo = n.Address }, nil, "sent us on 5 times", nil},
		"sent to nowhere":                 {func(n *network.Server) { n.SendTo = "nowhere" }, nil, "missing port", nil},
		"VER is not answered":             {func(n *network.Server) { n.Mute = "VER" }, nil, "VER: the connection ended: read tcp", nil},
		"CVR is not answered":             {func(n *network.Server) { n.Mute = "CVR" }, nil, "CVR: ", nil},
		"USR is not answered":             {func(n *network.Server) { n.Mute = "USR" }, nil, "USR: ", nil},
		"SYN is not answered":             {func(n *network.Server) { n.Mute = "SYN" }, nil, "SYN: ", nil},
		"CHG is not answered":             {func(n *network.Server) { n.Mute = "CHG" }, nil, "CHG: ", nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			n := ours(t)
			if test.server != nil {
				test.server(n.Server)
			}
			if err := os.WriteFile(secret, []byte(n.Password), 0o600); err != nil {
				t.Fatal(err)
			}
			p := configured(t, n, func(c *Config) {
				if c.Timeout = time.Second; test.config != nil {
					test.config(c)
				}
			})
			_ = os.Remove(secret)
			began := time.Now()
			_, err := sigsync.ReadOnce(t.Context(), p, bob)
			if err == nil || !strings.Contains(err.Error(), test.want) || test.is != nil && !errors.Is(err, test.is) || test.is == nil && errors.Is(err, sigsync.ErrCredentials) {
				t.Errorf("%v, want an error with %q", err, test.want)
			}
			if strings.Contains(fmt.Sprint(err), n.Password) {
				t.Errorf("the error has the password: %v", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestTheWayOverOtherServers(t *testing.T) {
	n := ours(t)
	first, err := network.Start(peer.Host())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(first.Close)
	first.SendTo, n.Server.Redirect = n.Address, 2
	n.Says(t, "found")
	got, err := sigsync.ReadOnce(t.Context(), configured(t, n, func(c *Config) { c.Address = first.Address }), bob)
	if err != nil || got[0].Text != "found" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReadingOne(t *testing.T) {
	n := ours(t)
	n.Says(t, "hi")
	n.Server.User("off@example.test", "")
	n.Server.Online("off@example.test", false)
	p := configured(t, n, nil)
	for account, want := range map[string]string{
		bob: "", "off@example.test": "offline", "nobody@example.test": "no such account", "nonsense": "no such account",
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		got, err := sigsync.ReadOnce(ctx, p, account)
		cancel()
		if want == "" && (err != nil || len(got) != 1 || got[0].Text != "hi" || got[0].Account != account) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v; want %q", account, got, err, want)
		}
	}
}

func TestConfigurationsThatCantWork(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"address \"\"":            func(c *Config) { c.Address = "" },
		"address \"host\"":        func(c *Config) { c.Address = "host" },
		"nexus: \"\"":             func(c *Config) { c.Nexus = "" },
		"http would show":         func(c *Config) { c.Nexus = "http://nexus.example/x" },
		"logins: it is empty":     func(c *Config) { c.Logins = nil },
		"has no password":         func(c *Config) { c.Logins[0].Password = "" },
		"account \"buddy\"":       func(c *Config) { c.Logins[0].Account = "buddy" },
		"is there twice":          func(c *Config) { c.Logins = append(c.Logins, Login{"BUDDY@callsign.test", "x"}) },
		"timeout: use":            func(c *Config) { c.Timeout = 0 },
		"password of buddy@calls": func(c *Config) { c.Logins[0].Password = "file:/nowhere" },
	} {
		c := DefaultConfig()
		c.Address, c.Nexus, c.Logins = "msn.example:1863", "https://msn.example/x", []Login{{buddy, "x"}}
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&c)
		if _, err := New(c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}
