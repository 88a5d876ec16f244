package events

// Texts is a text in the languages nb, nn and en.
type Texts map[string]string

// Programme is one admission. Start and End are dates ("2006-01-02"); Start
// may be empty when not known, End when open.
type Programme struct {
	ID     string `json:"id"`
	Code   string `json:"code"`
	Name   Texts  `json:"name,omitempty"`
	Campus string `json:"campus,omitempty"`
	Intake string `json:"intake,omitempty"` // national | local | exchange | phd | pre-course
	Term   string `json:"term,omitempty"`
	Start  string `json:"start"`
	End    string `json:"end"`
}

// Student is the full state of a person as admissions knows it.
type Student struct {
	StudentNo   string       `json:"student_no"`
	Name        Name         `json:"name"`
	BirthDate   string       `json:"birth_date"`
	Citizenship string       `json:"citizenship,omitempty"`
	Identifiers []Identifier `json:"identifiers"`
	Programmes  []Programme  `json:"programmes"`
	Contact     Contact      `json:"contact"`
	Language    string       `json:"language"`
	Protection  string       `json:"protection,omitempty"`
}

// StudentRegistered and StudentUpdated carry full state.
type (
	StudentRegistered struct{ Student }
	StudentUpdated    struct{ Student }
)

// SONumberIssued tells the temporary 11-digit number of a student who has no
// Norwegian one. It can come weeks after the registration.
type SONumberIssued struct {
	StudentNo string `json:"student_no"`
	SONumber  string `json:"so_number"`
}

// StudentIDChanged replaces an identity number: upward in rank, or a
// correction within one type.
type StudentIDChanged struct {
	StudentNo string `json:"student_no"`
	IDChange
}

// StudentEnded ends one programme, or all of them where Programme is empty.
type StudentEnded struct {
	StudentNo string `json:"student_no"`
	Programme string `json:"programme"`
	End       string `json:"end"`
	Reason    string `json:"reason"`
}

func (StudentRegistered) EventType() string { return "no.usn.admissions.student.registered.v1" }
func (StudentUpdated) EventType() string    { return "no.usn.admissions.student.updated.v1" }
func (SONumberIssued) EventType() string    { return "no.usn.admissions.student.so-number-issued.v1" }
func (StudentIDChanged) EventType() string  { return "no.usn.admissions.student.id-changed.v1" }
func (StudentEnded) EventType() string      { return "no.usn.admissions.student.ended.v1" }
