package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net/http"
	"regexp"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/callsign-as/callsign"
)

// Keys keeps a tenant's API keys; Page.After is an ID. An ID that is there already is callsign.ErrConflict. RotateKey keeps next
// with the name, scope and lifetime of the key id, and lets that one end at until.
type Keys interface {
	PutKey(context.Context, callsign.Key) error
	Keys(context.Context, callsign.Scope, callsign.Page) ([]callsign.Key, error)
	RotateKey(ctx context.Context, scope callsign.Scope, id string, until time.Time, next callsign.Key) (callsign.Key, error)
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
	Name        string        `json:"name" minLength:"1" maxLength:"200" doc:"whose it is, for administrators"`
	Role        callsign.Role `json:"role" enum:"admin,operator,source,subscriber"`
	Network     string        `json:"network,omitempty" pattern:"^[a-z0-9][a-z0-9._-]{0,31}$" doc:"role source: the one network whose accounts it writes"`
	Source      string        `json:"source,omitempty" maxLength:"512" doc:"role source: the one CloudEvents source it may send; absent: any"`
	MSISDN      number        `json:"msisdn,omitzero" doc:"role subscriber: the number"`
	Expires     int64         `json:"expires_in,omitempty" minimum:"0" maximum:"9000000000" doc:"seconds; absent or 0: for ever"`
	Certificate certificate   `json:"certificate,omitempty" maxLength:"16384" doc:"a client certificate in PEM, signed by one of http.tls.client_ca: it is used instead of a key, and none is told"`
}

// certificate stands in place of a key that we make.
type certificate string

// apply puts the certificate's fingerprint in place of k's secret.
func (c certificate) apply(k *callsign.Key, secret *string) error {
	if c == "" {
		return nil
	}
	block, _ := pem.Decode([]byte(c))
	if block == nil || block.Type != "CERTIFICATE" {
		return badCertificate("it is no certificate in PEM")
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return badCertificate(err.Error())
	}
	k.Hash, *secret = fingerprint(block.Bytes), ""
	return nil
}

func badCertificate(why string) error {
	return newProblem(http.StatusUnprocessableEntity, "invalid", "body.certificate: "+why+": send the client's certificate, beginning with -----BEGIN CERTIFICATE-----")
}

// once makes a POST that makes a key repeatable.
type once string

// apply derives k's ID from the name of the request.
func (o once) apply(k *callsign.Key, by callsign.Scope) {
	if o != "" {
		sum := sha256.Sum256([]byte(by.Tenant + "\x00" + by.KeyID + "\x00" + string(o)))
		k.ID = hex.EncodeToString(sum[:8])
	}
}

// refused says what a conflict of k means.
func (o once) refused(k callsign.Key, err error) error {
	switch {
	case !errors.Is(err, callsign.ErrConflict):
		return err
	case o != "":
		return newProblem(http.StatusConflict, "already_made", "a key was made by a request of this Idempotency-Key and told in its answer; "+
			"if that was lost, revoke "+k.ID+" and send the request with a new Idempotency-Key")
	}
	return newProblem(http.StatusConflict, "conflict", "this certificate is a key already: revoke that one, or send another certificate")
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

// CheckNetwork says what is wrong with a network's name and what to do; "" if nothing is. Texts set by hand have a network of
// their own, which is nobody's to name.
func CheckNetwork(name string) (message string) {
	switch {
	case name == callsign.ManualNetwork:
		return "manual is for texts set by hand: name the source's own network"
	case name == callsign.PolicyNetwork:
		return "policy is for the texts of policies: name the source's own network"
	case !networkName.MatchString(name):
		return "use up to 32 small letters, digits, '.', '_' and '-'"
	}
	return ""
}

// CheckScope says which member of a new key's scope is wrong for its role, and what to do; "" if none is. Every door by
// which keys are made asks it.
func CheckScope(s callsign.Scope) (member, message string) {
	isSource, isSubscriber := s.Role == callsign.RoleSource, s.Role == callsign.RoleSubscriber
	switch {
	case isSource && s.Network == "":
		return "network", "a source's key needs the network whose accounts it writes"
	case isSource && CheckNetwork(s.Network) != "":
		return "network", CheckNetwork(s.Network)
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
	route(s, api, "GET /v1/keys", "The tenant's keys, in the order of their ids", 0, admins, s.listKeys)
	route(s, api, "POST /v1/keys/{id}/rotate", "Make a key that takes over from another, which goes on for a while; it is told only now",
		http.StatusCreated, admins, s.rotateKey)
	route(s, api, "DELETE /v1/keys/{id}", "Revoke a key: on every node within a second", 0, admins, s.revokeKey)
}

func (s *Server) createKey(ctx context.Context, by callsign.Scope, in *struct {
	Once once `header:"Idempotency-Key" maxLength:"255" doc:"any name of this request: sent again with the same, it makes no second key and is answered with 409"`
	Body newKey
},
) (*reply[key], error) {
	n := in.Body
	var expires time.Time
	if n.Expires > 0 {
		expires = time.Now().Add(time.Duration(n.Expires) * time.Second).UTC().Truncate(time.Millisecond)
	}
	secret, k := NewKey(n.Name, callsign.Scope{
		Tenant: by.Tenant, Role: n.Role, Network: n.Network, Source: n.Source, MSISDN: n.MSISDN.MSISDN,
	}, expires)
	in.Once.apply(&k, by)
	if err := n.Certificate.apply(&k, &secret); err != nil {
		return nil, err
	}
	concerns(ctx, k.ID)
	if err := s.o.Keys.PutKey(ctx, k); err != nil {
		return nil, in.Once.refused(k, err)
	}
	s.log.Info("key made", "key_id", k.ID, "role", n.Role, "by", by.KeyID)
	return told(k, secret), nil
}

// told is a new key with what its holder sends.
func told(k callsign.Key, secret string) *reply[key] {
	out := keyJSON(k)
	out.Key = secret
	return putReply(out, true)
}

func (s *Server) rotateKey(ctx context.Context, by callsign.Scope, in *struct {
	ID   string `path:"id" pattern:"^[0-9A-Za-z-]{1,64}$"`
	Once once   `header:"Idempotency-Key" maxLength:"255" doc:"any name of this request: sent again with the same, it makes no second key and is answered with 409"`
	Body struct {
		Overlap     *int64      `json:"overlap,omitempty" minimum:"0" maximum:"31536000" doc:"seconds for which the old key goes on; absent: a day"`
		Certificate certificate `json:"certificate,omitempty" maxLength:"16384" doc:"a client certificate in PEM, signed by one of http.tls.client_ca: it is used instead of a key, and none is told"`
	}
},
) (*reply[key], error) {
	secret, next := NewKey("", callsign.Scope{Tenant: by.Tenant}, time.Time{})
	in.Once.apply(&next, by)
	if err := in.Body.Certificate.apply(&next, &secret); err != nil {
		return nil, err
	}
	concerns(ctx, in.ID+" to "+next.ID)
	until := next.Created.Add(24 * time.Hour)
	if in.Body.Overlap != nil {
		until = next.Created.Add(time.Duration(*in.Body.Overlap) * time.Second)
	}
	kept, err := s.o.Keys.RotateKey(ctx, by, in.ID, until, next)
	if err != nil {
		return nil, in.Once.refused(next, err)
	}
	s.keys.doubt() // the old one ends sooner
	s.log.Info("key rotated", "key_id", in.ID, "next", kept.ID, "by", by.KeyID)
	return told(kept, secret), nil
}

func (s *Server) listKeys(ctx context.Context, scope callsign.Scope, in *struct {
	After string `query:"after" pattern:"^[0-9A-Za-z-]{1,64}$" doc:"next of the page before"`
	Limit int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"how many rows at most"`
},
) (*reply[rows[key]], error) {
	keys, err := s.o.Keys.Keys(ctx, scope, callsign.Page{After: in.After, Limit: in.Limit})
	return listed(keys, in.Limit, keyJSON, func(k callsign.Key) string { return k.ID }), err
}

func (s *Server) revokeKey(ctx context.Context, by callsign.Scope, in *struct {
	ID string `path:"id" pattern:"^[0-9A-Za-z-]{1,64}$"`
},
) (*struct{}, error) {
	if err := s.o.Keys.RevokeKey(ctx, by, in.ID); err != nil {
		return nil, err
	}
	s.keys.doubt()
	s.push.each(func(one *session) {
		if one.key.ID == in.ID {
			one.stop(&ending{closeKey, "the key was revoked"})
		}
	})
	s.log.Info("key revoked", "key_id", in.ID, "by", by.KeyID)
	return nil, nil
}
