package events

import (
	"strconv"
	"strings"
)

// What each contract demands of its data beyond names and kinds. Check digits,
// windows and everything else that takes a rule of the university to decide is
// not looked at here.

func (n *Name) check(c *checks) {
	c.text(&n.Given, "name.given")
	c.text(&n.Family, "name.family")
	c.text(&n.Preferred, "name.preferred")
	if n.Given == "" && n.Family == "" {
		c.refuse(ReasonMalformed, "name.given", "is missing; a person has at least one name")
	}
}

func (i Identifier) check(c *checks, path string) {
	c.word(i.Type, path+".type", "fnr", "dnr", "so", "fs", "passport")
	c.key(i.Value, path+".value")
}

func (k *Contact) check(c *checks) {
	c.address(&k.Email, "contact.email")
	c.text(&k.Mobile, "contact.mobile")
}

func person(c *checks, n *Name, birth string, ids []Identifier, k *Contact, language, protection string) {
	n.check(c)
	c.date(birth, "birth_date")
	for i, id := range ids {
		id.check(c, at("identifiers", i))
	}
	k.check(c)
	c.word(language, "language", "", "nb", "nn", "en")
	// An unknown word must not read as "none": people are protected by it.
	c.word(protection, "protection", "", "none", "confidential", "strictly_confidential")
}

func at(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

func (e *Employee) check(c *checks) {
	c.key(e.EmployeeNo, "employee_no")
	person(c, &e.Name, e.BirthDate, e.Identifiers, &e.Contact, e.Language, e.Protection)
	seen := map[string]bool{}
	for i := range e.Employments {
		m, path := &e.Employments[i], at("employments", i)
		c.key(m.ID, path+".id")
		if seen[m.ID] {
			c.refuse(ReasonMalformed, path+".id", "is the same as an earlier one's; each employment has its own")
		}
		seen[m.ID] = true
		c.day(m.Start, path+".start")
		c.date(m.End, path+".end")
		c.text(&m.Title, path+".title")
		c.text(&m.Unit, path+".unit")
		c.text(&m.Campus, path+".campus")
	}
}

func (e *EmployeeEnded) check(c *checks) {
	c.key(e.EmployeeNo, "employee_no")
	c.optionalKey(e.Employment, "employment")
	c.day(e.End, "end")
	c.reason(e.Reason, "reason")
}

func (e *EmployeeCancelled) check(c *checks) {
	c.key(e.EmployeeNo, "employee_no")
	c.optionalKey(e.Employment, "employment")
	c.reason(e.Reason, "reason")
}

func (i IDChange) check(c *checks) {
	i.Old.check(c, "old")
	i.New.check(c, "new")
}

func (e *EmployeeIDChanged) check(c *checks) {
	c.key(e.EmployeeNo, "employee_no")
	e.IDChange.check(c)
}

func (s *Student) check(c *checks) {
	c.key(s.StudentNo, "student_no")
	person(c, &s.Name, s.BirthDate, s.Identifiers, &s.Contact, s.Language, s.Protection)
	if s.Citizenship != "" && !isCountry(s.Citizenship) {
		c.refuse(ReasonMalformed, "citizenship", "is not two capital letters of ISO 3166-1; send one such as NO, or leave it empty")
	}
	seen := map[string]bool{}
	for i := range s.Programmes {
		p, path := &s.Programmes[i], at("programmes", i)
		c.key(p.ID, path+".id")
		if seen[p.ID] {
			c.refuse(ReasonMalformed, path+".id", "is the same as an earlier one's; each programme has its own")
		}
		seen[p.ID] = true
		p.check(c, path)
	}
}

func (p *Programme) check(c *checks, path string) {
	for lang, text := range p.Name {
		if lang != "nb" && lang != "nn" && lang != "en" {
			delete(p.Name, lang)
			continue
		}
		c.text(&text, path+".name."+lang)
		p.Name[lang] = text
	}
	c.text(&p.Code, path+".code")
	c.text(&p.Campus, path+".campus")
	c.text(&p.Term, path+".term")
	c.optionalKey(p.Intake, path+".intake")
	c.date(p.Start, path+".start")
	c.date(p.End, path+".end")
}

func isCountry(s string) bool {
	return len(s) == 2 && s[0] >= 'A' && s[0] <= 'Z' && s[1] >= 'A' && s[1] <= 'Z'
}

func (s *SONumberIssued) check(c *checks) {
	c.key(s.StudentNo, "student_no")
	c.key(s.SONumber, "so_number")
}

func (s *StudentIDChanged) check(c *checks) {
	c.key(s.StudentNo, "student_no")
	s.IDChange.check(c)
}

func (s *StudentEnded) check(c *checks) {
	c.key(s.StudentNo, "student_no")
	c.optionalKey(s.Programme, "programme")
	c.day(s.End, "end")
	c.reason(s.Reason, "reason")
}

func (p *PasswordCompromised) check(c *checks) {
	c.key(p.Username, "username")
	c.note(&p.Reason, "reason")
	c.note(&p.ReportedBy, "reported_by")
}

func (r *ChangeRequired) check(c *checks) {
	c.key(r.Username, "username")
	c.moment(r.Deadline, "deadline")
	c.note(&r.Reason, "reason")
	c.note(&r.Actor, "actor")
}

func (o *Command) check(c *checks) {
	c.key(o.Username, "username")
	c.note(&o.Reason, "reason")
	c.note(&o.Actor, "actor")
}

func (o *AccountOpened) check(c *checks) {
	o.Command.check(c)
	c.moment(o.Until, "until")
}

func (m *AccountMerged) check(c *checks) {
	c.key(m.Username, "username")
	c.key(m.Into, "into")
	if m.Username == m.Into {
		c.refuse(ReasonInvalid, "into", "is the account itself; send the one to keep")
	}
	c.note(&m.Reason, "reason")
	c.note(&m.Actor, "actor")
}

func (m *MailBounced) check(c *checks) {
	c.key(m.Letter, "letter")
	c.optionalKey(m.Status, "status")
	c.note(&m.Text, "text")
}

func (a *AccountActed) check(c *checks) { c.key(a.Account, "account") }

func (i *InvitationRequested) check(c *checks) {
	c.key(i.Account, "account")
	c.word(i.Purpose, "purpose", "activate", "reset")
}

func (r *LetterRequested) check(c *checks) {
	c.key(r.Request, "request")
	switch {
	case !strings.HasPrefix(r.Sealed, sealedPrefix):
		c.refuse(ReasonMalformed, "sealed", "is not sealed; nothing that names a person may cross the bus readable")
	case len(r.Sealed) > maxNote:
		c.refuse(ReasonMalformed, "sealed", "is too long; is it the right field?")
	}
}

func (m *MailRequest) check(c *checks) {
	c.key(m.Letter, "letter")
	c.key(m.Account, "account")
	c.word(m.Language, "language", "nb", "nn", "en")
	c.word(m.Role, "role", "", "student", "employee")
	c.word(m.Purpose, "purpose", "", "activate", "reset")
	c.optionalKey(m.Username, "username")
	c.optionalKey(m.Invitation, "invitation")
	c.text(&m.Name, "name")
	c.key(m.Address, "address") // whether mail can go there is the mailer's to say, with an audit fact
}

func (a *Audit) check(c *checks) {
	c.optionalKey(a.Account, "account")
	c.word(a.Actor.Kind, "actor.kind", "person", "worker", "it", "hr", "admissions")
	c.note(&a.Actor.ID, "actor.id")
	c.word(a.Outcome, "outcome", "done", "denied", "failed")
	c.note(&a.Reason, "reason")
	c.note(&a.Cause, "cause")
	for name, text := range a.Details {
		c.note(&text, join("details", name))
		a.Details[name] = text
	}
}

func (w *WaitingLetter) check(c *checks) {
	c.key(w.Account, "account")
	c.word(w.Kind, "kind", Letters()...)
	c.key(w.Group, "group")
}
