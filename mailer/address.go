package mailer

import (
	"errors"
	"strings"

	"golang.org/x/net/idna"
)

// errAddress never quotes the address: it ends in logs.
var errAddress = errors.New("address is not one a letter can be sent to")

// checkAddress answers addr in the form that goes to the relay. The grammar is
// our own and narrower than RFC 5321, because parsers that take the whole of it
// disagree on where an address ends (CVE-2025-59937 and its kin): a dot-atom of
// ASCII, "@", and a host name of at least two labels, which is brought to its
// ASCII form by IDNA. Quoted local parts, comments, IP literals, routes ("%",
// "!") and letters outside ASCII before the "@" (relays without SMTPUTF8 would
// corrupt them) are refused.
func checkAddress(addr string) (string, error) {
	addr = strings.Trim(addr, " ")
	local, domain, ok := strings.Cut(addr, "@")
	if !ok || !isDotAtom(local) || len(local) > 64 {
		return "", errAddress
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !isHostName(ascii) {
		return "", errAddress
	}
	if full := local + "@" + ascii; len(full) <= 254 {
		return full, nil
	}
	return "", errAddress
}

func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" {
			return false
		}
		for i := 0; i < len(atom); i++ {
			c := atom[i]
			if !(isAlnum(c) || strings.IndexByte("#$&'*+-/=?^_`{|}~", c) >= 0) {
				return false
			}
		}
	}
	return true
}

// isHostName holds s to letters, digits and inner hyphens, at least two
// labels, and a last label that is no number.
func isHostName(s string) bool {
	labels := strings.Split(s, ".")
	if len(labels) < 2 || len(s) > 253 {
		return false
	}
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for i := 0; i < len(l); i++ {
			if !isAlnum(l[i]) && l[i] != '-' {
				return false
			}
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

func isAlnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
