package ims

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/callsign-as/callsign"
)

const register = `REGISTER sip:as.ims.test:5060 SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:6060;branch=z9hG4bK7
From: <sip:scscf.ims.test:6060>;tag=s1
To: <sip:+8613900000002@ims.test>
Call-ID: r1@scscf
CSeq: 10 REGISTER
Contact: <sip:scscf.ims.test:6060>
Expires: 600
P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=46000
Content-Length: 0

`

// registering is a third-party REGISTER with lines in the place of others, and a body.
func registering(body string, oldAndNew ...string) []byte {
	in := strings.NewReplacer(oldAndNew...).Replace(register) + body
	return []byte(strings.ReplaceAll(in, "\n", "\r\n"))
}

const fromPhone = `REGISTER sip:ims.test SIP/2.0
From: <sip:+8613700000003@ims.test>;tag=p
To: <sip:+8613700000003@ims.test>
Call-ID: p1
CSeq: 1 REGISTER
Contact: <sip:10.0.0.1:5060>;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.mmtel";+g.3gpp.smsip;expires=600000
P-Access-Network-Info: 3GPP-NR-FDD;np
Expires: 600000

`

const answered = `SIP/2.0 200 OK
P-Associated-URI: <sip:+8613900000002@ims.test>, <tel:+8613700000003>
Contact: <sip:10.0.0.1:5060>;+g.3gpp.nw-init-ussi;expires=600

`

func TestWhatAThirdPartyREGISTERTells(t *testing.T) {
	const contact, pani = "Contact: <sip:scscf.ims.test:6060>", "P-Access-Network-Info: 3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=46000"
	multi := "--b1\nContent-Type: application/3gpp-ims+xml\n\n<ims-3gpp/>\n--b1\nContent-Type: message/sip\n\n" + fromPhone + "\n--b1\nContent-Type: message/sip\n\n" + answered + "\n--b1--\n"
	plain := Registration{MSISDNs: []callsign.MSISDN{bob}, Expires: 10 * time.Minute, Access: "3GPP-E-UTRAN-FDD"}
	with := func(change func(*Registration)) Registration {
		r := plain
		change(&r)
		return r
	}
	for name, c := range map[string]struct {
		in   []byte
		want Registration
	}{
		"To is the user, Expires the header's":      {registering(""), plain},
		"Contact's expiry before the header's":      {registering("", contact, contact+";expires=60"), with(func(r *Registration) { r.Expires = time.Minute })},
		"the longest of several Contacts":           {registering("", contact, contact+";expires=60, <sip:b@c>;expires=90"), with(func(r *Registration) { r.Expires = 90 * time.Second })},
		"no longer registered, by Expires":          {registering("", "Expires: 600", "Expires: 0"), with(func(r *Registration) { r.Expires = 0 })},
		"no longer registered, by Contact":          {registering("", contact, contact+";expires=0"), with(func(r *Registration) { r.Expires = 0 })},
		"no longer registered, with a star":         {registering("", contact, "Contact: *", "Expires: 600", "Expires: 0"), with(func(r *Registration) { r.Expires = 0 })},
		"nothing said of how long: an hour":         {registering("", "Expires: 600\n", ""), with(func(r *Registration) { r.Expires = time.Hour })},
		"an expiry that can't be read: an hour":     {registering("", "Expires: 600", "Expires: soon"), with(func(r *Registration) { r.Expires = time.Hour })},
		"over 136 years: an hour":                   {registering("", "Expires: 600", "Expires: 99999999999"), with(func(r *Registration) { r.Expires = time.Hour })},
		"compact forms and folds":                   {registering("", "To: <", "t:\n\t<", "Contact: <", "m : \n <"), plain},
		"no access":                                 {registering("", pani+"\n", ""), with(func(r *Registration) { r.Access = "" })},
		"what the network says of the access":       {registering("", pani, "P-Access-Network-Info: IEEE-802.11, 3GPP-GERAN;cgi-3gpp=\"a,b;np\";np"), with(func(r *Registration) { r.Access = "3GPP-GERAN" })},
		"P-Associated-URI":                          {registering("", contact, "P-Associated-URI: <sip:+8613900000002@ims.test>, <tel:+8613700000003>\n"+contact), with(func(r *Registration) { r.MSISDNs = []callsign.MSISDN{bob, carol} })},
		"P-Associated-URI as Kamailio 5.6 has it":   {registering("", contact, "P-Associated-URI: <sip:+8613900000002@ims.test, tel:+8613700000003>\n"+contact), with(func(r *Registration) { r.MSISDNs = []callsign.MSISDN{bob, carol} })},
		"feature tags of the Contact":               {registering("", contact, contact+";+g.3gpp.smsip;+g.3gpp.nw-init-ussi"), with(func(r *Registration) { r.SMS, r.USSI = true, true })},
		"a quoted feature tag is none":              {registering("", contact, contact+`;x=";+g.3gpp.smsip"`), plain},
		"the phone's REGISTER in the body":          {registering(fromPhone, "Content-Length: 0", "Content-Type: message/sip", pani+"\n", ""), with(func(r *Registration) { r.SMS, r.Access = true, "3GPP-NR-FDD" })},
		"what the S-CSCF says of the access first":  {registering(fromPhone, "Content-Length: 0", "c: message/sip"), with(func(r *Registration) { r.SMS = true })},
		"its answer in the body":                    {registering(answered, "Content-Length: 0", "Content-Type: message/sip"), with(func(r *Registration) { r.USSI, r.MSISDNs = true, []callsign.MSISDN{bob, carol} })},
		"both, and service data":                    {registering(multi, "Content-Length: 0", "Content-Type: multipart/mixed;boundary=\"b1\""), with(func(r *Registration) { r.SMS, r.USSI, r.MSISDNs = true, true, []callsign.MSISDN{bob, carol} })},
		"a body that is cut off":                    {registering(multi[:100], "Content-Length: 0", "Content-Type: multipart/mixed;boundary=\"b1\""), plain},
		"a body of something else":                  {registering(fromPhone, "Content-Length: 0", "Content-Type: text/plain"), plain},
		"a name in To, a number beside it":          {registering("", "sip:+8613900000002@", "sip:bob@", contact, "P-Associated-URI: <tel:+8613900000002>\n"+contact), plain},
		"an escaped plus, and IPv6 hosts":           {registering("", "sip:+8613900000002@ims.test", "sip:%2B8613900000002@[2001:db8::2]:5060;user=phone", "sip:scscf.ims.test", "sip:[2001:db8::1]"), plain},
		"no more numbers than a user has: the rest": {registering("", contact, "P-Associated-URI: "+many(40)+"\n"+contact), with(func(r *Registration) { r.MSISDNs = first16() })},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Reader{}.Registration(c.in)
			if err != nil || !slices.Equal(got.MSISDNs, c.want.MSISDNs) || got.Expires != c.want.Expires || got.Access != c.want.Access || got.SMS != c.want.SMS || got.USSI != c.want.USSI {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
	for name, in := range map[string][]byte{
		"nothing":   nil,
		"an INVITE": message(""),
		"no number": registering("", "sip:+8613900000002@", "sip:bob@"),
		"an answer": []byte(strings.ReplaceAll(answered, "\n", "\r\n")),
	} {
		if got, err := (Reader{}).Registration(in); err == nil {
			t.Errorf("%s: got %+v and no error", name, got)
		}
	}
}

func many(n int) string {
	var uris []string
	for i := range n {
		uris = append(uris, "<tel:"+(bob+callsign.MSISDN(i)).E164()+">")
	}
	return strings.Join(uris, ", ")
}

func first16() (all []callsign.MSISDN) {
	for i := range 16 {
		all = append(all, bob+callsign.MSISDN(i))
	}
	return all
}

func FuzzRegistration(f *testing.F) {
	f.Add(registering(""))
	f.Add(registering(fromPhone, "Content-Length: 0", "Content-Type: message/sip"))
	f.Add(registering("--b\nContent-Type: message/sip\n\n"+answered+"\n--b--\n", "Content-Length: 0", "c: multipart/mixed;boundary=b"))
	f.Fuzz(func(t *testing.T, b []byte) {
		reg, err := Reader{Region: "CN"}.Registration(b)
		if (err == nil) != (len(reg.MSISDNs) > 0) || len(reg.MSISDNs) > maxNumbers || slices.Contains(reg.MSISDNs, 0) || reg.Expires < 0 {
			t.Fatalf("got %+v, %v", reg, err)
		}
		if reg.Access != "" && !isToken([]byte(reg.Access)) {
			t.Fatalf("got the access %q", reg.Access)
		}
	})
}
