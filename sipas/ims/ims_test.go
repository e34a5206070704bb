package ims

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"

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
		"P-Served-User behind quoted brackets":    {message("P-Served-User: \"a <tel:+1>, ;\\\" b\" <tel:+8613700000003>;sescase=term\n"), carol},
		"an IPv6 reference as host":               {line("sip:+8613900000002@[2001:db8::1]:5060;transport=udp"), bob},
		"every character escaped":                 {line("sip:%2b86%31%339-0000-0002@ims.test"), bob},
		"an escape that is none":                  {line("sip:+8613900000002%2@ims.test"), 0},
		"an escaped separator of a parameter":     {line("sip:+8613900000002%3bx@ims.test"), 0},
		"a password":                              {line("sip:+8613900000002:secret@ims.test"), 0},
		"a scheme in capitals":                    {line("TEL:+8613900000002"), bob},
		"two spaces in the first line":            {line(" tel:+8613900000002"), bob},
		"bare line ends":                          {[]byte(strings.ReplaceAll(string(message("P-Served-User: <tel:+8613700000003>\n")), "\r\n", "\n")), carol},
		"P-Served-User without a number":          {message("P-Served-User: <sip:bob@ims.test>\n"), 0},
		"a ported number: rn only routes":         {line("tel:+8613900000002;npdi;rn=+8613444"), bob},
		"a ported number in a SIP URI":            {line("sip:+8613900000002;npdi;rn=+8613444@ims.test;user=phone"), bob},
		"npdi alone: it was asked, not ported":    {line("tel:+8613900000002;npdi"), bob},
		"the routing number in its place: To":     {line("tel:+86-1344-4;npdi;rn=+861344-4"), bob},
		"the same without plus: To":               {line("sip:13444;npdi;rn=+13444@ims.test"), bob},
		"an rn and a name: To":                    {line("sip:gateway;rn=+8613444@ims.test"), bob},
		"npdi and no number that is global: To":   {line("sip:13444;npdi@ims.test"), bob},
		"a visited network's number: To":          {line("tel:+8613444000001"), bob},
		"a visited network's number, user=phone":  {line("sip:+8613444000001@msc.test;user=phone"), bob},
		"its number, but P-Served-User":           {[]byte(strings.Replace(string(message("P-Served-User: <tel:+8613700000003>\n")), "sip:+8613900000002@ims.test;user=phone", "tel:+8613444000001", 1)), carol},
		"its number, and a compact To with a tag": {[]byte(strings.NewReplacer("sip:+8613900000002@ims.test;user=phone", "tel:+8613444000001", "To: <tel:+8613900000002>", "t : \"x, <y>\"\r\n <sip:+8613900000002@a>;x=y").Replace(string(message("")))), bob},
		"its number, and no number in To":         {[]byte(strings.NewReplacer("sip:+8613900000002@ims.test;user=phone", "tel:+8613444000001", "To: <tel:+8613900000002>", "To: <sip:bob@ims.test>").Replace(string(message("")))), 0},
		"its number, and no To":                   {[]byte(strings.NewReplacer("sip:+8613900000002@ims.test;user=phone", "tel:+8613444000001", "To: <tel:+8613900000002>", "X: y").Replace(string(message("")))), 0},
		"nothing":                                 {nil, 0},
		"a first line alone":                      {[]byte("INVITE tel:+8613900000002 SIP/2.0\r\n"), bob},
		"an INVITE that is cut off in its header": {message("")[:150], bob},
	} {
		t.Run(name, func(t *testing.T) {
			if got, ok := (Reader{Roaming: visited}).Callee(c.in); got != c.want || ok != (c.want != 0) {
				t.Errorf("got %v %v, want %v", got.E164(), ok, c.want.E164())
			}
		})
	}
}

// visited is where MSRNs of the tests come from.
func visited(m callsign.MSISDN) bool { return m/1_000_000 == 8613444 }

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
		"the first tel of several":                        {with("P-Asserted-Identity: <tel:+8613800000001>, <tel:+8613700000003>\n"), Asserted, alice},
		"user=phone before digits that may be a name":     {with("P-Asserted-Identity: <sip:+8613700000003@ims.test>, <sip:+8613800000001@ims.test;user=phone>\n"), Asserted, alice},
		"a malformed value costs only itself":             {with("P-Asserted-Identity: \"a <sip:+8613700000003@ims.test\nP-Asserted-Identity: <<>>,,;,<tel:>\nP-Asserted-Identity: <tel:+8613800000001>\n"), Asserted, alice},
		"an unclosed bracket":                             {with("P-Asserted-Identity: <sip:+8613800000001@ims.test\n"), Asserted, alice},
		"bare, with parameters of the header":             {with("P-Asserted-Identity: sip:+8613800000001@ims.test;x=y\n"), Asserted, alice},
		"folded, spaces before the colon":                 {with("p-asserted-identity  :\n \"A;B\",\n\t<sip:x@y>\n , <tel:+8613800000001>\n"), Asserted, alice},
		"an IPv6 reference as host, an escaped plus":      {with("P-Asserted-Identity: <sips:%2B8613800000001@[2001:db8::1]:5061;user=phone>\n"), Asserted, alice},
		"P-Associated-URI and P-Preferred-Identity: not":  {with("P-Associated-URI: <tel:+8613800000001>\nP-Preferred-Identity: <tel:+8613800000001>\n"), Asserted, 0},
		"number portability of the caller":                {with("P-Asserted-Identity: <tel:+8613800000001;npdi;rn=+861344;cpc=ordinary;isub=12>\n"), Asserted, alice},
		"an identity in the body":                         {append(with(""), "--b\r\nContent-Type: application/isup\r\n\r\nP-Asserted-Identity: <tel:+8613800000001>\r\n--b--"...), Asserted, 0},
		"multipart SDP and ISUP":                          {append(with("P-Asserted-Identity: <tel:+8613800000001>\nc: multipart/mixed;boundary=b\n"), "--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n--b\r\nContent-Type: application/ISUP;version=itu-t92+\r\n\r\n\x01\x00\x49\x00\n\n\x00\x03\r\n--b--"...), Asserted, alice},
		"a compact From where the operator says so":       {[]byte(strings.Replace(string(with("")), "From:", "f:", 1)), From, alice},
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
	both := func(in []byte, requestURI string) []byte {
		return []byte(strings.Replace(string(in), "sip:+8613900000002@ims.test;user=phone", requestURI, 1))
	}
	for name, c := range map[string]struct {
		in   []byte
		want string
	}{
		"urn:service:sos in capitals":                  {uri("URN:SERVICE:SOS.Fire", "tel:+8613900000002"), Emergency},
		"sos in To, who answers in the Request-URI":    {uri("sip:+8613900000002@psap.test", "urn:service:sos"), Emergency},
		"the second Priority":                          {message("Priority: normal\nPriority: EMERGENCY\n"), Emergency},
		"originating, in capitals and folded":          {message("P-Served-User: <tel:+8613900000002>\n ; SESCASE = orig\n"), Originating},
		"originating, quoted":                          {message("P-Served-User: <tel:+8613900000002>;sescase=\"orig\"\n"), Originating},
		"a session case that nobody knows":             {message("P-Served-User: <tel:+8613900000002>;sescase=orig-cdiv\n"), Originating},
		"no session case":                              {message("P-Served-User: \"a;sescase=orig\" <tel:+8613900000002;sescase=orig>\n"), ""},
		"a bare P-Served-User, originating":            {message("P-Served-User: tel:+8613900000002;sescase=orig\n"), Originating},
		"a visited network's number, dialled in To":    {uri("tel:+8613444000001", "tel:+8613900000002"), ""},
		"a visited network's number after a diversion": {both(message("History-Info: <tel:+8613700000003>;index=1, <tel:+8613900000002;cause=302>;index=1.1\n"), "tel:+8613444000001"), Diverted},
		"a visited network's number, Diversion":        {both(message("Diversion: <tel:+8613700000003>\n"), "tel:+8613444000001"), Diverted},
		"a ported number":                              {uri("tel:+8613900000002;npdi;rn=+8613444", "tel:+8613900000002"), ""},
		"a ported number, but another one was dialled": {uri("tel:+8613900000002;npdi;rn=+8613444", "tel:+8613700000003"), Diverted},
		"an anonymous history that changed the user":   {message("History-Info: <sip:anonymous@anonymous.invalid>;index=1, <tel:+8613900000002>;index=1.1;mp=1\n"), Diverted},
		"To quotes another number":                     {uri("sip:+8613900000002@ims.test", "sip:+8613900000002@ims.test"), ""},
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
			call, err := Reader{Roaming: visited}.Read(c.in)
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
			if icid, has := strings.CutPrefix(c.want, "icid:"); has != (call.ICID != "") || has && call.ICID != icid {
				t.Errorf("its icid is %q", call.ICID)
			}
		})
	}
	call, err := Reader{}.Read(message("P-Access-Network-Info: 3GPP-E-UTRAN-FDD; utran-cell-id-3gpp=23415\nX: y\n"))
	if err != nil || call.Access != "3GPP-E-UTRAN-FDD" || call.SIPCallID != "c1@ims.test" || call.Callee != bob {
		t.Errorf("got %+v, %v", call, err)
	}
}

func TestNumbersInTheFormsOfACountry(t *testing.T) {
	for uri, want := range map[string]callsign.MSISDN{
		"sip:13900000002@ims.test":                   bob, // national
		"sip:013900000002@ims.test":                  bob, // long distance
		"sip:8613900000002@ims.test":                 bob, // international without its prefix
		"sip:008613900000002@ims.test":               bob, // international
		"sip:+86-139-0000-0002@ims.test":             bob,
		"sip:0086013900000002@ims.test":              bob, // both prefixes
		"sip:1795113900000002@ims.test":              bob, // IP calls of China Mobile
		"sip:17951013900000002@ims.test":             bob, // the same, long distance
		"sip:1791113900000002@ims.test":              bob, // of China Unicom
		"sip:1790913900000002@ims.test":              bob, // of China Telecom
		"sip:1259313900000002@ims.test":              bob, // cheap long distance
		"sip:1019313900000002@ims.test":              bob,
		"sip:10193013900000002@ims.test":             bob,
		"sip:1180813900000002@ims.test":              bob,
		"sip:1795101062345678@ims.test":              861062345678,
		"sip:1795100442071838750@ims.test":           442071838750,
		"sip:17951@ims.test":                         0,
		"sip:1795112593@ims.test":                    0,
		"tel:13900000002;phone-context=+86-10":       0, // an area's: it may be one of the area's own
		"tel:62345678;phone-context=+86":             0, // no area
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

func TestChineseMobileNumbersAreReadAsTheLibraryReadsThem(t *testing.T) {
	quick := 0
	for prefix := range 1000 {
		for _, before := range []string{"", "0", "86", "0086"} {
			for _, rest := range []string{"00000000", "12345678", "99999999"} {
				dialled := before + fmt.Sprintf("%03d", prefix) + rest
				d, _ := readDigits([]byte(dialled))
				got, ok := chineseMobile(d, "CN")
				if !ok {
					continue
				}
				quick++
				if want, _ := national(dialled, "CN"); got != want {
					t.Errorf("%s: got %s, want %s", dialled, got.E164(), want.E164())
				}
			}
		}
	}
	if quick < 400 {
		t.Errorf("only %d were read without the library", quick)
	}
}

func TestFixedLinesAreKnownWhereNumbersTell(t *testing.T) {
	for m, want := range map[callsign.MSISDN]bool{
		bob:           false,
		861062345678:  true, // Beijing
		8675588888888: true, // Shenzhen
		442071838750:  true, // London
		447911123456:  false,
		390612345678:  true, // Rome
		393312345678:  false,
		12125550123:   false, // North America's numbers don't tell
		15550100:      false, // no number at all
		0:             false,
	} {
		if got := IsFixedLine(m); got != want {
			t.Errorf("%s: got %v, want %v", m.E164(), got, want)
		}
	}
}

// TestFixedLinesAreTheLibrarys holds the short way against the library's own answer, over numbers of all countries and kinds.
func TestFixedLinesAreTheLibrarys(t *testing.T) {
	fixed := 0
	for region := range phonenumbers.GetSupportedRegions() {
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
			example := phonenumbers.GetExampleNumberForType(region, kind)
			if example == nil {
				continue
			}
			m, err := callsign.ParseMSISDN(phonenumbers.Format(example, phonenumbers.E164))
			if err != nil {
				continue
			}
			for last := range callsign.MSISDN(20) { // and its neighbours, longer and shorter ones
				for _, n := range []callsign.MSISDN{m + last*487, m*10 + last, m / 10} {
					parsed, err := phonenumbers.Parse(n.E164(), "")
					if err == nil && phonenumbers.Format(parsed, phonenumbers.E164) != n.E164() {
						continue // the library mended it
					}
					want := err == nil && phonenumbers.GetNumberType(parsed) == phonenumbers.FIXED_LINE
					if got := IsFixedLine(n); got != want {
						t.Errorf("%s: %v, want %v", n.E164(), got, want)
					}
					if want {
						fixed++
					}
				}
			}
		}
	}
	if fixed < 2_000 {
		t.Errorf("only %d were fixed lines", fixed)
	}
}

func TestWhoWantsToStayUnknown(t *testing.T) {
	for header, want := range map[string]bool{
		"":                                  false,
		"Privacy: none\n":                   false,
		"Privacy: session\n":                false, // hides where the voice comes from
		"Privacy: history\n":                false, // hides who was called before
		"Privacy: idle\n":                   false,
		"X-Privacy: id\n":                   false,
		"Privacy: id\n":                     true,
		"Privacy: ID;critical\n":            true,
		"privacy :\n\tuser\n":               true,
		"Privacy: header ; session\n":       true,
		"Privacy: critical\n":               true,
		"Privacy: none\nPrivacy: id\n":      true,
		"Privacy: session,id\n":             true, // commas are wrong, and written
		"Privacy: none;session;history,x\n": false,
	} {
		call, err := Reader{}.Read(message(header))
		if err != nil || call.Private != want || call.Caller != alice {
			t.Errorf("%q: got %v, %v of %v, want %v", header, call.Private, err, call.Caller.E164(), want)
		}
	}
}

func TestOverWhichAccess(t *testing.T) {
	const pani = "P-Access-Network-Info: "
	for header, want := range map[string]string{
		"":                                "",
		pani + "3GPP-GERAN; cgi-3gpp=1\n": "3GPP-GERAN",
		pani + "3GPP-UTRAN-TDD\n":         "3GPP-UTRAN-TDD",
		pani + "3GPP-E-UTRAN-FDD;utran-cell-id-3gpp=\"a,b;np\"\n":          "3GPP-E-UTRAN-FDD",
		pani + "3GPP-NR-FDD;utran-cell-id-3gpp=46000\n":                    "3GPP-NR-FDD",
		pani + "IEEE-802.11ac;i-wlan-node-id=ffffffffffff\n":               "IEEE-802.11ac",
		pani + "IEEE-802.3ab\n":                                            "IEEE-802.3ab",
		pani + "untrusted-non-3GPP-VIRTUAL-EPC\n":                          "untrusted-non-3GPP-VIRTUAL-EPC",
		pani + "IEEE-802.11, 3GPP-E-UTRAN-FDD;np\n":                        "3GPP-E-UTRAN-FDD",
		pani + "3GPP-GERAN;np, 3GPP-NR-FDD;np\n":                           "3GPP-GERAN",
		pani + "3GPP-NR-FDD, IEEE-802.11\n":                                "3GPP-NR-FDD",
		pani + "IEEE-802.11\n" + pani + "3GPP-UTRAN-FDD; utran=1 ;\n NP\n": "3GPP-UTRAN-FDD",
		pani + "\n" + pani + "3GPP-GERAN\n":                                "3GPP-GERAN",
		pani + ";np, \"x\";np, 3GPP-GERAN\n":                               "3GPP-GERAN",
		pani + strings.Repeat("x", 65) + "\n":                              "",
		"p-access-network-info:\n 3GPP-GERAN\n\t;cgi-3gpp=1\n":             "3GPP-GERAN",
		"X: y\n": "",
	} {
		call, err := Reader{}.Read(message(header))
		from := callsign.AccessFrom("")
		if want != "" {
			from = callsign.AccessNetwork
		}
		if err != nil || call.Access != want || call.AccessFrom != from {
			t.Errorf("%q: got %q from %q, %v; want %q", header, call.Access, call.AccessFrom, err, want)
		}
	}
}

func TestWhatCannotBeReadSaysSo(t *testing.T) {
	for name, in := range map[string][]byte{
		"nothing":    nil,
		"an answer":  []byte("SIP/2.0 180 Ringing\r\nCall-ID: a\r\n\r\n"),
		"no Call-ID": []byte(strings.Replace(string(message("")), "Call-ID", "X", 1)),
		"another":    []byte("MESSAGE tel:+86 SIP/2.0\r\nCall-ID: a\r\n\r\n"),
	} {
		if call, err := (Reader{}).Read(in); err == nil {
			t.Errorf("%s: got %+v and no error", name, call)
		} else if strings.Contains(err.Error(), "86") {
			t.Errorf("%s: %v tells a number", name, err)
		}
	}
}
