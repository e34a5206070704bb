package relay

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
)

// wire is one side of a SIP connection in a test.
type wire struct {
	t *testing.T
	net.Conn
	r *bufio.Reader
}

func newWire(t *testing.T, c net.Conn) *wire {
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return &wire{t, c, bufio.NewReaderSize(c, 16<<10)}
}

func (w *wire) receive() string {
	w.t.Helper()
	msg, err := readFrame(w.r, nil)
	if err != nil {
		w.t.Fatalf("nothing came: %v", err)
	}
	return string(msg)
}

func (w *wire) send(s string) {
	w.t.Helper()
	if _, err := io.WriteString(w, s); err != nil {
		w.t.Fatal(err)
	}
}

// closedByPeer proves that the other side ends the connection.
func (w *wire) closedByPeer() {
	w.t.Helper()
	if _, err := io.Copy(io.Discard, w.r); err != nil && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
		w.t.Errorf("the connection stays open: %v", err)
	}
}

func (w *wire) port() uint16 { return w.LocalAddr().(*net.TCPAddr).AddrPort().Port() }

// streamBench is a relay on TCP with who listens behind it.
func streamBench(t *testing.T, listen string, change func(*Options), before ...func(*Relay)) (b *bench, behind *net.TCPListener) {
	t.Helper()
	b = newBench(t, func(o *Options) {
		o.Config.Listen = []string{listen}
		if change != nil {
			change(o)
		}
	}, before...)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	_ = l.SetDeadline(time.Now().Add(10 * time.Second))
	return b, l
}

func (b *bench) dial() *wire {
	b.t.Helper()
	c, err := net.Dial("tcp", b.relay.Addrs()[0].String())
	if err != nil {
		b.t.Fatal(err)
	}
	return newWire(b.t, c)
}

func accept(t *testing.T, l net.Listener) *wire {
	t.Helper()
	c, err := l.Accept()
	if err != nil {
		t.Fatalf("nobody connected: %v", err)
	}
	return newWire(t, c)
}

// overTCP is the INVITE of the tests with the addresses of a stream.
func (b *bench) overTCP(s string, from string, behind net.Addr) string {
	s = strings.NewReplacer("SIP/2.0/UDP $UP", "SIP/2.0/TCP "+from, "$DOWN", behind.String(), "Content-Length: 5", "Content-Length: 6").Replace(s)
	return b.fill(s)
}

func TestAStreamCarriesACallBothWays(t *testing.T) {
	b, behind := streamBench(t, "tcp://127.0.0.1:0", nil)
	up := b.dial()
	invite := b.overTCP(invite, "127.0.0.1:6060", behind.Addr())
	cancel := strings.NewReplacer("INVITE sip", "CANCEL sip", "1 INVITE", "1 CANCEL").Replace(invite)
	up.send("\r\n" + invite[:100]) // as the network cuts it
	up.send(invite[100:] + cancel + "\r\n\r\n")
	down := accept(t, behind)
	got := down.receive()

	branch := b.branchOf(got)
	port := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), up.port()).String()[len("127.0.0.1:"):]
	want := strings.NewReplacer(
		"Via: SIP/2.0/TCP 127.0.0.1:6060;branch", "Via: SIP/2.0/TCP "+b.relay.Addrs()[0].String()+";branch="+branch+"\r\nVia: SIP/2.0/TCP 127.0.0.1:6060;rport="+port+";received=127.0.0.1;branch",
		"Route: <sip:as@"+b.relay.Addrs()[0].String()+";lr>\r\n", "", "Max-Forwards: 68", "Max-Forwards: 67").Replace(invite)
	if got != want {
		t.Errorf("got\n%q\nwant\n%q", got, want)
	}
	if cancelled := down.receive(); !strings.HasPrefix(cancelled, "CANCEL") || b.branchOf(cancelled) != branch {
		t.Errorf("the CANCEL on the same connection: got\n%s", cancelled)
	}
	if pong, err := up.r.Peek(2); err != nil || string(pong) != "\r\n" {
		t.Errorf("the keepalive: got %q, %v; want CRLF", pong, err)
	}
	_, _ = up.r.Discard(2)
	down.send(answered(got, "180 Ringing"))
	if ringing := up.receive(); !strings.HasPrefix(ringing, "SIP/2.0 180") || strings.Contains(ringing, branch) {
		t.Errorf("back came\n%s", ringing)
	}
	if e := b.event(); string(e.Invite) != invite {
		t.Errorf("the event has\n%q", e.Invite)
	}
}

func TestAnAnswerFindsItsWayWhenTheConnectionIsGone(t *testing.T) {
	b, behind := streamBench(t, "tcp://127.0.0.1:0", nil)
	caller, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}) // where its Via says that it listens
	if err != nil {
		t.Fatal(err)
	}
	defer caller.Close()
	_ = caller.SetDeadline(time.Now().Add(10 * time.Second))
	up := b.dial()
	up.send(b.overTCP(invite, caller.Addr().String(), behind.Addr()))
	down := accept(t, behind)
	relayed := down.receive()
	_ = up.Close()
	until(t, "the relay to notice that the connection is closed", func() bool {
		return testutil.ToFloat64(b.relay.metrics.streams.WithLabelValues("TCP")) == 1
	})
	down.send(answered(relayed, "200 OK"))
	back := accept(t, caller)
	if got := back.receive(); !strings.HasPrefix(got, "SIP/2.0 200") {
		t.Errorf("got\n%s", got)
	}
	// And over that new connection the same transaction goes on.
	back.send(b.overTCP(strings.NewReplacer("INVITE sip", "ACK sip", "1 INVITE", "1 ACK").Replace(invite), caller.Addr().String(), behind.Addr()))
	if got := down.receive(); b.branchOf(got) != b.branchOf(relayed) {
		t.Errorf("over another connection the ACK has another branch:\n%s", got)
	}
}

// TestTwoConnectionsOfOnePeerEnd has who listens behind the relay connect to it from the port on which it listens: the relay's end must
// not wait for the connection that has another one's place.
func TestTwoConnectionsOfOnePeerEnd(t *testing.T) {
	b, behind := streamBench(t, "tcp://127.0.0.1:0", nil)
	up := b.dial()
	up.send(b.overTCP(invite, "127.0.0.1:6060", behind.Addr()))
	down := accept(t, behind)
	down.receive()
	_ = behind.Close()
	again := net.Dialer{LocalAddr: behind.Addr(), Control: func(_, _ string, c syscall.RawConn) (err error) {
		return errors.Join(c.Control(func(fd uintptr) { err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1) }), err)
	}}
	c, err := again.DialContext(t.Context(), "tcp", b.relay.Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	second := newWire(t, c)
	second.send("\r\n\r\n")
	if pong, err := second.r.Peek(2); err != nil || string(pong) != "\r\n" {
		t.Fatalf("got %q, %v", pong, err)
	}
	if n := testutil.ToFloat64(b.relay.metrics.streams.WithLabelValues("TCP")); n != 3 {
		t.Errorf("there are %v connections, want 3", n)
	}
	b.stop()
}

func TestARequestThatCannotBeSentOnIsRefused(t *testing.T) {
	b, behind := streamBench(t, "tcp://127.0.0.1:0", nil)
	nobody := behind.Addr()
	_ = behind.Close()
	up := b.dial()
	up.send(b.overTCP(invite, "127.0.0.1:6060", nobody))
	got := up.receive()
	if !strings.HasPrefix(got, "SIP/2.0 503") || strings.Contains(got, "Retry-After") {
		t.Errorf("got\n%s", got)
	}
	_, tag, _ := strings.Cut(got, ";tag=cs-")
	up.send(b.overTCP(strings.NewReplacer("INVITE sip", "ACK sip", "1 INVITE", "1 ACK", "To:   <sip:+8613900000002@ims.test>", "To: <sip:x@y>;tag=cs-"+tag[:16]).Replace(invite), "127.0.0.1:6060", nobody))
	up.send(b.overTCP(strings.Replace(invite, "s: 68", "s: 0", 1), "127.0.0.1:6060", nobody))
	if got := up.receive(); !strings.HasPrefix(got, "SIP/2.0 483") {
		t.Errorf("on the connection that the ACK came by, then: got\n%s", got)
	}
}

func TestAStreamThatCannotBeFramedIsClosed(t *testing.T) {
	for name, sent := range map[string]string{
		"what is no SIP":        "\r\nGET / HTTP/1.1\r\n\r\n",
		"an endless header":     "INVITE sip:x SIP/2.0\r\nX: " + strings.Repeat("x", 70_000),
		"an endless body":       "INVITE sip:x SIP/2.0\r\nContent-Length: 70000\r\n\r\n",
		"a negative length":     "INVITE sip:x SIP/2.0\r\nl: -1\r\n\r\n",
		"a length of 20 digits": "INVITE sip:x SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b, _ := streamBench(t, "tcp://127.0.0.1:0", nil)
			up := b.dial()
			_, _ = io.WriteString(up, sent) // it may be closed before all is written
			up.closedByPeer()
		})
	}
}

func TestABodyIsNeverTakenForAMessage(t *testing.T) {
	for name, seam := range map[string]string{
		"a line of white space":                 "Subject: x\r\n \r\n",
		"a line as long as the reader's buffer": "Subject: " + strings.Repeat("x", 16<<10-len("Subject: ")) + "\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			b, behind := streamBench(t, "tcp://127.0.0.1:0", nil)
			up := b.dial()
			body := "INVITE sip:smuggled SIP/2.0\r\n\r\n"
			up.send(strings.NewReplacer("X-Odd:", seam+"X-Odd:", "Content-Length: 6\r\n\r\nv=0\r\n\x00", fmt.Sprintf("Content-Length: %d\r\n\r\n%s", len(body), body)).
				Replace(b.overTCP(invite, "127.0.0.1:6060", behind.Addr())))
			if got := accept(t, behind).receive(); !strings.Contains(got, seam) || !strings.HasSuffix(got, "\r\n\r\n"+body) {
				t.Errorf("got\n%q\nwant the message whole", got)
			}
		})
	}
}

func TestAPeerThatReadsNothingIsClosed(t *testing.T) {
	b, behind := streamBench(t, "tcp://127.0.0.1:0", nil)
	up := b.dial()
	body := strings.Repeat("b", 60_000)
	big := strings.Replace(b.overTCP(invite, "127.0.0.1:6060", behind.Addr()), "Content-Length: 6\r\n\r\nv=0\r\n\x00", "Content-Length: 60000\r\n\r\n"+body, 1)
	if !strings.HasSuffix(big, body) {
		t.Fatal("the test's message has no body")
	}
	up.send(b.overTCP(invite, "127.0.0.1:6060", behind.Addr()))
	down := accept(t, behind) // so that it isn't given up before it stands
	go func() {
		for range 200 { // 12 MB: more than the kernel's buffers and ours
			if _, err := io.WriteString(up, big); err != nil {
				return
			}
		}
	}()
	_ = down.SetDeadline(time.Now().Add(30 * time.Second))
	until(t, "the peer to be given up", func() bool { return testutil.ToFloat64(b.relay.metrics.writeErrors) > 0 })
}

// until waits for a condition.
func until(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !so(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited 20 s in vain for %s", what)
		}
	}
}

func TestAPanicCostsAStreamNothing(t *testing.T) {
	b, behind := streamBench(t, "tcp://127.0.0.1:0", nil, func(r *Relay) { r.shards = nil }) // telling divides by their number
	up := b.dial()
	for range 3 {
		up.send(b.overTCP(invite, "127.0.0.1:6060", behind.Addr()))
	}
	down := accept(t, behind)
	for range 3 {
		down.receive()
	}
}

func TestAnUntrustedConnectionIsClosed(t *testing.T) {
	b, _ := streamBench(t, "tcp://127.0.0.1:0", func(o *Options) { o.Config.Trust = []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")} })
	up := b.dial()
	up.closedByPeer()
	if got := testutil.ToFloat64(b.relay.metrics.dropped.WithLabelValues(dropUntrusted)); got != 1 {
		t.Errorf("counted %v, want 1", got)
	}
}

// authority signs certificates for 127.0.0.1.
type authority struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	n    int64
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert, a.key = a.sign("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

func (a *authority) file(name string) string { return filepath.Join(a.dir, name+".pem") }

// sign writes name.pem and name-key.pem.
func (a *authority) sign(name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	a.n++
	template.SerialNumber, template.Subject = big.NewInt(a.n), pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if template.DNSNames == nil {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	parent, signer := template, key
	if a.cert != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		a.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{a.file(name): {Type: "CERTIFICATE", Bytes: der}, a.file(name + "-key"): {Type: "EC PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return cert, key
}

func (a *authority) pair(name string) tls.Certificate {
	pair, err := tls.LoadX509KeyPair(a.file(name), a.file(name+"-key"))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

func TestTLSAsksForACertificateAndShowsItsNewestOne(t *testing.T) {
	ca := newAuthority(t)
	ca.sign("as", &x509.Certificate{})
	ca.sign("scscf", &x509.Certificate{})
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	b, behind := streamBench(t, "tls://127.0.0.1:0", func(o *Options) {
		o.Config.TLS = TLSConfig{Cert: ca.file("as"), Key: ca.file("as-key"), ClientCA: ca.file("ca")}
	})
	dial := func(certs ...tls.Certificate) (*wire, error) {
		c, err := tls.Dial("tcp", b.relay.Addrs()[0].String(), &tls.Config{RootCAs: pool, Certificates: certs, ServerName: "127.0.0.1"})
		if err != nil {
			return nil, err
		}
		return newWire(t, c), nil
	}
	if stranger, err := dial(); err == nil { // TLS 1.3 tells a client only when it reads
		if _, err := stranger.r.ReadByte(); err == nil {
			t.Error("a peer without a certificate was taken")
		}
	}
	up, err := dial(ca.pair("scscf"))
	if err != nil {
		t.Fatal(err)
	}
	up.send(strings.ReplaceAll(b.overTCP(invite, "127.0.0.1:6060", behind.Addr()), "SIP/2.0/TCP", "SIP/2.0/TLS"))
	inner := tls.NewListener(behind, &tls.Config{Certificates: []tls.Certificate{ca.pair("scscf")}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert})
	down := accept(t, inner)
	relayed := down.receive()
	if !strings.Contains(relayed, "Via: SIP/2.0/TLS "+b.relay.Addrs()[0].String()) {
		t.Errorf("relayed\n%s", relayed)
	}
	down.send(answered(relayed, "180 Ringing"))
	if got := up.receive(); !strings.HasPrefix(got, "SIP/2.0 180") {
		t.Errorf("back came\n%s", got)
	}

	own := &certificate{cert: ca.file("as"), key: ca.file("as-key")}
	first, err := own.get()
	if err != nil {
		t.Fatal(err)
	}
	ca.sign("as", &x509.Certificate{})
	future := time.Now().Add(time.Minute)
	if err := os.Chtimes(ca.file("as"), future, future); err != nil {
		t.Fatal(err)
	}
	own.looked = time.Time{}
	if second, err := own.get(); err != nil || bytes.Equal(second.Certificate[0], first.Certificate[0]) {
		t.Errorf("after the file changed: the old certificate, %v", err)
	}
	if err := os.WriteFile(ca.file("as"), []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	own.looked = time.Time{}
	if third, err := own.get(); err != nil || third == nil {
		t.Errorf("after the file broke: %v, want the last good one", err)
	}
}

func TestANextRouteByNameMustShowACertificateForThatName(t *testing.T) {
	for name, c := range map[string]struct {
		names []string
		taken bool
	}{
		"the name":             {[]string{"scscf.ims.test"}, true},
		"another name":         {[]string{"other.test"}, false},
		"its address, no name": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			ca := newAuthority(t)
			ca.sign("as", &x509.Certificate{})
			ca.sign("scscf", &x509.Certificate{DNSNames: c.names})
			ca.sign("up", &x509.Certificate{})
			pool := x509.NewCertPool()
			pool.AddCert(ca.cert)
			var behind *net.TCPListener
			var b *bench
			b, behind = streamBench(t, "tls://127.0.0.1:0", func(o *Options) {
				o.Config.TLS = TLSConfig{Cert: ca.file("as"), Key: ca.file("as-key"), ClientCA: ca.file("ca")}
				o.Lookup = func(context.Context, string, string, uint16) ([]Target, error) {
					return []Target{{Addr: unmapped(behind.Addr().(*net.TCPAddr).AddrPort())}}, nil
				}
			})
			b.eventually("the name to be known", func() bool { return len(b.relay.names.hops(question{"tls", "scscf.ims.test", 0})) == 1 })
			client, err := tls.Dial("tcp", b.relay.Addrs()[0].String(), &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{ca.pair("up")}, ServerName: "127.0.0.1"})
			if err != nil {
				t.Fatal(err)
			}
			up := newWire(t, client)
			msg := strings.ReplaceAll(b.overTCP(invite, "127.0.0.1:6060", behind.Addr()), "SIP/2.0/TCP", "SIP/2.0/TLS")
			got := make(chan byte, 1)
			go func() { // the handshake ends with the first read
				defer close(got)
				if inner, err := tls.NewListener(behind, &tls.Config{Certificates: []tls.Certificate{ca.pair("scscf")}}).Accept(); err == nil {
					first := make([]byte, 1)
					if _, err := inner.Read(first); err == nil {
						got <- first[0]
					}
				}
			}()
			up.send(strings.Replace(msg, "iscmark@"+behind.Addr().String(), "iscmark@scscf.ims.test", 1))
			if c.taken {
				if first := <-got; first != 'I' {
					t.Errorf("what came to the S-CSCF begins with %q, want the INVITE", first)
				}
				return
			}
			if got := up.receive(); !strings.HasPrefix(got, "SIP/2.0 503") {
				t.Errorf("got\n%s\nwant 503: it is somebody else", got)
			}
			if n := b.relay.setups.open(); n != 0 {
				t.Errorf("%d set-ups count as under way, want none", n)
			}
		})
	}
}

func TestAStreamsNextHopIsProbedOnceCallsGoByIt(t *testing.T) {
	hop, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer hop.Close()
	_ = hop.SetDeadline(time.Now().Add(10 * time.Second))
	b, _ := streamBench(t, "tcp://127.0.0.1:0", func(o *Options) {
		o.Config.NextHop, o.Config.Probe = []string{hop.Addr().String()}, 20*time.Millisecond
	})
	up := b.dial()
	up.send(b.overTCP(trunked("z9hG4bK1"), "127.0.0.1:6060", hop.Addr()))
	down := accept(t, hop)
	if got := down.receive(); !strings.HasPrefix(got, "INVITE ") {
		t.Errorf("before any call came\n%s", got)
	}
	got := down.receive()
	if !strings.HasPrefix(got, "OPTIONS sip:"+hop.Addr().String()) || !strings.Contains(got, "Via: SIP/2.0/TCP "+b.relay.Addrs()[0].String()) {
		t.Errorf("then came\n%s", got)
	}
	b.eventually("the hop to be up", func() bool {
		down.send(answered(got, "200 OK")) // one that comes after the next probe answers nothing
		got = down.receive()
		return testutil.ToFloat64(b.relay.metrics.hops.WithLabelValues("tcp", hop.Addr().String())) == 1
	})
}

func TestTLSThatCannotWorkIsRefusedAtTheStart(t *testing.T) {
	ca := newAuthority(t)
	ca.sign("as", &x509.Certificate{})
	for name, c := range map[string]struct {
		tls  TLSConfig
		want string
	}{
		"no such certificate": {TLSConfig{Cert: "/nowhere.pem", Key: ca.file("as-key")}, "/nowhere.pem"},
		"another's key":       {TLSConfig{Cert: ca.file("as"), Key: ca.file("ca-key")}, "private key"},
		"no such authority":   {TLSConfig{Cert: ca.file("as"), Key: ca.file("as-key"), ClientCA: "/nowhere.pem"}, "sip.tls.client_ca"},
		"no PEM":              {TLSConfig{Cert: ca.file("as"), Key: ca.file("as-key"), ClientCA: "/dev/null"}, "no certificate"},
	} {
		config := DefaultConfig()
		config.Secret, config.Listen, config.TLS = secret, []string{"tls://127.0.0.1:0"}, c.tls
		if _, err := New(Options{Config: config}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q in it", name, err, c.want)
		}
	}
}

// FuzzReadFrame holds that a stream's messages come out as they went in, however they are cut.
func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("INVITE sip:x SIP/2.0\r\nl : 3\r\n\r\nabc\r\n\r\nSIP/2.0 200 OK\r\n\r\n"), uint8(7))
	f.Add([]byte("\r\n\r\nX\nContent-Length:\n 1\n\n\n"), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, cut uint8) {
		whole := frames(bytes.NewReader(in))
		parts := frames(&cutter{in, int(cut%32) + 1})
		if a, b := strings.Join(whole, "|"), strings.Join(parts, "|"); a != b {
			t.Fatalf("in one piece %q, cut %q", a, b)
		}
		for _, m := range whole {
			if !bytes.Contains(in, []byte(m)) {
				t.Fatalf("%q is not in what was sent", m)
			}
		}
	})
}

// frames reads all messages but keepalives, of which a reader sees as many as have arrived together.
func frames(from io.Reader) (all []string) {
	r := bufio.NewReaderSize(from, 64)
	for {
		msg, err := readFrame(r, nil)
		if err != nil {
			return all
		}
		if len(msg) > 0 {
			all = append(all, string(msg))
		}
	}
}

// cutter gives what it has in pieces.
type cutter struct {
	rest []byte
	size int
}

func (c *cutter) Read(b []byte) (int, error) {
	if len(c.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), c.size)], c.rest)
	c.rest = c.rest[n:]
	return n, nil
}
