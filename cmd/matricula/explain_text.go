package main

import (
	"embed"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"usn.no/matricula/account"
)

//go:embed texts/*.toml
var textFiles embed.FS

// texts are what explain says in one language, by key.
type texts map[string]string

func languages() []string { return []string{"nb", "nn", "en"} }

// loadTexts reads one language.
func loadTexts(language string) (texts, error) {
	if !slices.Contains(languages(), language) {
		return nil, usage("language %q is not one of %s", language, strings.Join(languages(), ", "))
	}
	b, err := textFiles.ReadFile("texts/" + language + ".toml")
	if err != nil {
		return nil, err
	}
	t := texts{}
	if err := toml.Unmarshal(b, &t); err != nil {
		return nil, fmt.Errorf("texts %s: %w", language, err)
	}
	return t, nil
}

// ownLanguage is the one that the environment asks for, else English.
func ownLanguage(environ func(string) string) string {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		switch tag, _, _ := strings.Cut(environ(name), "_"); tag {
		case "":
		case "nn":
			return "nn"
		case "nb", "no":
			return "nb"
		default:
			return "en"
		}
	}
	return "en"
}

// say fills in a text. A key that is not there shows itself.
func (t texts) say(key string, pairs ...string) string {
	text, ok := t[key]
	if !ok {
		return key
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// explained is the answer as it is printed. It holds no identity number, no
// name, and of the address a little.
type explained struct {
	Answer    string     `json:"answer"`
	Text      string     `json:"text"`
	Next      string     `json:"next"`
	At        *time.Time `json:"at,omitempty"`
	Also      []string   `json:"also,omitempty"` // what stands in the way after that
	Account   string     `json:"account,omitempty"`
	Username  string     `json:"username,omitempty"`
	State     string     `json:"state,omitempty"`
	Why       string     `json:"why,omitempty"`
	Since     *time.Time `json:"since,omitempty"`
	Opens     *time.Time `json:"opens,omitempty"`
	Address   string     `json:"address,omitempty"` // masked
	Protected bool       `json:"protected,omitempty"`
	Dead      []string   `json:"dead_letters,omitempty"`
	Held      []string   `json:"held,omitempty"`

	also []string // the texts
}

// surroundings are what texts may mention beside the account.
type surroundings struct{ portal, into, words string }

// put puts an explanation into words.
func (t texts) put(e account.Explanation, s account.Situation, at surroundings) explained {
	a := s.Account
	out := explained{Answer: e.Answer, At: timeOrNil(e.At), Also: e.Also, Held: s.Held, Address: addressOf(a, a.Address)}
	if gone, _, bounced := a.Bounced(); bounced {
		out.Address = addressOf(a, gone)
	}
	if s.Found {
		out.Account, out.Username, out.State, out.Why, out.Since = a.ID, a.Username, string(a.State), a.Why.Reason, timeOrNil(a.Why.Since)
		out.Protected, out.Opens = protected(a), timeOrNil(s.Opening.At)
	}
	var newest account.Refusal
	for _, r := range s.Refused {
		out.Dead = append(out.Dead, r.ID)
		if about := (e.Answer == account.Parked) == (r.Reason == account.Parked); about && !r.At.Before(newest.At) {
			newest = r
		}
	}
	words := s.Letter.Words
	if e.Answer == account.AddressBounced {
		words = at.words
	}
	pairs := []string{
		"{at}", oslo(e.At), "{username}", orDash(a.Username), "{why}", orDash(a.Why.Reason), "{address}", orDash(out.Address),
		"{words}", orDash(words), "{dead}", newest.ID, "{reason}", newest.Reason, "{into}", orDash(at.into), "{portal}", at.portal,
	}
	answer := e.Answer
	if answer == account.IsActive && e.At.IsZero() {
		answer += "_undated"
	}
	out.Text, out.Next = t.say(answer, pairs...), t.say(e.Answer+"_next", pairs...)
	for i, code := range e.Also {
		further := slices.Clone(pairs)
		further[1] = oslo(e.AlsoAt[i])
		out.also = append(out.also, t.say(code, further...))
	}
	return out
}
