package ims

import (
	"strconv"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/callsign-as/callsign"
)

// number is an identity's number. One that is not global (RFC 3966 §5.1.4) is read by the rules of the country that its
// phone-context names, else of Region; without either it is none, for a wrong guess would show somebody else's text.
func (r Reader) number(id identity) (callsign.MSISDN, bool) {
	user := id.user()
	if strings.HasPrefix(user, "+") {
		m, err := callsign.ParseMSISDN(user)
		return m, err == nil
	}
	if len(user) < 5 || strings.Trim(user, "0123456789") != "" {
		return 0, false // a name, or a short code
	}
	region := r.Region
	if context, ok := strings.CutPrefix(id.context(), "+"); ok {
		code, err := strconv.Atoi(context)
		if err != nil {
			return 0, false
		}
		region = phonenumbers.GetRegionCodeForCountryCode(code)
	}
	if region == "" {
		return 0, false
	}
	n, err := phonenumbers.Parse(user, region)
	if err != nil || !phonenumbers.IsValidNumber(n) {
		return 0, false
	}
	m, err := callsign.ParseMSISDN(phonenumbers.Format(n, phonenumbers.E164))
	return m, err == nil
}

// IsRegion reports whether numbers of a country can be read.
func IsRegion(region string) bool { return phonenumbers.GetCountryCodeForRegion(region) != 0 }

// context is the phone-context of a tel URI, or of a SIP URI's user part.
func (id identity) context() string {
	user, _, _ := strings.Cut(id.uri, "@")
	return param(user, "phone-context")
}
