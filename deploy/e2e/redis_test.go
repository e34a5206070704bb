package e2e_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

func TestATextIsShownWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name       string
		away, back func(*peer.RedisServer)
	}{
		{"killed", (*peer.RedisServer).Kill, (*peer.RedisServer).Start},
		{"hung", (*peer.RedisServer).Pause, (*peer.RedisServer).Resume},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := peer.Redis(t)
			n := serve(t, func(config string) string { return config + "cache: { url: \"" + server.URL() + "\" }\n" })
			n.says("On the road")
			n.ready()
			rings := scene{pause: time.Second}
			n.call(rings).complete()
			n.shown(1)
			c.away(server)
			n.call(rings).complete()
			n.shown(2)
			n.until("the node to say so", func() bool { return n.get("/readyz") != http.StatusOK })
			c.back(server)
			n.ready()
			n.call(rings).complete()
			n.shown(3)
		})
	}
}
