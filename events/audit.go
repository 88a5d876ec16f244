package events

// Audit facts: the second and third token of "audit.<entity>.<what>.<fact>".
const (
	AuditCreated          = "account.created"
	AuditInvited          = "account.invited"
	AuditActivated        = "account.activated"
	AuditUpdated          = "account.updated"
	AuditSuspended        = "account.suspended"
	AuditRestored         = "account.restored"
	AuditClosed           = "account.closed"
	AuditSessionsEnded    = "account.sessions-ended"
	AuditLookedUp         = "account.looked-up" // somebody of IT has looked at a person
	AuditErased           = "account.erased"    // personal data are gone
	AuditAdopted          = "account.adopted"   // taken over with its password by an import
	AuditPasswordChanged  = "password.changed"
	AuditCompromised      = "password.compromised"
	AuditChangeRequired   = "password.change-required"
	AuditPIN              = "pin.set"
	AuditRules            = "rules.accepted"
	AuditActivationDenied = "activation.denied"
	AuditLetterSent       = "letter.sent"
	AuditLetterFailed     = "letter.failed"
	AuditLetterUnknown    = "letter.unknown"
	AuditLetterBounced    = "letter.bounced"
	AuditEventRejected    = "event.rejected"
	AuditBrakeHeld        = "brake.held" // too many changes of one kind: they wait for a human
	AuditBrakeReleased    = "brake.released"
)

// Audits lists every audit fact.
func Audits() []string {
	return []string{
		AuditCreated, AuditInvited, AuditActivated, AuditUpdated, AuditSuspended, AuditRestored, AuditClosed, AuditSessionsEnded,
		AuditLookedUp, AuditErased, AuditAdopted,
		AuditPasswordChanged, AuditCompromised, AuditChangeRequired, AuditPIN, AuditRules, AuditActivationDenied,
		AuditLetterSent, AuditLetterFailed, AuditLetterUnknown, AuditLetterBounced, AuditEventRejected,
		AuditBrakeHeld, AuditBrakeReleased,
	}
}

// Actor is who did it: kind is person, worker, it, hr or admissions.
type Actor struct {
	Kind string `json:"kind"`
	ID   string `json:"id,omitempty"`
}

// Audit is one fact for IT. It holds the opaque account ID and never a name,
// an address, a username or an identity number.
type Audit struct {
	What    string            `json:"-"` // one of the Audit constants; it is the type and the subject
	Account string            `json:"account,omitempty"`
	Actor   Actor             `json:"actor"`
	Outcome string            `json:"outcome"` // done | denied | failed
	Reason  string            `json:"reason,omitempty"`
	Cause   string            `json:"cause,omitempty"` // ID of the event or click it follows from
	Details map[string]string `json:"details,omitempty"`
}

// EventType depends on the fact.
func (a Audit) EventType() string { return typePrefix + "audit." + a.What + ".v1" }

func (a Audit) subject(m Meta) string { return "audit." + a.What + "." + Key(m.ID) }
