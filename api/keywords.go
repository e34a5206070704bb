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
	OptIn(ctx context.Context, caller, callee callsign.MSISDN) (changed bool, err error)
}

const (
	stoppedEnglish = "You get no more texts when you call. To get them again, send START."
	startedEnglish = "You get texts again when you call. To stop them, send STOP."
	stoppedChinese = "您通话时将不再收到签名短信。如需恢复，请回复“恢复”。"
	startedChinese = "您通话时将重新收到签名短信。如需退订，请回复“退订”。"
)

type keyword struct {
	out   bool
	reply string
}

// keywordOf reads a message that is one word and nothing else: a sentence that has it may mean anything.
func keywordOf(text string) (k keyword, ok bool) {
	word := strings.TrimFunc(norm.NFKC.String(text), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsNumber(r) })
	switch strings.ToUpper(word) {
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

// Keywords take what handsets send: STOP and its like opt the sender out, START in again. What changes something is
// confirmed once; everything else is taken without a word.
type Keywords struct {
	optOuts OptOuts
	taken   *prometheus.CounterVec
}

// NewKeywords makes them; metrics may be nil.
func NewKeywords(o OptOuts, metrics prometheus.Registerer) *Keywords {
	k := &Keywords{o, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "callsign_keywords_total", Help: "Messages from handsets by what they said: stop, start, other; error where the store failed.",
	}, []string{"said"})}
	if metrics != nil {
		metrics.MustRegister(k.taken)
	}
	return k
}

// Receive returns after the commit. Its error is the store's: the message isn't kept and has to come again.
func (k *Keywords) Receive(ctx context.Context, mo callsign.MO) (reply string, err error) {
	word, ok := keywordOf(mo.Text)
	if !ok || mo.From == 0 {
		k.taken.WithLabelValues("other").Inc()
		return "", nil
	}
	said, changed := "start", false
	if word.out {
		said = "stop"
		changed, err = k.optOuts.OptOut(ctx, callsign.OptOut{
			Tenant: callsign.DefaultTenant, Caller: mo.From, At: time.Now(), Origin: mo.Link,
		})
	} else {
		changed, err = k.optOuts.OptIn(ctx, mo.From, 0)
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
