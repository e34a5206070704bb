package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/callsign-as/callsign/deploy/peer/fetion"
)

func TestWhatSomebodyWritesInFetionIsShown(t *testing.T) {
	t.Parallel()
	const me = "793401629"
	server := fetion.New("916098834", 639717376, "13800138000", "s3cret")
	server.Add(fetion.Contact{SID: me, ID: "222516658", Mobile: "13900000002", Text: "On the road"}, false)
	n := serve(t, func(config string) string {
		_, host, _ := strings.Cut(config, "udp://")
		host, _, _ = strings.Cut(host, ":")
		l, err := server.Listen(host + ":8081")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(server.Close)
		t.Cleanup(func() { _ = l.Close() })
		return config + fmt.Sprintf("sync: { providers: [ { network: fetion, connector: fetion, address: %q, sid: \"916098834\", user_id: 639717376, mobile: \"13800138000\", password: s3cret } ] }\n", l.Addr())
	})
	n.command("account", "put", bob.E164(), "fetion", me)
	n.ready()
	n.showsWhatWasWritten("On the road", func() {})
	n.showsWhatWasWritten("Back at six 🚄", func() { server.Say(me, "Back at six 🚄") })

	server.Drop()
	n.until("the node to log in again", func() bool { return server.Logins() == 2 && server.Subscribed() })
	n.showsWhatWasWritten("Home", func() { server.Say(me, "Home") })

	out := n.command("provider", "test", "fetion", me, "-c", n.config)
	if !strings.Contains(out, `shows      "Home"`) {
		t.Errorf("provider test prints\n%s", out)
	}
}
