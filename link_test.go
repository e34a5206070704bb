package callsign_test

import (
	"testing"

	"github.com/callsign-as/callsign"
)

func TestACodeIsFoundAsPeopleWriteIt(t *testing.T) {
	code := callsign.MakeCode([5]byte{0, 1, 2, 3, 4})
	if code != "CS-000G-40R4" {
		t.Fatalf("got %s", code)
	}
	want := callsign.HashCode(code)
	for sentence, c := range map[string]struct {
		text  string
		right bool
		found bool
		rest  string
	}{
		"alone":                             {"CS-000G-40R4", true, true, " "},
		"in a sentence":                     {"my code: CS-000G-40R4, hello", true, true, "my code:  , hello"},
		"in small letters":                  {"cs-000g-40r4", true, true, " "},
		"with letters that look like zeros": {"cs-ooog-4or4", true, true, " "},
		"behind other strokes":              {"a-b CS-000G-40R4", true, true, "a-b  "},
		"in Chinese":                        {"我的代码 CS-000G-40R4。", true, true, "我的代码  。"},
		"another":                           {"CS-000G-40R5", false, true, " "},
		"the first of several":              {"CS-000G-40R5 CS-000G-40R4", false, true, "   "},
		"inside of a word":                  {"xCS-000G-40R4", false, false, "xCS-000G-40R4"},
		"one that goes on":                  {"CS-000G-40R4X", false, false, "CS-000G-40R4X"},
		"too short":                         {"CS-000G-40R", false, false, "CS-000G-40R"},
		"without its strokes":               {"CS000G40R4", false, false, "CS000G40R4"},
		"an ordinary text with strokes":     {"at work - back at six - bye", false, false, "at work - back at six - bye"},
		"nothing":                           {"", false, false, ""},
	} {
		got, found := callsign.CodeIn(c.text)
		if found != c.found || (got == want) != c.right {
			t.Errorf("%s: found %v, right %v; want %v, %v", sentence, found, got == want, c.found, c.right)
		}
		if rest := callsign.WithoutCodes(c.text); rest != c.rest {
			t.Errorf("%s: without codes it is %q, want %q", sentence, rest, c.rest)
		}
	}
}

func FuzzCode(f *testing.F) {
	f.Add("my code: CS-000G-40R4, hello")
	f.Add("cs-CS-CS-0000-0000-----")
	f.Fuzz(func(t *testing.T, text string) {
		_, found := callsign.CodeIn(text)
		if rest := callsign.WithoutCodes(text); (rest != text) != found {
			t.Fatalf("%q: found %v, and without codes %q", text, found, rest)
		}
		if found {
			if again, _ := callsign.CodeIn("x " + text + " y"); again == (callsign.CodeHash{}) {
				t.Fatalf("%q: not found among others", text)
			}
		}
	})
}
