package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

// TestWhatAnIMSystemSaysIsShownToTheNextCaller changes the text at a real server, and places a call as soon as the node has it.
func TestWhatAnIMSystemSaysIsShownToTheNextCaller(t *testing.T) {
	t.Parallel()
	t.Run("xmpp", func(t *testing.T) {
		server := peer.Prosody(t)
		server.Register("bob")
		client := server.Client("bob", "phone")
		shownAsItIsSaid(t, "bob@example.test", fmt.Sprintf("connector: xmpp, server: %q, domain: signatures.example.test, secret: secret, languages: [zh]", server.Components()),
			func(text string) { client.Status(map[string]string{"": text}) })
	})
	t.Run("simple", func(t *testing.T) {
		agent := peer.Presence(t, "")
		shownAsItIsSaid(t, "tel:"+bob.E164(), fmt.Sprintf("connector: simple, listen: \"udp://%s:5070\", agent: %q, uri: \"sip:{account}@ims.test\", from: \"sip:callsign@ims.test\", password: secret", peer.Host(), agent.Address()),
			func(text string) {
				agent.Publish(bob.E164(), `<presence xmlns="urn:ietf:params:xml:ns:pidf" xmlns:dm="urn:ietf:params:xml:ns:pidf:data-model" entity="sip:b@ims.test"><tuple id="t"><status><basic>open</basic></status></tuple><dm:person id="p"><dm:note>`+text+`</dm:note></dm:person></presence>`)
			})
	})
}

func shownAsItIsSaid(t *testing.T, account, provider string, say func(string)) {
	n := serve(t, func(config string) string {
		return config + "sync: { providers: [ { network: im, interval: 10s, " + provider + " } ] }\n"
	})
	say("在高铁上 🚄")
	n.command("account", "put", bob.E164(), "im", account)
	n.ready()
	signature := func(text string) {
		t.Helper()
		n.until("the node to have "+text, func() bool { return strings.Contains(n.command("subscriber", "get", bob.E164()), text) })
	}
	signature("在高铁上 🚄")
	n.call(scene{}).complete()
	n.shown(1)

	said := time.Now()
	say("Back at six")
	signature("Back at six")
	n.call(scene{}).complete()
	shown := n.shown(2)[1]
	t.Logf("shown %v after it was said, the command that asked for it and the phones' start among it", shown.At.Sub(said))
	if shown.Text != "Back at six" || !shown.Flash {
		t.Errorf("the handset got %+v", shown)
	}
}
