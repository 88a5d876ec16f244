package events

// Name is a person's name as the source has it.
type Name struct {
	Given     string `json:"given"`
	Family    string `json:"family"` // may be empty: mononyms exist
	Preferred string `json:"preferred,omitempty"`
}

// Identifier is a typed identity number. Type is one of fnr, dnr, so, fs,
// passport; the check confirms the declared type and never guesses it.
type Identifier struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// Contact is where letters go; it may be empty and may be shared by several
// persons.
type Contact struct {
	Email  string `json:"email"`
	Mobile string `json:"mobile,omitempty"`
}

// Employment is one position. Start and End are dates ("2006-01-02"); End is
// empty when open.
type Employment struct {
	ID     string `json:"id"`
	Start  string `json:"start"`
	End    string `json:"end"`
	Title  string `json:"title,omitempty"`
	Unit   string `json:"unit,omitempty"`
	Campus string `json:"campus,omitempty"`
}

// Employee is the full state of a person as HR knows it.
type Employee struct {
	EmployeeNo         string       `json:"employee_no"`
	Name               Name         `json:"name"`
	BirthDate          string       `json:"birth_date"`
	Identifiers        []Identifier `json:"identifiers"`
	Employments        []Employment `json:"employments"`
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
	Employment string `json:"employment"`
	End        string `json:"end"`
	Reason     string `json:"reason"`
}

// EmployeeCancelled takes back an employment that never started.
type EmployeeCancelled struct {
	EmployeeNo string `json:"employee_no"`
	Employment string `json:"employment"`
	Reason     string `json:"reason"`
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
