package simple

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/callsign-as/callsign/sigsync"
)

// maxDigests bounds how often one request is tried with another nonce.
const maxDigests = 3

var (
	// errUnknown says that the agent knows a subscription no more.
	errUnknown = errors.New("the agent doesn't know the subscription")
	// errSilent says that no answer came in time.
	errSilent = errors.New("the agent doesn't answer")
)

// briefError says that a subscription is to last longer (RFC 6665 §4.2.1.1).
type briefError struct{ least time.Duration }

func (e *briefError) Error() string {
	return fmt.Sprintf("the agent wants subscriptions of %v or more", e.least)
}

// endpoint is a port with SIP on it, by sipgo. It owns the goroutine that serves it; sipgo owns the rest until Close.
type endpoint struct {
	c      Config
	secret string
	at     netip.AddrPort
	ua     *sipgo.UserAgent
	client *sipgo.Client
	socket io.Closer
	ended  chan struct{}
	err    error // why it ended; set before that is closed

	mu      sync.Mutex
	dialogs map[string]*dialog // by Call-ID
	broken  error              // what ended it
}

// open binds the port and serves it.
func open(ctx context.Context, c Config) (*endpoint, error) {
	secret, err := c.Password.Read()
	if err != nil {
		return nil, fmt.Errorf("%w: password: %w", sigsync.ErrCredentials, err)
	}
	filter, err := c.filter(ctx)
	if err != nil {
		return nil, err
	}
	network, at, err := c.listen()
	if err != nil {
		return nil, err
	}
	e := &endpoint{c: c, secret: secret, at: at, ended: make(chan struct{}), dialogs: map[string]*dialog{}}
	silent := slog.New(slog.DiscardHandler)
	e.ua, err = sipgo.NewUA(sipgo.WithUserAgent("callsign"), sipgo.WithUserAgentHostname(at.Addr().String()),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(silent), sip.WithTransportLayerReadFilter(filter)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(silent), sip.WithTransactionLayerTerminateOnConnClose(), sip.WithTransactionLayerUnhandledResponseHandler(func(*sip.Response) {})))
	if err != nil {
		return nil, fmt.Errorf("simple: %w", err)
	}
	server, err := sipgo.NewServer(e.ua, sipgo.WithServerLogger(silent))
	if err != nil {
		return nil, fmt.Errorf("simple: %w", err)
	}
	server.OnNotify(e.notified)
	options := []sipgo.ClientOption{sipgo.WithClientLogger(silent), sipgo.WithClientAddr(at.String())}
	var serve func() error
	if network == "udp" {
		options = append(options, sipgo.WithClientConnectionAddr(at.String()))
		socket, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(at))
		if err != nil {
			return nil, inUse(err)
		}
		e.socket, serve = socket, func() error { return server.ServeUDP(socket) }
	} else {
		socket, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		if err != nil {
			return nil, inUse(err)
		}
		e.socket, serve = socket, func() error { return server.ServeTCP(socket) }
	}
	if e.client, err = sipgo.NewClient(e.ua, options...); err != nil {
		_ = e.socket.Close()
		return nil, fmt.Errorf("simple: %w", err)
	}
	go func() {
		err := serve()
		e.mu.Lock()
		defer e.mu.Unlock()
		e.err = cmp.Or(e.broken, fmt.Errorf("simple: the port ended: %w", err))
		close(e.ended)
	}()
	return e, e.serving(ctx, network)
}

func inUse(err error) error {
	return fmt.Errorf("simple: %w: is it a running node's? Another listen has a port of its own", err)
}

// serving waits until sipgo knows the port: before that it would try to open it a second time.
func (e *endpoint) serving(ctx context.Context, network string) error {
	for network == "udp" {
		if _, err := e.ua.TransportLayer().GetConnection("udp", e.at.String()); err == nil {
			break
		}
		select {
		case <-time.After(time.Millisecond):
		case <-e.ended:
			return e.err
		case <-ctx.Done():
			e.Close()
			return ctx.Err()
		}
	}
	return nil
}

// Done implements sigsync.Connection.
func (e *endpoint) Done() <-chan struct{} { return e.ended }

// Close implements sigsync.Connection.
func (e *endpoint) Close() {
	_ = e.ua.Close()
	_ = e.socket.Close()
	<-e.ended
}

// filter lets through what comes from networks that are trusted, without any from the agent's addresses: all else is not looked at.
func (c *Config) filter(ctx context.Context) (sip.TransportReadFilter, error) {
	trusted, err := c.trusted()
	if err != nil {
		return nil, err
	}
	if trusted == nil {
		host, _, _ := net.SplitHostPort(c.Agent)
		addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		if err != nil {
			return nil, fmt.Errorf("simple: agent: %w", err)
		}
		for _, a := range addresses {
			trusted = append(trusted, netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()))
		}
	}
	return func(p sip.TransportReadProps, b []byte) ([]byte, error) {
		from, err := netip.ParseAddrPort(p.RemoteAddr.String())
		if err != nil || !slices.ContainsFunc(trusted, func(n netip.Prefix) bool { return n.Contains(from.Addr().Unmap()) }) {
			return nil, nil
		}
		return b, nil
	}, nil
}

// keep has a dialog hear its notifications, until drop.
func (e *endpoint) keep(d *dialog) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dialogs[d.callID] = d
}

func (e *endpoint) drop(d *dialog) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.dialogs, d.callID)
}

// request makes the next SUBSCRIBE of a dialog (RFC 6665 §4.1.2).
func (e *endpoint) request(d *dialog, expires time.Duration) (*sip.Request, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	network, _, _ := e.c.listen()
	d.seq++
	var b strings.Builder
	fmt.Fprintf(&b, "SUBSCRIBE %s SIP/2.0\r\n", d.target.String())
	for _, route := range d.routes {
		fmt.Fprintf(&b, "Route: %s\r\n", route)
	}
	fmt.Fprintf(&b, "From: <%s>;tag=%s\r\nTo: <%s>", e.c.From, d.local, d.uri.String())
	if d.remote != "" {
		fmt.Fprintf(&b, ";tag=%s", d.remote)
	}
	fmt.Fprintf(&b, "\r\nCall-ID: %s\r\nCSeq: %d SUBSCRIBE\r\nContact: <sip:callsign@%s;transport=%s>\r\n", d.callID, d.seq, e.at, network)
	fmt.Fprintf(&b, "Event: presence\r\nAccept: application/pidf+xml\r\nExpires: %d\r\n\r\n", int(expires.Seconds()))
	m, err := sip.NewParser().ParseSIP([]byte(b.String()))
	if err != nil {
		return nil, fmt.Errorf("simple: the SUBSCRIBE: %w", err)
	}
	r := m.(*sip.Request) // as its first line begins with a method
	r.SetTransport(strings.ToUpper(network))
	r.SetDestination(e.c.Agent)
	return r, nil
}

// subscribe sends a SUBSCRIBE, with a digest where one is asked for, and tells for how long the subscription stands; with expires 0 the
// agent says once what there is, and ends it (RFC 6665 §4.4.3).
func (e *endpoint) subscribe(ctx context.Context, d *dialog, expires time.Duration) (granted time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, e.c.Timeout)
	defer cancel()
	r, err := e.request(d, expires)
	if err != nil {
		return 0, err
	}
	res, err := e.client.Do(ctx, r)
	user := e.c.User
	if user == "" {
		user = r.From().Address.User
	}
	digests := 0
	for err == nil && challenged(res) && e.secret != "" && (digests == 0 || digests < maxDigests && stale(res)) {
		digests++
		res, err = e.client.DoDigestAuth(ctx, r, res, sipgo.DigestAuth{Username: user, Password: e.secret})
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	d.seq = r.CSeq().SeqNo
	switch {
	case ctx.Err() != nil:
		return 0, errSilent
	case err != nil && digests > 0: // a challenge that can't be met, say
		return 0, fmt.Errorf("simple: %w", err)
	case err != nil:
		return 0, fmt.Errorf("%w: %w", errSilent, err)
	}
	if res.IsSuccess() {
		if to := res.To(); to != nil {
			tag, _ := to.Params.Get("tag")
			d.establish(tag, res.Contact(), res.GetHeaders("Record-Route"), false)
		}
		granted = expires
		if h := res.GetHeader("Expires"); h != nil && seconds(h.Value()) < expires {
			granted = max(time.Second, seconds(h.Value()))
		}
		return granted, nil
	}
	return 0, refusal(res, digests > 0)
}

func challenged(res *sip.Response) bool { return res.StatusCode == 401 || res.StatusCode == 407 }

// stale reports whether only the nonce was wrong, as an agent's is that was started again (RFC 2617 §3.2.1).
func stale(res *sip.Response) bool {
	h := res.GetHeader("WWW-Authenticate")
	if h == nil {
		h = res.GetHeader("Proxy-Authenticate")
	}
	return h != nil && strings.Contains(strings.ToLower(strings.ReplaceAll(h.Value(), `"`, "")), "stale=true")
}

// refusal says what an answer means that is no success.
func refusal(res *sip.Response, authorized bool) error {
	said := fmt.Sprintf("%d %.80s", res.StatusCode, res.Reason)
	value := func(name string) string {
		if h := res.GetHeader(name); h != nil {
			return h.Value()
		}
		return ""
	}
	switch {
	case challenged(res) || res.StatusCode == 403 && authorized:
		return fmt.Errorf("%w: %s: see user and password", sigsync.ErrCredentials, said)
	case res.StatusCode == 403 || res.StatusCode == 404 || res.StatusCode == 410 || res.StatusCode == 603 || res.StatusCode == 604:
		return fmt.Errorf("%w: %s", sigsync.ErrNoAccount, said)
	case res.StatusCode == 423:
		return &briefError{seconds(value("Min-Expires"))}
	case res.StatusCode == 481:
		return errUnknown
	case (res.StatusCode == 503 || res.StatusCode == 480) && value("Retry-After") != "":
		return &sigsync.LimitedError{After: max(time.Second, min(seconds(value("Retry-After")), time.Hour))}
	}
	return fmt.Errorf("simple: the agent answers %s", said)
}

// notified answers a NOTIFY, in a goroutine of sipgo's. What an agent writes is not to end a node, but the port.
func (e *endpoint) notified(req *sip.Request, tx sip.ServerTransaction) {
	defer func() {
		if r := recover(); r != nil {
			e.mu.Lock()
			defer e.mu.Unlock()
			e.broken = fmt.Errorf("simple: the connector panicked: please report it: %v", r)
			_ = e.socket.Close()
		}
	}()
	status, reason := e.hears(req)
	_ = tx.Respond(sip.NewResponseFromRequest(req, status, reason, nil)) // one that gets lost is asked for again
}

// hears finds whose a NOTIFY is, and passes it on (RFC 6665 §4.1.3).
func (e *endpoint) hears(r *sip.Request) (status int, reason string) {
	value := func(name string) string {
		if h := r.GetHeader(name); h != nil {
			return h.Value()
		}
		return ""
	}
	from, to, id, seq := r.From(), r.To(), r.CallID(), r.CSeq()
	if from == nil || to == nil || id == nil || seq == nil {
		return 400, "Bad Request"
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	ours, _ := to.Params.Get("tag")
	theirs, _ := from.Params.Get("tag")
	d := e.dialogs[id.Value()]
	event, _, _ := strings.Cut(value("Event"), ";")
	kind, _, _ := strings.Cut(value("Content-Type"), ";")
	n := notice{state: readState(value("Subscription-State"))}
	switch {
	case d == nil || d.local != ours || d.remote != "" && d.remote != theirs: // a fork's, too: one agent is enough
		return 481, "Subscription Does Not Exist"
	case strings.TrimSpace(event) != "presence":
		return 489, "Bad Event"
	case n.is == "":
		return 400, "No Subscription-State"
	case d.theirs > 0 && seq.SeqNo < d.theirs:
		return 500, "Out Of Order" // RFC 3261 §12.2.2
	case len(r.Body()) > 0 && !strings.EqualFold(strings.TrimSpace(kind), "application/pidf+xml"):
		return 415, "Unsupported Media Type"
	}
	d.theirs = seq.SeqNo
	d.establish(theirs, r.Contact(), r.GetHeaders("Record-Route"), true)
	if len(r.Body()) > 0 {
		n.note, n.tells, n.err = readPIDF(r.Body(), e.c.Languages)
	}
	if n.is == "terminated" {
		delete(e.dialogs, d.callID)
	}
	d.heard(n)
	return 200, "OK"
}
