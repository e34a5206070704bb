package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// record is a line of an import or export: a subscriber, with one account or the text set by hand. What is empty is left as
// it is.
type record struct {
	MSISDN  string `json:"msisdn"`
	Name    string `json:"name,omitempty"`
	Network string `json:"network,omitempty"`
	Account string `json:"account,omitempty"`
	Text    string `json:"text,omitempty"`

	line int
}

// recordColumns are a record's names in CSV, whose first line names those that it has.
var recordColumns = []string{"msisdn", "name", "network", "account", "text"}

func (r *record) fields() []*string {
	return []*string{&r.MSISDN, &r.Name, &r.Network, &r.Account, &r.Text}
}

type subscriberImport struct {
	client
	File    string `arg:"" help:"CSV whose first line names its columns, of msisdn, name, network, account, text; or JSON Lines with these names."`
	Format  string `enum:"csv,jsonl," default:"" help:"csv or jsonl; by default what the file's name ends with."`
	Resume  bool   `help:"Go on behind the last line that is done, as FILE.progress has it."`
	Refused string `placeholder:"FILE" help:"Write refused lines and their reasons here, instead of to standard error."`
}

// What is sent at once, in one transaction; then progress is written. After an end in between it is sent again, which changes
// nothing.
const (
	importChunk = 1000      // lines at most, as the API has it
	importBytes = 768 << 10 // with this many, no further line: they stay below the API's 1 MiB
	importLine  = 128 << 10 // bytes of a line at most
)

// Run imports the file. It ends with an error if lines were refused.
func (c subscriberImport) Run(s surroundings) (err error) {
	file, err := os.Open(c.File)
	if err != nil {
		return usageError{err}
	}
	defer file.Close()
	bar := progress(s.stderr, file)
	next, err := c.records(io.TeeReader(file, bar))
	if err != nil {
		return usageError{fmt.Errorf("%s: %w", c.File, err)}
	}
	done, err := c.done()
	if err != nil {
		return err
	}
	refused := s.stderr
	if c.Refused != "" {
		f, err := os.OpenFile(c.Refused, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			return usageError{err}
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		refused = f
	}
	if err := c.do(s.ctx, http.MethodGet, "/v1/subscribers?limit=1", nil, nil); err != nil {
		return err
	}
	imported, bad, said := 0, 0, time.Now()
	for more := true; more; {
		var part chunk
		last := done
		for len(part.rows) < importChunk && part.size < importBytes {
			r, err := next()
			if errors.Is(err, io.EOF) {
				more = false
				break
			}
			if err == nil && r.line > done {
				last, err = r.line, part.add(r)
			}
			if line, ok := errors.AsType[*lineError](err); !ok && err != nil {
				return fmt.Errorf("%s: %w", c.File, err)
			} else if ok && line.line > done {
				bad, last = bad+1, line.line
				fmt.Fprintf(refused, "%s:%d: %v\n", c.File, line.line, line.err)
			}
		}
		reasons, err := c.send(s.ctx, part)
		if err != nil {
			return fmt.Errorf("%s stopped behind line %d: %w: go on with --resume", c.File, done, err)
		}
		for i, line := range part.lines {
			if reason, ok := reasons[i]; ok {
				bad++
				fmt.Fprintf(refused, "%s:%d: %s\n", c.File, line, reason)
			} else {
				imported++
			}
		}
		if done = last; more {
			if err := os.WriteFile(c.progressFile(), []byte(strconv.Itoa(done)+"\n"), 0o600); err != nil {
				return err
			}
		}
		if _, drawn := bar.(*progressbar.ProgressBar); !drawn && time.Since(said) > time.Second {
			said = time.Now()
			fmt.Fprintf(s.stderr, "line %d: %d imported, %d refused\n", done, imported, bad)
		}
	}
	if err := os.Remove(c.progressFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := saidImport(s.stdout, c.JSON, imported, bad); err != nil {
		return err
	}
	if bad > 0 {
		return fmt.Errorf("%d lines were refused: mend them, and import them again", bad)
	}
	return nil
}

// progress draws how much of file was read, if w is a terminal; else it takes what it is told, and draws nothing.
func progress(w io.Writer, file *os.File) io.Writer {
	terminal, ok := w.(*os.File)
	info, err := file.Stat()
	if !ok || !term.IsTerminal(int(terminal.Fd())) || err != nil || !info.Mode().IsRegular() {
		return io.Discard
	}
	return progressbar.NewOptions64(info.Size(), progressbar.OptionSetWriter(w), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("import"), progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish())
}

func saidImport(w io.Writer, asJSON bool, imported, refused int) error {
	return said(w, asJSON, map[string]int{"imported": imported, "refused": refused}, fmt.Sprintf("%d lines imported, %d refused", imported, refused))
}

func (c subscriberImport) progressFile() string { return c.File + ".progress" }

// done is the last line that an import before this one did.
func (c subscriberImport) done() (int, error) {
	b, err := os.ReadFile(c.progressFile())
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || n < 0 {
		return 0, usageError{fmt.Errorf("%s holds no number of a line: remove it to begin anew", c.progressFile())}
	}
	if !c.Resume {
		return 0, usageError{fmt.Errorf("%s says that an import stopped behind line %d: go on with --resume, or remove it to begin anew", c.progressFile(), n)}
	}
	return n, nil
}

// lineError is of a line that is no record; the next may be.
type lineError struct {
	line int
	err  error
}

// errNotUTF8 refuses a line in which JSON would replace what isn't in silence.
var errNotUTF8 = errors.New("it is not UTF-8: convert the file to UTF-8")

func (e *lineError) Error() string { return fmt.Sprintf("line %d: %v", e.line, e.err) }

// records gives the file's records one by one, io.EOF behind the last.
func (c subscriberImport) records(file io.Reader) (next func() (record, error), err error) {
	format := c.Format
	if format == "" {
		format = strings.TrimPrefix(filepath.Ext(c.File), ".")
	}
	switch format {
	case "csv":
		return csvRecords(file)
	case "jsonl", "ndjson":
		return jsonRecords(file), nil
	}
	return nil, errors.New("its name doesn't say what it is: give --format csv or jsonl")
}

func csvRecords(file io.Reader) (next func() (record, error), err error) {
	r := csv.NewReader(file)
	r.FieldsPerRecord, r.ReuseRecord = -1, true
	header, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("read the first line, which names the columns: %w", err)
	}
	var columns []int
	for _, name := range header {
		i := slices.Index(recordColumns, strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		if i < 0 || slices.Contains(columns, i) {
			return nil, fmt.Errorf("its first line names a column %q: name each of %s at most once", name, strings.Join(recordColumns, ", "))
		}
		columns = append(columns, i)
	}
	return func() (record, error) {
		fields, err := r.Read()
		if parse, ok := errors.AsType[*csv.ParseError](err); ok {
			return record{}, &lineError{parse.Line, parse.Err}
		} else if err != nil {
			return record{}, err
		}
		line, _ := r.FieldPos(0)
		if len(fields) != len(columns) {
			return record{}, &lineError{line, fmt.Errorf("it has %d fields, the first line names %d", len(fields), len(columns))}
		}
		if slices.ContainsFunc(fields, func(f string) bool { return !utf8.ValidString(f) }) {
			return record{}, &lineError{line, errNotUTF8}
		}
		out := record{line: line}
		for i, column := range columns {
			*out.fields()[column] = fields[i]
		}
		return out, nil
	}, nil
}

func jsonRecords(file io.Reader) (next func() (record, error)) {
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	n := 0
	return func() (out record, err error) {
		for lines.Scan() {
			n++
			line := bytes.TrimSpace(lines.Bytes())
			if len(line) == 0 {
				continue
			}
			if !utf8.Valid(line) {
				return record{}, &lineError{n, errNotUTF8}
			}
			d := json.NewDecoder(bytes.NewReader(line))
			d.DisallowUnknownFields()
			if err := d.Decode(&out); err != nil {
				return record{}, &lineError{n, err}
			}
			out.line = n
			return out, nil
		}
		if err := lines.Err(); err != nil {
			return out, err
		}
		return out, io.EOF
	}
}

// chunk is lines that are sent together.
type chunk struct {
	rows  []json.RawMessage
	lines []int // where each stands in the file
	size  int   // of the rows, in bytes
}

// add takes r, unless it is too long for any chunk.
func (c *chunk) add(r record) error {
	row, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if len(row) > importLine {
		return &lineError{r.line, fmt.Errorf("it has %d bytes, more than %d: shorten it", len(row), importLine)}
	}
	c.rows, c.lines, c.size = append(c.rows, row), append(c.lines, r.line), c.size+len(row)+1
	return nil
}

// send imports a chunk in one transaction and gives the reasons why rows of it were refused. With an error none is done.
func (c subscriberImport) send(ctx context.Context, part chunk) (reasons map[int]string, err error) {
	if len(part.rows) == 0 {
		return nil, nil
	}
	var out struct {
		Refused []struct {
			Row    int    `json:"row"`
			Reason string `json:"reason"`
		} `json:"refused"`
	}
	if err := c.do(ctx, http.MethodPost, pathTo("import"), map[string]any{"rows": part.rows}, &out); err != nil {
		return nil, err
	}
	reasons = map[int]string{}
	for _, r := range out.Refused {
		reasons[r.Row] = r.Reason
	}
	return reasons, nil
}
