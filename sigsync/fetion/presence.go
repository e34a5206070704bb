package fetion

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/callsign-as/callsign"
)

// event is one of a notice (BN).
type event struct {
	Type     string     `xml:"type,attr"`
	Contacts []presence `xml:"contacts>c"`
}

// presence is what is told of a contact: only what has changed.
type presence struct {
	ID      string  `xml:"id,attr"`
	Profile profile `xml:"p"`
}

type profile struct {
	SID     string  `xml:"sid,attr"`
	Mobile  string  `xml:"m,attr"`
	Impresa *string `xml:"i,attr"`
}

// parseEvents reads a notice's body.
func parseEvents(body []byte) ([]event, error) {
	var events struct {
		XMLName xml.Name `xml:"events"`
		Events  []event  `xml:"event"`
	}
	if err := xml.Unmarshal(body, &events); err != nil {
		return nil, fmt.Errorf("fetion: a notice can't be read: %w", err)
	}
	return events.Events, nil
}

// parseContacts reads whom we have on our list, numbers inside the service to Fetion numbers. Those who have a telephone alone have none.
func parseContacts(body []byte) (map[string]string, error) {
	var results struct {
		Buddies []struct {
			ID  string `xml:"i,attr"`
			URI string `xml:"u,attr"`
		} `xml:"user-info>contact-list>buddies>b"`
	}
	if err := xml.Unmarshal(body, &results); err != nil {
		return nil, fmt.Errorf("fetion: the list of contacts can't be read: %w", err)
	}
	contacts := map[string]string{}
	for _, b := range results.Buddies {
		if sid, _, _ := strings.Cut(strings.TrimPrefix(b.URI, "sip:"), "@"); isSID(sid) {
			contacts[b.ID] = sid
		}
	}
	return contacts, nil
}

// isSID reports whether s can be a Fetion number.
func isSID(s string) bool {
	return s != "" && len(s) <= 20 && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}

// number is a mobile number of the one country that had the service; 0: it is hidden, or none.
func number(mobile string) callsign.MSISDN {
	if len(mobile) != 11 || mobile[0] != '1' || !isSID(mobile) {
		return 0
	}
	m, _ := callsign.ParseMSISDN("86" + mobile)
	return m
}
