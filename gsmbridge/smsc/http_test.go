package smsc

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// bound serves s over HTTP with an ESME bound to it, which refuses what says "no".
func bound(t *testing.T) (web *httptest.Server, session *smpp.Session, came chan *smpp.Message) {
	t.Helper()
	s, bind := running(t, Options{})
	came = make(chan *smpp.Message, 8)
	session, err := bind(smpp.BindRequest{SystemID: "x"}, func(m *smpp.Message) { came <- m })
	if err != nil {
		t.Fatal(err)
	}
	for s.receiving("", nil) == nil { // its session is about to be kept
		t.Log("not bound yet")
	}
	web = httptest.NewServer(s.Handler())
	t.Cleanup(web.Close)
	return web, session, came
}

func ask(t *testing.T, method, url, body string) (status int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

func TestHandsetsAnswerOverHTTP(t *testing.T) {
	web, session, came := bound(t)
	question := notification(ussrRequest)
	if _, err := session.Submit(t.Context(), question, nil); err != nil {
		t.Fatal(err)
	}
	const phone = "/handsets/+8613900000001"
	for _, c := range []struct {
		method, path, body string
		status             int
		answer             string // what it has in it
	}{
		{"POST", phone + "/messages", `{"to":"10086","text":"STOP"}`, 202, ""},
		{"POST", phone + "/messages", `{"to":"10086"}`, 400, `text: it is empty: send {"to":"10086","text":"STOP"}`},
		{"POST", phone + "/messages", `{"too":"10086"}`, 400, "send JSON like"},
		{"POST", phone + "/messages", `{"text":"` + strings.Repeat("a", maxBody) + `"}`, 400, "too large"},
		{"POST", "/handsets/x/messages", `{"text":"STOP"}`, 400, "is not E.164"},
		{"POST", phone + "/ussd", `{"text":"1"}`, 202, ""},
		{"POST", phone + "/ussd", `{"text":"1"}`, 409, "was asked nothing by USSD"},
		{"PUT", phone + "/connected", "", 204, ""},
		{"DELETE", phone + "/connected", "", 204, ""},
		{"PUT", "/behaviour", `{"submit_status":88,"delay":"5ms"}`, 200, `"submit_status":88`},
		{"GET", "/behaviour", "", 200, `"delay":"5ms"`},
		{"PUT", "/behaviour", `{"submit_status":"throttled"}`, 400, "GET /behaviour shows all keys"},
		{"GET", "/behaviour", "", 200, `"submit_status":88`},
	} {
		if status, answer := ask(t, c.method, web.URL+c.path, c.body); status != c.status || !strings.Contains(answer, c.answer) {
			t.Errorf("%s %s %.60s: got %d %s, want %d %s", c.method, c.path, c.body, status, answer, c.status, c.answer)
		}
	}
	if m := <-came; string(m.ShortMessage) != "STOP" || m.Source != destination {
		t.Errorf("got %+v", m)
	}
	if m := <-came; string(m.ShortMessage) != "1" || m.TLVs[smpp.TagUSSDServiceOp][0] != ussrConfirm {
		t.Errorf("got %+v", m)
	}
	if _, err := session.Submit(t.Context(), question, nil); !strings.Contains(message(err), "0x58") {
		t.Errorf("the behaviour that was put is not the SMSC's: %v", err)
	}
	session.Close()
	for {
		status, answer := ask(t, "POST", web.URL+phone+"/messages", `{"text":"STOP"}`)
		if status == 503 && strings.Contains(answer, "bind as receiver or transceiver") {
			break
		}
		if status == 202 {
			t.Fatalf("it was taken by nobody: %s", answer)
		}
	}
}

func TestEvents(t *testing.T) {
	web, session, _ := bound(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, web.URL+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := resp.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("got %s", got)
	}
	for _, text := range []string{"one", "two"} {
		if _, err := session.Submit(t.Context(), &smpp.Message{Dest: destination, ShortMessage: []byte(text)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	lines := bufio.NewScanner(resp.Body)
	for _, want := range []string{"event: shown", `"text":"one"`, "", "event: shown", `"text":"two"`, ""} {
		if !lines.Scan() || !strings.Contains(lines.Text(), want) || want == "" && lines.Text() != "" {
			t.Errorf("got %q, want %q", lines.Text(), want)
		}
	}
}
