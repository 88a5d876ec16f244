package events

// Texts is a text in the languages nb, nn and en.
type Texts map[string]string

// Programme is one admission. Start and End are dates ("2006-01-02"); Start
// may be empty when not known, End when open.
type Programme struct {
	ID     string `json:"id"` // the source's own, one per programme
	Code   string `json:"code"`
	Name   Texts  `json:"name,omitempty"`
	Campus string `json:"campus,omitempty"`
	Intake string `json:"intake,omitempty"` // national | local | exchange | phd | pre-course
	Term   string `json:"term,omitempty"`   // "2027-autumn"
	Start  string `json:"start"`            // study start, a date; decides which window opens
	End    string `json:"end"`              // a date, empty when open
}

// Student is the full state of a person as admissions knows it.
type Student struct {
	StudentNo   string       `json:"student_no"` // equals the subject of the event
	Name        Name         `json:"name"`
	BirthDate   string       `json:"birth_date"`
	Citizenship string       `json:"citizenship,omitempty"` // ISO 3166-1, two letters
	Identifiers []Identifier `json:"identifiers"`           // may be empty, never left out: a number can come later
	Programmes  []Programme  `json:"programmes"`            // all of them; may be empty, never left out
	Contact     Contact      `json:"contact"`
	Language    string       `json:"language"`             // nb | nn | en
	Protection  string       `json:"protection,omitempty"` // none | confidential | strictly_confidential
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
	Programme string `json:"programme"` // empty: all of them
	End       string `json:"end"`       // the last day, "2029-06-15"
	Reason    string `json:"reason"`    // graduated, withdrawn, expired, deceased or another lower-case word
}

func (StudentRegistered) EventType() string { return "no.usn.admissions.student.registered.v1" }
func (StudentUpdated) EventType() string    { return "no.usn.admissions.student.updated.v1" }
func (SONumberIssued) EventType() string    { return "no.usn.admissions.student.so-number-issued.v1" }
func (StudentIDChanged) EventType() string  { return "no.usn.admissions.student.id-changed.v1" }
func (StudentEnded) EventType() string      { return "no.usn.admissions.student.ended.v1" }
