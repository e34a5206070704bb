package ims

import "strings"

// identity is one value of an identity header: an address of a person, as URI.
type identity struct{ uri string }

// identities splits header values at their commas; a comma in quotes or brackets belongs to its value. Kamailio 5.6 writes
// several URIs into one pair of brackets: the first of them counts.
func identities(fields []string) (ids []identity) {
	for _, f := range fields {
		for f != "" {
			end := indexOutside(f, ',')
			if uri := addrSpec(f[:end]); uri != "" {
				ids = append(ids, identity{uri})
			}
			f = strings.TrimPrefix(f[end:], ",")
		}
	}
	return ids
}

// addrSpec is the URI of a name-addr or a bare one, whose parameters then are the header's.
func addrSpec(value string) string {
	if open := indexOutside(value, '<'); open < len(value) {
		uri, _, _ := strings.Cut(value[open+1:], ">")
		uri, _, _ = strings.Cut(uri, ",")
		return strings.TrimSpace(uri)
	}
	uri, _, _ := strings.Cut(value, ";")
	return strings.TrimSpace(uri)
}

// afterAddr is the parameters behind the URI of a name-addr, or of a bare one.
func afterAddr(value string) string {
	if open := indexOutside(value, '<'); open < len(value) {
		_, params, _ := strings.Cut(value[open:], ">")
		return params
	}
	return value
}

func (id identity) scheme() string {
	scheme, _, _ := strings.Cut(id.uri, ":")
	return strings.ToLower(scheme)
}

// user is the user part without its parameters, and a tel URI's number without its own; visual separators (RFC 3966
// §5.1.1) are gone.
func (id identity) user() string {
	_, rest, _ := strings.Cut(id.uri, ":")
	switch id.scheme() {
	case "sip", "sips":
		user, _, found := strings.Cut(rest, "@")
		if !found {
			return ""
		}
		rest = user
	case "tel":
	default:
		return ""
	}
	rest, _, _ = strings.Cut(rest, ";")
	rest = strings.Replace(rest, "%2B", "+", 1)
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("-.() ", r) {
			return -1
		}
		return r
	}, rest)
}

// param is the value of ;name=value, unquoted, "" where there is none.
func param(s, name string) string {
	value, _ := lookup(s, name)
	return value
}

func hasParam(s, name string) bool {
	_, found := lookup(s, name)
	return found
}

func lookup(s, name string) (value string, found bool) {
	at := indexOutside(s, ';')
	for at < len(s) {
		s = s[at+1:]
		at = indexOutside(s, ';')
		key, value, _ := strings.Cut(s[:at], "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return strings.Trim(strings.TrimSpace(value), `"`), true
		}
	}
	return "", false
}

// indexOutside finds c in s outside "…" and <…>; len(s) if there is none.
func indexOutside(s string, c byte) int {
	quoted, bracket := false, false
	for i := 0; i < len(s); i++ {
		switch b := s[i]; {
		case quoted && b == '\\':
			i++
		case b == '"' && !bracket:
			quoted = !quoted
		case quoted:
		case b == c && !bracket:
			return i
		case b == '<':
			bracket = true
		case b == '>':
			bracket = false
		}
	}
	return len(s)
}
