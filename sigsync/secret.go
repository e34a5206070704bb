package sigsync

import (
	"errors"
	"os"
	"strings"
)

// Secret is a text, or file:PATH for what stands in that file, without the spaces around it.
type Secret string

// Read gives it, reading its file each time, so that a new one counts at once. A file that is empty is an error.
func (s Secret) Read() (string, error) {
	path, inFile := strings.CutPrefix(string(s), "file:")
	if !inFile {
		return string(s), nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(b))
	if secret == "" {
		return "", errors.New(path + " is empty: put the secret there")
	}
	return secret, nil
}
