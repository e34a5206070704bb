package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/gorilla/websocket"

	"github.com/callsign-as/callsign"
	"github.com/callsign-as/callsign/api"
	"github.com/callsign-as/callsign/gsmbridge"
	"github.com/callsign-as/callsign/gsmbridge/smsc"
	"github.com/callsign-as/callsign/sipas/phone"
)

// The people of the demo.
const (
	demoCaller     = callsign.MSISDN(8613800000001)
	demoSubscriber = callsign.MSISDN(8613900000002)
	demoNetwork    = "qq"
	demoAccount    = "10001"
	demoText       = "在高铁上，信号不好 🚄 I call you back at six"
)

type demoCommand struct {
	Once bool          `help:"Place one call, check what the caller's phone shows, and end: 0 if it is right, 1 if not."`
	Ring time.Duration `default:"2s" help:"How long the called phone rings before it is answered."`
}

// Run starts everything on this machine, tells what happens, and stays up.
func (c demoCommand) Run(s surroundings) (err error) {
	dir, err := os.MkdirTemp("", "callsign-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d := &demo{surroundings: s, ring: c.Ring}
	everything, err := d.start(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, everything.stop()) }()
	if err := d.tell(); err != nil {
		return err
	}
	if c.Once {
		return nil
	}
	d.sayMore()
	select {
	case <-s.ctx.Done():
		return nil
	case <-everything.failed:
		return nil // stop says why
	}
}

// demo is a small operator with an IM system, an SMSC and two phones.
type demo struct {
	surroundings
	ring           time.Duration
	config         Config
	daemon         *daemon
	smsc           *smsc.Server
	web            net.Listener // the SMSC's handsets
	caller, callee *phone.Phone
	admin, source  string // keys
	step           int
}

// start starts all parts on addresses of this machine: the usual ones where they are free.
func (d *demo) start(dir string) (stage, error) {
	smpp, err := listenNear("127.0.0.1:2775")
	if err != nil {
		return stage{}, err
	}
	if d.web, err = listenNear("127.0.0.1:8775"); err != nil {
		return stage{}, err
	}
	d.smsc = smsc.New(smsc.Options{SystemID: "callsign", Password: "demo"})
	any := netip.MustParseAddrPort("127.0.0.1:0")
	if d.caller, err = phone.Listen(any, 0); err != nil {
		return stage{}, err
	}
	if d.callee, err = phone.Listen(any, d.ring); err != nil {
		return stage{}, err
	}

	link := gsmbridge.DefaultLink()
	link.Name, link.Address, link.SystemID, link.Password = "demo", smpp.Addr().String(), "callsign", "demo"
	d.config = defaultConfig()
	d.config.SMPP.Links = []gsmbridge.LinkConfig{link}
	d.config.Show.CallerRanges = []string{"any"}
	d.config.Show.PerCallerPerHour = 0 // whoever tries it out calls more often than people do
	d.config.HTTP.TestCalls = true
	d.config.Store.URL = "sqlite://" + filepath.Join(dir, "callsign.db")
	d.config.State.Dir = dir
	d.config.SIP.Listen = d.config.SIP.Listen[:1] // its phones speak UDP
	if !udpFree(d.config.SIP.Listen[0]) {
		d.config.SIP.Listen = []string{"udp://127.0.0.1:0"}
	}
	if !tcpFree(d.config.HTTP.Listen) {
		d.config.HTTP.Listen = "127.0.0.1:0"
	}
	log, err := newLog(d.stderr, LogConfig{Level: "error", Format: "text"})
	if err != nil {
		return stage{}, err
	}
	if d.daemon, err = newDaemon(&d.config, log); err != nil {
		return stage{}, err
	}
	everything := start(context.WithoutCancel(d.ctx),
		func(ctx context.Context) error { return d.smsc.Run(ctx, smpp) },
		func(ctx context.Context) error { return serveHTTP(ctx, d.web, d.smsc.Handler()) },
		d.caller.Run, d.callee.Run, d.daemon.run)
	if err := d.keys(); err != nil {
		return everything, errors.Join(err, everything.stop())
	}
	return everything, nil
}

// keys makes the keys of the administrator and of the IM system, as soon as the store is open.
func (d *demo) keys() error {
	if err := wait(d.ctx, "the store to open and opt-outs to be read", func() (bool, error) { return d.daemon.opening.Load() == nil && d.daemon.optOuts.Loaded(), nil }); err != nil {
		return err
	}
	make := func(name string, scope callsign.Scope) (string, error) {
		scope.Tenant = callsign.DefaultTenant
		secret, key := api.NewKey(name, scope, time.Time{})
		return secret, d.daemon.engine.PutKey(d.ctx, key)
	}
	var errAdmin, errSource error
	d.admin, errAdmin = make("demo's administrator", callsign.Scope{Role: callsign.RoleAdmin})
	d.source, errSource = make("demo's IM system", callsign.Scope{Role: callsign.RoleSource, Network: demoNetwork})
	return errors.Join(errAdmin, errSource)
}

// tell plays the scene and checks it.
func (d *demo) tell() error {
	d.say("Callsign is up, with all that it needs, on this machine: SIP on %v, the API on %s.", d.sip(), d.url())
	if err := wait(d.ctx, "the SMSC link to be bound", func() (bool, error) { return d.daemon.bridge.Links()[0].Bound, nil }); err != nil {
		return err
	}
	d.say("Li Na (%s) becomes a subscriber and links her %s account %s.", demoSubscriber.E164(), demoNetwork, demoAccount)
	c := d.client()
	if err := c.do(d.ctx, http.MethodPut, pathTo("subscribers", demoSubscriber.E164()), map[string]string{"name": "Li Na"}, nil); err != nil {
		return err
	}
	if err := c.do(d.ctx, http.MethodPut, pathTo("subscribers", demoSubscriber.E164(), "accounts", demoNetwork, demoAccount), nil, nil); err != nil {
		return err
	}
	d.say("She changes her signature there. The IM system pushes it over its websocket:\n      “%s”", demoText)
	status, err := d.push(demoText)
	if err != nil {
		return err
	}
	d.say("Callsign answers %q: it is on disk.", status)
	if status != string(callsign.Stored) {
		return fmt.Errorf("the push was answered with %q, want stored", status)
	}
	d.say("Wang Wei (%s) calls her. The INVITE passes through Callsign and comes out untouched.", demoCaller.E164())
	shown, err := d.call()
	if err != nil {
		return err
	}
	d.say("While it rang, his phone showed:")
	smsc.Draw(d.stdout, shown)
	if shown.Text != demoText || !shown.Flash {
		return fmt.Errorf("the phone shows %q (flash: %v), want the signature %q as Flash SMS", shown.Text, shown.Flash, demoText)
	}
	return nil
}

func (d *demo) say(format string, args ...any) {
	d.step++
	fmt.Fprintf(d.stdout, "%3d.  %s\n", d.step, fmt.Sprintf(format, args...))
}

// call places a call and returns what the caller's phone showed during it.
func (d *demo) call() (shown smsc.Message, err error) {
	before := len(d.smsc.Messages(demoCaller))
	ctx, cancel := context.WithTimeout(d.ctx, d.ring+30*time.Second)
	defer cancel()
	shownBefore200 := false
	err = d.caller.Place(ctx, phone.Call{From: demoCaller, To: demoSubscriber, Route: []netip.AddrPort{d.sip(), d.callee.Addr()}, Status: func(status int, text string) {
		d.say("%d %s", status, text)
		if status == 200 {
			shownBefore200 = len(d.smsc.Messages(demoCaller)) > before
		}
	}})
	if err != nil {
		return shown, err
	}
	messages := d.smsc.Messages(demoCaller)
	switch {
	case len(messages) != before+1:
		return shown, fmt.Errorf("the caller's phone got %d messages in this call, want 1", len(messages)-before)
	case !shownBefore200:
		return shown, errors.New("the text came after the call was answered")
	}
	return messages[before], nil
}

// push does what an IM platform does: connects, reads hello, sends one event and waits for its ack.
func (d *demo) push(text string) (status string, err error) {
	dialer := websocket.Dialer{Subprotocols: []string{"callsign.v1"}, HandshakeTimeout: 10 * time.Second}
	conn, _, err := dialer.DialContext(d.ctx, "ws"+d.url()[len("http"):]+"/v1/push", http.Header{"Authorization": {"Bearer " + d.source}})
	if err != nil {
		return "", fmt.Errorf("push: %w", err)
	}
	defer conn.Close()
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	var hello struct {
		ResumeFrom int64 `json:"resume_from"`
	}
	if err := conn.ReadJSON(&hello); err != nil {
		return "", fmt.Errorf("push: read hello: %w", err)
	}
	next := hello.ResumeFrom + 1
	type object = map[string]any
	err = conn.WriteJSON(object{"op": "events", "batch": "b-1", "seq": []int64{next, next}, "events": []object{{
		"specversion": "1.0", "type": "im.callsign.signature.changed", "source": demoNetwork, "id": fmt.Sprint(next), "subject": demoAccount,
		"time": time.Now().UTC().Format(time.RFC3339Nano), "accountversion": next, "data": object{"text": text, "lang": "zh"},
	}}})
	if err != nil {
		return "", fmt.Errorf("push: %w", err)
	}
	var answer struct {
		Op      string          `json:"op"`
		Error   json.RawMessage `json:"error"`
		Results []struct {
			Status string `json:"status"`
		} `json:"results"`
	}
	if err := conn.ReadJSON(&answer); err != nil {
		return "", fmt.Errorf("push: read ack: %w", err)
	}
	if answer.Op != "ack" || len(answer.Results) != 1 {
		return "", fmt.Errorf("push: answered with %s %s", answer.Op, answer.Error)
	}
	_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
	return answer.Results[0].Status, nil
}

// sayMore says what a person can do next.
func (d *demo) sayMore() {
	me := "go run ./cmd/callsign"
	fmt.Fprintf(d.stdout, `
Everything stays up until you press Ctrl-C. Try:

  see all of this in a browser:  %[1]s/console/
    sign in with                 %[3]s
  change the signature by hand:
    curl -X PUT %[1]s/v1/subscribers/%[2]s/signature \
      -H 'Authorization: Bearer %[3]s' -H 'Content-Type: application/json' -d '{"text":"Gone fishing"}'
  call again, and see it:
    %[4]s call %[5]s %[2]s --trace --sip %[6]s --server %[1]s --key %[3]s
  ask what a call would show, and why:
    %[4]s call %[5]s %[2]s --dry --server %[1]s --key %[3]s
  look at what the handsets show:  http://%[7]s/handsets
  and at the API:                  %[1]s/openapi.json  %[1]s/readyz  %[1]s/metrics

Nothing of this is kept: the store is in a temporary folder.
`, d.url(), demoSubscriber.E164(), d.admin, me, demoCaller.E164(), d.sip(), d.web.Addr())
}

func (d *demo) sip() netip.AddrPort { return d.daemon.relay.Addrs()[0] }
func (d *demo) url() string         { return "http://" + d.daemon.listener.Addr().String() }
func (d *demo) client() *client     { return &client{Server: d.url(), APIKey: d.admin} }

// listenNear listens on address, or on a free port beside it.
func listenNear(address string) (net.Listener, error) {
	if l, err := net.Listen("tcp", address); err == nil {
		return l, nil
	}
	return net.Listen("tcp", "127.0.0.1:0")
}

func tcpFree(address string) bool {
	l, err := net.Listen("tcp", address)
	if err == nil {
		_ = l.Close()
	}
	return err == nil
}

func udpFree(listen string) bool {
	c, err := net.ListenPacket("udp", listen[len("udp://"):])
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// wait waits until something is so.
func wait(ctx context.Context, what string, so func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		ok, err := so()
		if ok || err != nil {
			return err
		}
		select {
		case <-time.After(10 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", what, ctx.Err())
		}
	}
}
