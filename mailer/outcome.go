package mailer

import (
	"errors"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Outcome is what an attempt came to.
type Outcome int

// The outcomes.
const (
	Sent       Outcome = iota + 1 // the relay took the letter
	Failed                        // refused for good
	Retry                         // not now
	Unknown                       // no answer after the last line: the relay may have it
	Connection                    // no letter was offered: no connection, no TLS, no login
)

// Reply is what the relay said about a letter. Text holds no address once
// hidePerson has seen it; Err is set for Connection only.
type Reply struct {
	Outcome Outcome
	Code    int
	Status  string // enhanced status code
	Text    string
	Err     error
}

// verdict is a Reply with what it says about the connection.
type verdict struct {
	Reply
	drop  bool // the connection's state is in doubt: close it without a word
	stale bool // the connection was dead before the letter was offered
}

// refused sorts a reply that is not the one wished for, by its code and by the
// step it came at.
func refused(at step, code int, words string) verdict {
	v := verdict{Reply: reply(Retry, code, words), drop: true}
	switch {
	case code < 400: // it takes this dialogue for another
		return broken(at)
	case isLogin(code):
		// It wants a login: no fault of this letter.
		v.Outcome, v.Err = Connection, errors.New(v.Text)
	case code == 421 || code == 503:
		// The state of the connection, not of this letter (after a refused
		// DATA a server may answer the next MAIL with 503).
		v.stale = at == atMail
	case code >= 500 && at == atMail:
		// MAIL carries our sender and nothing of the letter: a relay that
		// refuses it refuses every letter, until somebody mends the settings.
		v.drop = false
	case code >= 500:
		v.Outcome, v.drop = Failed, at == atData
	default:
		v.drop = at == atData
	}
	return v
}

// broken sorts a connection that ended, or made no sense any more, where the
// answer to a step should have been. Before its last line was out the letter
// cannot have arrived.
func broken(at step) verdict {
	v := verdict{Reply: Reply{Outcome: Retry}, drop: true, stale: at == atMail}
	if at == atEnd {
		v.Outcome = Unknown
	}
	return v
}

func reply(o Outcome, code int, words string) Reply {
	words = clean(words, 300)
	r := Reply{Outcome: o, Code: code, Text: words}
	if status := enhanced.FindString(words); status != "" && int(status[0]-'0') == code/100 {
		r.Status = strings.TrimSuffix(status, " ")
	}
	return r
}

var (
	enhanced  = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}(?:$| )`) // it stands first: RFC 2034
	mailboxes = regexp.MustCompile(`\S*@\S*`)
	digits    = regexp.MustCompile(`\d{11}`)
)

// inert keeps the text of an error that came from outside on one line and
// without addresses, and what textproto knows of it.
func inert(err error) error {
	var pe *textproto.Error
	if errors.As(err, &pe) {
		return &textproto.Error{Code: pe.Code, Msg: mailboxes.ReplaceAllString(clean(pe.Msg, 200), "…")}
	}
	return errors.New(mailboxes.ReplaceAllString(clean(err.Error(), 200), "…"))
}

const maxWords = 160

// hidePerson takes out of the server's words what could name the person:
// every word with an "@" or eleven digits in a row, and every word that holds
// a part of the given texts (of three or four characters: that is one).
func hidePerson(words string, secrets ...string) string {
	var parts []string
	for _, s := range secrets {
		s = strings.ToLower(clean(s, maxWords))
		local, domain, _ := strings.Cut(s, "@")
		parts = append(parts, local, domain)
		parts = append(parts, strings.FieldsFunc(s, isBreak)...)
	}
	kept := strings.Fields(words)
	for i, w := range kept {
		if mailboxes.MatchString(w) || digits.MatchString(w) || names(strings.ToLower(w), parts) {
			kept[i] = "…"
		}
	}
	return clean(strings.Join(kept, " "), maxWords)
}

func isBreak(r rune) bool { return strings.ContainsRune(" @.+-_,", r) }

func names(word string, parts []string) bool {
	for _, p := range parts {
		n := len([]rune(p))
		switch {
		case n < 3 || commonWord[p]:
		case n >= 5 && strings.Contains(word, p):
			return true
		case n < 5 && slices.Contains(strings.FieldsFunc(word, notLetter), p): // "Per" is a name, "permitted" is not
			return true
		}
	}
	return false
}

func notLetter(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }

// commonWord are parts of addresses that say nothing about a person and would
// eat holes into a relay's words.
var commonWord = map[string]bool{
	"com": true, "net": true, "org": true, "edu": true, "gov": true, "mail": true, "gmail": true,
	"hotmail": true, "outlook": true, "yahoo": true, "icloud": true, "live": true, "online": true,
	"user": true, "example": true, "the": true,
}
