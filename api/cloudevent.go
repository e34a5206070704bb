package api

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"github.com/callsign-as/callsign"
)

// The types of the events that a source sends. A snapshot says what an account's text is, without it having changed.
const (
	typeChanged  = "im.callsign.signature.changed"
	typeCleared  = "im.callsign.signature.cleared"
	typeSnapshot = "im.callsign.signature.snapshot"
)

const (
	// maxAttribute bounds id, source and subject, so that the credit bounds a connection's memory.
	maxAttribute = 512
	// maxText is one byte more than an intake keeps: of a longer text only that it is too long matters.
	maxText = 2048 + 1
	maxLang = 35 // RFC 5646 §4.4.1
)

// cloudEvent is a CloudEvent 1.0 in JSON with our two extensions. Attributes that we don't know are the sender's own.
type cloudEvent struct {
	SpecVersion     string          `json:"specversion"`
	Type            string          `json:"type"`
	Source          string          `json:"source"`
	ID              string          `json:"id"`
	Subject         string          `json:"subject"`
	Time            *time.Time      `json:"time"`
	DataContentType string          `json:"datacontenttype"`
	DataBase64      *string         `json:"data_base64"`
	AccountVersion  json.RawMessage `json:"accountversion"`
	AccountEpoch    json.RawMessage `json:"accountepoch"`
	Data            *struct {
		Text    *string    `json:"text"`
		Lang    string     `json:"lang"`
		Expires *time.Time `json:"expires_at"`
	} `json:"data"`
}

// parseEvent reads one event, received at now. Network, tenant and who said it are the session's: an event can't choose them.
// With an error it still gives the id, if that could be read.
func parseEvent(raw []byte, now time.Time) (source string, c callsign.Change, err error) {
	var e cloudEvent
	if err := json.Unmarshal(raw, &e); err != nil {
		var named struct{ ID string }
		_ = json.Unmarshal(raw, &named) // it gives what it can
		c.ID = named.ID[:min(len(named.ID), maxAttribute)]
		return "", c, fmt.Errorf("read CloudEvent: %w", err)
	}
	// Cloned, or a queued event would hold its whole frame.
	c = callsign.Change{ID: strings.Clone(e.ID[:min(len(e.ID), maxAttribute)]), Account: strings.Clone(e.Subject), At: now}
	if err := e.check(); err != nil {
		return "", c, err
	}
	if e.Time != nil {
		c.At = *e.Time
	}
	c.Received = e.Time == nil && !present(e.AccountVersion)
	if c.Stamp, err = e.stamp(c.At); err != nil || e.Type == typeCleared {
		return e.Source, c, err
	}
	if strings.ContainsRune(*e.Data.Text, unicode.ReplacementChar) && halfSurrogate(raw) {
		*e.Data.Text = notUTF8
	}
	c.Text, c.Lang = strings.Clone((*e.Data.Text)[:min(len(*e.Data.Text), maxText)]), strings.Clone(e.Data.Lang)
	if e.Data.Expires != nil {
		c.Expires = *e.Data.Expires
	}
	return e.Source, c, nil
}

// notUTF8 stands for a text that isn't: an intake rejects it.
const notUTF8 = "\xff"

// halfSurrogate reports whether JSON escapes half of a surrogate pair, which no UTF-8 can hold: reading it gives U+FFFD in silence.
func halfSurrogate(raw []byte) bool {
	for {
		at := bytes.IndexByte(raw, '\\')
		if at < 0 || at+1 >= len(raw) {
			return false
		}
		raw = raw[at+1:]
		if raw[0] != 'u' {
			raw = raw[1:] // of \\u the u is no escape
			continue
		}
		high, rest := escaped(raw)
		if utf16.IsSurrogate(high) {
			low, after := rune(0), rest
			if bytes.HasPrefix(rest, []byte(`\u`)) {
				low, after = escaped(rest[1:])
			}
			if utf16.DecodeRune(high, low) == unicode.ReplacementChar {
				return true
			}
			rest = after
		}
		raw = rest
	}
}

// escaped is the code unit of raw, which begins with uXXXX, and what is behind it.
func escaped(raw []byte) (unit rune, rest []byte) {
	if len(raw) < 5 {
		return 0, nil
	}
	n, _ := strconv.ParseUint(string(raw[1:5]), 16, 16) // the JSON is valid
	return rune(n), raw[5:]
}

// check is what CloudEvents 1.0 §3.1 requires and what we can keep.
func (e *cloudEvent) check() error {
	for _, a := range []string{e.ID, e.Source, e.Subject} {
		if a == "" || len(a) > maxAttribute || !plain(a) {
			return fmt.Errorf("id, source or subject is empty, longer than %d bytes or has a control character", maxAttribute)
		}
	}
	if t, _, err := mime.ParseMediaType(cmp.Or(e.DataContentType, "application/json")); err != nil || t != "application/json" {
		return errors.New("datacontenttype is not application/json")
	}
	texts := e.Type == typeChanged || e.Type == typeSnapshot
	switch {
	case e.SpecVersion != "1.0":
		return errors.New("specversion is not 1.0")
	case e.DataBase64 != nil:
		return errors.New("data_base64 can't hold a text: send data")
	case !texts && e.Type != typeCleared:
		return errors.New("type is none of ours")
	case texts && (e.Data == nil || e.Data.Text == nil):
		return errors.New("data.text is missing")
	case texts && (len(e.Data.Lang) > maxLang || !plain(e.Data.Lang)):
		return errors.New("data.lang is not a language tag")
	}
	return nil
}

func (e *cloudEvent) stamp(at time.Time) (s callsign.Stamp, err error) {
	switch versioned, epoch := present(e.AccountVersion), present(e.AccountEpoch); {
	case !versioned && epoch:
		return s, errors.New("accountepoch stands without accountversion")
	case !versioned:
		return callsign.TimedStamp(at), nil
	case epoch:
		if s.Epoch, err = integer(e.AccountEpoch); err != nil {
			return s, fmt.Errorf("accountepoch: %w", err)
		}
	}
	if s.Version, err = integer(e.AccountVersion); err != nil {
		return s, fmt.Errorf("accountversion: %w", err)
	}
	return s, nil
}

func present(raw json.RawMessage) bool { return len(raw) > 0 && !bytes.Equal(raw, []byte("null")) }

// integer reads 0 to 2^63-1, as a number or as a string:
// Deviation: a CloudEvents Integer has 32 bits (CloudEvents §2.1), versions that are times need more.
func integer(raw json.RawMessage) (int64, error) {
	s := string(raw)
	if raw[0] == '"' {
		if err := json.Unmarshal(raw, &s); err != nil {
			return 0, err
		}
	}
	n, err := strconv.ParseUint(s, 10, 63)
	if err != nil {
		return 0, errors.New("is no integer from 0 to 2^63-1")
	}
	return int64(n), nil
}

// plain reports whether s has no control character and is valid UTF-8 (CloudEvents §2.1).
func plain(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == unicode.ReplacementChar })
}
