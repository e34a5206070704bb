package relay

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificate is a certificate on disk. It is read again when its file changes, looked for at most once a second; one that
// can't be read leaves the last good one in use.
type certificate struct {
	cert, key string

	mu      sync.Mutex
	looked  time.Time
	changed time.Time
	current *tls.Certificate
}

func (c *certificate) get() (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); c.current == nil || now.Sub(c.looked) > time.Second {
		c.looked = now
		info, err := os.Stat(c.cert)
		if err == nil && (c.current == nil || !info.ModTime().Equal(c.changed)) {
			var pair tls.Certificate
			if pair, err = tls.LoadX509KeyPair(c.cert, c.key); err == nil {
				c.current, c.changed = &pair, info.ModTime()
			}
		}
		if c.current == nil {
			return nil, fmt.Errorf("sip.tls: %w", err)
		}
	}
	return c.current, nil
}

// tlsConfigs are how a tls:// socket takes connections and makes them.
func tlsConfigs(c TLSConfig) (server, client *tls.Config, err error) {
	own := &certificate{cert: c.Cert, key: c.Key}
	if _, err := own.get(); err != nil {
		return nil, nil, err
	}
	server = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own.get() }}
	client = &tls.Config{MinVersion: tls.VersionTLS12, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own.get() }}
	if c.ClientCA != "" {
		pem, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return nil, nil, fmt.Errorf("sip.tls.client_ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, nil, errors.New("sip.tls.client_ca holds no certificate in PEM")
		}
		server.ClientCAs, server.ClientAuth, client.RootCAs = pool, tls.RequireAndVerifyClientCert, pool
	}
	return server, client, nil
}
