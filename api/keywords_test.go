package api

import (
	"context"
	"errors"
	"testing"

	"github.com/callsign-as/callsign"
)

type optOuts struct {
	out  map[callsign.MSISDN]bool
	down error
}

func (o *optOuts) OptOut(_ context.Context, x callsign.OptOut) (bool, error) {
	changed := o.down == nil && !o.out[x.Caller]
	if changed {
		o.out[x.Caller] = true
	}
	return changed, o.down
}

func (o *optOuts) OptIn(context.Context, callsign.OptOut) (bool, error) {
	return false, errors.New("a handset has said of one callee alone")
}

func (o *optOuts) OptInAll(_ context.Context, m callsign.MSISDN) (bool, error) {
	changed := o.down == nil && o.out[m]
	if changed {
		delete(o.out, m)
	}
	return changed, o.down
}

func TestWhatAHandsetSays(t *testing.T) {
	type said struct{ text, reply string }
	for sentence, c := range map[string]struct {
		says []said
		out  bool
	}{
		"STOP, confirmed once":           {[]said{{"STOP", stoppedEnglish}, {"STOP", ""}, {"unsubscribe", ""}}, true},
		"in any case, with its dot":      {[]said{{" “Stop”!\r\n", stoppedEnglish}}, true},
		"in full width":                  {[]said{{"ＳＴＯＰ。", stoppedEnglish}}, true},
		"in Chinese":                     {[]said{{"退订。", stoppedChinese}}, true},
		"and as TD and T":                {[]said{{"td", stoppedChinese}, {"Ｔ", ""}}, true},
		"not a sentence":                 {[]said{{"don't stop", ""}, {"STOP it", ""}, {"我不退订", ""}, {"", ""}, {"...", ""}}, false},
		"and again START":                {[]said{{"stop", stoppedEnglish}, {"start", startedEnglish}, {"start", ""}}, false},
		"and again in Chinese":           {[]said{{"stop", stoppedEnglish}, {"恢复", startedChinese}, {"stop", stoppedEnglish}}, true},
		"START of who has never stopped": {[]said{{"START", ""}}, false},
	} {
		t.Run(sentence, func(t *testing.T) {
			o := &optOuts{out: map[callsign.MSISDN]bool{}}
			k := NewKeywords(o, noCodes{}, nil, nil)
			for _, s := range c.says {
				if reply, err := k.Receive(t.Context(), callsign.MO{From: 1, Text: s.text}); err != nil || reply != s.reply {
					t.Errorf("%q: %q, %v, want %q", s.text, reply, err, s.reply)
				}
			}
			if o.out[1] != c.out {
				t.Errorf("opted out: %v, want %v", o.out[1], c.out)
			}
		})
	}
}

func TestAStopThatIsNotKeptIsNotTaken(t *testing.T) {
	o := &optOuts{out: map[callsign.MSISDN]bool{}, down: callsign.ErrUnavailable}
	k := NewKeywords(o, noCodes{}, nil, nil)
	for _, text := range []string{"STOP", "START"} {
		if reply, err := k.Receive(t.Context(), callsign.MO{From: 1, Text: text}); !errors.Is(err, callsign.ErrUnavailable) || reply != "" {
			t.Errorf("%s: %q, %v, want ErrUnavailable", text, reply, err)
		}
	}
	o.down = nil
	if reply, err := k.Receive(t.Context(), callsign.MO{From: 1, Text: "STOP"}); err != nil || reply == "" {
		t.Errorf("sent again: %q, %v, want it confirmed", reply, err)
	}
}
