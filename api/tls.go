package api

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"
)

// TLSConfig makes the API's port HTTPS. The files are PEM.
type TLSConfig struct {
	Cert     string `yaml:"cert" doc:"file of the certificate chain; it is read again when it changes, write it last; empty: plain HTTP"`
	Key      string `yaml:"key" doc:"file of the certificate's key"`
	ClientCA string `yaml:"client_ca" doc:"file of the authorities whose client certificates may stand for a key; empty: keys only"`
}

// certificateFiles is a pair of them. When a new pair can't be read, the last good one stays in use.
type certificateFiles struct {
	config  TLSConfig
	mu      sync.Mutex
	changed time.Time
	current *tls.Certificate
}

func (c *certificateFiles) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	info, err := os.Stat(c.config.Cert)
	if err == nil && !info.ModTime().Equal(c.changed) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.config.Cert, c.config.Key); err == nil {
			c.current, c.changed = &pair, info.ModTime()
		}
	}
	if c.current == nil {
		return nil, fmt.Errorf("http.tls: %w", err)
	}
	return c.current, nil
}

// server is nil for plain HTTP. A websocket needs HTTP/1.1.
func (c TLSConfig) server() (*tls.Config, error) {
	if c.Cert == "" {
		return nil, nil
	}
	own := &certificateFiles{config: c}
	if _, err := own.get(nil); err != nil {
		return nil, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: own.get, NextProtos: []string{"http/1.1"}}
	if c.ClientCA != "" {
		pem, err := os.ReadFile(c.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("http.tls.client_ca: %w", err)
		}
		config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.VerifyClientCertIfGiven
		if !config.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("http.tls.client_ca holds no certificate in PEM")
		}
	}
	return config, nil
}

func (c TLSConfig) validate() error {
	switch {
	case (c.Cert == "") != (c.Key == ""):
		return errors.New("http.tls.cert and http.tls.key go together: name both files, or neither for plain HTTP")
	case c.ClientCA != "" && c.Cert == "":
		return errors.New("http.tls.client_ca needs http.tls.cert and http.tls.key: client certificates are shown over TLS only")
	}
	return nil
}
