package msn

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"unicode/utf8"
)

// maxText is the longest UBX that is read.
const maxText = 4 << 10

// message reads an UBX's personal message (PSM). told is false where it has none: that is no emptied one. No entity is expanded
// but XML's own.
func message(payload []byte) (text string, told bool, err error) {
	switch {
	case len(payload) == 0:
		return "", false, nil
	case len(payload) > maxText:
		return "", false, fmt.Errorf("%d bytes, at most %d are read", len(payload), maxText)
	case !utf8.Valid(payload):
		return "", false, errors.New("it is no UTF-8")
	}
	// Controls, with which some clients format, are no XML.
	payload = bytes.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' && r != '\r' {
			return -1
		}
		return r
	}, payload)
	var data struct {
		XMLName xml.Name `xml:"Data"`
		PSM     *string
	}
	if err := xml.Unmarshal(payload, &data); err != nil || data.PSM == nil {
		return "", false, err
	}
	return *data.PSM, true, nil
}
