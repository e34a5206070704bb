package e2e_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

func TestAHeldTextIsShownOnceItIsApproved(t *testing.T) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) { heldTextIsShownOnceItIsApproved(t, "") })
	t.Run("PostgreSQL", func(t *testing.T) { heldTextIsShownOnceItIsApproved(t, peer.Postgres(t, false).Database("")) })
}

func heldTextIsShownOnceItIsApproved(t *testing.T, url string) {
	words := filepath.Join(t.TempDir(), "words")
	if err := os.WriteFile(words, []byte("# to be looked at\nlottery\n中奖\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := serve(t, func(config string) string {
		if url != "" {
			config = on(url)(config)
		}
		return config + "sync: { moderation: { hold_words: \"" + words + "\" } }\n"
	})
	key := strings.TrimSpace(n.command("key", "create", "--role", "source", "--network", "im", "--name", "test"))
	n.command("account", "put", bob.E164(), "im", "bob")
	n.ready()
	conn, _ := n.dial(key)
	push := func(seq int64, text, want string) {
		t.Helper()
		if err := conn.WriteJSON(object{"op": "events", "batch": "b", "seq": []int64{seq, seq}, "events": []object{changed(seq, seq, "bob", text)}}); err != nil {
			t.Fatal(err)
		}
		var got ack
		if err := conn.ReadJSON(&got); err != nil || got.UpTo != seq || len(got.Results) != 1 || got.Results[0].Status != want {
			t.Fatalf("%q: got %+v, %v; want %s", text, got, err, want)
		}
	}
	// shown calls and looks at the caller's phone: a call to somebody without a text leaves no timeline to wait for, so the one
	// after it tells that it sent nothing.
	shown := func(count int, last string) {
		t.Helper()
		n.call(scene{pause: time.Second}).complete()
		if got := n.shown(count); len(got) != count || got[count-1].Text != last {
			t.Errorf("the phone has %+v, want %d with %q the last", got, count, last)
		}
	}
	push(1, "On the road", "stored")
	shown(1, "On the road")
	push(2, "You win the LОTTERY", "pending") // with a Cyrillic O
	shown(1, "On the road")

	var queue struct {
		Items []struct {
			Becomes, Account, Reason string
			Version                  int64
		}
	}
	n.do(http.MethodGet, "/v1/reviews", "", &queue)
	if len(queue.Items) != 1 || queue.Items[0].Becomes != "You win the LОTTERY" || queue.Items[0].Account != "bob" || queue.Items[0].Reason != "the word lottery" {
		t.Fatalf("the queue has %+v", queue)
	}
	if out := n.command("review", "list"); !strings.Contains(out, "2@0") || !strings.Contains(out, "You win the LОTTERY") {
		t.Errorf("review list prints\n%s", out)
	}
	n.command("review", "approve", bob.E164(), "im", "bob", "2@0", "--reason", "his own joke")
	shown(2, "You win the LОTTERY")
	push(3, "You win the LОTTERY", "stored") // what was approved is not held again
	shown(3, "You win the LОTTERY")
	n.command("review", "reject", bob.E164(), "im", "bob", "3@0")
	shown(3, "You win the LОTTERY")
	push(4, "Back at six", "stored")
	shown(4, "Back at six")

	audit := n.command("audit")
	for _, want := range []string{"im approve", "im reject"} {
		line := ""
		for l := range strings.Lines(audit) {
			if strings.Contains(l, want) {
				line = l
			}
		}
		if !strings.Contains(line, "POST /v1/reviews") || !strings.Contains(line, bob.E164()) || !strings.Contains(line, " 200 ") || !strings.Contains(line, n.keyID()) {
			t.Errorf("the audit doesn't tell who said %q:\n%s", want, audit)
		}
	}
}

// keyID is the id of the administrator's key.
func (n *node) keyID() string {
	n.t.Helper()
	var keys struct{ Items []struct{ ID, Role string } }
	n.do(http.MethodGet, "/v1/keys", "", &keys)
	for _, k := range keys.Items {
		if k.Role == "admin" {
			return k.ID
		}
	}
	n.t.Fatal("there is no administrator's key")
	return ""
}
