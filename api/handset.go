package api

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/callsign-as/callsign"
)

// KeywordsConfig is the section keywords of the configuration.
type KeywordsConfig struct {
	Links []string `yaml:"links" doc:"smpp.links over which a subscriber's own handset may change what is shown, by ON, OFF, or a text; who can forge a sender's number there can change it too, so name only SMSCs that check it; empty: none"`
	Join  bool     `yaml:"join" doc:"who is no subscriber becomes one of the tenant default by ON over such a link, and YES to the question that follows"`
}

const (
	// confirmWithin is how long a question may be answered.
	confirmWithin = 24 * time.Hour
	// repeatWithin is how long an answer that was kept may come again, so that the rest is done that the store failed in; one that comes
	// later would undo an OFF.
	repeatWithin = 10 * time.Minute
)

// Profiles knows whose a number is; callsign.ErrNotFound: nobody's.
type Profiles interface {
	Profile(context.Context, callsign.MSISDN) (callsign.Profile, error)
}

// Handset is what Keywords need so that a subscriber's own handset may change what is shown.
type Handset struct {
	Config       KeywordsConfig
	Profiles     Profiles
	Intake       Intake
	Subscribers  Subscribers
	Policies     Policies
	PolicyIntake PolicyIntake
	Consents     Consents
	Audits       Audits
}

// words are what is said back in one language.
type words struct{ on, off, ask, help, shown, pending, refused string }

var english = words{
	on:      "Callers see your text again. Send a text to change it, OFF to stop.",
	off:     "Callers see nothing of you any more. Send ON to change that.",
	ask:     "Do you want those who call you to see the text that you send here? Reply YES within 24 hours. Otherwise nothing happens.",
	help:    "Send a text: those who call you see it. OFF: they see nothing. ON: they see it again. STOP: you see no texts when you call.",
	shown:   "Callers see your text now. Send OFF to stop.",
	pending: "Your text waits for approval.",
	refused: "Your text can't be shown. Send another.",
}

var chinese = words{
	on:      "来电者将重新看到您的签名。发送文字可更改，发送“关闭”可停止。",
	off:     "来电者将不再看到您的签名。发送“开启”可恢复。",
	ask:     "是否让给您打电话的人看到您发送到此处的文字？请在24小时内回复“是”。不回复则不作任何更改。",
	help:    "发送文字：给您打电话的人将看到它。“关闭”：不再显示。“开启”：恢复显示。“退订”：您打电话时不再收到签名。",
	shown:   "来电者现在可以看到您的签名。发送“关闭”可停止。",
	pending: "您的签名正在等待审核。",
	refused: "您的签名无法显示，请发送其他文字。",
}

// say is what a handset's message asks for: one of ON, OFF, HELP and YES, or "" for a text.
func say(text string) (word string, in words) {
	switch wordOf(text) {
	case "ON":
		return "ON", english
	case "OFF":
		return "OFF", english
	case "HELP", "INFO":
		return "HELP", english
	case "YES", "Y":
		return "YES", english
	case "开启", "开通":
		return "ON", chinese
	case "关闭":
		return "OFF", chinese
	case "帮助":
		return "HELP", chinese
	case "是", "确认":
		return "YES", chinese
	}
	if strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) }) {
		return "", chinese
	}
	return "", english
}

// receive takes what a subscriber's handset says over a link that the operator trusts for it. said is "other" where nothing was meant
// for us.
func (h *Handset) receive(ctx context.Context, mo callsign.MO) (said, reply string, err error) {
	if h == nil || !slices.Contains(h.Config.Links, mo.Link) || strings.TrimSpace(mo.Text) == "" {
		return "other", "", nil
	}
	word, in := say(mo.Text)
	if word == "HELP" {
		return "help", in.help, nil
	}
	profile, err := h.Profiles.Profile(ctx, mo.From)
	nobody := errors.Is(err, callsign.ErrNotFound)
	switch {
	case err != nil && !nobody:
		return "", "", err
	case nobody && (!h.Config.Join || word != "ON" && word != "YES"):
		return "other", "", nil
	case nobody:
		profile.Tenant = callsign.DefaultTenant
	}
	by := handsetScope(profile.Tenant, mo)
	switch word {
	case "ON":
		reply, err = h.on(ctx, by, mo, nobody, in)
	case "YES":
		word, reply, err = h.yes(ctx, by, mo, nobody, in)
	case "OFF":
		reply, err = h.pause(ctx, by, true, in.off)
	default:
		word = "TEXT"
		reply, err = h.text(ctx, by, mo, in)
	}
	if errors.Is(err, callsign.ErrInvalid) { // sent again it would be no better
		reply, err = in.refused, nil
	}
	return strings.ToLower(word), reply, err
}

// on shows texts again to who confirmed before that they want it, and asks others; who is nobody has no part in what the number's last
// holder confirmed.
func (h *Handset) on(ctx context.Context, by callsign.Scope, mo callsign.MO, nobody bool, in words) (reply string, err error) {
	c, err := h.Consents.Consent(ctx, by, mo.From)
	if err == nil && c.Reply != "" && !nobody {
		return h.pause(ctx, by, false, in.on)
	}
	if err != nil && !errors.Is(err, callsign.ErrNotFound) {
		return "", err
	}
	return in.ask, h.Consents.PutConsent(ctx, callsign.Consent{
		MSISDN: mo.From, Tenant: by.Tenant, Request: mo.Text, Asked: in.ask, AskedAt: now(), AskedLink: mo.Link,
	})
}

// yes confirms: the proof is kept before anything is done. When it comes again since the store failed half-way, the rest is done.
func (h *Handset) yes(ctx context.Context, by callsign.Scope, mo callsign.MO, nobody bool, in words) (said, reply string, err error) {
	c, err := h.Consents.Consent(ctx, by, mo.From)
	switch {
	case errors.Is(err, callsign.ErrNotFound) || err == nil && time.Since(c.AskedAt) > confirmWithin:
		return "other", "", nil // yes to what?
	case err != nil:
		return "", "", err
	}
	first := c.Reply == ""
	if !first && time.Since(c.RepliedAt) > repeatWithin {
		return "other", "", nil
	}
	if first {
		c.Reply, c.RepliedAt, c.ReplyLink = mo.Text, now(), mo.Link
		if err := h.Consents.PutConsent(ctx, c); err != nil {
			return "", "", err
		}
	}
	if nobody {
		if err := h.audit(ctx, by, "SMS JOIN"); err != nil {
			return "", "", err
		}
		if _, err := h.Subscribers.PutSubscriber(ctx, by, callsign.Subscriber{MSISDN: mo.From, Tenant: by.Tenant}); err != nil {
			return "", "", err
		}
	}
	reply, err = h.pause(ctx, by, false, in.on)
	if first && err == nil {
		reply = in.on
	}
	return "yes", reply, err
}

// pause changes whether anything is shown, and gives the reply if it wasn't so before.
func (h *Handset) pause(ctx context.Context, by callsign.Scope, paused bool, reply string) (string, error) {
	for range 3 {
		p, rev, err := h.Policies.Policy(ctx, by, by.MSISDN)
		if err != nil && !errors.Is(err, callsign.ErrNotFound) {
			return "", err
		}
		if p.Paused == paused {
			return "", nil
		}
		if err != nil {
			rev = callsign.NoRev // one that is put meanwhile is not to be lost
		}
		if err := h.audit(ctx, by, map[bool]string{true: "SMS OFF", false: "SMS ON"}[paused]); err != nil {
			return "", err
		}
		p.Paused = paused
		if _, err = h.PolicyIntake.PutPolicy(ctx, by, by.MSISDN, p, rev); err == nil {
			return reply, nil
		}
		if !errors.Is(err, callsign.ErrChanged) {
			return "", err
		}
	}
	return "", fmt.Errorf("%w: the policy changes all the time", callsign.ErrUnavailable)
}

// text sets the text that is shown. One that is said again is not confirmed again: two machines would talk for ever.
func (h *Handset) text(ctx context.Context, by callsign.Scope, mo callsign.MO, in words) (reply string, err error) {
	s, err := h.Subscribers.Subscriber(ctx, by, mo.From)
	if err != nil {
		return "", err
	}
	again := slices.ContainsFunc(s.Accounts, func(a callsign.Signature) bool { return a.Network == callsign.ManualNetwork && a.Text == mo.Text })
	if err := h.audit(ctx, by, "SMS TEXT"); err != nil {
		return "", err
	}
	statuses, err := h.Intake.Put(ctx, []callsign.Change{{
		Tenant: by.Tenant, Source: "sms", ID: newID(), Network: callsign.ManualNetwork, Account: digits(mo.From),
		Text: mo.Text, Stamp: callsign.TimedStamp(time.Now()), At: time.Now(),
	}})
	switch {
	case err != nil || again:
		return "", err
	case statuses[0] == callsign.Stored:
		return in.shown, nil
	case statuses[0] == callsign.Pending:
		return in.pending, nil
	case statuses[0] == callsign.Rejected:
		return in.refused, nil
	}
	return "", nil
}

func (h *Handset) audit(ctx context.Context, by callsign.Scope, action string) error {
	a := NewAudit(by, action)
	a.MSISDN, a.Address = by.MSISDN, by.KeyID
	a.KeyID = ""
	return h.Audits.PutAudit(ctx, a)
}

func now() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }
