package xmpp_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/sigsync/providertest"
	"github.com/callsign-as/callsign/sigsync/xmpp"
)

func at(s *peer.XMPPServer) xmpp.Config {
	c := xmpp.DefaultConfig()
	c.Server, c.Domain, c.Secret, c.PerSecond = s.Components(), "signatures.example.test", "secret", 1000
	return c
}

func watch(t *testing.T, c xmpp.Config) (*xmpp.Provider, *providertest.Watched) {
	t.Helper()
	p, err := xmpp.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p, providertest.Watch(t, p)
}

func TestProsodyPushesWhatIsSaid(t *testing.T) {
	s := peer.Prosody(t)
	s.Register("bob")
	c := at(s)
	c.Languages = []string{"zh"}
	p, w := watch(t, c)
	bob := s.Client("bob", "desk")
	bob.Status(map[string]string{"": "On the road"})
	w.Follow("bob@example.test")
	w.Hears("bob@example.test", "On the road") // it was invited, and let us see

	began := time.Now()
	bob.Status(map[string]string{"": "在高铁上 🚄 <&>"})
	change := w.Hears("bob@example.test", "在高铁上 🚄 <&>")
	t.Logf("told %v after it was said", time.Since(began))
	if !change.Stamp.Timed() || change.At.Before(began) || time.Since(change.At) < 0 {
		t.Errorf("it is of %v, stamped %v: want when it was heard", change.At, change.Stamp)
	}
	bob.Status(map[string]string{"": "在高铁上 🚄 <&>"}) // the same is not told again
	bob.Status(map[string]string{"": "english", "zh-Hans": "中文", "de": "deutsch"})
	if change := w.Hears("bob@example.test", "中文"); change.Lang != "zh-Hans" {
		t.Errorf("its language is %q", change.Lang)
	}
	bob.Status(nil)
	w.Hears("bob@example.test", "")
	bob.Status(map[string]string{"": "Back"})
	w.Hears("bob@example.test", "Back")
	bob.Close() // who is gone keeps the text: what is told next is what is said next
	again := s.Client("bob", "phone")
	again.Status(map[string]string{"": "From the phone"})
	w.Hears("bob@example.test", "From the phone")
	w.Leave("bob@example.test")
	again.Status(map[string]string{"": "Nobody follows"})
	peer.Until(t, "it to be read", func() bool {
		changes, err := p.Read(t.Context(), []string{"bob@example.test"})
		return err == nil && len(changes) == 1 && changes[0].Text == "Nobody follows"
	})
	if len(w.Heard) > 0 {
		t.Errorf("told of an account that is not followed: %+v", <-w.Heard)
	}
	w.Stop()
}

func TestProsodyIsRead(t *testing.T) {
	s := peer.Prosody(t)
	for _, name := range []string{"bob", "eve", "late"} {
		s.Register(name)
	}
	p, w := watch(t, at(s))
	read := func(account string) ([]callsign.Change, error) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		return p.Read(ctx, []string{account})
	}
	// Who adds the contact is seen: it is answered while anything holds the connection, as a Watch does.
	w.Follow() // it is connected
	bob := s.Client("bob", "desk")
	bob.Status(map[string]string{"": "At work"})
	bob.Add("signature@signatures.example.test")
	peer.Until(t, "bob to be seen", func() bool {
		changes, err := p.Read(t.Context(), []string{"bob@example.test"})
		return err == nil && len(changes) == 1
	})
	w.Stop()

	before := time.Now()
	changes, err := read("Bob@Example.TEST") // as it is linked
	if err != nil || len(changes) != 1 || changes[0].Text != "At work" || changes[0].Account != "Bob@Example.TEST" || changes[0].At.Before(before) || time.Since(changes[0].At) < 0 {
		t.Errorf("read %+v, %v", changes, err)
	}
	phone := s.Client("bob", "phone") // without a text: what the other client says stands
	phone.Status(nil)
	phone.Sync()
	if changes, err := read("bob@example.test"); err != nil || len(changes) != 1 || changes[0].Text != "At work" {
		t.Errorf("with two clients: %+v, %v", changes, err)
	}
	bob.Status(nil)
	peer.Until(t, "the text to be cleared", func() bool {
		changes, err := read("bob@example.test")
		return err == nil && len(changes) == 1 && changes[0].Text == ""
	})
	bob.Close()
	phone.Close()
	peer.Until(t, "bob to be offline, which tells nothing", func() bool {
		changes, err := read("bob@example.test")
		return err == nil && len(changes) == 0
	})
	for account, why := range map[string]string{
		"eve@example.test":    "asked to let signature@signatures.example.test see",
		"nobody@example.test": "no such account",
		"bob":                 "is not like",
		"@example.test":       "is not like",
		"a b@\x00":            "is not like",
	} {
		if changes, err := read(account); !errors.Is(err, sigsync.ErrNoAccount) || !strings.Contains(err.Error(), why) {
			t.Errorf("%s: %+v, %v; want no such account, and %q", account, changes, err, why)
		}
	}
}

func TestProsodyRefuses(t *testing.T) {
	s := peer.Prosody(t)
	for sentence, test := range map[string]struct {
		change func(*xmpp.Config)
		want   error
	}{
		"a wrong secret":        {func(c *xmpp.Config) { c.Secret = "wrong" }, sigsync.ErrCredentials},
		"an unknown component":  {func(c *xmpp.Config) { c.Domain = "other.example.test" }, sigsync.ErrCredentials},
		"a secret that is away": {func(c *xmpp.Config) { c.Secret = "file:/nowhere" }, sigsync.ErrCredentials},
	} {
		c := at(s)
		test.change(&c)
		p, err := xmpp.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Read(t.Context(), []string{"bob@example.test"}); !errors.Is(err, test.want) {
			t.Errorf("%s: read: %v, want %v", sentence, err, test.want)
		}
		if err := p.Watch(t.Context(), nil, nil); !errors.Is(err, test.want) {
			t.Errorf("%s: watch: %v, want %v", sentence, err, test.want)
		}
	}
	_, first := watch(t, at(s))
	first.Follow()
	second, err := xmpp.New(at(s))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Read(t.Context(), []string{"bob@example.test"}); err == nil || errors.Is(err, sigsync.ErrCredentials) || !strings.Contains(err.Error(), "another connection") {
		t.Errorf("a second connection: %v", err)
	}
}

func TestAfterProsodyWasKilledTheFirstTextIsTheNewest(t *testing.T) {
	s := peer.Prosody(t)
	s.Register("bob")
	_, w := watch(t, at(s))
	bob := s.Client("bob", "desk")
	bob.Status(map[string]string{"": "Before"})
	w.Follow("bob@example.test")
	w.Hears("bob@example.test", "Before")
	s.Kill()
	if err := w.Ends(); err == nil || errors.Is(err, sigsync.ErrCredentials) {
		t.Errorf("Watch ended with %v", err)
	}
	w.Again()
	if err := w.Ends(); err == nil || errors.Is(err, sigsync.ErrCredentials) {
		t.Errorf("while the server is away: %v", err)
	}
	s.Start()
	bob = s.Client("bob", "desk")
	bob.Status(map[string]string{"": "After"})
	w.Again()
	w.Follow("bob@example.test")
	w.Hears("bob@example.test", "After")
}
