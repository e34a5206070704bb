package qq

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/callsign-as/callsign/sigsync"
)

// maxAnswer bounds an answer, or any frame of a bot, in bytes: a list of friends has some 500 for each. No more is read.
const maxAnswer = 8 << 20

// params are what the calls take that are made here; without NoCache a bot may tell what QQ's client read days ago.
type params struct {
	UserID  uint64 `json:"user_id,omitempty"`
	NoCache bool   `json:"no_cache,omitempty"`
}

// answer is how a bot answers a call. Events, which a universal websocket carries too, have a PostType.
type answer struct {
	Status   bare            `json:"status"`
	Retcode  bare            `json:"retcode"`
	Data     json.RawMessage `json:"data"`
	Message  bare            `json:"message"`
	Wording  bare            `json:"wording"`
	Echo     bare            `json:"echo"`
	PostType bare            `json:"post_type"`
}

var errRefused = errors.New("the bot refuses")

// errNoAction is another build's call.
var errNoAction = errors.New("this build of the bot has no such call")

// parseAnswer reads an answer or an event.
func parseAnswer(raw []byte) (a answer, err error) {
	if err := json.Unmarshal(raw, &a); err != nil {
		return answer{}, fmt.Errorf("the bot's answer is none of OneBot 11: %w", err)
	}
	return a, nil
}

// err is why there is no data; nil: there is. Over websockets codes of HTTP come with 1000 added.
func (a *answer) err() error {
	if a.Status == "ok" && (a.Retcode == "0" || a.Retcode == "") {
		return nil
	}
	switch a.Retcode {
	case "401", "403", "1401", "1403":
		return fmt.Errorf("%w: retcode %s", sigsync.ErrCredentials, a.Retcode)
	case "404", "1404":
		return errNoAction
	case "429", "503":
		return &sigsync.LimitedError{After: time.Minute}
	}
	return fmt.Errorf("%w: retcode %s %.200q", errRefused, a.Retcode, a.Message+a.Wording)
}

// bare is a number, or the same in quotes, as builds write them.
type bare string

// UnmarshalJSON takes whatever is there, for it is only compared; a heartbeat's status is an object, a message's a list.
func (b *bare) UnmarshalJSON(raw []byte) error {
	if *b = bare(bytes.Trim(raw, `"`)); *b == "null" {
		*b = ""
	}
	return nil
}

// profile is what get_stranger_info tells of an account, and get_friend_list of each friend; builds spell the text in two ways.
type profile struct {
	UserID   bare    `json:"user_id"`
	Nickname string  `json:"nickname"`
	LongNick *string `json:"long_nick"`
	Camel    *string `json:"longNick"`
}

// errOfAccount says nothing of other accounts.
var errOfAccount = errors.New("the bot has no text of it")

// errNoText is so for every account.
var errNoText = errors.New("this build of the bot doesn't tell what accounts say (long_nick): use one that does, see sigsync/qq/README.md")

// text is what the account says. A profile that has neither text nor name was not read: it clears nothing.
func (p *profile) text() (string, error) {
	said := p.LongNick
	if said == nil {
		said = p.Camel
	}
	switch {
	case said == nil:
		return "", errNoText
	case *said == "" && p.Nickname == "":
		return "", fmt.Errorf("%w: the profile is empty, so it was not read from QQ yet", errOfAccount)
	}
	return *said, nil
}

// parseAccount reads a QQ number.
func parseAccount(account string) (uint64, error) {
	n, err := strconv.ParseUint(account, 10, 53) // what JavaScript's numbers hold
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != account {
		return 0, fmt.Errorf("%.40q is no QQ number", account)
	}
	return n, nil
}
