package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWhatIsExportedCanBeImported(t *testing.T) {
	d := daemonFor(t, nil)
	waitFor(t, func() bool { return d.opening.Load() == nil })
	config := write(t, "store: { url: \""+d.config.Store.URL+"\" }\n")
	_, key, _ := command(t, nil, "key", "create", "--role", "admin", "-c", config)
	environ := []string{"--server", "http://" + d.listener.Addr().String(), "--key", strings.TrimSpace(key)}
	folder := t.TempDir()
	imports := func(name, content string, flags ...string) (code int, out string) {
		t.Helper()
		file := filepath.Join(folder, name)
		if content != "" {
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		code, out, stderr := command(t, nil, append(append([]string{"subscriber", "import", file}, flags...), environ...)...)
		return code, strings.ReplaceAll(out+stderr, folder+"/", "")
	}
	for _, step := range []struct {
		name, file, content string
		flags               []string
		code                int
		want                []string
	}{
		{
			"CSV, its columns in any order, a number on several lines", "a.csv",
			"network,account,msisdn,name,text\n,,+8613900000001,\"Li, Na\",Back at six\nqq,10001,+8613900000001,,\nxmpp,a@b/c,+8613900000002,Bo,\n",
			nil, exitOK,
			[]string{"3 lines imported, 0 refused"},
		},
		{
			"JSON Lines", "b.jsonl", `{"msisdn":"+8613900000003","text":"在高铁上"}` + "\n\n" + `{"msisdn":"+8613900000004","name":"Wu"}` + "\n",
			nil, exitOK,
			[]string{"2 lines imported, 0 refused"},
		},
		{
			"what can't be used is told with its line, and the rest goes on", "c.csv",
			"msisdn,name,network,account\nx,No number,,\n+8613900000005,Five,,\n+8613900000006,one field too few,\n+8613900000006,Six,qq,10001\n",
			nil, exitFailed,
			[]string{"c.csv:2: ", "E.164", "c.csv:4: it has 3 fields", "c.csv:5: ", "belongs to", "1 lines imported, 3 refused", "mend them"},
		},
		{
			"what isn't UTF-8 is told, not replaced", "utf8.csv", "msisdn,text\n+8613900000003,\xd4\xda\n+8613900000005,\n",
			nil, exitFailed,
			[]string{"utf8.csv:2: it is not UTF-8", "1 lines imported, 1 refused"},
		},
		{
			"nor in JSON Lines", "utf8.jsonl", "{\"msisdn\":\"+8613900000003\",\"text\":\"\xd4\xda\"}\n",
			nil, exitFailed,
			[]string{"utf8.jsonl:1: it is not UTF-8", "0 lines imported, 1 refused"},
		},
		{
			"a line that is too long, and a text that is", "long.csv",
			"msisdn,text\n+8613900000003," + strings.Repeat("x", importLine) + "\n+8613900000003," + strings.Repeat("x", 2049) + "\n+8613900000005,\n",
			nil, exitFailed,
			[]string{"long.csv:2: it has 131", "shorten it", "long.csv:3: the text", "at most 2048 bytes", "1 lines imported, 2 refused"},
		},
		{
			"lines that are more than fit into one request", "wide.csv",
			"msisdn,account,network\n" + strings.Repeat("+8613900000005,"+strings.Repeat("<", 510)+",qq\n", importChunk),
			nil, exitOK,
			[]string{"1000 lines imported, 0 refused"},
		},
		{"what is empty stays as it is", "empty.csv", "msisdn,name,text\n+8613900000001,,\n", nil, exitOK, []string{"1 lines imported"}},
		{"a line that is no JSON", "d.jsonl", "{\"msisdn\":\"+8613900000007\"}\n{\"phone\":1}\n", nil, exitFailed, []string{"d.jsonl:2: ", "phone", "1 lines imported"}},
		{"refused lines in a file", "e.jsonl", "{}\n", []string{"--refused", filepath.Join(folder, "refused")}, exitFailed, []string{"0 lines imported, 1 refused"}},
		{"a column that is none", "f.csv", "msisdn,phone\n", nil, exitUsage, []string{`column "phone"`, "msisdn, name, network, account, text"}},
		{"a format that can't be told", "g.txt", "x\n", nil, exitUsage, []string{"--format csv or jsonl"}},
		{"a file that isn't there", "h.csv", "", nil, exitUsage, []string{"no such file"}},
	} {
		t.Run(step.name, func(t *testing.T) {
			code, out := imports(step.file, step.content, step.flags...)
			if code != step.code {
				t.Errorf("exit %d, want %d", code, step.code)
			}
			for _, want := range step.want {
				if !strings.Contains(out, want) {
					t.Errorf("printed %q, want %q in it", out, want)
				}
			}
		})
	}
	if b, err := os.ReadFile(filepath.Join(folder, "refused")); err != nil || !strings.Contains(string(b), "e.jsonl:1: ") {
		t.Errorf("the file of refused lines has %q, %v", b, err)
	}

	var many strings.Builder
	many.WriteString("msisdn,name\n")
	for i := range 3 * importChunk {
		fmt.Fprintf(&many, "+86138%08d,Many\n", i)
	}
	progress := filepath.Join(folder, "many.csv.progress")
	if err := os.WriteFile(progress, []byte("1001\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out := imports("many.csv", many.String()); code != exitUsage || !strings.Contains(out, "behind line 1001") {
		t.Errorf("where one stopped before: exit %d, %q", code, out)
	}
	if code, out := imports("many.csv", "", "--resume"); code != exitOK || !strings.Contains(out, fmt.Sprint(3*importChunk-1000)+" lines imported") {
		t.Errorf("resumed: exit %d, %q", code, out)
	}
	if _, err := os.Stat(progress); err == nil {
		t.Error("a finished import leaves its progress")
	}

	want := "msisdn,name,network,account,text\n" + "+8613900000001,\"Li, Na\",,,Back at six\n+8613900000001,\"Li, Na\",qq,10001,\n+8613900000002,Bo,,,\n+8613900000002,Bo,xmpp,a@b/c,\n" +
		"+8613900000003,,,,在高铁上\n"
	_, all, _ := command(t, nil, append([]string{"subscriber", "export"}, environ...)...)
	if i := strings.Index(all, "+86139"); i < 0 || !strings.HasPrefix("msisdn,name,network,account,text\n"+all[i:], want) {
		t.Errorf("exported\n%s\nwant in it\n%s", all[max(0, i):], want)
	}
	for _, format := range []string{"csv", "jsonl"} {
		_, before, _ := command(t, nil, append([]string{"subscriber", "export", "--format", format}, environ...)...)
		if code, out := imports("again."+format, before); code != exitOK || !strings.Contains(out, " 0 refused") {
			t.Errorf("what was exported as %s is imported: exit %d, %q", format, code, out)
		}
		if _, after, _ := command(t, nil, append([]string{"subscriber", "export", "--format", format}, environ...)...); after != before {
			t.Errorf("after the import of its export as %s the store differs", format)
		}
	}
}

func TestAnImportThatWasStoppedGoesOn(t *testing.T) {
	var file strings.Builder
	for i := range 2*importChunk + 1 {
		fmt.Fprintf(&file, "{\"msisdn\":\"%d\"}\n", i+1)
	}
	for sentence, answer := range map[string]int{
		"by a store that is away":         http.StatusServiceUnavailable,
		"by a fault":                      http.StatusInternalServerError,
		"by a proxy that has enough":      http.StatusTooManyRequests,
		"by a key that was revoked":       http.StatusUnauthorized,
		"by an API that has no such door": http.StatusNotFound,
	} {
		t.Run(sentence, func(t *testing.T) {
			var sent []int // rows of each request
			var kept []string
			api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					return
				}
				var in struct {
					Rows []record `json:"rows"`
				}
				if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.URL.Path != "/v1/import" {
					t.Errorf("%s: %v", r.URL.Path, err)
				}
				if sent = append(sent, len(in.Rows)); len(sent) == 2 {
					w.WriteHeader(answer)
					return
				}
				for _, row := range in.Rows {
					kept = append(kept, row.MSISDN)
				}
				fmt.Fprint(w, `{"refused":[{"row":0,"reason":"not this one"}]}`)
			}))
			t.Cleanup(api.Close)
			name := filepath.Join(t.TempDir(), "a.jsonl")
			if err := os.WriteFile(name, []byte(file.String()), 0o600); err != nil {
				t.Fatal(err)
			}
			imports := []string{"subscriber", "import", name, "--server", api.URL, "--key", "cs_x"}
			if code, _, stderr := command(t, nil, imports...); code != exitFailed ||
				!strings.Contains(stderr, "a.jsonl:1: not this one") || !strings.Contains(stderr, "stopped behind line 1000") || !strings.Contains(stderr, "--resume") {
				t.Errorf("stopped: exit %d, %q", code, stderr)
			}
			code, stdout, stderr := command(t, nil, append(imports, "--resume")...)
			if code != exitFailed || !strings.Contains(stderr, "a.jsonl:1001: not this one") || !strings.Contains(stderr, "a.jsonl:2001: not this one") ||
				!strings.Contains(stdout, "999 lines imported, 2 refused") {
				t.Errorf("resumed: exit %d, %q, %q", code, stdout, stderr)
			}
			if want := []int{importChunk, importChunk, importChunk, 1}; !slices.Equal(sent, want) {
				t.Errorf("requests of %v rows, want %v", sent, want)
			}
			for i, msisdn := range kept {
				if msisdn != fmt.Sprint(i+1) {
					t.Fatalf("line %d has become row %d of all", i+1, i)
				}
			}
		})
	}
}
