package qq_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/callsign-as/callsign/deploy/peer"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/sigsync/qq"
)

// bodies are what a hostile or broken bot may answer to get_stranger_info of 10001; none may become a change.
var bodies = map[string]string{
	"nothing":                     ``,
	"no JSON":                     `<html>`,
	"null":                        `null`,
	"no data":                     `{"status":"ok","retcode":0}`,
	"data that is null":           `{"status":"ok","retcode":0,"data":null}`,
	"data that is a list":         `{"status":"ok","retcode":0,"data":[]}`,
	"somebody else's profile":     `{"status":"ok","retcode":0,"data":{"user_id":10002,"nickname":"a","long_nick":"theirs"}}`,
	"nobody's profile":            `{"status":"ok","retcode":0,"data":{"user_id":0,"nickname":"a","long_nick":"nobody's"}}`,
	"a number like it":            `{"status":"ok","retcode":0,"data":{"user_id":1.0001e4,"nickname":"a","long_nick":"x"}}`,
	"a huge number":               `{"status":"ok","retcode":0,"data":{"user_id":` + strings.Repeat("9", 10000) + `,"nickname":"a","long_nick":"x"}}`,
	"a huge retcode":              `{"status":"ok","retcode":1e999999,"data":{"user_id":10001,"nickname":"a","long_nick":"x"}}`,
	"a text that is a number":     `{"status":"ok","retcode":0,"data":{"user_id":10001,"nickname":"a","long_nick":7}}`,
	"a text that is null":         `{"status":"ok","retcode":0,"data":{"user_id":10001,"nickname":"a","long_nick":null}}`,
	"no text":                     `{"status":"ok","retcode":0,"data":{"user_id":10001,"nickname":"a"}}`,
	"a profile that wasn't read":  `{"status":"ok","retcode":0,"data":{"user_id":10001,"nickname":"","long_nick":""}}`,
	"brackets without end":        strings.Repeat("[", 1<<20),
	"objects without end":         strings.Repeat(`{"data":`, 1<<18),
	"a body without end":          `{"status":"` + strings.Repeat("x", 9<<20),
	"ok with a failure's code":    `{"status":"ok","retcode":1200,"data":{"user_id":10001,"nickname":"a","long_nick":"x"}}`,
	"a failure with a good code":  `{"status":"failed","retcode":0,"data":{"user_id":10001,"nickname":"a","long_nick":"x"}}`,
	"asynchronous":                `{"status":"async","retcode":1,"data":null}`,
	"an event":                    `{"post_type":"message","status":"ok","retcode":0}`,
	"a wrong token":               `{"status":"failed","retcode":1403,"data":null}`,
	"two bodies":                  `{"status":"ok","retcode":0}{"status":"ok","retcode":0}`,
	"UTF-16":                      "\xff\xfe{\x00}\x00",
	"a text among a million keys": `{"status":"failed",` + strings.Repeat(`"a":1,`, 1<<20) + `"retcode":1}`,
}

func TestAHostileBotsAnswersChangeNothing(t *testing.T) {
	for sentence, body := range bodies {
		t.Run(sentence, func(t *testing.T) {
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
			changesNothing(t, "http", s.URL)
			address := raw(t, func(c net.Conn, r *bufio.Reader) {
				for {
					echo, ok := nextCall(r)
					if !ok {
						return
					}
					answer := strings.Replace(body, "{", `{"echo":"`+echo+`",`, 1)
					if _, err := c.Write(frame(answer)); err != nil {
						return
					}
				}
			})
			changesNothing(t, "ws", "ws://"+address)
		})
	}
}

// changesNothing reads an account, and wants an error within its time.
func changesNothing(t *testing.T, mode, url string) {
	t.Helper()
	c := config(mode)
	c.URLs, c.Friends, c.Timeout = []string{url}, false, 500*time.Millisecond
	p, _ := reading(t, c)
	began := time.Now()
	changes, err := p.Read(t.Context(), []string{"10001"})
	if err == nil || len(changes) > 0 {
		t.Errorf("%s: %+v, %v; want an error and no change", mode, changes, err)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("%s: it took %v", mode, took)
	}
}

func TestStatusesOfHTTP(t *testing.T) {
	var limited *sigsync.LimitedError
	var elsewhere sync.Map
	other := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { elsewhere.Store(r.Header.Get("Authorization"), true) }))
	for sentence, test := range map[string]struct {
		status int
		is     func(error) bool
	}{
		"401":        {401, func(err error) bool { return errors.Is(err, sigsync.ErrCredentials) }},
		"403":        {403, func(err error) bool { return errors.Is(err, sigsync.ErrCredentials) }},
		"429":        {429, func(err error) bool { return errors.As(err, &limited) }},
		"503":        {503, func(err error) bool { return errors.As(err, &limited) }},
		"404":        {404, func(err error) bool { return !errors.Is(err, sigsync.ErrNoAccount) }}, // it has no such call
		"500":        {500, func(err error) bool { return !errors.Is(err, sigsync.ErrNoAccount) }},
		"a redirect": {307, func(err error) bool { return !errors.Is(err, sigsync.ErrNoAccount) }},
	} {
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL)
			w.WriteHeader(test.status)
		}))
		c := config("http")
		c.URLs, c.Friends = []string{s.URL}, false
		p, _ := reading(t, c)
		if changes, err := p.Read(t.Context(), []string{"10001"}); err == nil || len(changes) > 0 || !test.is(err) {
			t.Errorf("%s: %+v, %v", sentence, changes, err)
		}
	}
	elsewhere.Range(func(k, _ any) bool {
		t.Errorf("the token went elsewhere: %q", k)
		return true
	})
}

func TestABotThatNeverAnswersIsWaitedForAsLongAsTimeoutSays(t *testing.T) {
	for sentence, answer := range map[string]func(net.Conn, *bufio.Reader){
		"it reads": func(_ net.Conn, r *bufio.Reader) { _, _ = io.Copy(io.Discard, r) },
		"it answers somebody else": func(c net.Conn, r *bufio.Reader) {
			_, _ = nextCall(r)
			_, _ = c.Write(frame(`{"status":"ok","retcode":0,"echo":"999"}`))
			_, _ = io.Copy(io.Discard, r)
		},
		"it answers with no echo": func(c net.Conn, r *bufio.Reader) {
			_, _ = nextCall(r)
			_, _ = c.Write(frame(`{"status":"ok","retcode":0}`))
			_, _ = io.Copy(io.Discard, r)
		},
		"half an answer": func(c net.Conn, r *bufio.Reader) {
			_, _ = nextCall(r)
			_, _ = c.Write(frame(`{"status":"ok"}`)[:5])
			_, _ = io.Copy(io.Discard, r)
		},
		"events without end": func(c net.Conn, _ *bufio.Reader) {
			for {
				if _, err := c.Write(frame(`{"post_type":"meta_event"}`)); err != nil {
					return
				}
			}
		},
		"a frame that announces 2^62": func(c net.Conn, r *bufio.Reader) {
			_, _ = c.Write(binary.BigEndian.AppendUint64([]byte{0x81, 127}, 1<<62))
			_, _ = io.Copy(io.Discard, r)
		},
		"a masked frame": func(c net.Conn, r *bufio.Reader) {
			_, _ = c.Write([]byte{0x81, 0x82, 1, 2, 3, 4, 5, 6})
			_, _ = io.Copy(io.Discard, r)
		},
	} {
		t.Run(sentence, func(t *testing.T) { changesNothing(t, "ws", "ws://"+raw(t, answer)) })
	}
	t.Run("over HTTP", func(t *testing.T) {
		gone := make(chan struct{})
		s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-gone }))
		defer close(gone)
		changesNothing(t, "http", s.URL)
	})
	t.Run("the handshake", func(t *testing.T) {
		l, err := net.Listen("tcp", peer.Host()+":0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		changesNothing(t, "ws", "ws://"+l.Addr().String())
	})
}

// A connection may end after any byte of a session: the account is read, or an error says why not.
func TestACloseAtEveryByteOfASession(t *testing.T) {
	good := frame(`{"status":"ok","retcode":0,"data":{"user_id":10001,"nickname":"a","long_nick":"On the road"},"echo":"1"}`)
	var mu sync.Mutex
	upTo := 0
	address := raw(t, func(c net.Conn, r *bufio.Reader) {
		if _, ok := nextCall(r); ok {
			mu.Lock()
			defer mu.Unlock()
			_, _ = c.Write(good[:upTo])
		}
	})
	for n := range len(good) + 1 {
		mu.Lock()
		upTo = n
		mu.Unlock()
		c := config("ws")
		c.URLs, c.Friends = []string{"ws://" + address}, false
		p, _ := reading(t, c)
		changes, err := p.Read(t.Context(), []string{"10001"})
		whole := n == len(good)
		if (err == nil) != whole || whole && changes[0].Text != "On the road" {
			t.Fatalf("after %d of %d bytes: %+v, %v", n, len(good), changes, err)
		}
	}
	body := `HTTP/1.1 200 OK` + "\r\nContent-Length: 94\r\n\r\n" + `{"status":"ok","retcode":0,"data":{"user_id":10001,"nickname":"a","long_nick":"On the road"} }`
	l, err := net.Listen("tcp", peer.Host()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	prefixes := make(chan string, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = io.WriteString(c, <-prefixes)
			}
			_ = c.Close()
		}
	}()
	c := config("http")
	c.URLs, c.Friends, c.PerSecond = []string{"http://" + l.Addr().String()}, false, 100
	for n := range len(body) + 1 {
		p, err := qq.New(c, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		prefixes <- body[:n]
		changes, err := p.Read(t.Context(), []string{"10001"})
		if whole := n == len(body); (err == nil) != whole || whole && changes[0].Text != "On the road" {
			t.Fatalf("after %d of %d bytes: %+v, %v", n, len(body), changes, err)
		}
	}
}

// raw is a websocket's server that does what no library lets it do; it accepts until the test ends.
func raw(t *testing.T, talk func(net.Conn, *bufio.Reader)) string {
	t.Helper()
	l, err := net.Listen("tcp", peer.Host()+":0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			all.Go(func() {
				defer c.Close()
				r := bufio.NewReader(c)
				request, err := http.ReadRequest(r)
				if err != nil {
					return
				}
				key := sha1.Sum([]byte(request.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
				_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "+base64.StdEncoding.EncodeToString(key[:])+"\r\n\r\n")
				talk(c, r)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

// frame is a text frame of a server.
func frame(text string) []byte {
	head := []byte{0x81, byte(len(text))}
	switch {
	case len(text) > 0xFFFF:
		head = binary.BigEndian.AppendUint64([]byte{0x81, 127}, uint64(len(text)))
	case len(text) > 125:
		head = binary.BigEndian.AppendUint16([]byte{0x81, 126}, uint16(len(text)))
	}
	return append(head, text...)
}

// nextCall reads a client's frame and gives its echo.
func nextCall(r *bufio.Reader) (echo string, ok bool) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return "", false
	}
	n := int(head[1] & 0x7F)
	if n == 126 {
		if _, err := io.ReadFull(r, head); err != nil {
			return "", false
		}
		n = int(binary.BigEndian.Uint16(head))
	}
	text := make([]byte, 4+n)
	if _, err := io.ReadFull(r, text); err != nil {
		return "", false
	}
	for i := range text[4:] {
		text[4+i] ^= text[i%4]
	}
	_, after, _ := bytes.Cut(text[4:], []byte(`"echo":"`))
	before, _, ok := bytes.Cut(after, []byte(`"`))
	return string(before), ok
}
