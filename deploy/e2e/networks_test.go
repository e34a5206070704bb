package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
)

// onBoth runs a test on each engine.
func onBoth(t *testing.T, test func(t *testing.T, url string)) {
	t.Run("SQLite", func(t *testing.T) { test(t, "") })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, peer.Postgres(t, false).Database("")) })
}

// service is a network that answers HTTP with JSON.
type service struct {
	*httptest.Server
	mu    sync.Mutex
	says  map[string]object // by account
	asked map[string]int
	hold  map[string]chan struct{} // of an account whose next answer waits
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{says: map[string]object{}, asked: map[string]int{}, hold: map[string]chan struct{}{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		account := strings.TrimPrefix(r.URL.Path, "/")
		s.mu.Lock()
		answer, hold := s.says[account], s.hold[account]
		delete(s.hold, account)
		s.asked[account]++
		s.mu.Unlock()
		if hold != nil {
			<-hold
		}
		if answer == nil {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_ = json.NewEncoder(w).Encode(answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *service) say(account, text string, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.says[account] = object{"text": text, "at": at.UTC().Format(time.RFC3339Nano)}
}

func (s *service) reads(account string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[account]
}

// reading has a node on url read s as the networks im and dated: what dated says has its time with it.
func reading(t *testing.T, s *service, url, moderation string) *node {
	t.Helper()
	return serve(t, func(config string) string {
		if url != "" {
			config = on(url)(config)
		}
		return config + fmt.Sprintf(`sync:
  moderation: { %s }
  providers:
    - { network: im, connector: httpjson, url: "%[2]s/{account}", text: /text, per_second: 20, interval: 10s }
    - { network: dated, connector: httpjson, url: "%[2]s/{account}", text: /text, time: /at, per_second: 20, interval: 10s }
`, moderation, s.URL)
	})
}

// would is what the next call to Bob would show.
func (n *node) would() string {
	n.t.Helper()
	var would struct{ Text string }
	n.do(http.MethodPost, "/v1/whatif", `{"caller":"`+alice.E164()+`","callee":"`+bob.E164()+`"}`, &would)
	return would.Text
}

func (n *node) comesToShow(text string) {
	n.t.Helper()
	n.until(fmt.Sprintf("calls to show %q", text), func() bool { return n.would() == text })
}

// pusher is an IM system that pushes one event after the other.
type pusher struct {
	n    *node
	send func(event object) (status string)
}

func (n *node) pusher(network string) pusher {
	n.t.Helper()
	conn, seq := n.dial(strings.TrimSpace(n.command("key", "create", "--role", "source", "--network", network, "--name", "test")))
	return pusher{n, func(event object) string {
		n.t.Helper()
		seq++
		if err := conn.WriteJSON(object{"op": "events", "batch": "b", "seq": []int64{seq, seq}, "events": []object{event}}); err != nil {
			n.t.Fatal(err)
		}
		for {
			var got ack
			if err := conn.ReadJSON(&got); err != nil {
				n.t.Fatal(err)
			}
			if got.Op == "resync" {
				continue
			}
			if got.UpTo != seq || len(got.Results) != 1 {
				n.t.Fatalf("event %d got %+v", seq, got)
			}
			return got.Results[0].Status
		}
	}}
}

var eventID int

// said is an event that has a time and no version.
func said(account, text string, at time.Time) object {
	eventID++
	return object{
		"specversion": "1.0", "type": "im.callsign.signature.changed", "source": "im", "id": fmt.Sprint("s", eventID),
		"subject": account, "time": at.UTC().Format(time.RFC3339Nano), "data": object{"text": text},
	}
}

func TestWhoWinsOfPushesAndPolls(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		s := newService(t)
		n := reading(t, s, url, "")
		n.ready()
		push := n.pusher("im")
		want := func(what, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s is %s, want %s", what, got, want)
			}
		}
		year2099 := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)

		s.say("bob", "read first", time.Time{})
		n.command("account", "put", bob.E164(), "im", "bob")
		n.comesToShow("read first")

		// A read that began before a push ends after it.
		release := make(chan struct{})
		s.mu.Lock()
		s.says["bob"], s.hold["bob"] = object{"text": "read slowly"}, release
		s.mu.Unlock()
		n.until("the slow read to begin", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.hold["bob"] == nil })
		want("a push while it lasts", push.send(said("bob", "pushed meanwhile", time.Now())), "stored")
		n.comesToShow("pushed meanwhile")
		s.say("bob", "pushed meanwhile", time.Time{})
		before := s.reads("bob")
		close(release)
		n.until("two more reads", func() bool {
			want("what is shown after the slow read", n.would(), "pushed meanwhile")
			return s.reads("bob") >= before+2
		})

		want("an event that is late", push.send(said("bob", "late", time.Now().Add(-time.Hour))), "stale")
		want("an event of 2099", push.send(said("bob", "pushed in 2099", year2099)), "stored")
		s.say("bob", "read after 2099", time.Time{})
		n.comesToShow("read after 2099")
		want("a push after that", push.send(said("bob", "pushed after 2099", time.Now())), "stored")
		n.comesToShow("pushed after 2099")

		// A network that tells times is no wiser.
		s.say("dated", "read in 2099", year2099)
		n.command("account", "put", bob.E164(), "dated", "dated")
		n.comesToShow("read in 2099")
		s.say("dated", "read today", time.Now().Add(30*time.Second)) // as a clock may be ahead; 2099 may have been read once more until now
		n.comesToShow("read today")
		// An older time loses, however often it is read.
		s.say("dated", "read from yesterday", time.Now().Add(-24*time.Hour))
		before = s.reads("dated")
		n.until("two reads of it", func() bool {
			want("what is shown", n.would(), "read today")
			return s.reads("dated") >= before+2
		})
		n.command("account", "remove", bob.E164(), "dated", "dated")

		// Where the source has versions no read wins.
		want("the first version", push.send(changed(1, 7, "bob", "version 7")), "stored")
		s.say("bob", "read, without a version", time.Time{})
		before = s.reads("bob")
		n.until("two reads of it", func() bool {
			want("what is shown", n.would(), "version 7")
			return s.reads("bob") >= before+2
		})
		want("an older version", push.send(changed(2, 6, "bob", "version 6")), "stale")
		want("the same", push.send(changed(3, 7, "bob", "version 7")), "duplicate")
		want("a newer one", push.send(changed(4, 8, "bob", "version 8")), "stored")
		n.comesToShow("version 8")
	})
}

func TestAChangeAtANetworkIsShownOnceItMayBe(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		s := newService(t)
		n := reading(t, s, url, "required: true")
		n.ready()
		s.say("bob", "On the road", time.Time{})
		n.command("account", "put", bob.E164(), "im", "bob")
		var queue struct{ Items []struct{ Becomes string } }
		n.until("the text to be held", func() bool {
			n.do(http.MethodGet, "/v1/reviews", "", &queue)
			return len(queue.Items) == 1 && queue.Items[0].Becomes == "On the road"
		})
		n.call(scene{pause: time.Second}).complete()
		if got := n.smsc.Messages(alice); len(got) != 0 {
			t.Errorf("a held text is shown: %+v", got)
		}
		var stamp string
		for line := range strings.Lines(n.command("review", "list")) {
			if fields := strings.Fields(line); len(fields) > 3 && fields[2] == "bob" {
				stamp = fields[3]
			}
		}
		n.command("review", "approve", bob.E164(), "im", "bob", stamp)
		n.call(scene{pause: time.Second}).complete()
		if got := n.shown(1)[0].Text; got != "On the road" {
			t.Errorf("shown %q once it is approved", got)
		}
		s.say("bob", "Back at six", time.Time{})
		n.until("the next text to be held", func() bool {
			n.do(http.MethodGet, "/v1/reviews", "", &queue)
			return len(queue.Items) == 1 && queue.Items[0].Becomes == "Back at six"
		})
		n.call(scene{pause: time.Second}).complete()
		if got := n.smsc.Messages(alice); len(got) != 1 {
			t.Errorf("the phone has %+v, want what was approved and nothing else", got)
		}
	})
}

func TestLinksAreProved(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, url string) {
		s := newService(t)
		n := reading(t, s, url, "")
		n.ready()
		code := func(args ...string) string {
			t.Helper()
			code, _, _ := strings.Cut(n.command(append([]string{"account", "link", bob.E164()}, args...)...), "\n")
			if !strings.HasPrefix(code, "CS-") {
				t.Fatalf("account link printed %q", code)
			}
			return code
		}

		// The account says the code, and a read finds it.
		s.say("bob", "my account", time.Time{})
		said1 := code("im", "bob")
		n.until("it to be read", func() bool { return s.reads("bob") > 0 })
		if would := n.would(); would != "" {
			t.Errorf("an account that is not proved is shown: %q", would)
		}
		s.say("bob", "code "+said1+" ok", time.Time{})
		n.comesToShow("code ok")
		n.call(scene{pause: time.Second}).complete()
		if got := n.shown(1)[0].Text; got != "code ok" {
			t.Errorf("shown %q", got)
		}
		s.say("bob", "On the road", time.Time{})
		n.comesToShow("On the road")

		// It says the code, and its source pushes that.
		push := n.pusher("pushed")
		said2 := code("pushed", "bob")
		if got := push.send(said("eve", said2, time.Now())); got != "unlinked" {
			t.Errorf("another account that says the code is %s", got)
		}
		if got := push.send(said("bob", strings.ToLower(said2)+" pushed", time.Now())); got != "stored" {
			t.Errorf("the account that says the code is %s", got)
		}
		n.comesToShow("pushed")

		// Its number sends the code.
		sent := code("pushed", "bob2", "--proof", "sms")
		if err := n.smsc.Send(t.Context(), alice, "10086", sent); err != nil {
			t.Fatal(err)
		}
		if err := n.smsc.Send(t.Context(), bob, "10086", "CS-0000-0000"); err != nil {
			t.Fatal(err)
		}
		if err := n.smsc.Send(t.Context(), bob, "10086", sent); err != nil {
			t.Fatal(err)
		}
		replies, err := n.smsc.Wait(t.Context(), bob, 2)
		if err != nil || !strings.HasPrefix(replies[0].Text, "This code is wrong") || !strings.HasPrefix(replies[1].Text, "Linked") {
			t.Errorf("the phone that sent a wrong code and a right one is told %+v, %v", replies, err)
		}
		if got := n.smsc.Messages(alice); len(got) != 1 {
			t.Errorf("the phone that sent another's code is told %+v", got)
		}
		if got := push.send(said("bob2", "by SMS", time.Now())); got != "stored" {
			t.Errorf("after the SMS its text is %s", got)
		}

		code("im", "waits")
		n.command("account", "withdraw", bob.E164(), "im", "waits")
		code("im", "waits still")
		links, audit, status := n.command("account", "links", bob.E164()), n.command("audit"), n.command("provider", "status")
		for where, text := range map[string]string{links: "linked   signature", audit: "link proved by sms", status: "im       httpjson   32 of 32"} {
			if !strings.Contains(where, text) {
				t.Errorf("%q is not in\n%s", text, where)
			}
		}
		for _, count := range []struct {
			in, of string
			want   int
		}{{links, "  linked ", 3}, {links, "  waiting ", 1}, {audit, "link proved by signature", 2}, {audit, "/links ", 5}, {status, "pushes, up to 3 is kept", 1}} {
			if got := strings.Count(count.in, count.of); got != count.want {
				t.Errorf("%q is there %d times, want %d:\n%s", count.of, got, count.want, count.in)
			}
		}
	})
}
