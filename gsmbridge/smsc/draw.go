package smsc

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

// screenWidth is how many columns of a terminal the screen has: a Chinese character or an emoji takes two.
const screenWidth = 36

// Draw draws the handset that shows m. The text is foreign: control characters don't reach the terminal.
func Draw(w io.Writer, m Message) error {
	kind := "SMS"
	switch {
	case m.Flash:
		kind = "Flash SMS"
	case m.USSD:
		kind = "USSD"
	}
	var foot []string // what is known of how it came
	if m.From != "" {
		foot = append(foot, "from "+clean(m.From))
	}
	if m.Encoding != "" {
		foot = append(foot, fmt.Sprintf("%s, %d units", m.Encoding, m.Units))
	}
	rule := strings.Repeat("─", screenWidth+2)
	lines := []string{"╭" + rule + "╮", row(m.To.E164(), kind), "├" + rule + "┤", row("", "")}
	for paragraph := range strings.Lines(m.Text) {
		for _, line := range wrap(clean(strings.TrimRight(paragraph, "\r\n"))) {
			lines = append(lines, row(line, ""))
		}
	}
	lines = append(lines, row("", ""))
	if len(foot) > 0 {
		lines = append(lines, "├"+rule+"┤")
		for _, line := range wrap(strings.Join(foot, " · ")) {
			lines = append(lines, row(line, ""))
		}
	}
	lines = append(lines, "╰"+rule+"╯")
	_, err := io.WriteString(w, strings.Join(lines, "\n")+"\n")
	return err
}

// row is one line between the borders, with left and right at its ends.
func row(left, right string) string {
	gap := screenWidth - uniseg.StringWidth(left) - uniseg.StringWidth(right)
	return "│ " + left + strings.Repeat(" ", max(0, gap)) + right + " │"
}

// clean makes text one line that moves no cursor.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return ' '
		}
		return r
	}, text)
}

// wrap breaks text into lines of at most screenWidth columns: between words, and within one that is wider than a line
// (UAX #14 says where, between Chinese characters too).
func wrap(text string) (lines []string) {
	var line string
	put := func(piece string) {
		if uniseg.StringWidth(line)+uniseg.StringWidth(strings.TrimRight(piece, " ")) > screenWidth {
			lines, line = append(lines, strings.TrimRight(line, " ")), ""
		}
		line += piece
	}
	var word, cluster string
	for state := -1; text != ""; {
		word, text, _, state = uniseg.FirstLineSegmentInString(text, state)
		if uniseg.StringWidth(strings.TrimRight(word, " ")) <= screenWidth {
			put(word)
			continue
		}
		for within := -1; word != ""; {
			cluster, word, _, within = uniseg.FirstGraphemeClusterInString(word, within)
			put(cluster)
		}
	}
	return append(lines, strings.TrimRight(line, " "))
}
