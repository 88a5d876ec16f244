package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"usn.no/matricula/account"
)

// conflictTexts say what a human does about an entry that is left alone.
var conflictTexts = map[string]string{
	account.ConflictNumber:   "one norEduPersonNIN on several entries: correct it on all but one, or delete the entry that is one too many",
	account.ConflictLIN:      "one student or employee number on several entries: correct norEduPersonLIN",
	account.ConflictName:     "another entry has this username, or had it: rename one, or take it off eduPersonPrincipalName(Prior)",
	account.ConflictClaimed:  "username or number is another account's already: matricula account show, then correct it here or at the source",
	account.ConflictUnknown:  "no identity number and no student or employee number: add one, or --unknown takes over guests as they are",
	account.ConflictReserved: "the name of a service: move it out of ou=people, or rename it",
	account.ConflictRetired:  "in the list of retired names and in use: take it off the list, or delete the entry",
	account.ConflictUsername: "characters other than a-z 0-9 . - _: rename the entry",
	account.ConflictNames:    "several uid values: keep the one that names the entry, list the others in --retired",
	account.ConflictPlace:    "not directly below ou=people, or not named by uid alone: move the entry",
	account.ConflictClass:    "no inetOrgPerson: move it out of ou=people, or make it one",
	account.ConflictBirth:    "norEduPersonBirthDate is no date: correct or delete it",
	account.ConflictStatus:   "schacUserStatus is not one clear state of the account: delete what does not belong there",
	account.ConflictRefused:  "the directory refuses the Modify: its log says which attribute; a second schacUserStatus is one cause",
	account.ConflictChanged:  "somebody else writes to the directory: stop that and run the command again",
}

// planSum counts a plan.
type planSum struct {
	all, left, retired int
	states             map[account.State]int
	conflicts          map[string]int
	notes              map[string]int
}

func summed(plan []*account.Adoption, retired int) planSum {
	s := planSum{all: len(plan), retired: retired, states: map[account.State]int{}, conflicts: map[string]int{}, notes: map[string]int{}}
	for _, a := range plan {
		if a.Conflict != "" {
			s.left++
			s.conflicts[a.Conflict]++
			continue
		}
		s.states[a.State]++
		for _, n := range a.Notes {
			s.notes[n]++
		}
	}
	return s
}

func (s planSum) text(applied bool) string {
	would, reserved := "would be taken over", "would be reserved"
	if applied {
		would, reserved = "taken over", "reserved"
	}
	text := fmt.Sprintf("%d entries were no accounts: %d %s%s, %d left alone%s", s.all, s.all-s.left, would, counted(s.states), s.left, counted(s.conflicts))
	if len(s.notes) > 0 {
		text += "; of those taken over" + counted(s.notes)
	}
	if s.retired > 0 {
		text += fmt.Sprintf("; %d retired usernames %s", s.retired, reserved)
	}
	if !applied {
		text += "; nothing was written, --apply does it"
	}
	return text
}

// counted is " (3 active, 1 pending)".
func counted[K ~string](m map[K]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, fmt.Sprintf("%d %s", m[k], k))
	}
	if len(out) == 0 {
		return ""
	}
	return " (" + strings.Join(out, ", ") + ")"
}
