package e2e_test

import (
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

var storeURL = regexp.MustCompile(`store: \{ url: "[^"]*" \}`)

// on puts a node's store into a database.
func on(url string) func(config string) string {
	return func(config string) string { return storeURL.ReplaceAllString(config, `store: { url: "`+url+`" }`) }
}

func TestNodesOnOnePostgreSQLShowWhatAnyOfThemWasTold(t *testing.T) {
	t.Parallel()
	url := peer.Postgres(t, false).Database("")
	told, called := serve(t, on(url)), serve(t, on(url))
	called.ready()
	for i, text := range []string{"first", "second"} {
		told.says(text)
		called.until("the other node to know "+text, func() bool {
			var would struct{ Text string }
			called.do(http.MethodPost, "/v1/whatif", `{"caller":"`+alice.E164()+`","callee":"`+bob.E164()+`"}`, &would)
			return would.Text == text
		})
		called.call(scene{pause: time.Second}).complete()
		if shown := called.shown(i + 1); shown[i].Text != text {
			t.Errorf("the call after %q showed %q", text, shown[i].Text)
		}
		told.timeline("receipt: DELIVRD") // of the other node's call
	}
}

func TestACallIsUntouchedWhileItsPostgreSQLIsAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		away func(*peer.PostgreSQL)
		back func(*peer.PostgreSQL)
	}{
		{"stopped", (*peer.PostgreSQL).Stop, (*peer.PostgreSQL).Start},
		{"killed", (*peer.PostgreSQL).Kill, (*peer.PostgreSQL).Start},
		{"hung", (*peer.PostgreSQL).Pause, (*peer.PostgreSQL).Resume},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := peer.Postgres(t, true)
			n := serve(t, on(server.Database("")))
			n.says("On the road")
			n.ready()
			n.call(scene{pause: time.Second}).complete() // so memory knows its callee
			n.shown(1)
			c.away(server)
			p := n.call(scene{pause: time.Second})
			p.complete()
			n.shown(2)
			differsInViaRouteAndMaxForwardsOnly(t, first(t, p.log("uac"), true, "INVITE").text, first(t, p.log("uas"), false, "INVITE").text)
			n.until("the node to say so", func() bool { return n.get("/readyz") != http.StatusOK })
			c.back(server)
			n.ready()
			n.says("Back")
			n.until("the new text to be shown", func() bool {
				var would struct{ Text string }
				n.do(http.MethodPost, "/v1/whatif", `{"caller":"`+alice.E164()+`","callee":"`+bob.E164()+`"}`, &would)
				return would.Text == "Back"
			})
		})
	}
}
