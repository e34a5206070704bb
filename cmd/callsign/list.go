package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// pages reads a list of the API page by page, so that a long one starts at once and takes no memory.
func pages[T any](s surroundings, c *client, path string, page func(items []T, raw json.RawMessage) error) error {
	joint, after := "?", ""
	if strings.Contains(path, "?") {
		joint = "&"
	}
	for {
		var raw json.RawMessage
		if err := c.do(s.ctx, http.MethodGet, path+joint+"limit=1000"+after, nil, &raw); err != nil {
			return err
		}
		var list struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		if err := json.Unmarshal(raw, &list); err != nil {
			return fmt.Errorf("GET %s: %w: is that a Callsign?", path, err)
		}
		if err := page(list.Items, raw); err != nil || list.Next == "" {
			return err
		}
		after = "&after=" + url.QueryEscape(list.Next)
	}
}

// list shows a list of the API, a row for each item.
func list[T any](s surroundings, c *client, path, header string, row func(T) []string) error {
	return pages(s, c, path, func(items []T, raw json.RawMessage) error {
		var rows [][]string
		for _, item := range items {
			rows = append(rows, row(item))
		}
		err := c.show(s.stdout, raw, header, rows...)
		header = ""
		return err
	})
}

// local is a time as a person reads it; nothing for none.
func local(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateTime)
}
