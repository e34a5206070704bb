// Package fetion is a server of SIP-C/4.0 presence, for tests: written from descriptions of the protocol, for no server of it exists any
// more. It is strict: a wrong order, digest, length, call number or sequence ends a connection or is refused.
package fetion

import (
	"bufio"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// silence is for how long a client may say nothing.
const silence = 2 * time.Minute

// Server is one, with one account that may log in. Its fields are set before it serves.
type Server struct {
	SID, Mobile, Password string
	UserID                uint32
	Shy                   bool // nobody consents
	Code                  int  // refuses each login with it; 0: none

	key *rsa.PrivateKey

	mu     sync.Mutex
	people map[string]*Contact
	listed map[string]bool
	live   *client
	logins int
	all    sync.WaitGroup
	open   map[net.Conn]bool
	closed bool
}

// Contact is somebody who has the service.
type Contact struct {
	SID, ID, Mobile, Text string
}

// New makes a server.
func New(sid string, user uint32, mobile, password string) *Server {
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	return &Server{SID: sid, UserID: user, Mobile: mobile, Password: password, key: key, people: map[string]*Contact{}, listed: map[string]bool{}, open: map[net.Conn]bool{}}
}

// Add has somebody have the service; listed: they are on the account's list already.
func (s *Server) Add(c Contact, listed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.people[c.SID] = &c
	s.listed[c.SID] = listed
}

// Say has somebody change their text. Only what changes is told.
func (s *Server) Say(sid, text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.people[sid]
	c.Text = text
	if s.live != nil && s.live.subscribed && s.listed[sid] {
		s.live.notice("PresenceV4", `<events><event type="PresenceChanged"><contacts><c id="`+c.ID+`"><p i="`+escaped(text)+`"/></c></contacts></event></events>`)
	}
}

// GoOffline tells of somebody's state alone.
func (s *Server) GoOffline(sid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live.notice("PresenceV4", `<events><event type="PresenceChanged"><contacts><c id="`+s.people[sid].ID+`"><pr di="" b="0" d="" dt="" dc="0"/></c></contacts></event></events>`)
}

// Logins is how often somebody logged in, and Subscribed whether one is told of changes now.
func (s *Server) Logins() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.logins
}

// Subscribed reports whether a login is told of changes now.
func (s *Server) Subscribed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.live != nil && s.live.subscribed
}

// Drop ends every connection.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		_ = c.Close()
	}
}

// Kick ends the login as another one does.
func (s *Server) Kick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kick()
}

func (s *Server) kick() {
	if s.live != nil {
		s.live.notice("registration", `<events><event type="deregistered"/></events>`)
		_ = s.live.conn.Close()
		s.live = nil
	}
}

// Listen serves at an address until Close.
func (s *Server) Listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s.all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.all.Go(func() { s.Serve(conn) })
		}
	})
	return l, nil
}

// Close ends what Listen began, once its listener is closed.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Drop()
	s.all.Wait()
}

// client is one connection.
type client struct {
	conn       net.Conn
	in         bool
	subscribed bool
	notices    int
}

// Serve serves one connection until it ends.
func (s *Server) Serve(conn net.Conn) {
	c := &client{conn: conn}
	s.mu.Lock()
	s.open[conn] = true
	if s.closed {
		_ = conn.Close()
	}
	s.mu.Unlock()
	defer func() {
		_ = conn.Close()
		s.mu.Lock()
		delete(s.open, conn)
		if s.live == c {
			s.live = nil
		}
		s.mu.Unlock()
	}()
	r := bufio.NewReader(conn)
	nonce, last := "", 0
	for {
		_ = conn.SetReadDeadline(time.Now().Add(silence))
		method, fields, body, err := readRequest(r)
		if err != nil {
			return
		}
		call, err := strconv.Atoi(fields["I"])
		sequence, of, _ := strings.Cut(fields["Q"], " ")
		out := method == "R" && fields["X"] == "0"
		if err != nil || of != method || fields["F"] != s.SID || call < last || call == last && nonce == "" && !out {
			c.answer(fields, 400, "Bad Request")
			return
		}
		last = call
		s.mu.Lock()
		ended := false
		switch {
		case out:
			ended = true
		case !c.in && method == "R" && sequence == "1" && nonce == "" && fields["CN"] != "" && fields["CL"] != "":
			if s.Code != 0 {
				c.answer(fields, s.Code, "Refused")
				ended = true
				break
			}
			nonce = strings.ToUpper(hex.EncodeToString([]byte(rand.Text())[:16]))
			c.answer(fields, 401, "Unauthoried", "W: Digest algorithm=\"SHA1-sess-v4\",nonce=\""+nonce+"\",key=\""+s.publicKey()+"\",signature=\"00\"")
		case !c.in && method == "R" && sequence == "2" && nonce != "" && s.knows(fields["A"], nonce, body):
			s.kick()
			c.in, s.live, nonce = true, c, ""
			s.logins++
			c.answer(fields, 200, "OK", "X: 120", s.results())
		case !c.in:
			c.answer(fields, 401, "Unauthoried")
			ended = true
		case method == "R" && fields["N"] == "KeepAlive" && strings.HasPrefix(body, "<args><credentials "):
			c.answer(fields, 200, "OK")
		case method == "SUB" && fields["N"] == "PresenceV4" && strings.Contains(body, `buddy="v4default"`):
			c.answer(fields, 200, "OK")
			c.subscribed = true
			for _, sid := range s.sids() {
				if s.listed[sid] {
					s.tellAll(c, s.people[sid])
				}
			}
		case method == "S" && fields["N"] == "AddBuddyV4":
			s.addBuddy(c, fields, body)
		default:
			c.answer(fields, 400, "Bad Request")
		}
		s.mu.Unlock()
		if ended {
			return
		}
	}
}

// addBuddy asks somebody, who consents at once unless nobody does.
func (s *Server) addBuddy(c *client, fields map[string]string, body string) {
	var args struct {
		Buddies []struct {
			URI  string `xml:"uri,attr"`
			Desc string `xml:"desc,attr"`
		} `xml:"contacts>buddies>buddy"`
	}
	if err := xml.Unmarshal([]byte(body), &args); err != nil || len(args.Buddies) != 1 || args.Buddies[0].Desc == "" {
		c.answer(fields, 400, "Bad Request")
		return
	}
	sid := strings.TrimSuffix(strings.TrimPrefix(args.Buddies[0].URI, "sip:"), "@fetion.com.cn")
	who := s.people[sid]
	switch {
	case who == nil:
		c.answer(fields, 404, "Not Found")
	case s.listed[sid]:
		c.answer(fields, 521, "Contact Already Exists")
	default:
		c.answer(fields, 200, "OK")
		if s.Shy {
			return
		}
		s.listed[sid] = true
		if c.subscribed {
			s.tellAll(c, who)
		}
	}
}

func (s *Server) sids() []string {
	var all []string
	for sid := range s.people {
		all = append(all, sid)
	}
	slices.Sort(all)
	return all
}

// tellAll tells all that there is of somebody.
func (s *Server) tellAll(c *client, who *Contact) {
	c.notice("PresenceV4", fmt.Sprintf(`<events><event type="PresenceChanged"><contacts><c id="%s"><p v="0" sid="%s" su="sip:%[2]s@fetion.com.cn;p=1919" m="%s" c="CMCC" cs="0" s="1" l="0" svc="" n="" i="%s" p="0" sms="0.0:0:0" sp="0" sh="0"/><pr di="" b="400" d="" dt="PC" dc="137"/></c></contacts></event></events>`,
		who.ID, who.SID, who.Mobile, escaped(who.Text)))
}

func (s *Server) results() string {
	var list strings.Builder
	for _, sid := range s.sids() {
		if s.listed[sid] {
			fmt.Fprintf(&list, `<b i="%s" u="sip:%s@fetion.com.cn;p=1919" n="" l="0" f="0" r="1" o="0" p="identity=1;"/>`, s.people[sid].ID, sid)
		}
	}
	return `<results><client public-ip="127.0.0.1" last-login-ip="" last-login-time=""/><user-info><personal user-id="` + strconv.FormatUint(uint64(s.UserID), 10) +
		`" version="1" sid="` + s.SID + `"/><contact-list version="1"><buddy-lists><buddy-list id="0" name="all"/></buddy-lists><buddies>` + list.String() + `</buddies></contact-list></user-info></results>`
}

func (s *Server) publicKey() string {
	return fmt.Sprintf("%0256X%06X", s.key.N, s.key.E)
}

// knows reports whether a response and a body are the account's.
func (s *Server) knows(authorization, nonce, body string) bool {
	_, response, found := strings.Cut(authorization, `Digest algorithm="SHA1-sess-v4",response="`)
	cipher, err := hex.DecodeString(strings.TrimSuffix(response, `"`))
	if !found || err != nil {
		return false
	}
	//lint:ignore SA1019 the protocol knows no other padding
	plain, err := rsa.DecryptPKCS1v15(nil, s.key, cipher)
	if err != nil {
		return false
	}
	hashed := sha1.Sum([]byte("fetion.com.cn:" + s.Password))
	ofUser := sha1.Sum(append(binary.LittleEndian.AppendUint32(nil, s.UserID), hashed[:]...))
	return len(plain) == len(nonce)+20+32 && string(plain[:len(nonce)+20]) == nonce+string(ofUser[:]) &&
		strings.Contains(body, `mobile-no="`+s.Mobile+`" user-id="`+strconv.FormatUint(uint64(s.UserID), 10)+`"`)
}

// answer answers a request; the last of more is the body if it begins with <.
func (c *client) answer(request map[string]string, code int, reason string, more ...string) {
	var head strings.Builder
	fmt.Fprintf(&head, "SIP-C/4.0 %d %s\r\nF: %s\r\nI: %s\r\nQ: %s\r\n", code, reason, request["F"], request["I"], request["Q"])
	body := ""
	for _, m := range more {
		if strings.HasPrefix(m, "<") {
			body = m
			m = fmt.Sprintf("L: %d", len(body))
		}
		head.WriteString(m + "\r\n")
	}
	c.write(head.String() + "\r\n" + body)
}

func (c *client) notice(event, body string) {
	c.notices++
	c.write(fmt.Sprintf("BN %s SIP-C/4.0\r\nN: %s\r\nI: 1\r\nL: %d\r\nQ: %d BN\r\n\r\n%s", "916098834", event, len(body), c.notices, body))
}

func (c *client) write(s string) {
	_ = c.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, _ = io.WriteString(c.conn, s)
}

// readRequest reads a request; every field may come once.
func readRequest(r *bufio.Reader) (method string, fields map[string]string, body string, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", nil, "", err
	}
	first := strings.Fields(line)
	if len(first) != 3 || first[1] != "fetion.com.cn" || first[2] != "SIP-C/4.0" || !strings.HasSuffix(line, "\r\n") {
		return "", nil, "", fmt.Errorf("no request: %q", line)
	}
	fields = map[string]string{}
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return "", nil, "", err
		}
		if line == "\r\n" {
			break
		}
		name, value, ok := strings.Cut(strings.TrimSuffix(line, "\r\n"), ": ")
		if _, twice := fields[name]; !ok || twice {
			return "", nil, "", fmt.Errorf("no field: %q", line)
		}
		fields[name] = value
	}
	if fields["L"] != "" {
		n, err := strconv.Atoi(fields["L"])
		if err != nil || n < 1 {
			return "", nil, "", fmt.Errorf("no length: %q", fields["L"])
		}
		b := make([]byte, n)
		if _, err := io.ReadFull(r, b); err != nil {
			return "", nil, "", err
		}
		body = string(b)
	}
	return first[0], fields, body, nil
}

func escaped(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s))
	return b.String()
}
