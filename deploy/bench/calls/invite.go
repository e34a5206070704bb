package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"strconv"
	"strings"
)

// Where a template has a call's own number and its callee's; both are replaced by as many digits.
const (
	callMark   = "@@CALL@@@"
	calleeMark = "@@CALLE"
)

// maker makes the INVITEs of one run: one text, with the few digits written in that differ from call to call.
type maker struct {
	text           []byte
	calls, callees []int // where their digits stand
	order          order
}

// order is who is called in which order: the silent ones, who have no text, in steps, so that calls in a row go to distant
// numbers, and one call in every to the next of those with a text, whose numbers follow.
type order struct{ silent, texts, every, first, step int }

func newOrder(o options) order {
	w := order{silent: o.silent, texts: o.texts, every: o.textEvery, first: o.first, step: 61_803}
	for gcd(w.step, w.silent) != 1 {
		w.step++
	}
	return w
}

// callee is whom the n-th call calls.
func (w order) callee(n int) int {
	n += w.first
	if w.every == 0 {
		return n % w.silent * w.step % w.silent
	}
	if n%w.every == 0 {
		return w.silent + n/w.every%w.texts
	}
	return (n - n/w.every - 1) % w.silent * w.step % w.silent
}

// newMaker makes the INVITE that an S-CSCF sends to an application server: two Routes in one line, the Vias of three hops
// before it, the headers that an IMS core adds, SDP: 2.3 KB.
func newMaker(from, route string, who order) *maker {
	text := strings.ReplaceAll(strings.NewReplacer("{from}", from, "{route}", route, "{run}", rand.Text()[:10]).Replace(invite), "\n", "\r\n")
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	text = strings.Replace(head, "{length}", strconv.Itoa(len(body)), 1) + "\r\n\r\n" + body
	return &maker{text: []byte(text), calls: places(text, callMark), callees: places(text, calleeMark), order: who}
}

func places(text, mark string) (at []int) {
	for i := 0; ; {
		n := strings.Index(text[i:], mark)
		if n < 0 {
			return at
		}
		at = append(at, i+n)
		i += n + len(mark)
	}
}

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// invite is the n-th call's, until the next one is made.
func (m *maker) invite(n int) []byte {
	for _, at := range m.calls {
		digits(m.text[at:at+len(callMark)], n)
	}
	callee := m.order.callee(n)
	for _, at := range m.callees {
		digits(m.text[at:at+len(calleeMark)], callee)
	}
	return m.text
}

func digits(to []byte, n int) {
	for i := len(to) - 1; i >= 0; i-- {
		to[i] = byte('0' + n%10)
		n /= 10
	}
}

// callIDBegins is what a Call-ID begins with, before the call's number.
var callIDBegins = []byte("\r\nCall-ID: ")

// number is the number of the call that a message belongs to, -1 if of none of this run.
func (m *maker) number(msg []byte) int {
	_, rest, found := bytes.Cut(msg, callIDBegins)
	if !found || len(rest) < len(callMark) {
		return -1
	}
	n, err := strconv.Atoi(string(rest[:len(callMark)]))
	if err != nil {
		return -1
	}
	return n
}

// answer is the callee's answer to an INVITE: the header fields that go back, as they came, and its own.
func answer(out, invite []byte, status string, body []byte) []byte {
	out = append(append(append(out, "SIP/2.0 "...), status...), "\r\n"...)
	trying := strings.HasPrefix(status, "100")
	_, rest, _ := bytes.Cut(invite, []byte("\r\n"))
	for len(rest) > 0 {
		var line []byte
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if len(line) == 0 {
			break
		}
		name, _, _ := bytes.Cut(line, []byte(":"))
		switch string(name) {
		case "Via", "From", "Call-ID", "CSeq":
			out = append(append(out, line...), "\r\n"...)
		case "Record-Route":
			if !trying {
				out = append(append(out, line...), "\r\n"...)
			}
		case "To":
			out = append(out, line...)
			if !trying {
				out = append(out, ";tag=callee"...)
			}
			out = append(out, "\r\n"...)
		}
	}
	if !trying {
		out = append(out, answered...)
	}
	if body != nil {
		out = append(out, "Content-Type: application/sdp\r\n"...)
	}
	return append(fmt.Appendf(out, "Content-Length: %d\r\n\r\n", len(body)), body...)
}

const answered = "Contact: <sip:term@127.0.0.1:5088;alias=10.1.2.4~5060~2>;+g.3gpp.icsi-ref=\"urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel\"\r\n" +
	"Allow: INVITE, ACK, CANCEL, BYE, UPDATE, PRACK, MESSAGE, REFER, NOTIFY, INFO, OPTIONS\r\n" +
	"Supported: timer, 100rel, precondition\r\n"

// answerBody is the SDP of a 200.
var answerBody = []byte(strings.ReplaceAll(`v=0
o=- 2890844730 2890844730 IN IP4 10.1.2.4
s=-
c=IN IP4 10.1.2.4
t=0 0
m=audio 49180 RTP/AVP 104 101
a=rtpmap:104 AMR-WB/16000
a=fmtp:104 mode-change-capability=2;max-red=0
a=rtpmap:101 telephone-event/16000
a=sendrecv
`, "\n", "\r\n"))

const invite = `INVITE sip:+861390@@CALLE@ims.test;user=phone SIP/2.0
Via: SIP/2.0/UDP {from};branch=z9hG4bKscscf{run}@@CALL@@@
Via: SIP/2.0/UDP 10.20.0.2:5060;received=10.20.0.2;rport=5060;branch=z9hG4bKicscf{run}@@CALL@@@
Via: SIP/2.0/UDP 10.20.0.1:5060;received=10.20.0.1;rport=5060;branch=z9hG4bKpcscf{run}@@CALL@@@
Via: SIP/2.0/TCP 10.1.2.3:5060;received=10.1.2.3;branch=z9hG4bKue{run}@@CALL@@@
Route: {route}
Max-Forwards: 66
Record-Route: <sip:mt@10.20.0.3:6060;lr;ftag=@@CALL@@@>, <sip:mo@10.20.0.2:6060;lr;ftag=@@CALL@@@>
From: "Wang Wei" <sip:+86138@@CALLE9@ims.test;user=phone>;tag=@@CALL@@@
To: <sip:+861390@@CALLE@ims.test;user=phone>
Call-ID: @@CALL@@@-{run}@10.1.2.3
CSeq: 1 INVITE
Contact: <sip:orig@10.1.2.3:5060;alias=10.1.2.3~5060~2>;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel";+sip.instance="<urn:gsma:imei:35622410-483840-0>"
Allow: INVITE, ACK, CANCEL, BYE, UPDATE, PRACK, MESSAGE, REFER, NOTIFY, INFO, OPTIONS
Supported: timer, 100rel, precondition, gruu, sec-agree
P-Asserted-Identity: "Wang Wei" <sip:+86138@@CALLE9@ims.test;user=phone>, <tel:+86138@@CALLE9>
P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=4600012345678901
P-Charging-Vector: icid-value="{run}@@CALL@@@";icid-generated-at=10.20.0.1;orig-ioi="ims.test"
P-Charging-Function-Addresses: ccf="aaa://ccf.ims.test:3868;transport=tcp"
P-Served-User: <sip:+861390@@CALLE@ims.test>;sescase=term;regstate=reg
P-Asserted-Service: urn:urn-7:3gpp-service.ims.icsi.mmtel
P-Early-Media: supported
Session-Expires: 1800;refresher=uac
Min-SE: 90
User-Agent: IMS-UE/1.0
Content-Type: application/sdp
Content-Length: {length}

v=0
o=- 2890844526 2890844526 IN IP4 10.1.2.3
s=-
c=IN IP4 10.1.2.3
b=AS:41
b=RS:0
b=RR:0
t=0 0
m=audio 49170 RTP/AVP 104 102 8 0 96 101
a=rtpmap:104 AMR-WB/16000
a=fmtp:104 mode-change-capability=2;max-red=0
a=rtpmap:102 AMR/8000
a=fmtp:102 mode-change-capability=2;max-red=0
a=rtpmap:8 PCMA/8000
a=rtpmap:0 PCMU/8000
a=rtpmap:96 telephone-event/8000
a=fmtp:96 0-15
a=rtpmap:101 telephone-event/16000
a=fmtp:101 0-15
a=curr:qos local none
a=curr:qos remote none
a=des:qos mandatory local sendrecv
a=des:qos mandatory remote sendrecv
a=ptime:20
a=maxptime:240
a=sendrecv
`
