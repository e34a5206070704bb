package api

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/text/unicode/norm"

	"github.com/callsign-as/callsign"
)

// OptOuts is what Keywords ask: each is committed when it returns, and tells whether it changed anything.
type OptOuts interface {
	OptOut(context.Context, callsign.OptOut) (changed bool, err error)
	OptIn(context.Context, callsign.OptOut) (changed bool, err error)
	OptInAll(ctx context.Context, caller callsign.MSISDN) (changed bool, err error)
}

// Codes is what Keywords ask about a message with a code in it: it is committed when it returns. Unawaited is also what has none.
type Codes interface {
	Sent(ctx context.Context, from callsign.MSISDN, text string) (callsign.Proving, error)
}

const (
	stoppedEnglish = "You get no more texts when you call. To get them again, send START."
	startedEnglish = "You get texts again when you call. To stop them, send STOP."
	stoppedChinese = "您通话时将不再收到签名短信。如需恢复，请回复“恢复”。"
	startedChinese = "您通话时将重新收到签名短信。如需退订，请回复“退订”。"
	linkedReply    = "Linked: your callers see what it says. 账号已绑定，来电者将看到其签名。"
	wrongReply     = "This code is wrong or over: ask for a new one. 验证码错误或已过期，请重新获取。"
	takenReply     = "The account is another number's: ask your operator. 该账号已被其他号码绑定。"
)

type keyword struct {
	out   bool
	reply string
}

// keywordOf reads a message that is one word and nothing else: a sentence that has it may mean anything.
func keywordOf(text string) (k keyword, ok bool) {
	switch wordOf(text) {
	case "STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT":
		return keyword{true, stoppedEnglish}, true
	case "退订", "TD", "T":
		return keyword{true, stoppedChinese}, true
	case "START", "UNSTOP":
		return keyword{false, startedEnglish}, true
	case "恢复":
		return keyword{false, startedChinese}, true
	}
	return keyword{}, false
}

// wordOf is a message of one word in one form: in capitals, narrow, without what stands around it.
func wordOf(text string) string {
	return strings.ToUpper(strings.TrimFunc(norm.NFKC.String(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) }))
}

// Keywords take what handsets send: STOP and its like opt the sender out, START in again, and a code links an account that waits for
// it; what else a subscriber's handset may say is Handset's. What changes something is confirmed once, and a wrong code answered while one
// is waited for; everything else is taken without a word.
type Keywords struct {
	optOuts OptOuts
	codes   Codes
	handset *Handset // nil: handsets change no texts
	taken   *prometheus.CounterVec
}

// NewKeywords makes them; handset and metrics may be nil.
func NewKeywords(o OptOuts, codes Codes, handset *Handset, metrics prometheus.Registerer) *Keywords {
	k := &Keywords{o, codes, handset, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "callsign_keywords_total", Help: "Messages from handsets by what they said: stop, start, code, on, yes, off, text, help, other; error where the store failed.",
	}, []string{"said"})}
	if metrics != nil {
		metrics.MustRegister(k.taken)
	}
	return k
}

// Receive returns after the commit. Its error is the store's: the message isn't kept and has to come again.
func (k *Keywords) Receive(ctx context.Context, mo callsign.MO) (reply string, err error) {
	word, ok := keywordOf(mo.Text)
	if mo.From == 0 {
		k.taken.WithLabelValues("other").Inc()
		return "", nil
	}
	if !ok {
		return k.code(ctx, mo)
	}
	said, changed := "start", false
	if word.out {
		said = "stop"
		changed, err = k.optOuts.OptOut(ctx, callsign.OptOut{
			Tenant: callsign.DefaultTenant, Caller: mo.From, At: time.Now(), Origin: mo.Link,
		})
	} else {
		changed, err = k.optOuts.OptInAll(ctx, mo.From)
	}
	if err != nil {
		k.taken.WithLabelValues("error").Inc()
		return "", err
	}
	k.taken.WithLabelValues(said).Inc()
	if changed {
		reply = word.reply
	}
	return reply, nil
}

// code takes a message that is no keyword.
func (k *Keywords) code(ctx context.Context, mo callsign.MO) (reply string, err error) {
	is, err := k.codes.Sent(ctx, mo.From, norm.NFKC.String(mo.Text))
	if err != nil {
		k.taken.WithLabelValues("error").Inc()
		return "", err
	}
	said := "code"
	switch is {
	case callsign.Proved:
		reply = linkedReply
	case callsign.Wrong:
		reply = wrongReply
	case callsign.Taken:
		reply = takenReply
	case callsign.Unawaited:
		if said, reply, err = k.handset.receive(ctx, mo); err != nil {
			said = "error"
		}
	}
	k.taken.WithLabelValues(said).Inc()
	return reply, err
}
