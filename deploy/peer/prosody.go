package peer

import (
	"context"
	"encoding/xml"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"mellium.im/sasl"
	"mellium.im/xmlstream"
	"mellium.im/xmpp"
	"mellium.im/xmpp/jid"
	"mellium.im/xmpp/ping"
	"mellium.im/xmpp/stanza"
)

// XMPPServer is a Prosody of a test's own, in a temporary folder: the host example.test, and the component signatures.example.test with the
// secret "secret", which may have one connection.
type XMPPServer struct {
	t       testing.TB
	dir     string
	host    string
	process *Process
}

// Prosody starts a server.
func Prosody(t testing.TB) *XMPPServer {
	t.Helper()
	Program(t, "prosody", "prosody")
	s := &XMPPServer{t: t, dir: t.TempDir(), host: Host()}
	config := fmt.Sprintf(`
pidfile = "%[1]s/prosody.pid"
data_path = "%[1]s"
run_as_root = true
interfaces = { "%[2]s" }
c2s_ports = { 5222 }
component_ports = { 5347 }
component_interfaces = { "%[2]s" }
modules_enabled = { "roster", "saslauth", "presence", "ping" }
modules_disabled = { "s2s", "tls", "offline" }
authentication = "internal_plain"
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
log = { { levels = { min = "info" }, to = "console" } }
VirtualHost "example.test"
Component "signatures.example.test"
	component_secret = "secret"
`, s.dir, s.host)
	if err := os.WriteFile(s.config(), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Start()
	return s
}

func (s *XMPPServer) config() string { return filepath.Join(s.dir, "prosody.cfg.lua") }

// Components is where components connect.
func (s *XMPPServer) Components() string { return s.host + ":5347" }

// Start starts the server (again), and waits until it answers.
func (s *XMPPServer) Start() {
	s.t.Helper()
	s.process = Start(s.t, Program(s.t, "prosody", "prosody"), nil, "-F", "--config", s.config())
	for _, port := range []string{"5222", "5347"} {
		Until(s.t, "Prosody to listen", func() bool {
			c, err := net.Dial("tcp", net.JoinHostPort(s.host, port))
			if err == nil {
				_ = c.Close()
			}
			return err == nil
		})
	}
}

// Kill is kill -9. Prosody has one process.
func (s *XMPPServer) Kill() { s.process.Kill() }

// Register makes an account, whose password is its name.
func (s *XMPPServer) Register(name string) {
	s.t.Helper()
	out, err := exec.Command("prosodyctl", "--root", "--config", s.config(), "register", name, "example.test", name).CombinedOutput()
	if err != nil {
		s.t.Fatalf("prosodyctl register: %v\n%s", err, out)
	}
}

// XMPPClient is a user's client, which lets everybody see its presence who asks.
type XMPPClient struct {
	t       testing.TB
	session *xmpp.Session
	conn    net.Conn
}

// Client logs an account in. It says nothing until Status.
func (s *XMPPServer) Client(name, resource string) *XMPPClient {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.host+":5222")
	if err != nil {
		s.t.Fatal(err)
	}
	us := jid.MustParse(name + "@example.test/" + resource)
	session, err := xmpp.NewSession(ctx, us.Domain(), us, conn, xmpp.Secure, xmpp.NewNegotiator(func(*xmpp.Session, *xmpp.StreamConfig) xmpp.StreamConfig {
		return xmpp.StreamConfig{Features: []xmpp.StreamFeature{xmpp.SASL("", name, sasl.Plain), xmpp.BindResource()}}
	}))
	if err != nil {
		s.t.Fatalf("%s can't log in: %v", us, err)
	}
	c := &XMPPClient{s.t, session, conn}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = session.Serve(xmpp.HandlerFunc(func(t xmlstream.TokenReadEncoder, start *xml.StartElement) error {
			if start.Name.Local != "presence" {
				return nil
			}
			p, err := stanza.NewPresence(*start)
			if err != nil || p.Type != stanza.SubscribePresence {
				return err
			}
			_, err = xmlstream.Copy(t, stanza.Presence{Type: stanza.SubscribedPresence, To: p.From}.Wrap(nil))
			return err
		}))
	}()
	s.t.Cleanup(func() { _ = conn.Close(); <-done })
	return c
}

func (c *XMPPClient) send(r xml.TokenReader) {
	c.t.Helper()
	if err := c.session.Send(c.t.Context(), r); err != nil {
		c.t.Fatalf("the client can't send: %v", err)
	}
}

// Status says a text, in languages ("" is in none): an empty text says nothing.
func (c *XMPPClient) Status(texts map[string]string) {
	c.t.Helper()
	var inner []xml.TokenReader
	for lang, text := range texts {
		start := xml.StartElement{Name: xml.Name{Local: "status"}}
		if lang != "" {
			start.Attr = []xml.Attr{{Name: xml.Name{Local: "xml:lang"}, Value: lang}}
		}
		inner = append(inner, xmlstream.Wrap(xmlstream.Token(xml.CharData(text)), start))
	}
	c.send(stanza.Presence{}.Wrap(xmlstream.MultiReader(inner...)))
}

// Add adds a contact, and asks to see it.
func (c *XMPPClient) Add(contact string) {
	c.t.Helper()
	c.send(stanza.Presence{Type: stanza.SubscribePresence, To: jid.MustParse(contact)}.Wrap(nil))
}

// Sync returns once the server has taken all that was sent: it answers in order.
func (c *XMPPClient) Sync() {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 20*time.Second)
	defer cancel()
	if err := ping.Send(ctx, c.session, jid.MustParse("example.test")); err != nil {
		c.t.Fatalf("the client's server doesn't answer: %v", err)
	}
}

// Close ends the client's connection.
func (c *XMPPClient) Close() { _ = c.conn.Close() }
