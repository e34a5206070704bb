package httpjson

import (
	"strconv"
	"strings"
)

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// at is what a JSON pointer names in a document; false: nothing is there (RFC 6901 §4).
func at(document any, pointer string) (value any, there bool) {
	if pointer == "" {
		return document, true
	}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = unescape.Replace(token)
		switch d := document.(type) {
		case map[string]any:
			if document, there = d[token]; !there {
				return nil, false
			}
		case []any:
			i, err := strconv.Atoi(token)
			if err != nil || strconv.Itoa(i) != token || i < 0 || i >= len(d) {
				return nil, false
			}
			document = d[i]
		default:
			return nil, false
		}
	}
	return document, true
}
