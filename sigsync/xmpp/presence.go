package xmpp

import (
	"encoding/xml"
	"strconv"
	"strings"

	"github.com/callsign-as/callsign/sigsync"
)

// presence is what a presence stanza tells (RFC 6121 §4.7); an empty kind is of somebody who is there.
type presence struct {
	from, kind string
	note       sigsync.Note
	priority   int8
}

// readPresence reads a stanza, and skips what it doesn't know.
func readPresence(r xml.TokenReader, languages []string) (presence, error) {
	var w struct {
		From     string `xml:"from,attr"`
		Type     string `xml:"type,attr"`
		Priority string `xml:"priority"`
		Status   []struct {
			Lang string `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
			Text string `xml:",chardata"`
		} `xml:"status"`
	}
	if err := xml.NewTokenDecoder(r).Decode(&w); err != nil {
		return presence{}, err
	}
	p := presence{from: w.From, kind: w.Type}
	if n, err := strconv.ParseInt(strings.TrimSpace(w.Priority), 10, 8); err == nil {
		p.priority = int8(n) // none, and one that is no number, is 0
	}
	// Deviation: a status has no language but its own. What the stanza says (RFC 6120 §4.7.4) is the stream's, whatever was written.
	notes := make([]sigsync.Note, 0, len(w.Status))
	for _, s := range w.Status {
		notes = append(notes, sigsync.Note{Lang: s.Lang, Text: strings.TrimSpace(s.Text)})
	}
	p.note = sigsync.Choose(notes, languages)
	return p, nil
}
