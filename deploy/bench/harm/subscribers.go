package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// subscribers puts n callees with their text, sixteen at a time so that they share commits; with rules each has a policy of so many, of
// which the last shows the text.
func subscribers(n int, server, key, text string, rules int) error {
	signature, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return err
	}
	said, err := json.Marshal(policy(text, rules))
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	failed := make(chan error, 16)
	for first := range cap(failed) {
		group.Go(func() {
			for i := first; i < n; i += cap(failed) {
				url := server + "/v1/subscribers/" + callee(i, n)
				requests := [][2]string{{url, "{}"}, {url + "/signature", string(signature)}}
				if rules > 0 {
					requests = append(requests, [2]string{url + "/policy", string(said)})
				}
				for _, request := range requests {
					if err := put(request[0], key, request[1]); err != nil {
						failed <- err
						return
					}
				}
			}
		})
	}
	group.Wait()
	close(failed)
	return <-failed
}

// policy has every kind of rule; all match the bench's callers or nearly do, and the last is the one that wins.
func policy(text string, rules int) map[string]any {
	family := make([]string, 50)
	for i := range family {
		family[i] = fmt.Sprintf("+44770090%04d", i)
	}
	kinds := []map[string]any{
		{"callers": []string{"@family"}, "show": "nothing"},
		{"callers": []string{"+861380000*", "+447700900123"}, "from": "00:00", "to": "00:01", "show": "other"},
		{"callers": []string{"withheld"}, "show": "nothing"},
		{"days": []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}, "callers": []string{"+4477*"}, "show": "other"},
		{"holidays": true, "callers": []string{"+4420*"}, "show": "other"},
	}
	all := make([]any, 0, rules)
	for i := range rules - 1 {
		all = append(all, kinds[i%len(kinds)])
	}
	return map[string]any{
		"time_zone": "Asia/Shanghai", "groups": map[string]any{"family": family}, "never": []string{"+447700900999"}, "holidays": []string{"01-01"},
		"texts": map[string]any{"road": map[string]string{"text": text}, "other": map[string]string{"text": "Not this one"}},
		"rules": append(all, map[string]any{"name": "everybody", "show": "road"}),
	}
}

func put(url, key, body string) error {
	req, err := http.NewRequest(http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+key)
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode >= 300 {
		return fmt.Errorf("PUT %s: %s", url, res.Status)
	}
	return nil
}
