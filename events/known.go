package events

import (
	"strings"
	"sync"
)

// Known lists one empty value for every contract, in the order of the
// document: intake, then letters, audit facts, what waits and PINs. A type that is
// not here is unknown; one that is here and that nothing handles is unhandled.
func Known() []Data {
	all := []Data{
		EmployeeRegistered{}, EmployeeUpdated{}, EmployeeEnded{}, EmployeeCancelled{}, EmployeeIDChanged{},
		StudentRegistered{}, StudentUpdated{}, SONumberIssued{}, StudentIDChanged{}, StudentEnded{},
		PasswordCompromised{}, ChangeRequired{}, AccountSuspended{}, AccountRestored{}, AccountInvited{},
		AccountOpened{}, AccountMerged{}, MailBounced{},
		AccountActed{}, InvitationRequested{}, LetterRequested{},
	}
	for _, template := range Letters() {
		all = append(all, MailRequest{Template: template})
	}
	for _, what := range Audits() {
		all = append(all, Audit{What: what})
	}
	return append(all, WaitingLetter{}, PINSet{})
}

// known finds the empty value of a contract by its type.
func known(eventType string) (Data, bool) {
	d, ok := contracts()[eventType]
	return d, ok
}

// contracts is Known by type, made once: every message asks for it.
var contracts = sync.OnceValue(func() map[string]Data { //nolint:gochecknoglobals // a constant table
	all := map[string]Data{}
	for _, d := range Known() {
		all[d.EventType()] = d
	}
	return all
})

// sources says who may publish a type. It goes by the area, the first token of
// the subject and the third of the type, but for a letter that came back: the
// mailer tells it too, where the relay knew at once.
func sources(eventType string) []string {
	if eventType == (MailBounced{}).EventType() {
		return []string{SourceIT, SourceWorker}
	}
	switch areaOf(eventType) {
	case "hr":
		return []string{SourceHR}
	case "admissions":
		return []string{SourceAdmissions}
	case "it":
		return []string{SourceIT}
	case "portal":
		return []string{SourcePortal}
	case "mail", "wait", "secret":
		return []string{SourceWorker}
	case "audit":
		return []string{SourceWorker, SourcePortal}
	}
	return nil
}

// areaOf is "hr" for "no.usn.hr.employee.registered.v1".
func areaOf(eventType string) string {
	area, _, _ := strings.Cut(strings.TrimPrefix(eventType, typePrefix), ".")
	return area
}

// fromOutside says whether systems other than ours publish in an area. Their
// events must name a person in the subject.
func fromOutside(area string) bool {
	return area == "hr" || area == "admissions" || area == "it" || area == "portal"
}

// keyed is a payload that names its own subject: the source's key of the
// person, and the field that holds it.
type keyed interface{ personKey() (field, key string) }

func (e Employee) personKey() (string, string)            { return "employee_no", e.EmployeeNo }
func (e EmployeeEnded) personKey() (string, string)       { return "employee_no", e.EmployeeNo }
func (e EmployeeCancelled) personKey() (string, string)   { return "employee_no", e.EmployeeNo }
func (e EmployeeIDChanged) personKey() (string, string)   { return "employee_no", e.EmployeeNo }
func (s Student) personKey() (string, string)             { return "student_no", s.StudentNo }
func (s SONumberIssued) personKey() (string, string)      { return "student_no", s.StudentNo }
func (s StudentIDChanged) personKey() (string, string)    { return "student_no", s.StudentNo }
func (s StudentEnded) personKey() (string, string)        { return "student_no", s.StudentNo }
func (p PasswordCompromised) personKey() (string, string) { return "username", p.Username }
func (r ChangeRequired) personKey() (string, string)      { return "username", r.Username }
func (o Command) personKey() (string, string)             { return "username", o.Username }
func (m AccountMerged) personKey() (string, string)       { return "username", m.Username }
func (m MailBounced) personKey() (string, string)         { return "letter", m.Letter }
func (a AccountActed) personKey() (string, string)        { return "account", a.Account }
func (i InvitationRequested) personKey() (string, string) { return "account", i.Account }
func (r LetterRequested) personKey() (string, string)     { return "request", r.Request }
func (p PINSet) personKey() (string, string)              { return "account", p.Account }
