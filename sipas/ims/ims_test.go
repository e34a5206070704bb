package ims

import (
	"strings"
	"testing"

	"github.com/callsign-as/callsign"
)

const invite = `INVITE sip:+8613900000002@ims.test;user=phone SIP/2.0
Via: SIP/2.0/UDP 127.0.0.1:6060;branch=z9hG4bK1
Max-Forwards: 68
From: <sip:+8613800000001@ims.test>;tag=f1
To: <tel:+8613900000002>
Call-ID: c1@ims.test
CSeq: 1 INVITE
P-Asserted-Identity: <sip:+8613800000001@ims.test>
Content-Length: 0

`

func message(header string) []byte {
	return []byte(strings.ReplaceAll(strings.Replace(invite, "Content-Length", header+"Content-Length", 1), "\n", "\r\n"))
}

const (
	alice = callsign.MSISDN(8613800000001)
	bob   = callsign.MSISDN(8613900000002)
	carol = callsign.MSISDN(8613700000003)
)

func TestWhoIsCalled(t *testing.T) {
	line := func(uri string) []byte {
		return []byte(strings.Replace(string(message("")), "sip:+8613900000002@ims.test;user=phone", uri, 1))
	}
	for name, c := range map[string]struct {
		in   []byte
		want callsign.MSISDN
	}{
		"the Request-URI":                         {message(""), bob},
		"a tel URI":                               {line("tel:+86-139-0000-0002;npdi"), bob},
		"a user part with parameters":             {line("sip:+8613900000002;npdi;rn=+86999@ims.test"), bob},
		"an escaped plus":                         {line("sip:%2B8613900000002@ims.test"), bob},
		"P-Served-User before the Request-URI":    {message("P-Served-User: <sip:+8613700000003@ims.test>;sescase=term;regstate=reg\n"), carol},
		"P-Served-User folded, in lower case":     {message("p-served-user:\n \"C, D\"\n\t<tel:+8613700000003>\n"), carol},
		"a bare P-Served-User with parameters":    {message("P-Served-User: sip:+8613700000003@ims.test;sescase=term\n"), carol},
		"a local number is nobody's":              {line("sip:13900000002@ims.test"), 0},
		"a name is nobody's":                      {line("sip:bob@ims.test"), 0},
		"a host alone is nobody's":                {line("sip:ims.test"), 0},
		"emergency is nobody's":                   {line("urn:service:sos"), 0},
		"too many digits":                         {line("sip:+1234567890123456@ims.test"), 0},
		"what looks like a header in the body":    {append(message(""), "P-Served-User: <tel:+8613700000003>\r\n"...), bob},
		"nothing":                                 {nil, 0},
		"a first line alone":                      {[]byte("INVITE tel:+8613900000002 SIP/2.0\r\n"), bob},
		"an INVITE that is cut off in its header": {message("")[:150], bob},
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := (Reader{}).Callee(c.in); got != c.want || ok != (c.want != 0) {
				t.Errorf("got %v %v, want %v", got.E164(), ok, c.want.E164())
			}
		})
	}
}

func TestWhoCalls(t *testing.T) {
	with := func(pai string) []byte {
		return []byte(strings.Replace(string(message("")), "P-Asserted-Identity: <sip:+8613800000001@ims.test>\r\n", strings.ReplaceAll(pai, "\n", "\r\n"), 1))
	}
	for name, c := range map[string]struct {
		in   []byte
		from CallerFrom
		want callsign.MSISDN
	}{
		"P-Asserted-Identity":                             {message(""), Asserted, alice},
		"tel before sip, comma-joined":                    {with("P-Asserted-Identity: \"A, <b>\" <sip:+8613700000003@ims.test>, <tel:+86-138-0000-0001;cpc=ordinary>\n"), Asserted, alice},
		"tel before sip, two headers":                     {with("P-Asserted-Identity: <tel:+8613800000001>\nP-Asserted-Identity: <sip:+8613700000003@ims.test>\n"), Asserted, alice},
		"a name, then a number":                           {with("P-Asserted-Identity: <sip:alice@ims.test>,<sip:+8613800000001@ims.test;user=phone>\n"), Asserted, alice},
		"two URIs in one pair of brackets":                {with("P-Asserted-Identity: <sip:+8613800000001@ims.test, tel:+8613700000003>\n"), Asserted, alice},
		"a withheld number is still the caller's":         {with("Privacy: id\nP-Asserted-Identity: <tel:+8613800000001>\n"), Asserted, alice},
		"From is not believed":                            {with(""), Asserted, 0},
		"From where the operator says so":                 {with(""), From, alice},
		"P-Asserted-Identity before From":                 {with("P-Asserted-Identity: <tel:+8613700000003>\n"), From, carol},
		"an asserted identity without a number: not From": {with("P-Asserted-Identity: <sip:anonymous@anonymous.invalid>\n"), From, 0},
		"a local number with a global context":            {with("P-Asserted-Identity: <tel:13800000001;phone-context=+86>\n"), Asserted, alice},
		"a local number with a context of its own":        {with("P-Asserted-Identity: <tel:13800000001;phone-context=pbx.test>\n"), Asserted, 0},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := Reader{CallerFrom: c.from}.Read(c.in)
			if err != nil || call.Caller != c.want {
				t.Errorf("got %v, %v; want %v", call.Caller.E164(), err, c.want.E164())
			}
		})
	}
}

func TestWhichCallsAreExempt(t *testing.T) {
	uri := func(uri, to string) []byte {
		return []byte(strings.NewReplacer("sip:+8613900000002@ims.test;user=phone", uri, "tel:+8613900000002", to).Replace(string(message(""))))
	}
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"an ordinary call":                             {message(""), ""},
		"terminating by P-Served-User":                 {message("P-Served-User: <tel:+8613900000002>;sescase=term;regstate=unreg\n"), ""},
		"urn:service:sos":                              {uri("urn:service:sos.police", "urn:service:sos"), Emergency},
		"Priority: emergency":                          {message("Priority: Emergency\n"), Emergency},
		"Priority: psap-callback":                      {message("Priority: psap-callback\n"), Emergency},
		"Priority: non-urgent":                         {message("Priority: non-urgent\n"), ""},
		"Resource-Priority":                            {message("Resource-Priority: ets.0\n"), Priority},
		"originating":                                  {message("P-Served-User: <tel:+8613900000002>;sescase=orig;regstate=reg\n"), Originating},
		"originating after a diversion":                {message("P-Served-User: <tel:+8613900000002>;orig-cdiv\n"), Originating},
		"Replaces":                                     {message("Replaces: x@y;to-tag=1;from-tag=2\n"), Replaced},
		"Join":                                         {message("Join: x@y;to-tag=1;from-tag=2\n"), Replaced},
		"Diversion":                                    {message("Diversion: <tel:+8613700000003>;reason=unconditional\n"), Diverted},
		"History-Info from another number":             {message("History-Info: <sip:+8613700000003@ims.test>;index=1, <sip:+8613900000002@ims.test>;index=1.1\n"), Diverted},
		"History-Info with a cause":                    {message("History-Info: <sip:+8613900000002@ims.test>;index=1, <sip:+8613900000002@ims.test;cause=486>;index=1.1\n"), Diverted},
		"History-Info of a retarget to the same":       {message("History-Info: <sip:+8613900000002@ims.test>;index=1,<sip:user@10.0.0.1>;index=1.1;rc=1\n"), ""},
		"To names another number":                      {uri("sip:+8613900000002@ims.test", "tel:+8613700000003"), Diverted},
		"To is the callee in national form":            {uri("sip:+8613900000002@ims.test", "sip:013900000002@ims.test"), ""},
		"To is the callee with a carrier prefix":       {uri("sip:+8613900000002@ims.test", "sip:8613900000002@ims.test"), ""},
		"To is a short code, which says nothing":       {uri("sip:+8613900000002@ims.test", "sip:611@ims.test"), ""},
		"To is a name, which says nothing":             {uri("sip:+8613900000002@ims.test", "sip:bob@ims.test"), ""},
		"To is another number in its national form":    {uri("sip:+8613900000002@ims.test", "sip:013700000003@ims.test"), Diverted},
		"P-Served-User is not the number in To at all": {message("P-Served-User: <tel:+8613700000003>;sescase=term\n"), Diverted},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := Reader{}.Read(c.in)
			if err != nil || call.Exempt != c.want {
				t.Errorf("got %q, %v; want %q", call.Exempt, err, c.want)
			}
		})
	}
}

func TestWhatMakesItOneCall(t *testing.T) {
	for name, c := range map[string]struct{ header, want string }{
		"icid":                 {"P-Charging-Vector: orig-ioi=x;icid-value=\"a;b\" ;icid-generated-at=1\nSession-ID: abc;remote=0\n", "icid:a;b"},
		"icid first":           {"P-Charging-Vector: icid-value=1234bc9876e;icid-generated-at=192.0.6.8\n", "icid:1234bc9876e"},
		"Session-ID":           {"Session-ID: ab30317f1a784dc48ff824d0d3715d86 ;remote=0\n", "session:ab30317f1a784dc48ff824d0d3715d86"},
		"Call-ID and From tag": {"", "call:c1@ims.test;f1"},
	} {
		t.Run(name, func(t *testing.T) {
			call, err := Reader{}.Read(message(c.header))
			if err != nil || call.Once != c.want {
				t.Errorf("got %q, %v; want %q", call.Once, err, c.want)
			}
		})
	}
	call, err := Reader{}.Read(message("P-Access-Network-Info: 3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=23415\nX: y\n"))
	if err != nil || call.Access != "3GPP-E-UTRAN-FDD" || call.SIPCallID != "c1@ims.test" || call.Callee != bob {
		t.Errorf("got %+v, %v", call, err)
	}
}

// FuzzRead holds the cheap scan against the full reading: neither panics, and they name the same callee.
func FuzzRead(f *testing.F) {
	f.Add(message(""))
	f.Add(message("P-Served-User: \"a\" <tel:+861>;sescase=orig\nHistory-Info: <sip:+1@x?Reason=a>;index=1\nDiversion: x\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Reader{Region: "CN", CallerFrom: From}
		scanned, ok := r.Callee(b)
		if ok != (scanned != 0) {
			t.Fatalf("got %v %v", scanned, ok)
		}
		if call, err := r.Read(b); err == nil && call.Callee != scanned {
			t.Fatalf("Read says %v, Callee %v", call.Callee, scanned)
		}
	})
}

func TestNumbersInTheFormsOfACountry(t *testing.T) {
	for uri, want := range map[string]callsign.MSISDN{
		"sip:13900000002@ims.test":                   bob, // national
		"sip:013900000002@ims.test":                  bob, // long distance
		"sip:8613900000002@ims.test":                 bob, // international without its prefix
		"sip:008613900000002@ims.test":               bob, // international
		"sip:1795113900000002@ims.test":              bob, // by a carrier
		"sip:+8613900000002@ims.test":                bob,
		"tel:13900000002;phone-context=ims.test":     bob,
		"sip:13900000002;phone-context=+86@ims.test": bob,
		"tel:139-0000-0002":                          bob,
		"sip:01062345678@ims.test":                   861062345678, // a fixed line in Beijing
		"sip:00442071838750@ims.test":                442071838750, // abroad
		"tel:2071838750;phone-context=+44":           442071838750,
		"sip:10086@ims.test":                         0, // a short code
		"sip:110@ims.test":                           0,
		"sip:1390000@ims.test":                       0, // too short
		"sip:139000000021@ims.test":                  0, // too long
		"sip:bob@ims.test":                           0,
		"tel:13900000002;phone-context=+x":           0,
	} {
		in := []byte(strings.Replace(string(message("")), "sip:+8613900000002@ims.test;user=phone", uri, 1))
		if got, ok := (Reader{Region: "CN"}).Callee(in); got != want || ok != (want != 0) {
			t.Errorf("%s: got %v %v, want %v", uri, got.E164(), ok, want.E164())
		}
	}
}
