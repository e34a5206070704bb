package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
)

// subscribers puts n callees with their text, sixteen at a time so that they share commits.
func subscribers(n int, server, key, text string) error {
	signature, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	failed := make(chan error, 16)
	for first := range cap(failed) {
		group.Go(func() {
			for i := first; i < n; i += cap(failed) {
				url := server + "/v1/subscribers/" + callee(i, n)
				for _, request := range [][2]string{{url, "{}"}, {url + "/signature", string(signature)}} {
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
