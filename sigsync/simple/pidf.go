package simple

import (
	"encoding/xml"
	"fmt"
	"strings"

	"github.com/callsign-as/callsign/sigsync"
)

// maxDocument bounds a presence document, in bytes.
const maxDocument = 32 << 10

// note is a text in a presence document (RFC 3863 §4.1.5).
type note struct {
	Lang string `xml:"http://www.w3.org/XML/1998/namespace lang,attr"`
	Text string `xml:",chardata"`
}

// document is what is read of one: a person's notes (RFC 4479 §3.2, what OMA's and RCS' clients write), those of what the person does
// (RFC 4480 §3.2), those of a way to reach the person, and those of the whole.
type document struct {
	XMLName xml.Name `xml:"urn:ietf:params:xml:ns:pidf presence"`
	Persons []struct {
		Notes      []note `xml:"urn:ietf:params:xml:ns:pidf:data-model note"`
		Activities []struct {
			Notes []note `xml:"urn:ietf:params:xml:ns:pidf:rpid note"`
		} `xml:"urn:ietf:params:xml:ns:pidf:rpid activities"`
	} `xml:"urn:ietf:params:xml:ns:pidf:data-model person"`
	Tuples []struct {
		Status struct {
			Basic string `xml:"urn:ietf:params:xml:ns:pidf basic"`
		} `xml:"urn:ietf:params:xml:ns:pidf status"`
		Notes []note `xml:"urn:ietf:params:xml:ns:pidf note"`
	} `xml:"urn:ietf:params:xml:ns:pidf tuple"`
	Notes []note `xml:"urn:ietf:params:xml:ns:pidf note"`
}

// readPIDF gives the text of a presence document (RFC 3863). It tells nothing of somebody who has no note and is not there either.
func readPIDF(b []byte, languages []string) (chosen sigsync.Note, tells bool, err error) {
	if len(b) > maxDocument {
		return chosen, false, fmt.Errorf("a presence document of %d bytes: %d may be", len(b), maxDocument)
	}
	var d document
	if err := xml.Unmarshal(b, &d); err != nil {
		return chosen, false, fmt.Errorf("the presence document is not good: %w", err)
	}
	var kinds [5][]note // the first that has a text counts
	for _, p := range d.Persons {
		kinds[0] = append(kinds[0], p.Notes...)
		for _, a := range p.Activities {
			kinds[1] = append(kinds[1], a.Notes...)
		}
	}
	for _, t := range d.Tuples {
		if strings.TrimSpace(t.Status.Basic) == "open" {
			tells = true
			kinds[2] = append(kinds[2], t.Notes...)
		} else {
			kinds[3] = append(kinds[3], t.Notes...)
		}
	}
	kinds[4] = d.Notes
	for _, notes := range kinds {
		var said []sigsync.Note
		for _, n := range notes {
			if text := strings.TrimSpace(n.Text); text != "" {
				said = append(said, sigsync.Note{Lang: n.Lang, Text: text})
			}
		}
		if len(said) > 0 {
			return sigsync.Choose(said, languages), true, nil
		}
	}
	return chosen, tells, nil
}
