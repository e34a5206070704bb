// Package qq is a bot that speaks OneBot 11, for tests: written from the standard's documents and from how LuckyLilliaBot behaves, and
// as strict as these. It refuses a wrong token, a body that is not announced as JSON, an account without its number and calls that it
// doesn't know, and without no_cache it tells what it told first.
package qq

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/gorilla/websocket"
)

// Bot is one; its fields are set before it is used.
type Bot struct {
	Self     string // its QQ number
	Token    string
	Spelling string // of the text: long_nick or longNick; "": it tells none
	Listed   bool   // its list of friends has the texts
	NoList   bool   // it has no list of friends at all

	mu      sync.Mutex
	offline bool
	says    map[int64]string
	cached  map[int64]string
	calls   map[string]int
}

// New makes a bot that is logged in and knows nobody.
func New(self, token string) *Bot {
	return &Bot{Self: self, Token: token, Spelling: "long_nick", says: map[int64]string{}, cached: map[int64]string{}, calls: map[string]int{}}
}

// Say has an account, a friend of the bot's, say a text.
func (b *Bot) Say(account int64, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.says[account] = text
}

// LogOut has the bot lose its login at QQ, or get it back.
func (b *Bot) LogOut(out bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.offline = out
}

// Calls is how often something was called.
func (b *Bot) Calls(action string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.calls[action]
}

type object = map[string]any

// ServeHTTP is the bot's HTTP API, and its websocket at / and /api.
func (b *Bot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	allowed := r.Header.Get("Authorization") == "Bearer "+b.Token
	if websocket.IsWebSocketUpgrade(r) {
		if r.URL.Path != "/" && r.URL.Path != "/api" {
			http.NotFound(w, r)
			return
		}
		up := websocket.Upgrader{}
		conn, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		if !allowed {
			_ = conn.WriteJSON(object{"status": "failed", "retcode": 1403, "data": nil, "message": "token验证失败", "echo": nil})
			return
		}
		b.converse(conn, r.URL.Path == "/")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if !allowed {
		w.WriteHeader(http.StatusForbidden)
		_ = json.NewEncoder(w).Encode(object{"message": "token verify failed"})
		return
	}
	var params map[string]any
	if r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		if err := json.NewDecoder(r.Body).Decode(&params); err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	res := b.do(strings.TrimPrefix(r.URL.Path, "/"), params, 0)
	if res["retcode"] == 404 {
		w.WriteHeader(http.StatusNotFound)
	}
	_ = json.NewEncoder(w).Encode(res)
}

// Dial dials in reverse, and is asked until the websocket or ctx ends.
func (b *Bot) Dial(ctx context.Context, url string, change func(http.Header)) error {
	header := http.Header{"X-Self-Id": {b.Self}, "X-Client-Role": {"Universal"}, "Authorization": {"Bearer " + b.Token}}
	if change != nil {
		change(header)
	}
	conn, res, err := websocket.DefaultDialer.DialContext(ctx, url, header)
	if err != nil {
		if res != nil {
			err = fmt.Errorf("%w: %d", err, res.StatusCode)
		}
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	b.converse(conn, true)
	return nil
}

// converse answers calls; a universal websocket carries events too.
func (b *Bot) converse(conn *websocket.Conn, universal bool) {
	event := func() {
		if universal {
			_ = conn.WriteJSON(object{"post_type": "meta_event", "meta_event_type": "lifecycle", "sub_type": "connect", "self_id": b.Self, "status": object{"online": true}})
		}
	}
	event()
	for {
		_, raw, err := conn.ReadMessage()
		if err != nil {
			return
		}
		var call struct {
			Action string
			Params map[string]any
			Echo   any
		}
		if err := json.Unmarshal(raw, &call); err != nil {
			_ = conn.WriteJSON(object{"status": "failed", "retcode": 1400, "data": nil, "message": "JSON 解析失败"})
			continue
		}
		event()
		res := b.do(call.Action, call.Params, 1000)
		res["echo"] = call.Echo
		if conn.WriteJSON(res) != nil {
			return
		}
	}
}

// do is what a call answers; failures have plus added over a websocket.
func (b *Bot) do(action string, params map[string]any, plus int) object {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls[action]++
	ok := func(data any) object { return object{"status": "ok", "retcode": 0, "data": data, "message": ""} }
	failed := func(code int, why string) object {
		return object{"status": "failed", "retcode": code + plus, "data": nil, "message": why, "wording": why}
	}
	_, fresh := params["no_cache"].(bool)
	switch action {
	case "get_status":
		return ok(object{"online": !b.offline, "good": true})
	case "get_stranger_info":
		n, isNumber := params["user_id"].(float64)
		account := int64(n)
		text, known := b.says[account]
		switch {
		case !isNumber:
			return failed(400, "user_id is missing")
		case b.offline || !known:
			return failed(200, "获取用户信息失败")
		}
		if old, was := b.cached[account]; was && !fresh {
			text = old
		}
		b.cached[account] = text
		return ok(b.profile(account, text, b.Spelling))
	case "get_friend_list":
		if b.NoList {
			break
		}
		if b.offline {
			return failed(200, "获取好友列表失败")
		}
		list := []object{}
		for account, text := range b.says {
			if old, was := b.cached[account]; was && !fresh {
				text = old
			}
			b.cached[account] = text
			spelling := b.Spelling
			if !b.Listed {
				spelling = ""
			}
			list = append(list, b.profile(account, text, spelling))
		}
		return ok(list)
	}
	return failed(404, action+" API 不存在")
}

func (b *Bot) profile(account int64, text, spelling string) object {
	p := object{"user_id": account, "nickname": fmt.Sprint("somebody ", account), "sex": "unknown"}
	if spelling != "" {
		p[spelling] = text
	}
	return p
}
