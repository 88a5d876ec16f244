package main

import (
	"fmt"
	"slices"

	"usn.no/matricula/account"
	"usn.no/matricula/portal"
)

// institution is who runs this, as the portal shows it.
func (s *system) institution() portal.Institution {
	in := s.cfg.Institution
	return portal.Institution{
		Name: in.Name, Names: in.names(), SupportEmail: in.SupportEmail, SupportURL: in.SupportURL,
		RulesDir: string(in.RulesDir), PrivacyDir: string(in.PrivacyDir),
		AccessibilityURL: in.AccessibilityURL, ThemeDir: string(in.ThemeDir),
	}
}

// owesRules tells of an account whether its owner has still to accept the IT
// rules in force: the portal asks at the next sign-in. Who has not activated
// yet accepts them then.
func (s *system) owesRules() (func(account.Account) bool, error) {
	inForce, err := portal.Rules(s.institution())
	if err != nil {
		return nil, fmt.Errorf("institution.rules_dir: %w", err)
	}
	return func(a account.Account) bool {
		if a.State == account.Pending || a.State == account.Closed {
			return false
		}
		return !slices.ContainsFunc(inForce, func(r account.Acceptance) bool { return r.Hash == a.Rules.Hash })
	}, nil
}
