package events

import "time"

// Letter templates: the second token of "mail.<template>.<letter>".
const (
	LetterSONumber            = "so-number"
	LetterActivation          = "activation"
	LetterActivated           = "activated"
	LetterReminder            = "reminder"
	LetterPasswordChanged     = "password-changed"
	LetterPasswordCompromised = "password-compromised"
	LetterChangeRequired      = "change-required"
	LetterReset               = "reset"
	LetterLeaving             = "leaving"
)

// Letters lists every template.
func Letters() []string {
	return []string{
		LetterSONumber, LetterActivation, LetterActivated, LetterReminder, LetterPasswordChanged,
		LetterPasswordCompromised, LetterChangeRequired, LetterReset, LetterLeaving,
	}
}

// MailRequest asks the mailer for one letter. It is written when the letter is
// due and deleted when it is acknowledged. It never holds a ticket or finished
// text: the mailer seals the ticket from Invitation when it renders.
type MailRequest struct {
	Template string `json:"template"`
	Letter   string `json:"letter"`         // letter ID: names the sent mark and the Message-ID
	Account  string `json:"account"`        // opaque account ID
	Language string `json:"language"`       // nb | nn | en
	Address  string `json:"address"`        // looked up when the letter became due
	Name     string `json:"name"`           // how the person is addressed
	Role     string `json:"role,omitempty"` // student | employee
	Username string `json:"username,omitempty"`

	Invitation string     `json:"invitation,omitempty"` // invitation ID; the ticket is sealed from it
	Purpose    string     `json:"purpose,omitempty"`    // activate | reset
	Expires    *time.Time `json:"expires,omitempty"`    // when the invitation ends
	Opens      *time.Time `json:"opens,omitempty"`      // opening of the window, when it lies ahead
	Deadline   *time.Time `json:"deadline,omitempty"`
	Locked     bool       `json:"locked,omitempty"`    // of a leaving letter: the account is locked already
	SONumber   string     `json:"so_number,omitempty"` // sealed to the mailer's key, see Seal
	Expire     *time.Time `json:"expire,omitempty"`    // the letter is not worth sending after this
}

// EventType depends on the template.
func (m MailRequest) EventType() string { return typePrefix + "mail." + m.Template + ".v1" }

func (m MailRequest) subject(Meta) string { return "mail." + m.Template + "." + Key(m.Letter) }
