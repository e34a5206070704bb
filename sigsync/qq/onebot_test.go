package qq

import (
	"encoding/json"
	"testing"
	"unicode/utf8"
)

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"status":"ok","retcode":0,"data":{"user_id":10001,"nickname":"a","long_nick":"hi"},"message":"","wording":"","echo":"1"}`,
		`{"status":"ok","retcode":0,"data":[{"user_id":"10001","nickname":"a","longNick":"在高铁上"}],"echo":null}`,
		`{"status":"failed","retcode":1403,"data":null,"message":"token验证失败"}`,
		`{"post_type":"meta_event","meta_event_type":"heartbeat","status":{"online":true}}`,
		`{"retcode":"1e5","echo":7}`, `[]`, `null`, "{\"status\":\"\xff\"}", `{"data":{"long_nick":"\ud83d"}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, err := parseAnswer(raw)
		if err != nil {
			return
		}
		if a.err() == nil && a.Status != "ok" {
			t.Errorf("%q is taken for good", raw)
		}
		var p profile
		if json.Unmarshal(a.Data, &p) == nil {
			if text, err := p.text(); err == nil && !utf8.ValidString(text) {
				t.Errorf("%q gives the text %q", raw, text)
			}
		}
		var list []profile
		_ = json.Unmarshal(a.Data, &list)
	})
}

func FuzzAccount(f *testing.F) {
	for _, seed := range []string{"10001", "0", "", "01", "+1", "-1", "1e3", "9007199254740991", "9007199254740993", "18446744073709551616", "１２"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, account string) {
		n, err := parseAccount(account)
		if err != nil {
			return
		}
		raw, err := json.Marshal(params{UserID: n})
		if want := `{"user_id":` + account + `}`; err != nil || string(raw) != want {
			t.Errorf("%q is asked for as %s", account, raw)
		}
	})
}
