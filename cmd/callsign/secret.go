package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// sipSecret is sip.secret, else the one in state.dir, which is made there the first time. A secret that changes with a
// restart would make strangers of the answers to calls under way, so one that can't be kept is an error.
func sipSecret(c *Config) (string, error) {
	if c.SIP.Secret != "" {
		return c.SIP.Secret, nil
	}
	path := c.inStateDir("sip.secret")
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeSecret(path)
	}
	if err != nil {
		return "", fmt.Errorf("read the secret of our Via branches: %w: make it readable, or set sip.secret", err)
	}
	if len(b) < 64 {
		return "", fmt.Errorf("%s holds no secret: remove it, or set sip.secret", path)
	}
	return string(b[:64]), nil
}

func makeSecret(path string) (string, error) {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	secret := hex.EncodeToString(key)
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		_, err = f.WriteString(secret + "\n")
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err != nil {
		return "", fmt.Errorf("keep the secret of our Via branches: %w: set state.dir to a directory that can be written, or set sip.secret", err)
	}
	return secret, nil
}
