package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"golang.org/x/time/rate"

	"github.com/callsign-as/callsign"
)

// KeyHashes finds a key by the SHA-256 of what its holder sends.
type KeyHashes interface {
	KeyByHash(context.Context, [32]byte) (callsign.Key, error)
}

const (
	// keyFresh is how long a key that was found is believed: after it a revocation holds on every node.
	keyFresh = time.Second
	// keysRemembered bounds the memory for it; when it is full, all are forgotten: only the store has more to do.
	keysRemembered = 10_000
	// handlingTime bounds what a request may wait for the store or for the intake's backpressure.
	handlingTime = 10 * time.Second
)

// keyring authenticates. Only keys that were found are remembered, so wrong ones can't fill it.
type keyring struct {
	store   KeyHashes
	guesses guesses
	mu      sync.Mutex
	known   map[[32]byte]knownKey
}

func newKeyring(store KeyHashes) *keyring {
	return &keyring{store: store, guesses: guesses{of: map[netip.Prefix]*rate.Limiter{}}, known: map[[32]byte]knownKey{}}
}

type knownKey struct {
	callsign.Key
	at time.Time
}

// authenticate finds who asks: by the key in the header (RFC 6750 §2.1), or without that header by the client's certificate.
// A key comes from nowhere else: a URL is logged on its way.
func (k *keyring) authenticate(ctx context.Context, r *http.Request) (callsign.Key, error) {
	authorization := r.Header.Get("Authorization")
	scheme, secret, _ := strings.Cut(authorization, " ")
	var hash [32]byte
	switch secret = strings.TrimSpace(secret); {
	case strings.EqualFold(scheme, "Bearer") && secret != "":
		hash = sha256.Sum256([]byte(secret))
	case authorization == "" && r.TLS != nil && len(r.TLS.VerifiedChains) > 0:
		if ofAnotherSite(r) {
			return callsign.Key{}, forbidden("a page of another site asked for this with your browser's certificate: use a key, or the console of this node")
		}
		hash = fingerprint(r.TLS.PeerCertificates[0].Raw)
	default:
		return callsign.Key{}, unauthorized("no key was sent: add the header Authorization: Bearer cs_…")
	}
	return k.byHash(ctx, hash, partyOf(r))
}

// ofAnotherSite reports whether a browser was told to send this by a page that is not ours: it adds its user's certificate to whatever any
// page asks for, a form or a websocket as well. Who is no browser says nothing of it.
func ofAnotherSite(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return site != "same-origin" && site != "none"
	}
	origin := r.Header.Get("Origin")
	u, err := url.Parse(origin)
	return origin != "" && (err != nil || u.Host != r.Host)
}

// fingerprint is what a store keeps of a certificate that stands for a key. Certificates are public, so nobody may send one as
// a key: no header can hold what is hashed before it.
func fingerprint(der []byte) [32]byte {
	return sha256.Sum256(append([]byte("\x00certificate\x00"), der...))
}

// byHash is a key that may be used now, asked for by an address. It is compared by looking up a SHA-256: the timing tells
// nothing of the key.
func (k *keyring) byHash(ctx context.Context, hash [32]byte, from netip.Prefix) (callsign.Key, error) {
	now := time.Now() // from before the look-up, so that what is remembered is never older than keyFresh
	k.mu.Lock()
	key, ok := k.known[hash]
	k.mu.Unlock()
	if !ok || now.Sub(key.at) >= keyFresh {
		if err := k.guesses.spent(from, now); !ok && err != nil {
			return callsign.Key{}, err
		}
		found, err := k.store.KeyByHash(ctx, hash)
		if errors.Is(err, callsign.ErrNotFound) {
			k.guesses.wrong(from, now)
			k.forget(hash)
			return callsign.Key{}, unauthorized("this key is not known: ask an administrator for one")
		}
		if err != nil {
			return callsign.Key{}, err
		}
		found.Hash, found.Scope.KeyID = hash, found.ID
		key = knownKey{found, now}
		k.remember(key)
	}
	switch {
	case key.Revoked:
		return callsign.Key{}, unauthorized("this key was revoked: ask an administrator for another")
	case !key.Expires.IsZero() && !now.Before(key.Expires):
		return callsign.Key{}, unauthorized("this key has expired: ask an administrator for another")
	}
	return key.Key, nil
}

func (k *keyring) remember(key knownKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.known) >= keysRemembered {
		clear(k.known)
	}
	k.known[key.Hash] = key
}

// forget makes a key that is gone as unknown as any other.
func (k *keyring) forget(hash [32]byte) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.known, hash)
}

// doubt makes a change of keys hold at once on the node that did it: each is looked up when it is used next.
func (k *keyring) doubt() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for hash, key := range k.known {
		key.at = time.Time{}
		k.known[hash] = key
	}
}

// scopeKey finds the callsign.Scope that allow put into a request's context.
type scopeKey struct{}

// permitted finds who asks, if that is one of roles.
func (s *Server) permitted(ctx context.Context, r *http.Request, roles []callsign.Role) (callsign.Key, error) {
	key, err := s.keys.authenticate(ctx, r)
	if err == nil && !slices.Contains(roles, key.Scope.Role) {
		err = forbidden("the role " + string(key.Scope.Role) + " may not do this: use a key whose role is " + list(roles))
	}
	return key, err
}

// allow is the middleware of an operation that is open to roles. What changes something is written into the audit.
func (s *Server) allow(roles []callsign.Role, changes bool) func(huma.Context, func(huma.Context)) {
	return func(hc huma.Context, next func(huma.Context)) {
		ctx, cancel := context.WithTimeout(hc.Context(), handlingTime)
		defer cancel()
		r, w := humago.Unwrap(hc)
		key, err := s.permitted(ctx, r, roles)
		ended := func(int) {}
		if err == nil && changes {
			ctx, ended, err = s.audit(ctx, key.Scope, r)
		}
		if err != nil {
			s.problem(err).write(w)
			return
		}
		next(huma.WithContext(hc, context.WithValue(ctx, scopeKey{}, key.Scope)))
		ended(hc.Status())
	}
}

// handsetScope is who sent mo. The operator has said of its link that the sender's number can be believed there: that authenticates
// them, for their own number.
func handsetScope(tenant string, mo callsign.MO) callsign.Scope {
	return callsign.Scope{Tenant: tenant, Role: callsign.RoleSubscriber, KeyID: "sms/" + mo.Link, MSISDN: mo.From}
}

// ownNumber keeps a subscriber's key to its own number.
func ownNumber(scope callsign.Scope, n number) error {
	if scope.Role == callsign.RoleSubscriber && scope.MSISDN != n.MSISDN {
		return forbidden("this key is for another number: use " + scope.MSISDN.E164())
	}
	return nil
}

func list(roles []callsign.Role) string {
	names := make([]string, len(roles))
	for i, r := range roles {
		names[i] = string(r)
	}
	return strings.Join(names, " or ")
}
