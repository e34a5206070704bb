package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"
)

// attack is one way to abuse the API's doors. try does it once and tells what came back; want is what may.
type attack struct {
	name    string
	perSec  int
	try     func(*abuser) string
	want    []string
	pushing bool // it has a source's key of its own
}

var attacks = []attack{
	{"wrong keys", 3000, (*abuser).wrongKey, []string{"401", "429"}, false},
	{"keys for no door", 200, (*abuser).wrongDoor, []string{"403"}, true},
	{"slow headers", 200, (*abuser).slowHeaders, []string{"held"}, false},
	{"slow frames", 20, (*abuser).slowFrame, []string{"held"}, true},
	{"1 GB announced", 50, (*abuser).gigabyte, []string{"1009"}, true},
	{"deflate bombs", 5, (*abuser).bomb, []string{"1009"}, true},
	{"one bad event in 100", 50, (*abuser).badEvent, []string{"bad_event"}, true},
	{"replayed ids", 50, (*abuser).replay, []string{"unlinked"}, true},
}

// abuse makes all attacks at once for d, and prints what each got. It fails if one got something else.
func abuse(server, admin string, d time.Duration) error {
	var group sync.WaitGroup
	failed := make(chan error, len(attacks))
	lines := make([]string, len(attacks))
	for i, a := range attacks {
		b := &abuser{server: server, key: admin}
		if a.pushing {
			if err := b.becomeSource(i); err != nil {
				return err
			}
		}
		group.Go(func() {
			got := map[string]int{}
			begin := time.Now()
			for n := 0; time.Since(begin) < d; n++ {
				time.Sleep(time.Until(begin.Add(time.Duration(n) * time.Second / time.Duration(a.perSec))))
				got[a.try(b)]++
			}
			var told []string
			for _, answer := range slices.Sorted(maps.Keys(got)) {
				told = append(told, fmt.Sprintf("%d x %s", got[answer], answer))
				if !slices.Contains(a.want, answer) {
					failed <- fmt.Errorf("%s: got %s, want %s", a.name, answer, strings.Join(a.want, " or "))
				}
			}
			lines[i] = a.name + ": " + strings.Join(told, ", ")
		})
	}
	group.Wait()
	fmt.Println(strings.Join(lines, "; "))
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// abuser is one who attacks. What it holds open stays so until the process ends.
type abuser struct {
	server, key string
	held        []net.Conn
}

// becomeSource makes a key for pushing.
func (b *abuser) becomeSource(i int) error {
	body := fmt.Sprintf(`{"name":"abuse","role":"source","network":"abuse%d"}`, i)
	req, err := http.NewRequest(http.MethodPost, b.server+"/v1/keys", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+b.key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	var made struct{ Key string }
	if err := json.NewDecoder(res.Body).Decode(&made); err != nil || made.Key == "" {
		return fmt.Errorf("make a source's key: %s, %w", res.Status, err)
	}
	b.key = made.Key
	return nil
}

// guesser has an address of its own: who shares one with a guesser waits with it.
var guesser = &http.Client{Transport: &http.Transport{DialContext: (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 79, 0, 20)}}).DialContext}}

func (b *abuser) get(client *http.Client, key string) string {
	req, err := http.NewRequest(http.MethodGet, b.server+"/v1/subscribers", nil)
	if err != nil {
		return err.Error()
	}
	req.Header.Set("Authorization", "Bearer "+key)
	res, err := client.Do(req)
	if err != nil {
		return err.Error()
	}
	_, _ = io.Copy(io.Discard, res.Body) // or the connection is not used again
	_ = res.Body.Close()
	return res.Status[:3]
}

func (b *abuser) wrongKey() string  { return b.get(guesser, fmt.Sprint("cs_", time.Now().UnixNano())) }
func (b *abuser) wrongDoor() string { return b.get(http.DefaultClient, b.key) }

func (b *abuser) slowHeaders() string {
	c, err := net.Dial("tcp", strings.TrimPrefix(b.server, "http://"))
	if err != nil {
		return err.Error()
	}
	b.held = append(b.held, c)
	if _, err := c.Write([]byte("GET /v1/subscribers HTTP/1.1\r\nX-")); err != nil {
		return err.Error()
	}
	for _, c := range b.held[max(0, len(b.held)-20):] {
		_, _ = c.Write([]byte("a")) // the server has closed it by then, or not
	}
	return "held"
}

// push is a connection after its hello.
func (b *abuser) push() (*websocket.Conn, error) {
	u, err := url.Parse(b.server)
	if err != nil {
		return nil, err
	}
	u.Scheme = "ws"
	d := websocket.Dialer{Subprotocols: []string{"callsign.v1"}, EnableCompression: true}
	conn, _, err := d.Dial(u.JoinPath("/v1/push").String(), http.Header{"Authorization": {"Bearer " + b.key}})
	if err != nil {
		return nil, err
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, _, err = conn.ReadMessage()
	return conn, err
}

// pushed opens a connection, does something to it and tells how the server answers: the close code, the nack's code, or
// what became of the first event.
func (b *abuser) pushed(do func(*websocket.Conn) error) string {
	conn, err := b.push()
	if err != nil {
		return err.Error()
	}
	defer conn.Close()
	_ = do(conn) // the server may close before it is done
	var answer struct {
		Results []struct{ Status string }
		Error   struct{ Code string }
	}
	err = conn.ReadJSON(&answer)
	var closed *websocket.CloseError
	switch {
	case errors.As(err, &closed):
		return fmt.Sprint(closed.Code)
	case err != nil:
		return err.Error()
	case answer.Error.Code != "":
		return answer.Error.Code
	case len(answer.Results) > 0:
		return answer.Results[0].Status
	}
	return "nothing"
}

// slowFrame replaces the connection before it, which is told so; this one begins a frame and doesn't end it.
func (b *abuser) slowFrame() string {
	conn, err := b.push()
	if err != nil {
		return err.Error()
	}
	b.held = append(b.held, conn.NetConn())
	if _, err := conn.NetConn().Write([]byte{0x81, 0xFE, 0x10, 0x00, 1, 2, 3, 4, 'x'}); err != nil {
		return err.Error()
	}
	return "held"
}

func (b *abuser) gigabyte() string {
	return b.pushed(func(c *websocket.Conn) error {
		header := binary.BigEndian.AppendUint64([]byte{0x81, 0xFF}, 1<<30)
		_, err := c.NetConn().Write(append(header, 1, 2, 3, 4))
		return err
	})
}

// blanks are 20 MB that are compressed once: what is measured is what they cost the server.
var blanks, _ = websocket.NewPreparedMessage(websocket.TextMessage, bytes.Repeat([]byte{' '}, 20<<20))

func (b *abuser) bomb() string {
	return b.pushed(func(c *websocket.Conn) error { return c.WritePreparedMessage(blanks) })
}

func events(n, bad int) []byte {
	var list []string
	for i := range n {
		kind := "im.callsign.signature.changed"
		if i == bad {
			kind = "wrong"
		}
		list = append(list, fmt.Sprintf(`{"specversion":"1.0","type":%q,"source":"abuse","id":"same","subject":"10001","accountversion":%d,"data":{"text":"x"}}`, kind, i))
	}
	return fmt.Appendf(nil, `{"op":"events","seq":[1,%d],"events":[%s]}`, n, strings.Join(list, ","))
}

func (b *abuser) badEvent() string {
	return b.pushed(func(c *websocket.Conn) error { return c.WriteMessage(websocket.TextMessage, events(100, 57)) })
}

func (b *abuser) replay() string {
	return b.pushed(func(c *websocket.Conn) error { return c.WriteMessage(websocket.TextMessage, events(10, -1)) })
}
