package httpjson

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/callsign-as/callsign/sigsync"
)

// tokens keeps an access token. oauth2's own transport would wait for a new one beyond a request's time.
type tokens struct {
	credentials clientcredentials.Config
	client      *http.Client
	turn        chan struct{} // has room for who looks at kept
	kept        *oauth2.Token
}

// valid gives the token that is kept, or another one a little before that ends.
func (t *tokens) valid(ctx context.Context) (*oauth2.Token, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("httpjson: token: %w", ctx.Err())
	}
	if t.kept.Valid() {
		return t.kept, nil
	}
	token, err := t.credentials.Token(context.WithValue(ctx, oauth2.HTTPClient, t.client))
	var refused *oauth2.RetrieveError // its text has the whole answer
	switch {
	case errors.As(err, &refused) && redirects(refused.Response):
		return nil, fmt.Errorf("httpjson: the token server answers %s", redirected(refused.Response, "oauth2.token_url"))
	case refused != nil && refused.Response.StatusCode < 500:
		return nil, fmt.Errorf("%w: the token server answers %s", sigsync.ErrCredentials, refused.Response.Status)
	case refused != nil:
		return nil, fmt.Errorf("httpjson: the token server answers %s", refused.Response.Status)
	case err != nil:
		return nil, fmt.Errorf("httpjson: token: %w", sigsync.WithoutURL(err))
	}
	t.kept = token
	return token, nil
}
