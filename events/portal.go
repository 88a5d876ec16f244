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

func (AccountActed) EventType() string        { return "no.usn.portal.account.acted.v1" }
func (InvitationRequested) EventType() string { return "no.usn.portal.invitation.requested.v1" }
