package events

// WaitingLetter is a letter that is not due yet. It holds no address, name or
// number: all of that is looked up when it is due. Group names the instant
// that many such letters wait for ("student.main.2027-08-01" in token form),
// so that moving a window moves one time.
type WaitingLetter struct {
	Account string `json:"account"`
	Kind    string `json:"kind"` // a letter template
	Group   string `json:"group"`
}

// EventType is internal: nothing outside publishes it.
func (WaitingLetter) EventType() string { return "no.usn.wait.letter.v1" }

func (w WaitingLetter) subject(Meta) string {
	return "wait.letter." + Key(w.Group) + "." + w.Kind + "." + Key(w.Account)
}
