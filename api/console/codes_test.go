package console

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestEveryCodeOfTheProductIsAWord reads the codes from where the product says them: whoever adds one adds its words in both languages.
func TestEveryCodeOfTheProductIsAWord(t *testing.T) {
	const constant = `(?m)^\s+\w+(?: +\w+)? += "([\w-]+)"`
	for sentence, c := range map[string]struct {
		files, code string
		group       string // of the words
		least       int    // codes that there are: a pattern that finds none proves nothing
	}{
		"why a decision refuses":        {"sipas/decide.go", constant, "reason", 18},
		"why a call is exempt":          {"sipas/ims/ims.go", `(?m)^\t(?:Emergency|Priority|Originating|Diverted|Replaced) += "(\w+)"`, "reason", 5},
		"why a claim refuses":           {"store/claims.go", constant, "reason", 5},
		"how a call was over before it": {"sipas/worker.go", `err\w+ += errors\.New\("([^"]+)"\)`, "reason", 4},
		"what is asked of each call":    {"sipas/decide.go", `d\.(?:consider|refuse)\("([^"]+)"`, "rule", 16},
		"the kinds of events":           {"call.go", `EventKind = "(\w+)"`, "event", 11},
		"who told the access":           {"call.go", `AccessFrom = "(\w+)"`, "from", 5},
		"the proofs of a link":          {"link.go", `Proof = "(\w+)"`, "proof", 4},
		"the states of a review":        {"review.go", `Review = "(\w+)"`, "review", 3},
		"what became of a text":         {"signature.go", `Status = "(\w+)"`, "status", 6},
		"what was found of a rule":      {"policy.go", `"(passes|refuses|wins|loses|other_caller|other_time)"`, "verdict", 6},
		"the channels":                  {"gsmbridge/config.go", `Channel\w+ += "(\w+)"|"(flash|ussd)"`, "phone", 2},
		"a policy's channels":           {"tenant.go", `"(flash|ussd|none)"`, "phone", 3},
		"the alphabets":                 {"gsmbridge/gsm/alphabet.go", `(?m)^\t(?:GSM7|UCS2) = "(\w+)"`, "encoding", 2},
		"the roles of keys":             {"api/testdata/openapi.json", `"(admin|operator|source|subscriber)"`, "role", 4},
		"the problems of the API":       {"api/*.go", `newProblem\(http\.Status\w+, "(\w+)"`, "problem", 20},
	} {
		t.Run(sentence, func(t *testing.T) {
			names, err := filepath.Glob("../../" + c.files)
			if err != nil || len(names) == 0 {
				t.Fatalf("%s: %v, %v", c.files, names, err)
			}
			codes := map[string]bool{}
			for _, name := range names {
				if strings.HasSuffix(name, "_test.go") {
					continue
				}
				source, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range regexp.MustCompile(c.code).FindAllStringSubmatch(string(source), -1) {
					codes[m[len(m)-1]] = true
				}
			}
			if len(codes) < c.least {
				t.Errorf("%s has %d codes, there were %d: %v", c.files, len(codes), c.least, codes)
			}
			for _, language := range []string{"en", "zh"} {
				known := words(t, language)
				for code := range codes {
					if known[c.group+"."+code] == "" {
						t.Errorf("%s.json has no %s.%s", language, c.group, code)
					}
				}
			}
		})
	}
}
