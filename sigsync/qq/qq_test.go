package qq_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/deploy/peer"
	peerqq "github.com/callsign-as/callsign/deploy/peer/qq"
	"github.com/callsign-as/callsign/sigsync"
	"github.com/callsign-as/callsign/sigsync/qq"
)

const (
	token   = "s3cret"
	account = int64(10001)
)

// target is an IM server to read: our own peer, or the one that CALLSIGN_TEST_QQ names.
type target struct {
	config  qq.Config
	account string
	say     func(text string)
}

// reading runs a Provider until the test ends, and tells what it logs.
func reading(t *testing.T, c qq.Config) (*qq.Provider, *log) {
	t.Helper()
	l := &log{}
	p, err := qq.New(c, slog.New(slog.NewTextHandler(l, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return p, l
}

type log struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// config reads without a wait for the network's rate.
func config(mode string) qq.Config {
	c := qq.DefaultConfig()
	c.Mode, c.Token, c.PerSecond, c.Timeout = mode, token, 100, 5*time.Second
	return c
}

// ways are the three ways to a bot; each starts what it needs of both and gives the configuration for the other.
var ways = map[string]func(*testing.T, *peerqq.Bot) qq.Config{
	"HTTP": func(t *testing.T, b *peerqq.Bot) qq.Config {
		c := config("http")
		c.URLs = []string{serve(t, b).URL}
		return c
	},
	"forward websocket": func(t *testing.T, b *peerqq.Bot) qq.Config {
		c := config("ws")
		c.URLs = []string{strings.Replace(serve(t, b).URL, "http", "ws", 1) + "/api"}
		return c
	},
	"forward websocket with events": func(t *testing.T, b *peerqq.Bot) qq.Config {
		c := config("ws")
		c.URLs = []string{strings.Replace(serve(t, b).URL, "http", "ws", 1) + "/"}
		return c
	},
	"reverse websocket": func(t *testing.T, b *peerqq.Bot) qq.Config {
		c := config("reverse")
		c.Listen = free(t)
		dialling(t, b, c.Listen)
		return c
	},
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// free is an address that nobody listens at.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", peer.Host()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// dialling has a bot dial until the test ends, again and again as bots do.
func dialling(t *testing.T, b *peerqq.Bot, address string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			_ = b.Dial(ctx, "ws://"+address, nil)
			select {
			case <-tick.C:
			case <-ctx.Done():
			}
		}
	})
	t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
}

// says reads the account, and fails unless it says so.
func says(t *testing.T, p *qq.Provider, account, want string) callsign.Change {
	t.Helper()
	before := time.Now()
	changes, err := p.Read(t.Context(), []string{account})
	if err != nil || len(changes) != 1 || changes[0].Account != account || changes[0].Text != want {
		t.Fatalf("%+v, %v; want %q of %s", changes, err, want, account)
	}
	if c := changes[0]; !c.Stamp.Timed() || c.Stamp != callsign.TimedStamp(c.At) || c.At.After(time.Now()) || before.Sub(c.At) > 30*time.Second {
		t.Fatalf("the stamp is %v and the time %v: want when it was read", c.Stamp, c.At)
	}
	return changes[0]
}

func TestWhatAnAccountSaysIsReadEveryWay(t *testing.T) {
	if named := os.Getenv("CALLSIGN_TEST_QQ"); named != "" {
		t.Run("a real bot", func(t *testing.T) { isRead(t, real(t, named)) })
	}
	for way, reach := range ways {
		for what, bot := range map[string]func(*peerqq.Bot){
			"one by one, long_nick":      func(*peerqq.Bot) {},
			"one by one, longNick":       func(b *peerqq.Bot) { b.Spelling = "longNick" },
			"by the list, long_nick":     func(b *peerqq.Bot) { b.Listed = true },
			"by the list, longNick":      func(b *peerqq.Bot) { b.Listed, b.Spelling = true, "longNick" },
			"a build that has no list":   func(b *peerqq.Bot) { b.NoList = true },
			"friends that nobody can be": func(b *peerqq.Bot) { b.Listed = true; b.Say(0, "nobody") },
		} {
			t.Run(way+", "+what, func(t *testing.T) {
				b := peerqq.New("20001", token)
				bot(b)
				c := reach(t, b)
				c.FriendsAge = 100 * time.Millisecond
				isRead(t, target{c, strconv.FormatInt(account, 10), func(text string) { b.Say(account, text) }})
				if lists, singles := b.Calls("get_friend_list"), b.Calls("get_stranger_info"); b.Listed && singles > 0 || !b.Listed && lists > 1 {
					t.Errorf("the list was read %d times and accounts %d: want one way, found once", lists, singles)
				}
			})
		}
	}
}

// isRead is what must be so of any server, ours or a real one.
func isRead(t *testing.T, to target) {
	t.Helper()
	to.say("在高铁上 🚄 <&>\"")
	p, l := reading(t, to.config)
	says(t, p, to.account, "在高铁上 🚄 <&>\"")
	for _, text := range []string{"Back at six", ""} { // the second clears
		to.say(text)
		began := time.Now()
		peer.Until(t, "the change to be read", func() bool {
			changes, err := p.Read(t.Context(), []string{to.account})
			return err == nil && len(changes) == 1 && changes[0].Text == text
		})
		t.Logf("from change to read: %v", time.Since(began).Round(100*time.Microsecond))
	}
	if _, err := p.Read(t.Context(), []string{"not-a-number"}); !errors.Is(err, sigsync.ErrNoAccount) {
		t.Errorf("an account that is no number: %v", err)
	}
	if n := strings.Count(l.String(), "it is known how this bot's friends are read"); n != 1 {
		t.Errorf("how friends are read is logged %d times, want once:\n%s", n, l)
	}
}

// real is the bot that CALLSIGN_TEST_QQ names: see README.md.
func real(t *testing.T, named string) target {
	t.Helper()
	bot := struct {
		Mode, URL, Listen, Token, Account, Change string
	}{Mode: "http"}
	if err := yaml.Unmarshal([]byte(named), &bot); err != nil || bot.Account == "" || bot.Change == "" {
		t.Fatalf("CALLSIGN_TEST_QQ: %v: account and change must be there, see sigsync/qq/README.md", err)
	}
	c := qq.DefaultConfig()
	c.Mode, c.Listen, c.Token, c.FriendsAge, c.Timeout = bot.Mode, bot.Listen, sigsync.Secret(bot.Token), time.Second, 30*time.Second
	if bot.URL != "" {
		c.URLs = []string{bot.URL}
	}
	return target{c, bot.Account, func(text string) {
		change := exec.CommandContext(t.Context(), "sh", "-c", bot.Change)
		change.Env = append(os.Environ(), "TEXT="+text)
		if out, err := change.CombinedOutput(); err != nil {
			t.Fatalf("change: %v\n%s", err, out)
		}
	}}
}

func TestWhatCanNotBeReadIsSaidEveryWay(t *testing.T) {
	for way, reach := range ways {
		for sentence, test := range map[string]struct {
			bot     func(*peerqq.Bot)
			config  func(*qq.Config)
			account string
			want    error  // nil: none of sigsync's
			says    string // a part of the error
		}{
			"an account that isn't there": {nil, nil, "666", sigsync.ErrNoAccount, "200"},
			"a bot that is logged out":    {func(b *peerqq.Bot) { b.NoList = true; b.LogOut(true) }, nil, "10001", nil, "log it in"},
			"a build that tells no texts": {func(b *peerqq.Bot) { b.Spelling = "" }, nil, "10001", nil, "long_nick"},
			"a leading zero":              {nil, nil, "010001", sigsync.ErrNoAccount, "QQ number"},
			"a number without end":        {nil, nil, strings.Repeat("9", 400), sigsync.ErrNoAccount, "QQ number"},
			"a wrong token":               {nil, func(c *qq.Config) { c.Token = "wrong" }, "10001", sigsync.ErrCredentials, ""},
			"a token whose file is away":  {nil, func(c *qq.Config) { c.Token = "file:gone" }, "10001", sigsync.ErrCredentials, "token: open"},
		} {
			if test.config != nil && way == "reverse websocket" {
				continue // there we are who checks the token: see TestWhoMayDialIn
			}
			t.Run(way+", "+sentence, func(t *testing.T) {
				b := peerqq.New("20001", token)
				b.Say(account, "On the road")
				if test.bot != nil {
					test.bot(b)
				}
				c := reach(t, b)
				if c.Timeout = 5 * time.Second; test.config != nil {
					c.Timeout = 2 * time.Second // some wait for it in vain
					test.config(&c)
				}
				gone := filepath.Join(t.TempDir(), "token")
				if c.Token == "file:gone" {
					c.Token = sigsync.Secret("file:" + gone)
					if err := os.WriteFile(gone, []byte(token), 0o600); err != nil {
						t.Fatal(err)
					}
				}
				p, err := qq.New(c, slog.New(slog.DiscardHandler))
				if err != nil {
					t.Fatal(err)
				}
				_ = os.Remove(gone)
				ctx, cancel := context.WithCancel(t.Context())
				var running sync.WaitGroup
				running.Go(func() { _ = p.Run(ctx) })
				defer running.Wait()
				defer cancel()
				changes, err := p.Read(t.Context(), []string{test.account})
				if len(changes) > 0 || err == nil || !strings.Contains(err.Error(), test.says) || test.want != nil && !errors.Is(err, test.want) {
					t.Errorf("%+v, %v; want %v with %q", changes, err, test.want, test.says)
				}
				if test.want == nil && (errors.Is(err, sigsync.ErrNoAccount) || errors.Is(err, sigsync.ErrCredentials)) {
					t.Errorf("%v: it says nothing of the account or the token", err)
				}
			})
		}
	}
}

func TestAReadOfManyAsksForTheListOnceAndForStrangersOneByOne(t *testing.T) {
	b := peerqq.New("20001", token)
	b.Listed = true
	c := ways["HTTP"](t, b)
	c.PerCall = 100
	p, _ := reading(t, c)
	var accounts []string
	for n := range int64(99) {
		b.Say(1000+n, fmt.Sprint("text ", n))
		accounts = append(accounts, strconv.FormatInt(1000+n, 10))
	}
	changes, err := p.Read(t.Context(), append(accounts, "5"))
	if err != nil || len(changes) != 99 || b.Calls("get_friend_list") != 1 || b.Calls("get_stranger_info") != 1 {
		t.Errorf("%d changes, %v, by %d lists and %d single calls", len(changes), err, b.Calls("get_friend_list"), b.Calls("get_stranger_info"))
	}
	b.Say(5, "a stranger no more") // but the list is not read again yet
	changes, err = p.Read(t.Context(), []string{"1000", "5"})
	if err != nil || len(changes) != 2 || changes[1].Text != "a stranger no more" || b.Calls("get_friend_list") != 1 {
		t.Errorf("%+v, %v", changes, err)
	}
	if _, err := p.Read(t.Context(), make([]string, 101)); err == nil {
		t.Error("more than per_call are read")
	}
	if _, err := p.Read(t.Context(), nil); err == nil {
		t.Error("nobody is read")
	}
}

// Some builds have the key in each entry of the list and never a text there.
func TestWhoWaitsForAListThatAnotherReadsWaitsForAsLongAsItMay(t *testing.T) {
	asked, gone := make(chan struct{}, 10), make(chan struct{})
	s := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-gone }))
	c := config("http")
	c.URLs, c.Timeout = []string{s.URL}, 20*time.Second
	p, _ := reading(t, c)
	ctx, cancel := context.WithCancel(t.Context())
	var other sync.WaitGroup
	other.Go(func() { _, _ = p.Read(ctx, []string{"10001"}) })
	<-asked
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	began := time.Now()
	if _, err := p.Read(short, []string{"10001"}); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 5*time.Second {
		t.Errorf("%v after %v, want the end of its own time", err, time.Since(began))
	}
	cancel()
	close(gone)
	other.Wait()
}

func TestAListWithoutASingleTextClearsNobody(t *testing.T) {
	b := peerqq.New("20001", token)
	b.Listed = true
	b.Say(account, "")
	p, _ := reading(t, ways["HTTP"](t, b))
	says(t, p, "10001", "")
	b.Say(account, "On the road")
	says(t, p, "10001", "On the road")
	if n := b.Calls("get_friend_list"); n != 1 {
		t.Errorf("the list was read %d times", n)
	}
}

func TestSeveralBotsAreAskedInTurnAndTheOthersWhenOneIsGone(t *testing.T) {
	c := config("reverse")
	c.Listen, c.Friends = free(t), false
	bots := map[string]*peerqq.Bot{}
	stop := map[string]context.CancelFunc{}
	p, l := reading(t, c)
	for _, self := range []string{"20001", "20002", "20003"} {
		b := peerqq.New(self, token)
		b.Say(account, "On the road")
		ctx, cancel := context.WithCancel(t.Context())
		bots[self], stop[self] = b, cancel
		var ended sync.WaitGroup
		peer.Until(t, "the listener", func() bool {
			conn, err := net.Dial("tcp", c.Listen)
			if err == nil {
				_ = conn.Close()
			}
			return err == nil
		})
		ended.Go(func() { _ = b.Dial(ctx, "ws://"+c.Listen, nil) })
		t.Cleanup(ended.Wait)
		t.Cleanup(cancel)
	}
	peer.Until(t, "all bots", func() bool { return strings.Count(l.String(), "a bot is connected") == 3 })
	for range 6 {
		says(t, p, "10001", "On the road")
	}
	for self, b := range bots {
		if n := b.Calls("get_stranger_info"); n != 2 {
			t.Errorf("bot %s was asked %d times, want 2", self, n)
		}
	}
	stop["20001"]()
	peer.Until(t, "the bot to be gone", func() bool { return strings.Contains(l.String(), "until it dials again") })
	for range 4 {
		says(t, p, "10001", "On the road")
	}
	if n := bots["20001"].Calls("get_stranger_info"); n != 2 {
		t.Errorf("a bot that is gone was asked")
	}
}

func TestWhoMayDialIn(t *testing.T) {
	c := config("reverse")
	c.Listen = free(t)
	_, l := reading(t, c)
	b := peerqq.New("20001", token)
	dial := func(change func(http.Header)) (err error) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		if change == nil {
			defer context.AfterFunc(ctx, func() {})()
			go func() {
				peer.Until(t, "the bot", func() bool { return strings.Contains(l.String(), "a bot is connected") })
				cancel()
			}()
		}
		peer.Until(t, "the listener", func() bool {
			err = b.Dial(ctx, "ws://"+c.Listen, change)
			return err == nil || !strings.Contains(err.Error(), "connection refused")
		})
		return err
	}
	for sentence, test := range map[string]struct {
		change func(http.Header)
		want   string
	}{
		"no token":                {func(h http.Header) { h.Del("Authorization") }, "403"},
		"a wrong token":           {func(h http.Header) { h.Set("Authorization", "Bearer s3cres") }, "403"},
		"a token in another way":  {func(h http.Header) { h.Set("Authorization", "Token "+token) }, "403"},
		"no number":               {func(h http.Header) { h.Del("X-Self-ID") }, "400"},
		"a number that is none":   {func(h http.Header) { h.Set("X-Self-ID", "0") }, "400"},
		"events only":             {func(h http.Header) { h.Set("X-Client-Role", "Event") }, "400"},
		"a header without an end": {func(h http.Header) { h.Set("X-More", strings.Repeat("x", 64<<10)) }, "431"},
	} {
		if err := dial(test.change); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %s", sentence, err, test.want)
		}
	}
	if strings.Contains(l.String(), "a bot is connected") {
		t.Errorf("somebody came in:\n%s", l)
	}
	if n := strings.Count(l.String(), "may not come in"); n != 1 {
		t.Errorf("the refusals are logged %d times, want once in a minute", n)
	}
	if err := dial(nil); err != nil {
		t.Errorf("a bot that may: %v", err)
	}
}

// Whoever holds all connections that the listener takes, holds them for seconds only.
func TestConnectionsThatSayNothingKeepNoBotOut(t *testing.T) {
	c := config("reverse")
	c.Listen = free(t)
	_, l := reading(t, c)
	for i := range 40 { // more than are let in at a time
		var conn net.Conn
		peer.Until(t, "the listener", func() (up bool) {
			var err error
			conn, err = net.Dial("tcp", c.Listen)
			return err == nil
		})
		defer conn.Close()
		if i%2 == 0 { // the others say nothing at all
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
		}
	}
	dialling(t, peerqq.New("20001", token), c.Listen)
	peer.Until(t, "the bot to be let in", func() bool { return strings.Contains(l.String(), "a bot is connected") })
}

func TestABotThatComesBackIsReadAgain(t *testing.T) {
	b := peerqq.New("20001", token)
	b.Say(account, "On the road")
	c := config("reverse")
	c.Listen = free(t)
	p, l := reading(t, c)
	for n := 1; n <= 3; n++ {
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			peer.Until(t, "the listener", func() bool { return b.Dial(ctx, "ws://"+c.Listen, nil) == nil || ctx.Err() != nil })
		}()
		peer.Until(t, "the bot", func() bool { return strings.Count(l.String(), "a bot is connected") == n })
		says(t, p, "10001", "On the road")
		cancel()
		<-ended
		peer.Until(t, "the bot to be gone", func() bool { return strings.Count(l.String(), "until it dials again") == n })
	}
}

// A second connection of the same bot is the one that is asked: the first may be half dead.
func TestABotThatDialsTwiceIsAskedOverItsNewConnection(t *testing.T) {
	c := config("reverse")
	c.Listen, c.Friends = free(t), false
	p, l := reading(t, c)
	old, young := peerqq.New("20001", token), peerqq.New("20001", token)
	old.Say(account, "old")
	young.Say(account, "new")
	dialling(t, old, c.Listen)
	peer.Until(t, "the first", func() bool { return strings.Count(l.String(), "a bot is connected") == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	var ended sync.WaitGroup
	ended.Go(func() { _ = young.Dial(ctx, "ws://"+c.Listen, nil) })
	defer ended.Wait()
	defer cancel()
	peer.Until(t, "the second", func() bool { return strings.Count(l.String(), "a bot is connected") == 2 })
	for range 3 {
		says(t, p, "10001", "new")
	}
}

func TestRunLeavesNothingRunning(t *testing.T) {
	for way, reach := range ways {
		t.Run(way, func(t *testing.T) {
			b := peerqq.New("20001", token)
			b.Say(account, "On the road")
			c := reach(t, b)
			p, err := qq.New(c, slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- p.Run(ctx) }()
			says(t, p, "10001", "On the road")
			cancel()
			if err := <-ended; err != nil {
				t.Error(err)
			}
			peer.Until(t, "our goroutines to be gone", func() bool {
				stacks := make([]byte, 1<<20)
				return !strings.Contains(string(stacks[:runtime.Stack(stacks, true)]), "sigsync/qq.(*")
			})
		})
	}
}

func TestTheListenersAddressIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", peer.Host()+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := config("reverse")
	c.Listen = l.Addr().String()
	p, err := qq.New(c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(t.Context()); err == nil || !strings.Contains(err.Error(), c.Listen) {
		t.Errorf("%v, want what is taken", err)
	}
}

func TestConfigurationsThatCanNotWork(t *testing.T) {
	for sentence, test := range map[string]struct {
		change func(*qq.Config)
		want   string
	}{
		"no mode":                 {func(c *qq.Config) { c.Mode = "" }, "mode"},
		"no bot":                  {func(c *qq.Config) { c.URLs = nil }, "urls"},
		"too many bots":           {func(c *qq.Config) { c.URLs = make([]string, 17) }, "urls"},
		"a websocket for HTTP":    {func(c *qq.Config) { c.URLs = []string{"ws://127.0.0.1"} }, "http://"},
		"a token in the URL":      {func(c *qq.Config) { c.URLs = []string{"http://127.0.0.1/?access_token=x"} }, "token"},
		"a user in the URL":       {func(c *qq.Config) { c.URLs = []string{"http://a:b@127.0.0.1/"} }, "token"},
		"a listener for HTTP":     {func(c *qq.Config) { c.Listen = "127.0.0.1:1" }, "listen"},
		"reverse without listen":  {func(c *qq.Config) { c.Mode, c.URLs, c.Token = "reverse", nil, "x" }, "listen"},
		"reverse without a token": {func(c *qq.Config) { c.Mode, c.URLs, c.Listen = "reverse", nil, "127.0.0.1:1" }, "token"},
		"reverse to everywhere":   {func(c *qq.Config) { c.Mode, c.URLs, c.Listen, c.Token = "reverse", nil, ":6700", "x" }, "listen"},
		"lists for ever":          {func(c *qq.Config) { c.FriendsAge = time.Hour }, "friends_age"},
		"many one by one":         {func(c *qq.Config) { c.PerCall, c.Friends = 2, false }, "per_call"},
		"no rate":                 {func(c *qq.Config) { c.PerSecond = 0 }, "per_second"},
		"no time":                 {func(c *qq.Config) { c.Timeout = 0 }, "timeout"},
		"a token that is away":    {func(c *qq.Config) { c.Token = "file:/nowhere" }, "token"},
		"one that can":            {func(*qq.Config) {}, ""},
	} {
		c := qq.DefaultConfig()
		c.URLs = []string{"http://127.0.0.1:3000"}
		test.change(&c)
		_, err := qq.New(c, slog.New(slog.DiscardHandler))
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", sentence, err, test.want)
		}
	}
}
