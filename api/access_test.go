package api

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/callsign-as/callsign"
)

// Of an address that guesses, wrong keys soon cost nothing; a key that was right before goes on being right.
func TestWrongKeysAreLimitedByAddress(t *testing.T) {
	s := serve(t, nil)
	good := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	expect(t, "a right key", s.do(t, good, "GET", "/v1/keys", "").status, 200)
	lookups := func() (n int) {
		s.memory.set(func(m *memory) { n = m.lookups })
		return n
	}
	before := lookups()
	counted := map[int]int{}
	var last answer
	for i := range 1000 {
		last = s.do(t, fmt.Sprint("cs_", i), "GET", "/v1/keys", "")
		counted[last.status]++
	}
	if asked := lookups() - before; counted[401] != asked || asked < guessBurst || asked > 2*guessBurst {
		t.Errorf("of 1000 wrong keys %d were looked up and the answers are %v, want %d look-ups and little more", asked, counted, guessBurst)
	}
	expect(t, "what the next one is told", fmt.Sprint(last.status, last.body["code"], last.header.Get("Retry-After")), "429too_many_attempts3")
	s.keys.doubt()
	expect(t, "the right key beside them", s.do(t, good, "GET", "/v1/keys", "").status, 200)
	if _, resp := dial(t, websocket.Dialer{}, s.url, "cs_wrong"); resp.StatusCode != 429 {
		t.Errorf("the push door answers %d, want 429", resp.StatusCode)
	}
}

func TestAddressesThatAreOneParty(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.1:5": "192.0.2.1/32", "[::ffff:192.0.2.1]:5": "192.0.2.1/32", "[2001:db8::1]:5": "2001:db8::/64",
		"[2001:db8::ffff:1%eth0]:5": "2001:db8::/64", "pipe": "invalid Prefix",
	} {
		if got := partyOf(&http.Request{RemoteAddr: remote}).String(); got != want {
			t.Errorf("%s is %s, want %s", remote, got, want)
		}
	}
	g := &newKeyring(nil).guesses
	for i := range guessersRemembered + 10 {
		g.wrong(netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32), time.Now())
	}
	if len(g.of) > guessersRemembered {
		t.Errorf("%d addresses are remembered", len(g.of))
	}
}

func TestOnlyWhatWasReadIsChanged(t *testing.T) {
	s := serve(t, nil)
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	const path = "/v1/subscribers/8613800000001"
	expect(t, "what isn't there", s.do(t, admin, "PUT", path, `{"name":"A"}`, "If-Match", `"1"`).status, 412)
	made := s.do(t, admin, "PUT", path, `{"name":"A"}`)
	tag := made.header.Get("ETag")
	expect(t, "the tag of what was made", tag, s.do(t, admin, "GET", path, "").header.Get("ETag"))
	expect(t, "the first of two", s.do(t, admin, "PUT", path, `{"name":"B"}`, "If-Match", tag).status, 200)
	second := s.do(t, admin, "PUT", path, `{"name":"C"}`, "If-Match", tag)
	expect(t, "the second", fmt.Sprint(second.status, second.body["code"]), "412changed_meanwhile")
	expect(t, "who deletes what was read", s.do(t, admin, "DELETE", path, "", "If-Match", tag).status, 412)
	for _, odd := range []string{"1", `W/"1"`, `"x"`, `"0"`, "*"} {
		expect(t, "the tag "+odd, s.do(t, admin, "PUT", path, `{"name":"D"}`, "If-Match", odd).status, 400)
	}
	got := s.do(t, admin, "GET", path, "")
	expect(t, "the name", got.body["name"], "B")
	expect(t, "deleting what was read", s.do(t, admin, "DELETE", path, "", "If-Match", got.header.Get("ETag")).status, 204)
}

func TestARepeatedRequestMakesOneKey(t *testing.T) {
	s := serve(t, nil)
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	const body = `{"name":"x","role":"operator"}`
	first := s.do(t, admin, "POST", "/v1/keys", body, "Idempotency-Key", "a")
	again := s.do(t, admin, "POST", "/v1/keys", body, "Idempotency-Key", "a")
	expect(t, "the first", first.status, 201)
	expect(t, "again", fmt.Sprint(again.status, again.body["code"]), "409already_made")
	if detail := again.body["detail"].(string); !strings.Contains(detail, first.body["id"].(string)) {
		t.Errorf("%q doesn't name the key %v", detail, first.body["id"])
	}
	rotate := "/v1/keys/" + first.body["id"].(string) + "/rotate"
	expect(t, "another name", s.do(t, admin, "POST", "/v1/keys", body, "Idempotency-Key", "b").status, 201)
	expect(t, "a rotation", s.do(t, admin, "POST", rotate, `{}`, "Idempotency-Key", "c").status, 201)
	expect(t, "the rotation again", s.do(t, admin, "POST", rotate, `{}`, "Idempotency-Key", "c").status, 409)
	other := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	expect(t, "another administrator's", s.do(t, other, "POST", "/v1/keys", body, "Idempotency-Key", "a").status, 201)
	expect(t, "the keys", len(s.do(t, admin, "GET", "/v1/keys", "").body["items"].([]any)), 6)
	expect(t, "a page of them", len(s.do(t, admin, "GET", "/v1/keys?limit=2&after="+first.body["id"].(string), "").body["items"].([]any)) <= 2, true)
}

func TestARotatedKeyGoesOnForAWhile(t *testing.T) {
	s := serve(t, nil)
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	for overlap, want := range map[string]int{`{}`: 403, `{"overlap":3600}`: 403, `{"overlap":0}`: 401} {
		old := s.do(t, admin, "POST", "/v1/keys", `{"name":"qq","role":"source","network":"qq"}`)
		next := s.do(t, admin, "POST", "/v1/keys/"+old.body["id"].(string)+"/rotate", overlap)
		expect(t, "the next key", fmt.Sprint(next.status, next.body["name"], next.body["network"]), "201qqqq")
		// 403: it is let in, and may not do this.
		expect(t, "the next key's door", s.do(t, next.body["key"].(string), "GET", "/v1/keys", "").status, 403)
		expect(t, "the old key's door after "+overlap, s.do(t, old.body["key"].(string), "GET", "/v1/keys", "").status, want)
	}
	expect(t, "an unknown key", s.do(t, admin, "POST", "/v1/keys/none/rotate", `{}`).status, 404)
	expect(t, "a negative overlap", s.do(t, admin, "POST", "/v1/keys/none/rotate", `{"overlap":-1}`).status, 422)
}

func TestTheAuditTellsEveryChange(t *testing.T) {
	s := serve(t, nil)
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	operator := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	source := s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq"})
	s.do(t, admin, "PUT", "/v1/subscribers/8613800000001", `{"name":"A"}`)
	s.do(t, operator, "PUT", "/v1/subscribers/8613800000001/accounts/qq/10001", "")
	s.do(t, operator, "GET", "/v1/subscribers/8613800000001", "")
	s.do(t, operator, "PUT", "/v1/subscribers/abc", "")
	s.do(t, operator, "POST", "/v1/keys", `{"name":"x","role":"operator"}`) // refused
	s.do(t, source, "POST", "/v1/events", "{}")
	made := s.do(t, admin, "POST", "/v1/keys", `{"name":"x","role":"operator"}`)
	s.do(t, admin, "DELETE", "/v1/keys/none", "")
	var got []string
	for _, row := range s.do(t, admin, "GET", "/v1/audit", "").body["items"].([]any) {
		a := row.(map[string]any)
		if a["address"] != "127.0.0.1" || a["key_id"] == nil || a["at"] == nil {
			t.Errorf("%v lacks its key, its address or its time", a)
		}
		got = append(got, fmt.Sprint(a["action"], " ", a["msisdn"], " ", a["object"], " ", a["status"]))
	}
	want := []string{
		"DELETE /v1/keys/{id} <nil> none 404",
		fmt.Sprint("POST /v1/keys <nil> ", made.body["id"], " 201"),
		"PUT /v1/subscribers/{msisdn} <nil> <nil> 422",
		"PUT /v1/subscribers/{msisdn}/accounts/{network}/{account} +8613800000001 qq 201",
		"PUT /v1/subscribers/{msisdn} +8613800000001 <nil> 201",
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the audit tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	expect(t, "an operator who reads it", s.do(t, operator, "GET", "/v1/audit", "").status, 403)
	page := s.do(t, admin, "GET", "/v1/audit?limit=2", "")
	expect(t, "a page and the next", len(s.do(t, admin, "GET", "/v1/audit?limit=10&after="+page.body["next"].(string), "").body["items"].([]any)), 3)
}

// unaudited is a store that keeps everything but the audit.
type unaudited struct{ *memory }

func (unaudited) PutAudit(context.Context, callsign.Audit) error { return callsign.ErrUnavailable }

func TestNothingIsChangedWithoutAnAudit(t *testing.T) {
	s := serve(t, func(o *Options) { o.Audits = unaudited{} })
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	expect(t, "the change", s.do(t, admin, "PUT", "/v1/subscribers/8613800000001", `{"name":"A"}`).status, 503)
	expect(t, "what is kept of it", s.do(t, admin, "GET", "/v1/subscribers/8613800000001", "").status, 404)
}

func TestASourceIsAskedForAllItsTexts(t *testing.T) {
	s, key := pushing(t, nil)
	operator := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	const path = "/v1/networks/qq/resync"
	expect(t, "nobody is connected", s.do(t, operator, "POST", path, "").body["asked"], float64(0))
	qq := connect(t, s.url, key)
	qq.next("hello")
	expect(t, "one is", s.do(t, operator, "POST", path, "").body["asked"], float64(1))
	if frame := qq.next("resync"); len(frame) != 1 {
		t.Errorf("got %v, want a frame without an account", frame)
	}
	s.do(t, operator, "POST", path, `{"accounts":["1","2"]}`)
	expect(t, "the first account", qq.next("resync")["account"], "1")
	expect(t, "the second", qq.next("resync")["account"], "2")
	expect(t, "a source may not ask", s.do(t, key, "POST", path, "").status, 403)
	expect(t, "another network", s.do(t, operator, "POST", "/v1/networks/msn/resync", "").body["asked"], float64(0))
}

func TestFramesMayBeCompressedAndAreBoundedAllTheSame(t *testing.T) {
	s, key := pushing(t, nil)
	compressed := func() *source {
		c, resp := dial(t, websocket.Dialer{EnableCompression: true}, s.url, key)
		if c == nil || !strings.Contains(resp.Header.Get("Sec-WebSocket-Extensions"), "permessage-deflate") {
			t.Fatalf("compression was not agreed on: %v", resp.Header)
		}
		c.conn.EnableWriteCompression(true)
		go c.read()
		c.next("hello")
		return c
	}
	c := compressed()
	c.push("b", 1, ev("1", 1))
	expect(t, "a compressed batch", c.acked(), "b 1 stored")
	_ = c.conn.WriteMessage(websocket.TextMessage, []byte(strings.Repeat(" ", 20<<20))) // 20 KB on the wire; it may be refused before its end
	expect(t, "a bomb", c.end(), websocket.CloseMessageTooBig)
	c = compressed()
	c.push("b", 2, ev("2", 2))
	expect(t, "the next connection", c.acked(), "b 2 stored")
}

// streamed are the events of a live stream, as "event data".
func streamed(t *testing.T, s *service, key, query string, header ...string) <-chan string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/v1/live"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+key)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %s of %s, want a stream", resp.Status, resp.Header.Get("Content-Type"))
	}
	out := make(chan string, 1000)
	go func() {
		defer close(out)
		kind := ""
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			if event, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				kind = event
			}
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				out <- kind + " " + data
			}
		}
	}()
	return out
}

func TestCallsAreToldAsTheyCome(t *testing.T) {
	s := serve(t, nil)
	operator := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	now := time.Now()
	id := callsign.NewCallID(now, callsign.BranchKey{1})
	stream := streamed(t, s, operator, "?callee=8613800000000", "Last-Event-ID", callsign.NewCallID(now.Add(-time.Minute), callsign.BranchKey{}).String())
	s.memory.set(func(m *memory) {
		m.timelines = []callsign.Timeline{{
			Call:   callsign.Call{ID: id, Caller: 8613900000001, Callee: 8613800000000, At: now},
			Events: []callsign.Event{{At: now, Kind: callsign.EventInvite}},
		}}
	})
	for _, want := range []string{`call {"id":"` + id.String(), `event {"call":"` + id.String() + `","at":"`} {
		if got := <-stream; !strings.HasPrefix(got, want) {
			t.Errorf("got %s, want %s…", got, want)
		}
	}
	s.memory.set(func(m *memory) {
		expect(t, "the filter's callee", m.filter.Callee, callsign.MSISDN(8613800000000))
		if back := now.Sub(m.filter.Since); back < liveBack-time.Second || back > 2*time.Minute {
			t.Errorf("calls of the last %v were asked for", back)
		}
		events := &m.timelines[0].Events // one that comes late stands before the last
		*events = []callsign.Event{{At: now.Add(-time.Second), Kind: callsign.EventAccepted}, (*events)[0], {At: now, Kind: callsign.EventSkipped}}
	})
	for _, want := range []callsign.EventKind{callsign.EventAccepted, callsign.EventSkipped} {
		if got := <-stream; !strings.Contains(got, `"kind":"`+string(want)) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	s.memory.set(func(m *memory) { m.keys = map[[32]byte]callsign.Key{} })
	for got := range stream { // a key that is gone ends it
		t.Errorf("got %s again", got)
	}
}

func TestALiveStreamIsForOperators(t *testing.T) {
	s := serve(t, nil)
	source := s.memory.key(callsign.Scope{Role: callsign.RoleSource, Network: "qq"})
	expect(t, "a source", s.do(t, source, "GET", "/v1/live", "").status, 403)
	expect(t, "nobody", s.do(t, "", "GET", "/v1/live", "").status, 401)
	expect(t, "an odd id", s.do(t, s.memory.key(callsign.Scope{Role: callsign.RoleOperator}), "GET", "/v1/live", "", "Last-Event-ID", "x").status, 422)
	operator := s.memory.key(callsign.Scope{Role: callsign.RoleOperator})
	for range liveListeners {
		streamed(t, s, operator, "")
	}
	expect(t, "one stream too many", s.do(t, operator, "GET", "/v1/live", "").status, 503)
}

// authority signs certificates for 127.0.0.1 and for clients.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	next int64
}

func newAuthority(t *testing.T) *authority {
	a := &authority{t: t}
	a.cert, a.key, _ = a.sign("authority", nil)
	return a
}

func (a *authority) sign(name string, by *authority) (*x509.Certificate, *ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	a.next++
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.next), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour), BasicConstraintsValid: true,
		IsCA: by == nil, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// pair writes a certificate and its key into files.
func (a *authority) pair(dir, name string) (cert, key string, pair tls.Certificate, encoded []byte) {
	c, k, encoded := a.sign(name, a)
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for file, data := range map[string][]byte{cert: encoded, key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})} {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return cert, key, tls.Certificate{Certificate: [][]byte{c.Raw}, PrivateKey: k}, encoded
}

func TestACertificateStandsForAKey(t *testing.T) {
	dir, ours, theirs := t.TempDir(), newAuthority(t), newAuthority(t)
	cert, key, _, _ := ours.pair(dir, "server")
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ours.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s := serve(t, func(o *Options) { o.Config.TLS = TLSConfig{cert, key, ca} })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	roots := x509.NewCertPool()
	roots.AddCert(ours.cert)
	as := func(pairs ...tls.Certificate) *tls.Config { return &tls.Config{RootCAs: roots, Certificates: pairs} }
	get := func(config *tls.Config, bearer string, headers ...string) (string, *http.Response) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+l.Addr().String()+"/v1/subscribers", nil)
		if err != nil {
			t.Fatal(err)
		}
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		client := &http.Transport{TLSClientConfig: config}
		defer client.CloseIdleConnections()
		resp, err := client.RoundTrip(r)
		if err != nil {
			return err.Error(), nil
		}
		_ = resp.Body.Close()
		return resp.Status[:3], resp
	}
	admin := s.memory.key(callsign.Scope{Role: callsign.RoleAdmin})
	_, _, known, encoded := ours.pair(dir, "known")
	_, _, unknown, _ := ours.pair(dir, "unknown")
	_, _, foreign, foreignPEM := theirs.pair(dir, "foreign")
	body := func(role string, encoded []byte) string {
		return fmt.Sprintf(`{"name":"x","role":%q,"certificate":%q}`, role, encoded)
	}
	made := s.do(t, admin, "POST", "/v1/keys", body("operator", encoded))
	if made.status != 201 || made.body["key"] != nil {
		t.Errorf("a key by certificate: got %s, want 201 and no key", made.raw)
	}
	expect(t, "the same certificate again", s.do(t, admin, "POST", "/v1/keys", body("operator", encoded)).status, 409)
	expect(t, "a foreign certificate's key", s.do(t, admin, "POST", "/v1/keys", body("operator", foreignPEM)).status, 201)
	for _, odd := range []string{"x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}))} {
		expect(t, "an odd certificate", s.do(t, admin, "POST", "/v1/keys", body("operator", []byte(odd))).status, 422)
	}
	status, resp := get(as(), admin)
	expect(t, "a key over TLS", status, "200")
	if resp.Header.Get("Strict-Transport-Security") == "" {
		t.Error("Strict-Transport-Security is missing")
	}
	for sentence, c := range map[string]struct {
		config *tls.Config
		bearer string
		want   string
	}{
		"nothing":                               {as(), "", "401"},
		"the certificate":                       {as(known), "", "200"},
		"a certificate that nobody has a key":   {as(unknown), "", "401"},
		"a wrong key beside the certificate":    {as(known), "cs_wrong", "401"},
		"a right key beside no certificate's":   {as(unknown), admin, "200"},
		"the authority of the server, not ours": {&tls.Config{}, admin, "x509"},
	} {
		if got, _ := get(c.config, c.bearer); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", sentence, got, c.want)
		}
	}
	// A browser sends its user's certificate for whatever page asks it to, and says which one did; a key is sent by ours only.
	for _, c := range []struct{ name, value, bearer, want string }{
		{"Sec-Fetch-Site", "cross-site", "", "403"},
		{"Sec-Fetch-Site", "same-site", "", "403"},
		{"Sec-Fetch-Site", "same-origin", "", "200"},
		{"Sec-Fetch-Site", "none", "", "200"},
		{"Sec-Fetch-Site", "cross-site", admin, "200"},
		{"Origin", "https://evil.example", "", "403"},
		{"Origin", "null", "", "403"},
		{"Origin", "https://" + l.Addr().String(), "", "200"},
	} {
		if got, _ := get(as(known), c.bearer, c.name, c.value); got != c.want {
			t.Errorf("a certificate with %s: %s and the key %q: got %s, want %s", c.name, c.value, c.bearer, got, c.want)
		}
	}
	// Its authority is not one of ours, so the client leaves it at home, or the server refuses it.
	if got, _ := get(as(foreign), ""); got == "200" {
		t.Error("a certificate of another authority is let in")
	}
	source := s.do(t, admin, "POST", "/v1/keys", strings.Replace(body("source", encoded), `"source"`, `"source","network":"qq"`, 1))
	expect(t, "one certificate is one key", source.status, 409)
	_, _, pusher, pusherPEM := ours.pair(dir, "pusher")
	s.do(t, admin, "POST", "/v1/keys", strings.Replace(body("source", pusherPEM), `"source"`, `"source","network":"qq"`, 1))
	conn, _, err := (&websocket.Dialer{TLSClientConfig: as(pusher), Subprotocols: []string{subprotocol}}).DialContext(t.Context(), "wss://"+l.Addr().String()+"/v1/push", nil)
	if err != nil {
		t.Fatalf("push by certificate: %v", err)
	}
	_ = conn.Close()

	// A new pair of files is taken; a broken one isn't.
	serial := func() int64 {
		c, err := tls.Dial("tcp", l.Addr().String(), as())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	before := serial()
	changed := time.Now()
	rewrite := func(write func()) {
		write()
		changed = changed.Add(time.Minute)
		if err := os.Chtimes(cert, changed, changed); err != nil {
			t.Fatal(err)
		}
	}
	rewrite(func() { ours.pair(dir, "server") })
	after := serial()
	if after == before {
		t.Error("the new certificate is not used")
	}
	rewrite(func() { _ = os.WriteFile(cert, []byte("x"), 0o600) })
	expect(t, "with a broken file", serial(), after)
}
