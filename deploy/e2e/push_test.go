package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/callsign-as/callsign/deploy/peer"
)

type object = map[string]any

// dial connects an IM system with a key of its own.
func (n *node) dial(key string) (conn *websocket.Conn, resumeFrom int64) {
	n.t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"callsign.v1"}}
	conn, _, err := dialer.DialContext(n.t.Context(), "ws://"+n.http+"/v1/push", http.Header{"Authorization": {"Bearer " + key}})
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(60 * time.Second))
	var hello struct {
		Op         string `json:"op"`
		ResumeFrom int64  `json:"resume_from"`
	}
	if err := conn.ReadJSON(&hello); err != nil || hello.Op != "hello" {
		n.t.Fatalf("got %+v, %v; want hello", hello, err)
	}
	return conn, hello.ResumeFrom
}

func changed(seq, version int64, account, text string) object {
	return object{
		"specversion": "1.0", "type": "im.callsign.signature.changed", "source": "im", "id": fmt.Sprint("e", seq),
		"subject": account, "time": time.Now().UTC().Format(time.RFC3339Nano), "accountversion": version, "data": object{"text": text},
	}
}

type ack struct {
	Op      string `json:"op"`
	UpTo    int64  `json:"up_to"`
	Results []struct{ ID, Status string }
	Error   object `json:"error"`
}

func TestWhatWasAcknowledgedOutlivesAKilledNode(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { acknowledgedOutlivesAKilledNode(t, serve(t, nil)) })
	t.Run("PostgreSQL", func(t *testing.T) {
		acknowledgedOutlivesAKilledNode(t, serve(t, on(peer.Postgres(t, false).Database(""))))
	})
}

func acknowledgedOutlivesAKilledNode(t *testing.T, n *node) {
	const pushes, accounts = 2000, 50
	key := strings.TrimSpace(n.command("key", "create", "--role", "source", "--network", "im", "--name", "test"))
	for i := range accounts {
		n.do(http.MethodPut, fmt.Sprintf("/v1/subscribers/+86139000001%02d", i), "{}", nil)
		n.do(http.MethodPut, fmt.Sprintf("/v1/subscribers/+86139000001%02d/accounts/im/user%d", i, i), "", nil)
	}
	conn, from := n.dial(key)
	if from != 0 {
		t.Fatalf("resume_from is %d, want 0", from)
	}
	last := map[int]string{}
	for seq := int64(1); seq <= pushes; {
		var events []object
		begin := seq
		for ; seq <= pushes && seq < begin+20; seq++ {
			account := int(seq) % accounts
			last[account] = fmt.Sprintf("text %d", seq)
			events = append(events, changed(seq, seq, fmt.Sprint("user", account), last[account]))
		}
		if err := conn.WriteJSON(object{"op": "events", "batch": fmt.Sprint(begin), "seq": []int64{begin, seq - 1}, "events": events}); err != nil {
			t.Fatal(err)
		}
		var got ack
		if err := conn.ReadJSON(&got); err != nil || got.Op != "ack" || got.UpTo != seq-1 {
			t.Fatalf("got %+v, %v; want an ack up to %d", got, err, seq-1)
		}
		for _, r := range got.Results {
			if r.Status != "stored" {
				t.Fatalf("%s: got %s, want stored", r.ID, r.Status)
			}
		}
	}
	n.process.Kill()
	n.start()
	n.until("the store to be open again", func() bool { return n.get("/readyz") == http.StatusOK })
	for i := range accounts {
		var s struct {
			Accounts []struct{ Network, Text string } `json:"accounts"`
		}
		n.do(http.MethodGet, fmt.Sprintf("/v1/subscribers/+86139000001%02d", i), "", &s)
		got := ""
		for _, a := range s.Accounts {
			if a.Network == "im" {
				got = a.Text
			}
		}
		if got != last[i] {
			t.Errorf("user%d says %q, want %q", i, got, last[i])
		}
	}
	if _, from := n.dial(key); from != pushes {
		t.Errorf("resume_from is %d after the restart, want %d", from, pushes)
	}
}

func TestAPushIsWhatTheNextCallShows(t *testing.T) {
	t.Parallel()
	n := serve(t, nil)
	key := strings.TrimSpace(n.command("key", "create", "--role", "source", "--network", "im", "--name", "test"))
	n.command("account", "put", bob.E164(), "im", "bob@im.test/home")
	n.ready()
	conn, _ := n.dial(key)
	for seq, text := range []string{"first", "second"} {
		seq := int64(seq + 1)
		if err := conn.WriteJSON(object{"op": "events", "batch": "b", "seq": []int64{seq, seq}, "events": []object{changed(seq, seq, "bob@im.test/home", text)}}); err != nil {
			t.Fatal(err)
		}
		var got ack
		if err := conn.ReadJSON(&got); err != nil || got.UpTo != seq {
			t.Fatalf("got %+v, %v; want an ack of %d", got, err, seq)
		}
		n.call(scene{}).complete()
		if shown := n.shown(int(seq)); shown[seq-1].Text != text {
			t.Errorf("the call after %q showed %q", text, shown[seq-1].Text)
		}
	}
}
