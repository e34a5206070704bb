package gsmbridge

import (
	"strconv"

	"github.com/callsign-as/callsign/gsmbridge/smpp"
)

// class is what a refusal means for the text and for its link.
type class string

const (
	throttled class = "throttled" // another link may take the text; this one is used less for a while
	elsewhere class = "elsewhere" // one other link may take it: that many would refuse the same
	permanent class = "permanent" // no link will take it
	rebind    class = "rebind"    // the session is not what we take it for; another link may take the text
	busy      class = "busy"      // the handset doesn't take it on this channel now (TS 24.090 §5.1.1)
)

var classes = []class{throttled, elsewhere, permanent, rebind, busy}

// classify tells what a command_status means (SMPP 3.4 §5.1.3), as far as the link's configuration doesn't. On a USSD link
// what is neither throttling nor anybody's fault may be the handset's: the SMSC's own statuses say so, and each in its
// way.
func (l *link) classify(s smpp.Status) class {
	if c, ok := l.meanings[s]; ok {
		return c
	}
	switch {
	case s == smpp.StatusThrottled, s == smpp.StatusQueueFull:
		return throttled
	case s == smpp.StatusInvalidBindState, s == smpp.StatusAlreadyBound, s == smpp.StatusBindFailed, s == smpp.StatusInvalidPassword, s == smpp.StatusInvalidSystemID:
		return rebind
	case s == 0x01, s == 0x0A, s == 0x0B, s == 0x15, s == 0x43, s >= 0x48 && s <= 0x51, s == 0x61, s == 0x62, s >= 0xC0 && s <= 0xC4:
		return permanent // the message is at fault
	case l.Channel == USSD:
		return busy
	}
	return elsewhere // 0x08, 0x45, 0x64, 0xFE, and what only this SMSC knows
}

// meanings are the configured classes; Validate has seen to the statuses.
func (c LinkConfig) meanings() map[smpp.Status]class {
	m := make(map[smpp.Status]class, len(c.Errors))
	for status, meaning := range c.Errors {
		if n, err := strconv.ParseUint(status, 0, 32); err == nil {
			m[smpp.Status(n)] = class(meaning)
		}
	}
	return m
}
