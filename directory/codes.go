package directory

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-ldap/ldap/v3"

	"usn.no/matricula/account"
)

// answered is the result code of a server's answer, or -1 where err is not one:
// a cut connection, a timeout, nothing sent at all. What became of the request
// is then not known.
func answered(err error) int {
	var e *ldap.Error
	if errors.As(err, &e) && e.ResultCode < ldap.ErrorNetwork {
		return int(e.ResultCode)
	}
	return -1
}

// translate turns what LDAP says into what the domain knows. A message carries
// the code and the attribute it is about, never a value.
func translate(operation string, err error) error {
	if err == nil {
		return nil
	}
	code := answered(err)
	switch code {
	case -1:
		return fmt.Errorf("ldap %s: %w: %w", operation, account.ErrUnavailable, err)
	case ldap.LDAPResultNoSuchObject:
		if operation != "modify" { // the whole branch is missing, or just not there yet
			break
		}
		return fmt.Errorf("ldap %s: %w", operation, account.ErrNotFound)
	case ldap.LDAPResultEntryAlreadyExists:
		return fmt.Errorf("ldap %s: %w", operation, account.ErrTaken)
	case ldap.LDAPResultUndefinedAttributeType, ldap.LDAPResultInvalidAttributeSyntax, ldap.LDAPResultInvalidDNSyntax,
		ldap.LDAPResultObjectClassViolation, ldap.LDAPResultConstraintViolation, ldap.LDAPResultNoSuchAttribute,
		ldap.LDAPResultAttributeOrValueExists, ldap.LDAPResultNamingViolation, ldap.LDAPResultNotAllowedOnRDN:
		return fmt.Errorf("ldap %s: %w: %s", operation, account.ErrInvalid, described(err))
	}
	// Busy, unwilling, full, or a service account that may not do its work:
	// no message is lost for it, it waits until somebody has put it right.
	return fmt.Errorf("ldap %s: %w: %s", operation, account.ErrUnavailable, described(err))
}

// described is the code, its name and the attributes that the server's text
// mentions; the text itself may hold a name or a number.
func described(err error) string {
	var e *ldap.Error
	if !errors.As(err, &e) {
		return "no answer"
	}
	s := fmt.Sprintf("code %d %s", e.ResultCode, ldap.LDAPResultCodeMap[e.ResultCode])
	if e.Err == nil {
		return s
	}
	text := strings.ToLower(e.Err.Error())
	for _, name := range order {
		if strings.Contains(text, strings.ToLower(name)) {
			s += " " + name
		}
	}
	return s
}
