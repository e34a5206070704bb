package simple_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/sigsync/providertest"
	"github.com/callsign-as/callsign/sigsync/simple"
)

// pidf is a presence document of somebody who is there, with a person's notes.
func pidf(notes string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" entity="sip:x@ims.test">` +
		`<tuple id="t1"><status><basic>open</basic></status></tuple><dm:person id="p1">` + notes + `</dm:person></presence>`
}

func note(text string) string { return pidf("<dm:note>" + text + "</dm:note>") }

func at(a *peer.PresenceAgent, network string) simple.Config {
	c := simple.DefaultConfig()
	c.Listen, c.Agent = network+"://"+peer.Host()+":5070", a.Address()
	c.URI, c.From, c.Password = "sip:{account}@ims.test", "sip:callsign@ims.test", "secret"
	c.Pace, c.Timeout, c.Check = 1000, 2*time.Second, time.Second
	return c
}

func watch(t *testing.T, c simple.Config) (*simple.Provider, *providertest.Watched) {
	t.Helper()
	p, err := simple.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p, providertest.Watch(t, p)
}

func TestKamailioPushesWhatIsSaid(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			a := peer.Presence(t, "")
			c := at(a, network)
			c.Languages = []string{"zh"}
			p, w := watch(t, c)
			a.Publish("+8613900000002", note("Before"))
			w.Follow("tel:+8613900000002", "eve")
			w.Hears("tel:+8613900000002", "Before")
			began := time.Now()
			a.Publish("+8613900000002", note("在高铁上 🚄 &lt;&amp;&gt;"))
			change := w.Hears("tel:+8613900000002", "在高铁上 🚄 <&>")
			t.Logf("told %v after it was published", time.Since(began))
			if !change.Stamp.Timed() || change.At.Before(began) || time.Since(change.At) < 0 {
				t.Errorf("it is of %v, stamped %v: want when it was heard", change.At, change.Stamp)
			}
			a.Publish("+8613900000002", pidf(`<dm:note>one</dm:note><dm:note xml:lang="zh-Hans">中文</dm:note>`))
			if change := w.Hears("tel:+8613900000002", "中文"); change.Lang != "zh-Hans" {
				t.Errorf("its language is %q", change.Lang)
			}
			a.Publish("+8613900000002", pidf(""))
			w.Hears("tel:+8613900000002", "")
			a.Publish("eve", note("I, too"))
			w.Hears("eve", "I, too")
			w.Leave("eve")
			peer.Until(t, "eve to be left", func() bool { return strings.Count(a.Output(), "expires 0") >= 1 })
			a.Publish("eve", note("Nobody follows"))
			changes, err := p.Read(t.Context(), []string{"eve"})
			if err != nil || len(changes) != 1 || changes[0].Text != "Nobody follows" {
				t.Errorf("read: %+v, %v", changes, err)
			}
			if len(w.Heard) > 0 {
				t.Errorf("told of an account that is not followed: %+v", <-w.Heard)
			}
			w.Stop()
		})
	}
}

func TestKamailioIsRead(t *testing.T) {
	a := peer.Presence(t, "")
	c := at(a, "udp")
	c.Vouched = true
	p, err := simple.New(c)
	if err != nil {
		t.Fatal(err)
	}
	a.Publish("+8613900000002", note("Now"))
	before := time.Now()
	changes, err := p.Read(t.Context(), []string{"+8613900000002"})
	if err != nil || len(changes) != 1 || changes[0].Text != "Now" || changes[0].At.Before(before) || time.Since(changes[0].At) < 0 {
		t.Errorf("%+v, %v", changes, err)
	}
	if changes, err := p.Read(t.Context(), []string{"offline"}); err != nil || len(changes) != 0 {
		t.Errorf("whoever publishes nothing: %+v, %v", changes, err)
	}
	for account, why := range map[string]string{"nobody": "404", "forbidden": "403", "": "makes no URI"} {
		want := sigsync.ErrNoAccount
		if account == "forbidden" {
			want = sigsync.ErrCredentials // after a digest, 403 is about who asks
		}
		if changes, err := p.Read(t.Context(), []string{account}); !errors.Is(err, want) || !strings.Contains(err.Error(), why) {
			t.Errorf("%q: %+v, %v; want %v with %s", account, changes, err, want, why)
		}
	}
	if number, err := p.Number(t.Context(), "tel:+8613900000002"); err != nil || number != 8613900000002 {
		t.Errorf("the number is %v, %v", number, err)
	}
	if number, err := p.Number(t.Context(), "offline"); err != nil || number != 0 {
		t.Errorf("a name that is no number proves %v, %v", number, err)
	}
	c.Listen, c.Vouched = "udp://"+peer.Host()+":5070", false
	other, err := simple.New(c)
	if err != nil {
		t.Fatal(err)
	}
	if number, err := other.Number(t.Context(), "tel:+8613900000002"); err != nil || number != 0 {
		t.Errorf("an agent that nobody vouches for proves %v, %v", number, err)
	}
}

func TestKamailioRefuses(t *testing.T) {
	a := peer.Presence(t, "")
	for sentence, password := range map[string]sigsync.Secret{"a wrong password": "wrong", "no password": "", "a password that is away": "file:/nowhere"} {
		c := at(a, "udp")
		c.Password = password
		p, err := simple.New(c)
		if err != nil {
			t.Fatal(err)
		}
		if changes, err := p.Read(t.Context(), []string{"bob"}); !errors.Is(err, sigsync.ErrCredentials) {
			t.Errorf("%s: %+v, %v", sentence, changes, err)
		}
		follow := make(chan sigsync.Follow, 1)
		follow <- sigsync.Follow{Accounts: []string{"bob"}}
		if err := p.Watch(t.Context(), follow, nil); !errors.Is(err, sigsync.ErrCredentials) {
			t.Errorf("%s: watch: %v", sentence, err)
		}
	}
}

func TestASubscriptionIsRenewedBeforeItEnds(t *testing.T) {
	a := peer.Presence(t, "")
	c := at(a, "udp")
	c.Expires, c.Check = 10*time.Second, time.Hour
	_, w := watch(t, c)
	w.Follow("bob")
	peer.Until(t, "the renewal", func() bool { return strings.Count(a.Output(), "SUBSCRIBE sip:") >= 2 })
	a.Publish("bob", note("Still here"))
	w.Hears("bob", "Still here")
	if n := strings.Count(a.Output(), "to-tag '<null>'"); n != 1 {
		t.Errorf("%d subscriptions were made, want one that was renewed:\n%s", n, a.Output())
	}
}

func TestKamailioWantsSubscriptionsToLastLonger(t *testing.T) {
	a := peer.Presence(t, `modparam("presence", "min_expires", 60)`+"\n"+`modparam("presence", "min_expires_action", 1)`)
	c := at(a, "udp")
	c.Expires = 10 * time.Second
	_, w := watch(t, c)
	a.Publish("bob", note("Hi"))
	w.Follow("bob")
	w.Hears("bob", "Hi")
	peer.Until(t, "it to be asked for longer", func() bool { return strings.Contains(a.Output(), "expires 60") }) // its log may come after what it tells
}

func TestAfterKamailioWasKilledAllAreHeardAgain(t *testing.T) {
	const accounts = 50
	a := peer.Presence(t, "")
	_, w := watch(t, at(a, "udp"))
	var all []string
	for i := range accounts {
		all = append(all, fmt.Sprintf("u%d", i))
		a.Publish(all[i], note("Before"))
	}
	w.Follow(all...)
	for range all {
		if c := w.Next(); c.Text != "Before" {
			t.Fatalf("%+v", c)
		}
	}
	a.Kill()
	a.Start()
	began := time.Now()
	for _, account := range all {
		a.Publish(account, note("After"))
	}
	heard := map[string]bool{}
	for len(heard) < accounts {
		if c := w.Next(); c.Text == "After" {
			heard[c.Account] = true
		}
	}
	t.Logf("all %d subscriptions stood again %v after the agent did", accounts, time.Since(began))
}

func TestAnAgentThatStaysAwayEndsTheWatch(t *testing.T) {
	a := peer.Presence(t, "")
	_, w := watch(t, at(a, "udp"))
	a.Publish("bob", note("Before"))
	w.Follow("bob")
	w.Hears("bob", "Before")
	a.Kill()
	if err := w.Ends(); err == nil || errors.Is(err, sigsync.ErrCredentials) {
		t.Errorf("Watch ended with %v", err)
	}
}
