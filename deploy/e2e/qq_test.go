package e2e_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer/qq"
)

func TestWhatSomebodyWritesInQQIsShown(t *testing.T) {
	t.Parallel()
	const me = 10001
	for _, mode := range []string{"http", "ws", "reverse"} {
		t.Run(mode, func(t *testing.T) {
			bot := qq.New("20001", "s3cret")
			bot.Say(me, "On the road")
			n := serve(t, func(config string) string {
				_, host, _ := strings.Cut(config, "udp://")
				host, _, _ = strings.Cut(host, ":")
				where := fmt.Sprintf("urls: [ %q ]", mode+"://"+host+":3000")
				if mode == "reverse" {
					where = fmt.Sprintf("listen: %q", host+":6700")
				} else {
					l, err := net.Listen("tcp", host+":3000")
					if err != nil {
						t.Fatal(err)
					}
					server := &httptest.Server{Listener: l, Config: &http.Server{Handler: bot}}
					server.Start()
					t.Cleanup(server.Close)
				}
				return config + fmt.Sprintf("sync: { providers: [ { network: qq, connector: qq, mode: %s, %s, token: s3cret, friends: false, per_second: 20, interval: 10s } ] }\n", mode, where)
			})
			if mode == "reverse" {
				ctx, cancel := context.WithCancel(t.Context())
				var dialling sync.WaitGroup
				dialling.Go(func() {
					for ctx.Err() == nil {
						_ = bot.Dial(ctx, "ws://"+n.host+":6700", nil)
						select {
						case <-time.After(50 * time.Millisecond):
						case <-ctx.Done():
						}
					}
				})
				t.Cleanup(dialling.Wait)
				t.Cleanup(cancel)
			}
			n.command("account", "put", bob.E164(), "qq", fmt.Sprint(me))
			n.ready()
			n.showsWhatWasWritten("On the road", func() {})
			n.showsWhatWasWritten("Back at six 🚄", func() { bot.Say(me, "Back at six 🚄") })
		})
	}
}

// showsWhatWasWritten has somebody write a text in an IM system, calls until the handset shows it, and tells how long that took.
func (n *node) showsWhatWasWritten(text string, write func()) {
	n.t.Helper()
	before := len(n.smsc.Messages(alice))
	began := time.Now()
	write()
	n.until("the text to be known", func() bool {
		var would struct{ Text string }
		n.do(http.MethodPost, "/v1/whatif", `{"caller":"`+alice.E164()+`","callee":"`+bob.E164()+`"}`, &would)
		return would.Text == text
	})
	known := time.Since(began)
	n.call(scene{}).complete()
	shown := n.shown(before + 1)
	if len(shown) != before+1 || shown[before].Text != text {
		n.t.Fatalf("the handset shows %+v, want %q the last", shown, text)
	}
	n.t.Logf("from change to known %v, to shown on the handset %v", known.Round(time.Millisecond), shown[before].At.Sub(began).Round(time.Millisecond))
}
