// Package phone is a test phone for demos, test calls and drills: it calls, rings, answers and hangs up. It speaks SIP by
// sipgo over one UDP socket, sends no sound, and owns sipgo's goroutines until Run returns.
package phone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"

	"github.com/callsign-as/callsign"
)

// sdp offers one audio stream to nowhere.
const sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 8\r\na=inactive\r\n"

// Phone is one phone on one socket.
type Phone struct {
	conn   *net.UDPConn
	ua     *sipgo.UserAgent
	server *sipgo.Server
	dialog sipgo.DialogUA
	ring   time.Duration
	addr   netip.AddrPort
}

// Listen binds a phone to addr (port 0: any). It rings for ring before it answers.
func Listen(addr netip.AddrPort, ring time.Duration) (*Phone, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("phone: %w", err)
	}
	p := &Phone{conn: conn, ring: ring, addr: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
	silent := slog.New(slog.DiscardHandler)
	p.ua, err = sipgo.NewUA(sipgo.WithUserAgent("callsign-phone"), sipgo.WithUserAgentHostname(p.addr.Addr().String()),
		sipgo.WithUserAgentTransportLayerOptions(sip.WithTransportLayerLogger(silent)),
		sipgo.WithUserAgentTransactionLayerOptions(sip.WithTransactionLayerLogger(silent)))
	if err == nil {
		p.server, err = sipgo.NewServer(p.ua, sipgo.WithServerLogger(silent))
	}
	var client *sipgo.Client
	if err == nil {
		client, err = sipgo.NewClient(p.ua, sipgo.WithClientLogger(silent), sipgo.WithClientAddr(p.addr.String()), sipgo.WithClientConnectionAddr(p.addr.String()))
	}
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("phone: %w", err)
	}
	p.dialog = sipgo.DialogUA{Client: client, ContactHDR: sip.ContactHeader{
		Address: sip.Uri{Scheme: "sip", User: "phone", Host: p.addr.Addr().String(), Port: int(p.addr.Port())},
	}}
	return p, nil
}

// Addr is where the phone listens.
func (p *Phone) Addr() netip.AddrPort { return p.addr }

// Run answers calls until ctx ends.
func (p *Phone) Run(ctx context.Context) error {
	p.server.OnInvite(func(req *sip.Request, tx sip.ServerTransaction) { p.invited(ctx, req, tx) })
	p.server.OnAck(func(*sip.Request, sip.ServerTransaction) {})
	p.server.OnBye(func(req *sip.Request, tx sip.ServerTransaction) {
		_ = tx.Respond(sip.NewResponseFromRequest(req, 200, "OK", nil))
	})
	done := make(chan error, 1)
	go func() { done <- p.server.ServeUDP(p.conn) }()
	select {
	case err := <-done:
		return fmt.Errorf("phone: %w", err)
	case <-ctx.Done():
		_ = p.ua.Close()
		_ = p.conn.Close()
		<-done
		return nil
	}
}

// invited rings, then answers, unless the caller hangs up before. The 200 is sent on the transaction itself: who
// acknowledges it is not waited for.
func (p *Phone) invited(ctx context.Context, req *sip.Request, tx sip.ServerTransaction) {
	if to := req.To(); to != nil {
		to.Params.Add("tag", sip.GenerateTagN(8))
	}
	respond := func(status int, reason string, body []byte) {
		res := sip.NewResponseFromRequest(req, status, reason, body)
		res.AppendHeader(&p.dialog.ContactHDR)
		if body != nil {
			res.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		}
		_ = tx.Respond(res)
	}
	respond(180, "Ringing", nil)
	select {
	case <-time.After(p.ring):
		respond(200, "OK", []byte(sdp))
	case <-tx.Done():
	case <-ctx.Done():
	}
}

// Call is one call to place.
type Call struct {
	From, To callsign.MSISDN
	Route    []netip.AddrPort              // the application server, then who comes behind it
	Status   func(status int, text string) // is called with every answer
	Talk     time.Duration                 // how long the call lasts once it is answered
}

// Place calls and returns when the call is over: after Talk, or with an error when it failed. When ctx ends first it hangs up.
func (p *Phone) Place(ctx context.Context, c Call) error {
	host := p.addr.Addr().String()
	req := sip.NewRequest(sip.INVITE, sip.Uri{Scheme: "sip", User: c.To.E164(), Host: "callsign.invalid"})
	for i, hop := range c.Route {
		user := "as"
		if i > 0 {
			user = "odi_demo"
		}
		params := sip.NewParams()
		params.Add("lr", "")
		req.AppendHeader(&sip.RouteHeader{Address: sip.Uri{Scheme: "sip", User: user, Host: hop.Addr().String(), Port: int(hop.Port()), UriParams: params}})
	}
	req.AppendHeader(&sip.FromHeader{Address: sip.Uri{Scheme: "sip", User: c.From.E164(), Host: host}, Params: tag()})
	req.AppendHeader(&sip.ToHeader{Address: sip.Uri{Scheme: "sip", User: c.To.E164(), Host: "callsign.invalid"}, Params: sip.NewParams()})
	req.AppendHeader(sip.NewHeader("P-Asserted-Identity", "<tel:"+c.From.E164()+">"))
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody([]byte(sdp))

	if err := p.running(ctx); err != nil {
		return fmt.Errorf("call %s: %w", c.To.E164(), err)
	}
	dialog, err := p.dialog.WriteInvite(ctx, req)
	if err != nil {
		return fmt.Errorf("call %s: %w", c.To.E164(), err)
	}
	defer dialog.Close()
	err = dialog.WaitAnswer(ctx, sipgo.AnswerOptions{OnResponse: func(res *sip.Response) error {
		if c.Status != nil {
			c.Status(res.StatusCode, res.Reason)
		}
		return nil
	}})
	var refused *sipgo.ErrDialogResponse
	if errors.As(err, &refused) {
		return fmt.Errorf("call %s: answered with %d %s", c.To.E164(), refused.Res.StatusCode, refused.Res.Reason)
	}
	if err != nil {
		return fmt.Errorf("call %s: %w", c.To.E164(), err)
	}
	if err := dialog.Ack(ctx); err != nil {
		return fmt.Errorf("call %s: acknowledge the answer: %w", c.To.E164(), err)
	}
	select {
	case <-time.After(c.Talk):
	case <-ctx.Done():
	}
	hangUp, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := dialog.Bye(hangUp); err != nil {
		return fmt.Errorf("hang up on %s: %w", c.To.E164(), err)
	}
	return nil
}

// running waits until Run serves the socket: before that sipgo would try to open it a second time.
func (p *Phone) running(ctx context.Context) error {
	for {
		if _, err := p.ua.TransportLayer().GetConnection("udp", p.addr.String()); err == nil {
			return nil
		}
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("the phone does not run: %w", ctx.Err())
		}
	}
}

func tag() sip.HeaderParams {
	params := sip.NewParams()
	params.Add("tag", sip.GenerateTagN(8))
	return params
}
