package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"
)

// client is how a command reaches a running Callsign: over its API, with a key.
type client struct {
	Server string `env:"CALLSIGN_SERVER" default:"http://127.0.0.1:8080" help:"Where the API is (CALLSIGN_SERVER)."`
	APIKey string `name:"key" env:"CALLSIGN_KEY" help:"The API key, cs_… (CALLSIGN_KEY)."`
	JSON   bool   `name:"json" help:"Print the API's JSON instead of a table."`
}

// problem is what the API answers where it can't do what it was asked for (RFC 9457).
type problem struct {
	Title  string `json:"title"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	Errors []struct {
		Message  string `json:"message"`
		Location string `json:"location"`
	} `json:"errors"`
}

func (p problem) String() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	for _, e := range p.Errors {
		text += fmt.Sprintf("; %s: %s", e.Location, e.Message)
	}
	return text
}

// do asks the API; in (unless nil) is sent and out (unless nil) read as JSON.
func (c *client) do(ctx context.Context, method, path string, in, out any) error {
	if c.APIKey == "" {
		return usageError{errors.New("no API key: give --key or set CALLSIGN_KEY (callsign key create --role admin -c FILE makes the first one)")}
	}
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimRight(c.Server, "/")+path, body)
	if err != nil {
		return usageError{fmt.Errorf("--server %q: %w", c.Server, err)}
	}
	req.Header.Set("Authorization", "Bearer "+c.APIKey)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("no Callsign answers: %w: is callsign serve running there? (--server, CALLSIGN_SERVER)", err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if res.StatusCode >= 300 {
		var p problem
		if json.Unmarshal(b, &p) != nil || p.String() == "" {
			p.Detail = strings.TrimSpace(string(b))
		}
		return fmt.Errorf("%s %s: %s (%s)", method, path, p, res.Status)
	}
	if out == nil || len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, out); err != nil {
		return fmt.Errorf("%s %s: %w: is that a Callsign?", method, path, err)
	}
	return nil
}

// pathTo joins the parts of a path of the API, each escaped.
func pathTo(parts ...string) string {
	var path strings.Builder
	path.WriteString("/v1")
	for _, p := range parts {
		path.WriteString("/" + url.PathEscape(p))
	}
	return path.String()
}

// show prints what the API answered: as it is with --json, else as a table, of which a part that goes on has no header.
func (c *client) show(w io.Writer, raw json.RawMessage, header string, rows ...[]string) error {
	if c.JSON {
		var indented bytes.Buffer
		if err := json.Indent(&indented, raw, "", "  "); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w, indented.String())
		return err
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	if header != "" {
		fmt.Fprintln(t, header)
	}
	for _, r := range rows {
		fmt.Fprintln(t, strings.Join(r, "\t"))
	}
	return t.Flush()
}
