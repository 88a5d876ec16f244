package events

import "time"

// PasswordCompromised is IT's word that a password is in the wrong hands.
type PasswordCompromised struct {
	Username   string `json:"username"`
	Reason     string `json:"reason"`
	ReportedBy string `json:"reported_by"`
}

// ChangeRequired demands a new password before Deadline.
type ChangeRequired struct {
	Username string    `json:"username"`
	Deadline time.Time `json:"deadline"`
	Reason   string    `json:"reason"`
	Actor    string    `json:"actor,omitempty"`
}

// Command is what IT's plain commands carry.
type Command struct {
	Username string `json:"username"`
	Reason   string `json:"reason"`
	Actor    string `json:"actor"`
}

// AccountSuspended, AccountRestored and AccountInvited are IT's commands.
type (
	AccountSuspended struct{ Command }
	AccountRestored  struct{ Command }
	AccountInvited   struct{ Command } // send a new letter
)

// AccountOpened overrides the window until Until.
type AccountOpened struct {
	Command
	Until time.Time `json:"until"`
}

// AccountMerged says that Username and Into are one person.
type AccountMerged struct {
	Username string `json:"username"`
	Into     string `json:"into"`
	Reason   string `json:"reason,omitempty"`
	Actor    string `json:"actor,omitempty"`
}

// MailBounced tells what came back for a letter.
type MailBounced struct {
	Letter string `json:"letter"`
	Status string `json:"status"` // enhanced status code, "5.1.1"
	Text   string `json:"text"`
}

func (PasswordCompromised) EventType() string { return "no.usn.it.password.compromised.v1" }
func (ChangeRequired) EventType() string      { return "no.usn.it.password.change-required.v1" }
func (AccountSuspended) EventType() string    { return "no.usn.it.account.suspended.v1" }
func (AccountRestored) EventType() string     { return "no.usn.it.account.restored.v1" }
func (AccountInvited) EventType() string      { return "no.usn.it.account.invited.v1" }
func (AccountOpened) EventType() string       { return "no.usn.it.account.opened.v1" }
func (AccountMerged) EventType() string       { return "no.usn.it.account.merged.v1" }
func (MailBounced) EventType() string         { return "no.usn.it.mail.bounced.v1" }
