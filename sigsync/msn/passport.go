package msn

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/callsign-as/callsign/sigsync"
)

// maxRedirects is how often a login server may send us to another.
const maxRedirects = 5

var (
	loginServer = regexp.MustCompile(`(?i)\bDALogin=([^,\s]+)`)
	ticketIn    = regexp.MustCompile(`(?i)\bfrom-PP='([!-&(-~]+)'`)
)

// ticket logs in at the login server that the nexus names, as Passport 1.4 does (TWN, the Tweener); challenge is what the
// notification server said. The password is read each time.
func (l *login) ticket(ctx context.Context, challenge string) (string, error) {
	password, err := l.Password.Read()
	if err != nil {
		return "", fmt.Errorf("%w: password: %w", sigsync.ErrCredentials, err)
	}
	answer, err := l.get(ctx, l.c.Nexus, "")
	if err != nil {
		return "", fmt.Errorf("nexus: %w", err)
	}
	named := loginServer.FindStringSubmatch(answer.Header.Get("PassportURLs"))
	if named == nil {
		return "", fmt.Errorf("nexus: %s answers %s and names no login server (PassportURLs): see that it is a nexus", l.c.Nexus, answer.Status)
	}
	server := named[1]
	if !strings.Contains(server, "://") {
		server = "https://" + server
	}
	credentials := "Passport1.4 OrgVerb=GET,OrgURL=http%3A%2F%2Fmessenger%2Emsn%2Ecom,sign-in=" + escape(l.Account) + ",pwd=" + escape(password) + "," + challenge
	for range maxRedirects {
		if answer, err = l.get(ctx, server, credentials); err != nil {
			return "", fmt.Errorf("login server: %w", err)
		}
		ticket := ticketIn.FindStringSubmatch(answer.Header.Get("Authentication-Info"))
		next, _ := answer.Location()
		switch {
		case answer.StatusCode == http.StatusOK && ticket != nil:
			return ticket[1], nil
		case answer.StatusCode == http.StatusUnauthorized:
			return "", fmt.Errorf("%w: the login server answers %s", sigsync.ErrCredentials, answer.Status)
		case answer.StatusCode/100 != 3 || next == nil:
			return "", fmt.Errorf("login server: it answers %s without a ticket (from-PP in Authentication-Info)", answer.Status)
		}
		server = next.String()
	}
	return "", fmt.Errorf("login server: it sent us on %d times", maxRedirects)
}

// get asks with credentials, if any. The answer's headers are all that counts.
func (l *login) get(ctx context.Context, address, credentials string) (*http.Response, error) {
	if err := checkURL(address); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, l.c.Timeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	if credentials != "" {
		r.Header.Set("Authorization", credentials)
	}
	answer, err := l.client.Do(r)
	if err != nil {
		return nil, sigsync.WithoutURL(err)
	}
	return answer, answer.Body.Close()
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
