package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/deploy/peer/msn"
)

// followingMSN has a node follow an MSN network by logins.
func followingMSN(n *msn.Network, logins ...string) func(string) string {
	return func(config string) string {
		return config + fmt.Sprintf("sync: { providers: [ { network: msn, connector: msn, interval: 10s, address: %q, nexus: %q, logins: [ %s ] } ] }\n",
			n.Address, n.Nexus, strings.Join(logins, ", "))
	}
}

// msnLogin is a login's configuration.
func msnLogin(account, password string) string {
	return fmt.Sprintf("{ account: %q, password: %q }", account, password)
}

// shows calls until the caller's handset shows a text, and tells how long that took from since on: the call before it may have been
// shown the text before.
func (n *node) shows(text string, since time.Time) time.Duration {
	n.t.Helper()
	for calls := 0; time.Since(since) < 30*time.Second; calls++ {
		before := len(n.smsc.Messages(alice))
		n.call(scene{}).complete()
		if got := n.shown(before + 1)[before]; got.Text == text {
			return got.At.Sub(since)
		}
	}
	n.t.Fatalf("%q is not shown after 30 s: %+v", text, n.smsc.Messages(alice))
	return 0
}

// The same runs against the server that CALLSIGN_TEST_MSN names.
func TestWhatSomebodySaysOnMSNIsShown(t *testing.T) {
	t.Parallel()
	network := msn.Named(t, peer.Host())
	network.Says(t, "said before")
	n := serve(t, followingMSN(network, msnLogin(network.Login, network.Password)))
	n.ready()
	n.command("account", "put", bob.E164(), "msn", network.Account)
	n.until("the text that was said before", func() bool { return n.onMSN(bob) == "said before" })
	n.shows("said before", time.Now())
	for _, text := range []string{"On the road", "在高铁上 🚄"} {
		began := time.Now()
		network.Says(t, text)
		n.until("the text to be kept", func() bool { return n.onMSN(bob) == text })
		kept := time.Since(began)
		t.Logf("%q: kept %v after it was said, on the handset of who calls at once %v after", text, kept.Round(time.Millisecond), n.shows(text, began).Round(time.Millisecond))
	}
	if network.Server != nil {
		network.Server.Online(network.Account, false)
		n.shows("在高铁上 🚄", time.Now())
		network.Server.Online(network.Account, true)
	}
	out := n.command("provider", "test", "msn", network.Account, "-c", n.config)
	if !strings.Contains(out, `shows      "在高铁上 🚄"`) {
		t.Errorf("provider test prints\n%s", out)
	}
	network.Says(t, "heard after the login was used elsewhere")
	n.until("the session to stand again", func() bool { return n.onMSN(bob) == "heard after the login was used elsewhere" })
	before := len(n.smsc.Messages(alice))
	network.Says(t, "")
	n.until("the text to be cleared", func() bool { return n.onMSN(bob) == "" })
	n.call(scene{}).complete()
	network.Says(t, "and back")
	n.until("a text again", func() bool { return n.onMSN(bob) == "and back" })
	n.shows("and back", time.Now())
	if got := n.smsc.Messages(alice); len(got) != before+1 {
		t.Errorf("the handset got %+v: the call after the text was cleared shows nothing", got[before:])
	}
}

// onMSN is what a subscriber's msn account says now.
func (n *node) onMSN(of callsign.MSISDN) string {
	n.t.Helper()
	var s struct {
		Accounts []struct{ Network, Text string }
	}
	n.do(http.MethodGet, "/v1/subscribers/"+of.E164(), "", &s)
	for _, a := range s.Accounts {
		if a.Network == "msn" {
			return a.Text
		}
	}
	return ""
}

// metrics are what a node counts.
func (n *node) metrics() string {
	n.t.Helper()
	res, err := http.Get("http://" + n.http + "/metrics")
	if err != nil {
		n.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return string(b)
}

func TestTwoNodesShareTheLoginsOfMSN(t *testing.T) {
	t.Parallel()
	network := msn.Named(t, peer.Host())
	if network.Server == nil {
		t.Skip("it needs several logins, which only the server of deploy/peer/msn has")
	}
	var buddies, logins []string
	for i := range 4 {
		buddies = append(buddies, fmt.Sprintf("buddy%d@callsign.test", i))
		logins = append(logins, msnLogin(buddies[i], "password"))
		network.Server.User(buddies[i], "password")
	}
	friend := func(i int) callsign.MSISDN { return callsign.MSISDN(8613900001000 + i) }
	var accounts []string
	for i := range 40 {
		accounts = append(accounts, fmt.Sprintf("friend%d@example.test", i))
		network.Server.User(accounts[i], "")
		network.Server.Says(accounts[i], "hello")
	}
	url := peer.Postgres(t, false).Database("")
	config := func(config string) string { return followingMSN(network, logins...)(on(url)(config)) }
	a := serve(t, config)
	lines := []string{"msisdn,network,account"}
	for i, account := range accounts {
		lines = append(lines, friend(i).E164()+",msn,"+account)
	}
	people := filepath.Join(t.TempDir(), "people.csv")
	if err := os.WriteFile(people, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	a.command("subscriber", "import", people)
	b := serve(t, config)
	followed := func() (n int) {
		for _, account := range accounts {
			by := 0
			for _, buddy := range buddies {
				if network.Server.Lists(account, buddy)&msn.FL != 0 && network.Server.In(buddy) {
					by++
				}
			}
			if by == 1 {
				n++
			}
		}
		return n
	}
	watches := func(n *node) bool { return strings.Contains(n.metrics(), `callsign_sync_parts{network="msn"} 2`+"\n") }
	a.until("each node to have two logins", func() bool { return watches(a) && watches(b) })
	a.until("each account to be followed by one login", func() bool { return followed() == len(accounts) })
	network.Server.Says(accounts[7], "while both run")
	a.until("its text", func() bool { return a.onMSN(friend(7)) == "while both run" })
	a.process.Kill()
	began := time.Now()
	for i := range accounts {
		network.Server.Says(accounts[i], "after one died")
	}
	b.until("the other to hear all of it", func() bool {
		for i := range accounts {
			if b.onMSN(friend(i)) != "after one died" {
				return false
			}
		}
		return true
	})
	t.Logf("a node was killed; the other had all texts of its logins after %v", time.Since(began).Round(100*time.Millisecond))
}
