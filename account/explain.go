package account

import (
	"slices"
	"time"

	"usn.no/matricula/events"
	"usn.no/matricula/policy"
)

// Why somebody cannot activate, or that they can. Each is a key of texts, and
// so is each with "_next", which says what to do.
const (
	NoEvent        = "no_event"       // neither HR nor admissions has announced anybody of this name
	RefusedEvent   = "refused_event"  // what a source sent about the person was refused
	Parked         = "parked"         // what a source sent waits for a human
	Unwritten      = "unwritten"      // announced a moment ago, the entry is not there yet
	Erased         = "erased"         // the personal data is gone
	MergedAway     = "merged"         // another account is this person's
	Deceased       = "deceased"       // as a source told
	ClosedLeft     = "closed_left"    // the roles are over
	ClosedUnused   = "closed_unused"  // never activated in time
	ClosedOther    = "closed_other"   // for a reason that has no text of its own
	BlockedReport  = "blocked_report" // the password was reported
	BlockedIT      = "blocked_it"     // locked by IT
	BlockedChange  = "blocked_change" // a new password was required in time
	BlockedLeft    = "blocked_left"   // no role any more
	BlockedOther   = "blocked_other"  // for a reason that has no text of its own
	IsActive       = "active"         // has activated
	IsLeaving      = "leaving"        // active, and the last role is over
	NoRole         = "no_role"        // neither employment nor programme
	NoNumber       = "no_number"      // none that proves
	NoAddress      = "no_address"     // nowhere to send a letter
	AddressBounced = "bounced"        // letters came back from the address
	LetterRefused  = "letter_refused" // the mail server refused the letter for good
	LetterUnsure   = "letter_unknown" // the mail server fell silent: it may have arrived
	LetterRetried  = "letter_retried" // refused for now
	LetterQueued   = "letter_queued"  // due, and not out yet
	LinkFrozen     = "link_frozen"    // too many wrong numbers
	LinkExpired    = "link_expired"   // nobody used it in time
	LetterLater    = "letter_later"   // the letter's day has not come
	WindowClosed   = "window_closed"  // opens later
	WindowOver     = "window_over"    // was open, and is no more
	CanActivate    = "can_activate"   // nothing is in the way
	HeldByBrake    = "held_by_brake"  // a change waits for somebody to release the brake
)

// Answers lists every answer.
func Answers() []string {
	return []string{
		NoEvent, RefusedEvent, Parked, Unwritten, Erased, MergedAway, Deceased, ClosedLeft, ClosedUnused, ClosedOther,
		BlockedReport, BlockedIT, BlockedChange, BlockedLeft, BlockedOther, IsActive, IsLeaving, NoRole, NoNumber, NoAddress,
		AddressBounced, LetterRefused, LetterUnsure, LetterRetried, LetterQueued, LinkFrozen, LinkExpired, LetterLater,
		WindowClosed, WindowOver, CanActivate, HeldByBrake,
	}
}

// Situation is everything that says why somebody cannot activate, as it was
// found in the stores. It holds what was looked up and nothing decided.
type Situation struct {
	Now     time.Time
	Found   bool // there is an entry; Account is it
	Claimed bool // somebody of this key has been announced, with or without an entry
	Account Account
	Opening policy.Opening // of the person's best role; see Lifecycle.Opening
	HasRole bool
	Invites time.Time // when the activation letter is due
	Wrong   int       // wrong numbers on the invitation in force
	Letter  Posted    // the letter of the invitation in force
	Refused []Refusal // dead letters about the person
	Held    []string  // kinds of change that the brake holds for the account
}

// Posted is what became of a letter. State is one of events' LetterSent,
// LetterFailed, LetterUnknown, LetterRetry, or empty: nothing is known of it.
type Posted struct {
	State  string
	At     time.Time
	Status string // enhanced status code
	Words  string // the mail server's; they name nobody
}

// Refusal is a dead letter about the person.
type Refusal struct {
	ID, Reason string
	At         time.Time
}

// Explanation is the one answer, and what would stand in the way next.
type Explanation struct {
	Answer string
	At     time.Time // the instant that the answer is about; zero: none, or not known
	Also   []string
	AlsoAt []time.Time // the instant that each of Also is about
}

func (e *Explanation) further(answer string, at time.Time) {
	e.Also, e.AlsoAt = append(e.Also, answer), append(e.AlsoAt, at)
}

// Explain says why the person of s cannot activate. The first obstacle that
// stands is the answer.
func Explain(s Situation) Explanation {
	switch {
	case !s.Found:
		return unknown(s)
	case s.Account.State == Pending:
		return pendingAnswer(s)
	}
	a := s.Account
	e := Explanation{Answer: stateAnswer(a), At: Known(a.Why.Since)}
	if e.Answer == Erased {
		e.At = a.Erased
	}
	if r, parked := s.refused(true); parked {
		e.further(Parked, r.At)
	}
	if len(s.Held) > 0 {
		e.further(HeldByBrake, time.Time{})
	}
	return e
}

// refused is the newest dead letter that is parked, or that is not.
func (s Situation) refused(parked bool) (Refusal, bool) {
	var newest Refusal
	for _, r := range s.Refused {
		if (r.Reason == events.ReasonParked) == parked && r.At.After(newest.At) {
			newest = r
		}
	}
	return newest, newest.ID != ""
}

func unknown(s Situation) Explanation {
	if r, ok := s.refused(true); ok {
		return Explanation{Answer: Parked, At: r.At}
	}
	if r, ok := s.refused(false); ok {
		return Explanation{Answer: RefusedEvent, At: r.At}
	}
	if s.Claimed {
		return Explanation{Answer: Unwritten}
	}
	return Explanation{Answer: NoEvent}
}

// stateAnswer is for accounts that have left pending behind.
func stateAnswer(a Account) string {
	reason := a.Why.Reason
	switch {
	case !a.Erased.IsZero():
		return Erased
	case a.Merged != "":
		return MergedAway
	case reason == WhyDeceased:
		return Deceased
	case a.State == Active && a.Leaving != "":
		return IsLeaving
	case a.State == Active:
		return IsActive
	}
	answers := map[string]string{
		WhyCompromised: BlockedReport, WhyLocked: BlockedIT, WhyChangeRequired: BlockedChange,
		WhyLeft: BlockedLeft, WhyCancelled: BlockedLeft,
	}
	other := BlockedOther
	if a.State == Closed {
		answers = map[string]string{WhyLeft: ClosedLeft, WhyCancelled: ClosedLeft, WhyNeverActivated: ClosedUnused}
		other = ClosedOther
	}
	if answer := answers[reason]; answer != "" {
		return answer
	}
	return other
}

// pendingAnswer lists every obstacle of somebody who has not activated yet, in
// the order in which they are to be removed.
func pendingAnswer(s Situation) Explanation {
	obstacles := slices.Concat(lacking(s), letterTrouble(s), tooEarly(s))
	if len(obstacles) == 0 {
		obstacles = []Explanation{{Answer: CanActivate, At: s.Letter.At}}
	}
	e := obstacles[0]
	for _, o := range obstacles[1:] {
		e.further(o.Answer, o.At)
	}
	return e
}

// lacking is what the sources have not told, or told in a way that a human
// must look at.
func lacking(s Situation) (out []Explanation) {
	a := s.Account
	if r, ok := s.refused(true); ok {
		out = append(out, Explanation{Answer: Parked, At: r.At})
	}
	if !s.HasRole {
		out = append(out, Explanation{Answer: NoRole})
	}
	if _, proves := a.current(); !proves {
		out = append(out, Explanation{Answer: NoNumber})
	}
	if _, since, bounced := a.Bounced(); bounced {
		out = append(out, Explanation{Answer: AddressBounced, At: since})
	} else if a.Address == "" {
		out = append(out, Explanation{Answer: NoAddress})
	}
	if r, ok := s.refused(false); ok && len(out) > 0 {
		out = append(out, Explanation{Answer: RefusedEvent, At: r.At})
	}
	return out
}

// letterTrouble is about the link: whether there is one, and has arrived.
func letterTrouble(s Situation) (out []Explanation) {
	inv, held := s.Account.invitationFor(PurposeActivate, s.Now)
	switch i := slices.IndexFunc(s.Account.Invitations, func(i Invitation) bool { return i.Purpose == PurposeActivate }); {
	case !held && i >= 0:
		return []Explanation{{Answer: LinkExpired, At: s.Account.Invitations[i].Expires}}
	case !held && s.HasRole && s.Invites.After(s.Now):
		return []Explanation{{Answer: LetterLater, At: s.Invites}}
	case !held && s.HasRole:
		return []Explanation{{Answer: LetterQueued, At: s.Invites}}
	case !held:
		return nil
	}
	if s.Wrong >= wrongNumbers {
		out = append(out, Explanation{Answer: LinkFrozen, At: inv.Created})
	}
	at := s.Letter.At
	if at.IsZero() {
		at = inv.Created
	}
	answers := map[string]string{
		events.LetterFailed: LetterRefused, events.LetterUnknown: LetterUnsure, events.LetterRetry: LetterRetried, "": LetterQueued,
	}
	if answer := answers[s.Letter.State]; answer != "" {
		out = append(out, Explanation{Answer: answer, At: at})
	}
	return out
}

// tooEarly is about the window.
func tooEarly(s Situation) []Explanation {
	o := s.Opening
	switch {
	case !s.HasRole, s.Now.Before(s.Account.OpenUntil):
		return nil
	case s.Now.Before(o.At):
		return []Explanation{{Answer: WindowClosed, At: o.At}}
	case !o.Closes.IsZero() && !s.Now.Before(o.Closes):
		return []Explanation{{Answer: WindowOver, At: o.Closes}}
	}
	return nil
}

// Situate fills in what the account itself and the rules say.
func (l *Lifecycle) Situate(a Account) Situation {
	s := Situation{Now: l.Now(), Found: true, Claimed: true, Account: a}
	s.Opening, s.HasRole = l.opening(a)
	s.Invites = policy.LetterDue(s.Opening, recorded(a), l.Letters.InviteBefore)
	return s
}

// InvitationLetter is the letter ID and the attempts' key of the activation
// invitation in force; ok is false when there is none.
func (l *Lifecycle) InvitationLetter(a Account) (letter, attempts string, ok bool) {
	inv, ok := a.invitationFor(PurposeActivate, l.Now())
	return letterID(events.LetterActivation, inv.ID), attemptsKey(inv.ID), ok
}
