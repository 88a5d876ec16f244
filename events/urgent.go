package events

// UrgentLetters lists the templates that go before all others: somebody else
// may have the password, or a person waits at the screen for the link.
func UrgentLetters() []string {
	return []string{LetterPasswordCompromised, LetterReset, LetterChangeRequired, LetterPasswordChanged}
}
