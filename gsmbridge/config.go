package gsmbridge

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The channels to a handset.
const (
	Flash = "flash" // an SMS of message class 0, shown at once and not stored (TS 23.038 §4)
	USSD  = "ussd"  // a notification by unstructured supplementary service data (TS 24.090 §5), which only 2G and 3G carry
)

// Config is the section smpp of the configuration.
type Config struct {
	Links     []LinkConfig `yaml:"links" doc:"SMSCs and USSD gateways. Callers who are known to be on GERAN or UTRAN are tried over ussd links first, then, as all others, over flash links"`
	Templates []Template   `yaml:"templates" doc:"how a text is put; without one that fits it is shown as it is"`
	Learn     LearnConfig  `yaml:"learn" doc:"order of links by what was learned of them, instead of by channel, priority and weight"`
}

// Template is how a text is put on one channel in one language. The one that fits best is used: language before channel,
// and of two alike the first.
type Template struct {
	Channel  string `yaml:"channel" doc:"flash or ussd; empty: both"`
	Language string `yaml:"language" doc:"of the text, as its source told it, like zh or zh-TW; empty: all"`
	Text     string `yaml:"text" doc:"with {signature} in it, and perhaps {name} and {number}, the callee's; not used where one of them is empty"`
}

// DefaultConfig has no link: nothing can be sent.
func DefaultConfig() Config { return Config{Learn: defaultLearn()} }

// Validate reports everything that can't work, each with its key.
func (c Config) Validate() error {
	var problems []error
	names := map[string]int{}
	for i, l := range c.Links {
		for _, p := range l.withDefaults().problems() {
			problems = append(problems, fmt.Errorf("smpp.links[%d].%s", i, p))
		}
		if first, ok := names[l.Name]; ok && l.Name != "" {
			problems = append(problems, fmt.Errorf("smpp.links[%d].name: %q is the name of smpp.links[%d] too: give each link its own", i, l.Name, first))
		} else {
			names[l.Name] = i
		}
	}
	for i, t := range c.Templates {
		if t.Channel != "" && t.Channel != Flash && t.Channel != USSD {
			problems = append(problems, fmt.Errorf("smpp.templates[%d].channel: %q is none: use flash or ussd, or leave it empty for both", i, t.Channel))
		}
		if !strings.Contains(t.Text, "{signature}") {
			problems = append(problems, fmt.Errorf("smpp.templates[%d].text: %q has no {signature} in it: write it where the text belongs", i, t.Text))
		}
		for _, word := range placeholder.FindAllString(t.Text, -1) {
			if !slices.Contains([]string{"{signature}", "{name}", "{number}"}, word) {
				problems = append(problems, fmt.Errorf("smpp.templates[%d].text: %s is none: use {signature}, {name} and {number}", i, word))
			}
		}
	}
	return errors.Join(append(problems, c.Learn.problems()...)...)
}
