// Package portal is where a person activates an account or sets a new password:
// the pages behind the link in a letter, in bokmål, nynorsk and English, and
// the help around them. The link shows, the button acts: no GET changes
// anything, and only a complete form reaches the domain.
//
// It must not know how an account lives, where it is kept or how letters are
// sent, and it keeps nothing between two requests but what a cookie holds and, sealed,
// what a session is.
package portal

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/rs/zerolog"

	"usn.no/matricula/account"
)

// Clicks is what a person can do with a ticket. Errors are those of package
// account; any other is answered with one calm page and one log line.
type Clicks interface {
	// Look opens a ticket and changes nothing.
	Look(ctx context.Context, ticket string) (account.Visit, error)
	// Prove checks the identity number of whoever holds the ticket. Role is
	// student or employee; for a reset it is not looked at.
	Prove(ctx context.Context, ticket, role, number string) (account.Proof, error)
	// Judge answers every password rule and changes nothing.
	Judge(ctx context.Context, proof, password string) ([]account.Answer, error)
	// Activate sets the password and spends the invitation.
	Activate(ctx context.Context, choice account.Choice) (account.Receipt, error)
}

// Letters asks for a new letter, to the registered address and no other.
type Letters interface {
	// Again asks for a new letter in place of an expired one.
	Again(ctx context.Context, ticket string) error
	// RequestLetter asks for one for whoever has no link. It answers the same
	// for everybody.
	RequestLetter(ctx context.Context, r account.LetterRequest) error
}

// Institution is who runs the portal. Name and one way to reach support are
// required.
type Institution struct {
	Name         string
	Names        map[string]string // by language; Name where one is missing
	SupportEmail string
	SupportURL   string // https
	// RulesDir and PrivacyDir hold nb.md, nn.md and en.md, each beginning with a
	// line "version: …" that is the same in all three. Empty means the text that
	// comes with the program.
	RulesDir   string
	PrivacyDir string
	// AccessibilityURL is the statement on uustatus.no; empty leaves it out.
	AccessibilityURL string
	// ThemeDir may hold theme.css, which takes the place of ours, and logo.svg.
	ThemeDir string
}

// PasswordRules are the figures that the page explains and the script answers
// while somebody types. The domain decides; these must be its own. MaxRepeat
// and Groups of zero mean that there is no such rule.
type PasswordRules struct{ MinLength, MaxLength, MaxRepeat, Groups int }

// Rate is how many pages one client address may ask for. A dormitory or a
// campus is one address: keep it generous, the domain counts wrong numbers.
type Rate struct {
	PerSecond float64 // zero: 30
	Burst     int     // zero: 300
}

// Portal is the settings of the site. Fill it in and call Handler.
type Portal struct {
	Clicks   Clicks
	Letters  Letters
	People   People
	Changes  Changes
	Sessions Sessions
	PINs     PINs // nil: PINs are set elsewhere

	// BaseURL is the portal's own address, "https://konto.example.no". With
	// https the cookies are Secure and carry the __Host- prefix, and
	// Strict-Transport-Security is sent. What a request says about its host is
	// never used.
	BaseURL string
	// Secrets seal the cookies: 32 bytes or more each. The first seals, all
	// open. Every replica needs the same.
	Secrets [][]byte

	// Crowded tells whether so many are about to set a password that whoever
	// comes now had better come again in a moment: it is said at the door, before
	// anything was typed, and those inside go on. nil: never.
	Crowded func() bool

	Institution Institution
	Password    PasswordRules
	PIN         PINSettings
	Rate        Rate
	Times       Times
	// Pace is the step in which whoever shows a password is answered, right or
	// wrong; longer than a hash takes. Zero: at once, which tells strangers who
	// exists.
	Pace time.Duration
	// Proxies are the only senders whose X-Forwarded-For is believed, and only
	// for the rate limit. Empty: the header is ignored.
	Proxies []netip.Prefix

	Log zerolog.Logger
	Now func() time.Time // nil: time.Now
}

// Handler is the whole site. It fails on settings that would make a page wrong:
// a missing secret, a text that is missing in one language, a broken theme.
func (p *Portal) Handler() (http.Handler, error) {
	s, err := p.site()
	if err != nil {
		return nil, fmt.Errorf("portal: %w", err)
	}
	return s.guard(http.HandlerFunc(s.route)), nil
}

// site is a Portal with everything read and checked.
type site struct {
	presses single // of the button that sets the first password
	Portal
	https     bool
	base      *url.URL
	oslo      *time.Location
	seals     seals
	limits    *limiter
	languages *languages
	pages     pages
	sheets    sheets
	assets    assets
	rules     documents
	privacy   documents
	access    documents
	routes    map[string]route
}

func (p *Portal) site() (*site, error) {
	s := &site{Portal: *p}
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Times.Idle <= 0 {
		s.Times.Idle = 30 * time.Minute
	}
	if s.Times.Absolute <= 0 {
		s.Times.Absolute = 8 * time.Hour
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	var err error
	if s.oslo, err = time.LoadLocation("Europe/Oslo"); err != nil {
		return nil, err
	}
	if s.seals, err = newSeals(s.Secrets); err != nil {
		return nil, err
	}
	if s.languages, err = loadLanguages(); err != nil {
		return nil, err
	}
	if err := s.loadPages(); err != nil {
		return nil, err
	}
	if s.assets, err = loadAssets(s.Institution.ThemeDir); err != nil {
		return nil, err
	}
	if err := s.loadDocuments(); err != nil {
		return nil, err
	}
	s.limits = newLimiter(s.Rate)
	s.routes = s.table()
	return s, nil
}

func (s *site) check() error {
	u, err := url.Parse(s.BaseURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return errors.New("base url must be http:// or https:// and a host")
	}
	s.base, s.https = u, u.Scheme == "https"
	in := s.Institution
	switch {
	case s.Clicks == nil || s.Letters == nil || s.People == nil || s.Changes == nil || s.Sessions == nil:
		return errors.New("clicks, letters, people, changes or sessions are missing")
	case in.Name == "":
		return errors.New("institution name is missing")
	case in.SupportEmail == "" && in.SupportURL == "":
		return errors.New("institution support address is missing")
	case s.PINs != nil && s.PIN.Length < 1:
		return errors.New("length of a PIN is missing")
	case s.Password.MinLength < 1 || s.Password.MaxLength < s.Password.MinLength || s.Password.Groups > 4:
		return errors.New("password rules are missing or contradict each other")
	}
	for _, link := range []string{in.SupportURL, in.AccessibilityURL, s.PIN.ElsewhereURL} {
		if u, err := url.Parse(link); link != "" && (err != nil || u.Scheme != "https" || u.Host == "") {
			return errors.New("institution links must begin with https://")
		}
	}
	return nil
}

func (s *site) loadDocuments() error {
	in := s.Institution
	var err error
	if s.rules, err = loadDocuments("rules", in.RulesDir, in); err != nil {
		return err
	}
	if s.privacy, err = loadDocuments("privacy", in.PrivacyDir, in); err != nil {
		return err
	}
	if s.access, err = loadDocuments("accessibility", "", in); err != nil {
		return err
	}
	for _, all := range []documents{s.rules, s.privacy, s.access} {
		for lang, d := range all {
			if all[lang], err = s.pages.written(lang, d); err != nil {
				return err
			}
		}
	}
	return nil
}
