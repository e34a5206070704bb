package ims

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"

	"github.com/callsign-as/callsign"
)

// number is an identity's number. One that is not global (RFC 3966 §5.1.4) is read by the rules of the country that its
// phone-context names, else of Region; without either it is none, for a wrong guess would show somebody else's text.
func (r Reader) number(id identity) (callsign.MSISDN, bool) {
	d, ok := readDigits(id.subscriber())
	if !ok {
		return 0, false
	}
	if d.global {
		return d.msisdn()
	}
	if d.n < 5 {
		return 0, false // a short code
	}
	region := r.Region
	if context, found := id.userParam("phone-context"); found && strings.HasPrefix(string(context), "+") {
		code, err := strconv.Atoi(string(context[1:]))
		if err != nil {
			return 0, false
		}
		region = phonenumbers.GetRegionCodeForCountryCode(code)
	}
	if region == "" {
		return 0, false
	}
	if m, ok := chineseMobile(d, region); ok {
		return m, true
	}
	return national(d.text(), region)
}

// chineseMobile reads without the library, which takes some 40 µs, what nearly every local number in China is: eleven digits, as
// they are or behind 0, 86 or 0086. What it doesn't know the library still does.
func chineseMobile(d digits, region string) (callsign.MSISDN, bool) {
	n := d.n - 11
	if region != "CN" || n < 0 || d.b[n] != '1' {
		return 0, false
	}
	before, second, third := string(d.b[:n]), d.b[n+1], d.b[n+2]
	known := second == '3' || second == '8' || (second == '5' || second == '9') && third != '4'
	if !known || before != "" && before != "0" && before != "86" && before != "0086" {
		return 0, false
	}
	full := digits{n: 13, b: [24]byte{'8', '6'}}
	copy(full.b[2:], d.b[n:d.n])
	return full.msisdn()
}

// msisdn is a global number.
func (d *digits) msisdn() (m callsign.MSISDN, ok bool) {
	if d.n == 0 || d.n > 15 || d.b[0] == '0' {
		return 0, false
	}
	for _, c := range d.b[:d.n] {
		m = m*10 + callsign.MSISDN(c-'0')
	}
	return m, true
}

// national reads a number as it is dialled in a country.
func national(dialled, region string) (callsign.MSISDN, bool) {
	n, err := phonenumbers.Parse(dialled, region)
	if err != nil || !phonenumbers.IsValidNumber(n) {
		if rest, found := withoutCarrier(dialled, region); found {
			return national(rest, region)
		}
		return 0, false
	}
	m, err := callsign.ParseMSISDN(phonenumbers.Format(n, phonenumbers.E164))
	return m, err == nil
}

// carriers are prefixes that choose who carries a call: IP telephony and cheap long distance. Behind them the number stands
// in any of its forms. No number of the country begins with one.
var carriers = map[string][]string{
	"CN": {"10193", "11808", "12593", "17900", "17901", "17908", "17909", "17910", "17911", "17930", "17931", "17950", "17951", "17960", "17961", "17968", "17969"},
}

func withoutCarrier(dialled, region string) (rest string, found bool) {
	if len(dialled) <= 5 || !slices.Contains(carriers[region], dialled[:5]) {
		return "", false
	}
	return dialled[5:], true
}

// IsFixedLine reports whether a number certainly is a fixed line's, which shows no texts. Where a country's numbers don't tell
// fixed from mobile, as in North America, none is.
func IsFixedLine(m callsign.MSISDN) bool {
	e164 := m.E164()[1:]
	for n := 1; n <= 3 && n < len(e164); n++ {
		code, _ := strconv.Atoi(e164[:n])
		if phonenumbers.GetRegionCodeForCountryCode(code) == phonenumbers.UNKNOWN_REGION {
			continue
		}
		national, _ := strconv.ParseUint(e164[n:], 10, 64)
		number := phonenumbers.PhoneNumber{CountryCode: new(int32(code)), NationalNumber: &national}
		if e164[n] == '0' { // of Italy's fixed lines it is a part
			number.ItalianLeadingZero = new(true)
			number.NumberOfLeadingZeros = new(int32(1))
		}
		return !certainlyMobile(code, e164[n:]) && phonenumbers.GetNumberType(&number) == phonenumbers.FIXED_LINE
	}
	return false
}

// mobile are numbers of mobile phones in a country.
type mobile struct {
	pattern *regexp.Regexp
	lengths []int32
}

// mobiles has a mobile for each country code that was asked for, nil where several countries have it.
var mobiles sync.Map

// certainlyMobile answers for nearly all who call, and spares them the twenty patterns of GetNumberType.
func certainlyMobile(code int, national string) bool {
	known, found := mobiles.Load(code)
	if !found {
		known, _ = mobiles.LoadOrStore(code, mobileOf(code))
	}
	m := known.(*mobile)
	return m != nil && slices.Contains(m.lengths, int32(len(national))) && m.pattern.MatchString(national)
}

func mobileOf(code int) *mobile {
	all, err := phonenumbers.MetadataCollection()
	if err != nil || all == nil {
		return nil
	}
	var countries []*phonenumbers.PhoneMetadata
	for _, country := range all.GetMetadata() {
		if int(country.GetCountryCode()) == code {
			countries = append(countries, country)
		}
	}
	if len(countries) != 1 {
		return nil
	}
	d := countries[0].GetMobile()
	pattern, err := regexp.Compile("^(?:" + d.GetNationalNumberPattern() + ")$")
	if err != nil {
		return nil
	}
	return &mobile{pattern, d.GetPossibleLength()}
}

// IsRegion reports whether numbers of a country can be read.
func IsRegion(region string) bool { return phonenumbers.GetCountryCodeForRegion(region) != 0 }
