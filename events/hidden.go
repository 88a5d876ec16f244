package events

// What holds personal data prints as what it is, never as what it says, so
// that a stray %v in a log line shows nothing.

// String hides the name.
func (Name) String() string { return "name" }

// String shows the type and hides the number.
func (i Identifier) String() string { return i.Type + " number" }

// String hides the addresses.
func (Contact) String() string { return "contact" }

// String hides the person.
func (Employee) String() string { return "employee" }

// String hides the person.
func (Student) String() string { return "student" }

// String hides the number.
func (SONumberIssued) String() string { return "SO-number" }

// String hides the numbers.
func (IDChange) String() string { return "change of number" }

// String hides the recipient.
func (m MailRequest) String() string { return "letter " + m.Template }

// String hides the header and the body.
func (d DeadLetter) String() string { return "dead letter " + d.ID }

// String hides the data.
func (e Event) String() string {
	if e.Data == nil {
		return "event " + e.ID
	}
	return "event " + e.Data.EventType() + " " + e.ID
}
