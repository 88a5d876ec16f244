package account_test

import (
	"strings"
	"testing"
	"time"

	"usn.no/matricula/account"
	"usn.no/matricula/events"
	"usn.no/matricula/stream"
)

// protected is an employee whose place of work must not be told.
func protected(no, protection string) events.Employee {
	e := employee(no, "Kari", "Nordmann", "kari@example.org", fnr(fnrA))
	e.Protection = protection
	e.Employments = []events.Employment{{ID: "1", Start: "2027-01-01", Title: "Professor-QX", Unit: "USN-QX", Campus: "Bakkenteigen"}}
	return e
}

func TestProtectedPersonIsNamedAfterNobodyAndNoLetterTellsWhere(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "104711", w.clock()), events.EmployeeRegistered{Employee: protected("104711", "strictly_confidential")}))
	a := w.find(account.ByLIN, "employee:104711")
	if strings.Contains(a.Username, "kar") || strings.Contains(a.Username, "nor") || strings.Contains(a.Username, "104711") {
		t.Errorf("a protected person is %s", a.Username)
	}
	st, err := w.js.Stream(t.Context(), stream.Mail)
	w.must(err)
	letters := w.subjects(stream.Mail, "mail.>")
	if len(letters) == 0 {
		t.Fatal("no letter went out: nothing is proved")
	}
	for _, subject := range letters {
		m, err := st.GetLastMsgForSubject(t.Context(), subject)
		w.must(err)
		for _, place := range []string{"Bakkenteigen", "USN-QX", "Professor-QX"} {
			if strings.Contains(string(m.Data), place) {
				t.Errorf("letter %s tells %s", subject, place)
			}
		}
	}
}

func TestWhoIsReservedAgainstPublishingIsNamedAfterNobody(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	e := protected("104712", "none")
	e.PublishReservation = true
	w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "104712", w.clock()), events.EmployeeRegistered{Employee: e}))
	if a := w.find(account.ByLIN, "employee:104712"); strings.Contains(a.Username, "kar") || strings.Contains(a.Username, "nor") {
		t.Errorf("who is reserved against publishing is %s", a.Username)
	}
}

func TestProtectionThatComesLaterHidesAtOnceAndKeepsTheUsername(t *testing.T) {
	t.Parallel()
	w := bucketWorld(t)
	w.must(w.EmployeeRegistered(t.Context(), w.meta(events.SourceHR, "104711", w.clock()), events.EmployeeRegistered{Employee: protected("104711", "none")}))
	before := w.find(account.ByLIN, "employee:104711")
	later := w.meta(events.SourceHR, "104711", w.clock().Add(time.Minute))
	w.must(w.EmployeeUpdated(t.Context(), later, events.EmployeeUpdated{Employee: protected("104711", "confidential")}))
	after := w.find(account.ByLIN, "employee:104711")
	if after.Protection != "confidential" || after.Username != before.Username {
		t.Errorf("protected later, it was %s and is %s with protection %q", before.Username, after.Username, after.Protection)
	}
}
