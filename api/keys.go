package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Keys keeps a tenant's API keys.
type Keys interface {
	PutKey(context.Context, callsign.Key) error
	Keys(context.Context, callsign.Scope) ([]callsign.Key, error)
	RevokeKey(ctx context.Context, scope callsign.Scope, id string) error
}

// NewKey makes a key: secret is what its holder sends ("cs_" and 32 random bytes in base64url), key is what a store keeps,
// with nothing but its SHA-256. A zero expires is never.
func NewKey(name string, scope callsign.Scope, expires time.Time) (secret string, key callsign.Key) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	secret = "cs_" + base64.RawURLEncoding.EncodeToString(b[:])
	scope.KeyID = newID()
	return secret, callsign.Key{
		ID: scope.KeyID, Name: name, Hash: sha256.Sum256([]byte(secret)), Scope: scope,
		Created: time.Now().UTC().Truncate(time.Millisecond), Expires: expires,
	}
}

// newID is 16 hexadecimal digits that nobody else has: of a key, a session, a hand-set text.
func newID() string {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// key is a callsign.Key in JSON, without its hash.
type key struct {
	ID      string        `json:"id"`
	Name    string        `json:"name"`
	Role    callsign.Role `json:"role"`
	Network string        `json:"network,omitempty"`
	Source  string        `json:"source,omitempty"`
	MSISDN  number        `json:"msisdn,omitzero"`
	Created time.Time     `json:"created"`
	Expires time.Time     `json:"expires,omitzero" doc:"absent: never"`
	Revoked bool          `json:"revoked"`
	Key     string        `json:"key,omitempty" doc:"what its holder sends: told once, to who makes the key, and not kept"`
}

func keyJSON(k callsign.Key) key {
	s := k.Scope
	return key{k.ID, k.Name, s.Role, s.Network, s.Source, number{s.MSISDN}, k.Created, k.Expires, k.Revoked, ""}
}

// newKey is what POST /v1/keys takes.
type newKey struct {
	Name    string        `json:"name" minLength:"1" maxLength:"200" doc:"whose it is, for administrators"`
	Role    callsign.Role `json:"role" enum:"admin,operator,source,subscriber"`
	Network string        `json:"network,omitempty" pattern:"^[a-z0-9][a-z0-9._-]{0,31}$" doc:"role source: the one network whose accounts it writes"`
	Source  string        `json:"source,omitempty" maxLength:"512" doc:"role source: the one CloudEvents source it may send; absent: any"`
	MSISDN  number        `json:"msisdn,omitzero" doc:"role subscriber: the number"`
	Expires int64         `json:"expires_in,omitempty" minimum:"0" maximum:"9000000000" doc:"seconds; absent or 0: for ever"`
}

// Resolve implements huma.Resolver: each role has its own members.
func (n *newKey) Resolve(huma.Context) []error {
	scope := callsign.Scope{Role: n.Role, Network: n.Network, Source: n.Source, MSISDN: n.MSISDN.MSISDN}
	if member, message := CheckScope(scope); member != "" {
		return []error{&huma.ErrorDetail{Location: "body." + member, Message: message}}
	}
	return nil
}

// networkPattern is a network's name. The tags repeat it, for they can hold no constant; a test keeps them alike.
const networkPattern = `^[a-z0-9][a-z0-9._-]{0,31}$`

var networkName = regexp.MustCompile(networkPattern)

// CheckScope says which member of a new key's scope is wrong for its role, and what to do; "" if none is. Every door by
// which keys are made asks it.
func CheckScope(s callsign.Scope) (member, message string) {
	isSource, isSubscriber := s.Role == callsign.RoleSource, s.Role == callsign.RoleSubscriber
	switch {
	case isSource && s.Network == "":
		return "network", "a source's key needs the network whose accounts it writes"
	case isSource && s.Network == callsign.ManualNetwork:
		return "network", "manual is for texts set by hand: name the source's own network"
	case isSource && !networkName.MatchString(s.Network):
		return "network", "use up to 32 small letters, digits, '.', '_' and '-'"
	case !isSource && s.Network != "":
		return "network", "only a source's key has one: leave it out"
	case !isSource && s.Source != "" || !plain(s.Source):
		return "source", "only a source's key has one, without control characters"
	case isSubscriber != (s.MSISDN != 0):
		return "msisdn", "a subscriber's key needs the number, and no other has one"
	}
	return "", ""
}

func (s *Server) registerKeys(api huma.API) {
	admins := []callsign.Role{callsign.RoleAdmin}
	route(s, api, "POST /v1/keys", "Make a key; it is told only now", http.StatusCreated, admins, s.createKey)
	route(s, api, "GET /v1/keys", "The tenant's keys", 0, admins, s.listKeys)
	route(s, api, "DELETE /v1/keys/{id}", "Revoke a key: on every node within a second", 0, admins, s.revokeKey)
}

func (s *Server) createKey(ctx context.Context, by callsign.Scope, in *struct{ Body newKey }) (*reply[key], error) {
	n := in.Body
	var expires time.Time
	if n.Expires > 0 {
		expires = time.Now().Add(time.Duration(n.Expires) * time.Second).UTC().Truncate(time.Millisecond)
	}
	secret, k := NewKey(n.Name, callsign.Scope{
		Tenant: by.Tenant, Role: n.Role, Network: n.Network, Source: n.Source, MSISDN: n.MSISDN.MSISDN,
	}, expires)
	if err := s.o.Keys.PutKey(ctx, k); err != nil {
		return nil, err
	}
	s.log.Info("key made", "key_id", k.ID, "role", n.Role, "by", by.KeyID)
	out := keyJSON(k)
	out.Key = secret
	return putReply(out, true), nil
}

func (s *Server) listKeys(ctx context.Context, scope callsign.Scope, _ *struct{}) (*reply[rows[key]], error) {
	keys, err := s.o.Keys.Keys(ctx, scope)
	return listed(keys, 0, keyJSON, nil), err
}

func (s *Server) revokeKey(ctx context.Context, by callsign.Scope, in *struct {
	ID string `path:"id" maxLength:"64"`
},
) (*struct{}, error) {
	if err := s.o.Keys.RevokeKey(ctx, by, in.ID); err != nil {
		return nil, err
	}
	s.keys.forget()
	s.push.each(func(one *session) {
		if one.key.ID == in.ID {
			one.stop(&ending{closeKey, "the key was revoked"})
		}
	})
	s.log.Info("key revoked", "key_id", in.ID, "by", by.KeyID)
	return nil, nil
}
