package events

// AccountActed hurries a worker to the facts that a click left in the
// directory entry. It carries nothing that matters: without it the worker
// finds the facts by itself a little later.
type AccountActed struct {
	Account string `json:"account"`
}

// InvitationRequested asks for a new letter to the registered address, because
// the link a person holds has expired. The worker decides.
type InvitationRequested struct {
	Account string `json:"account"`
	Purpose string `json:"purpose"` // activate | reset
	// Frozen: the link still holds but is frozen after too many wrong numbers,
	// so that it must be replaced and not sent again.
	Frozen bool `json:"frozen,omitempty"`
}

// LetterRequested asks for a letter with a link for somebody who has none or
// has forgotten the password. The worker finds out who that is, if anybody,
// and decides; the portal answers everybody alike and knows nothing.
type LetterRequested struct {
	// Request names what was asked for and when, under a key of the portal's:
	// the same again within some minutes is the same event.
	Request string `json:"request"`
	// Sealed is what the person typed, closed to the worker's key; see Seal.
	Sealed string `json:"sealed"`
}

func (AccountActed) EventType() string        { return "no.usn.portal.account.acted.v1" }
func (InvitationRequested) EventType() string { return "no.usn.portal.invitation.requested.v1" }
func (LetterRequested) EventType() string     { return "no.usn.portal.letter.requested.v1" }
