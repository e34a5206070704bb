package e2e_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// What each abuse of the doors gets, at a real node with a call that rings meanwhile; deploy/bench/harm.sh abuse measures what it
// costs many calls.
func TestAbuseIsAnsweredAndCostsNoCall(t *testing.T) {
	t.Parallel()
	n := serve(t, strings.NewReplacer(`http: { listen: "`, `http: { heartbeat: 500ms, listen: "`).Replace)
	n.ready()
	n.says("On the road")
	key := strings.TrimSpace(n.command("key", "create", "--role", "source", "--network", "im"))
	ringing := n.call(scene{pause: 5 * time.Second})
	t.Run("10,000 wrong keys", func(t *testing.T) {
		statuses := map[int]int{}
		guesser := &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 79, 9, 9)}}).DialContext}}
		for i := range 10_000 {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+n.http+"/v1/subscribers", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Authorization", fmt.Sprint("Bearer cs_", i))
			answer, err := guesser.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
			statuses[answer.StatusCode]++
		}
		if statuses[401] < 20 || statuses[401] > 100 || statuses[401]+statuses[429] != 10_000 {
			t.Errorf("the answers are %v, want 401 a few times, then 429", statuses)
		}
		n.do(http.MethodGet, "/v1/subscribers", "", nil) // who has a right key doesn't notice
	})
	// held begins something and waits until the server has had enough.
	held := func(begin string) string {
		c, err := net.Dial("tcp", n.http)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := c.Write([]byte(begin)); err != nil {
			t.Fatal(err)
		}
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Minute))
		said, err := io.ReadAll(c)
		if err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("the connection is held for ever")
		}
		return string(said)
	}
	t.Run("headers that never end", func(t *testing.T) {
		if said := held("GET /v1/subscribers HTTP/1.1\r\nHost: x\r\nX-Slow: "); strings.Contains(said, "200") {
			t.Errorf("got %q", said)
		}
	})
	t.Run("a header without end", func(t *testing.T) {
		if said := held("GET /v1/subscribers HTTP/1.1\r\nHost: x\r\nX-Long: " + strings.Repeat("x", 30_000) + "\r\n\r\n"); !strings.Contains(said, "431") {
			t.Errorf("got %.100q, want 431", said)
		}
	})
	// ends is the close code after raw bytes on a push connection.
	ends := func(raw ...byte) int {
		conn, _ := n.dial(key)
		defer conn.Close()
		if _, err := conn.NetConn().Write(raw); err != nil {
			t.Fatal(err)
		}
		_, _, err := conn.ReadMessage()
		if closed, ok := err.(*websocket.CloseError); ok {
			return closed.Code
		}
		t.Errorf("the connection ended with %v", err)
		return 0
	}
	for sentence, c := range map[string]struct {
		raw  []byte
		want int
	}{
		"a frame that never ends":      {[]byte{0x81, 0xFE, 0x10, 0x00, 1, 2, 3, 4, 'x'}, 4408},
		"a gigabyte announced":         {[]byte{0x81, 0xFF, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4}, 1009},
		"more than any machine has":    {[]byte{0x81, 0xFF, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4}, 1009},
		"a frame that is not masked":   {[]byte{0x81, 0x01, 'x'}, 1002},
		"a ping of more than 125":      {[]byte{0x89, 0xFE, 0x00, 0x7E, 1, 2, 3, 4}, 1002},
		"reserved bits":                {[]byte{0xF1, 0x81, 1, 2, 3, 4, 'x'}, 1002},
		"a continuation of nothing":    {[]byte{0x80, 0x81, 1, 2, 3, 4, 'x'}, 1002},
		"an opcode that nobody knows":  {[]byte{0x83, 0x81, 1, 2, 3, 4, 'x'}, 1002},
		"compressed without agreement": {[]byte{0xC1, 0x81, 1, 2, 3, 4, 'x'}, 1002},
	} {
		t.Run(sentence, func(t *testing.T) {
			if code := ends(c.raw...); code != c.want {
				t.Errorf("it ends with %d, want %d", code, c.want)
			}
		})
	}
	ringing.complete()
	if shown := n.shown(1); shown[0].Text != "On the road" {
		t.Errorf("the handset shows %q", shown[0].Text)
	}
}
