package events

// Name is a person's name as the source has it.
type Name struct {
	Given     string `json:"given"`               // at least one of given and family
	Family    string `json:"family"`              // may be empty: mononyms exist
	Preferred string `json:"preferred,omitempty"` // how the person wants to be called
}

// Identifier is a typed identity number. Type is one of fnr, dnr, so, fs,
// passport; the check confirms the declared type and never guesses it.
type Identifier struct {
	Type  string `json:"type"`  // fnr | dnr | so | fs | passport
	Value string `json:"value"` // a string: leading zeros count
}

// Contact is where letters go; it may be empty and may be shared by several
// persons.
type Contact struct {
	Email  string `json:"email"` // private; one plain address, or empty
	Mobile string `json:"mobile,omitempty"`
}

// Employment is one position. Start and End are dates ("2006-01-02"); End is
// empty when open.
type Employment struct {
	ID     string `json:"id"`    // the source's own, one per employment
	Start  string `json:"start"` // a date, "2026-12-01"
	End    string `json:"end"`   // a date, empty when open
	Title  string `json:"title,omitempty"`
	Unit   string `json:"unit,omitempty"`
	Campus string `json:"campus,omitempty"`
}

// Employee is the full state of a person as HR knows it.
type Employee struct {
	EmployeeNo         string       `json:"employee_no"` // equals the subject of the event
	Name               Name         `json:"name"`
	BirthDate          string       `json:"birth_date"`
	Identifiers        []Identifier `json:"identifiers"` // may be empty, never left out
	Employments        []Employment `json:"employments"` // all of them; may be empty, never left out
	Contact            Contact      `json:"contact"`
	Language           string       `json:"language"`             // nb | nn | en
	Protection         string       `json:"protection,omitempty"` // none | confidential | strictly_confidential
	PublishReservation bool         `json:"publish_reservation,omitempty"`
}

// EmployeeRegistered and EmployeeUpdated carry full state.
type (
	EmployeeRegistered struct{ Employee }
	EmployeeUpdated    struct{ Employee }
)

// EmployeeEnded ends one employment, or all of them where Employment is empty.
type EmployeeEnded struct {
	EmployeeNo string `json:"employee_no"`
	Employment string `json:"employment"` // empty: all of them
	End        string `json:"end"`        // the last day, "2027-01-31"
	Reason     string `json:"reason"`     // resigned, expired, deceased or another lower-case word
}

// EmployeeCancelled takes back an employment that never started.
type EmployeeCancelled struct {
	EmployeeNo string `json:"employee_no"`
	Employment string `json:"employment"` // empty: all of them
	Reason     string `json:"reason"`     // a lower-case word
}

// IDChange replaces one identity number by another.
type IDChange struct {
	Old Identifier `json:"old"`
	New Identifier `json:"new"`
}

// EmployeeIDChanged replaces an identity number: upward in rank, or a
// correction within one type.
type EmployeeIDChanged struct {
	EmployeeNo string `json:"employee_no"`
	IDChange
}

func (EmployeeRegistered) EventType() string { return "no.usn.hr.employee.registered.v1" }
func (EmployeeUpdated) EventType() string    { return "no.usn.hr.employee.updated.v1" }
func (EmployeeEnded) EventType() string      { return "no.usn.hr.employee.ended.v1" }
func (EmployeeCancelled) EventType() string  { return "no.usn.hr.employee.cancelled.v1" }
func (EmployeeIDChanged) EventType() string  { return "no.usn.hr.employee.id-changed.v1" }
