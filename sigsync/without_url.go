package sigsync

import (
	"errors"
	"fmt"
	"net/url"
)

// WithoutURL gives err, of a request by HTTP, with the host that was asked in place of the whole URL: that has accounts and may have
// tokens in it, and what a network fails of is read by every tenant.
func WithoutURL(err error) error {
	var of *url.Error
	if !errors.As(err, &of) {
		return err
	}
	if u, bad := url.Parse(of.URL); bad == nil && u.Host != "" {
		return fmt.Errorf("ask %s: %w", u.Host, of.Err)
	}
	return of.Err
}
