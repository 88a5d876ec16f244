package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/events"
	"usn.no/matricula/mailer"
	"usn.no/matricula/standalone"
	"usn.no/matricula/stream"
	"usn.no/matricula/worker"
)

// letterTurn is how long a letter may wait for its turn at the relay: at the
// slowest pace, two a minute, with every lane before it.
const letterTurn = 15 * time.Minute

// mailerRole hands letters to the relay.
type mailerRole struct {
	*system
	js      jetstream.JetStream
	work    *worker.Worker
	letters *mailer.Metrics
}

func (s *system) newMailer(ctx context.Context, m *worker.Metrics) (*mailerRole, error) {
	js, err := s.connect(roleMailer)
	if err != nil {
		return nil, err
	}
	if err := s.refuseDrift(ctx, js, stream.Mail); err != nil {
		return nil, err
	}
	pub := s.publisher(js)
	deliver, err := s.mailer(pub)
	if err != nil {
		return nil, err
	}
	r := &mailerRole{system: s, js: js, letters: deliver.Metrics, work: &worker.Worker{
		Conn: js.Conn(), Aside: &stream.Aside{Publisher: pub, Clock: s.settings().Clock}, Publisher: pub,
		Log: s.log, Name: "mail", Metrics: m, Attempts: s.cfg.Worker.Attempts, Now: s.clock.Now,
		Timeout: letterTurn,
	}}
	worker.Handle(r.work, deliver.Deliver)
	return r, nil
}

func (r *mailerRole) run(ctx context.Context) error {
	urgent, err := stream.UrgentConsumer(ctx, r.js)
	if err != nil {
		return err
	}
	others, err := stream.MailConsumer(ctx, r.js)
	if err != nil {
		return err
	}
	// As many lanes each as there are connections: urgent letters find one
	// however long the others' backlog is.
	n := r.settings().MailLanes
	return r.work.Run(ctx, append(repeat(urgent, n), repeat(others, n)...))
}

// mailer fills in a mailer from the settings.
func (s *system) mailer(pub *stream.Publisher) (*mailer.Mailer, error) {
	in := s.cfg.Institution
	templates, err := s.letters()
	if err != nil {
		return nil, err
	}
	relay, err := s.relay()
	if err != nil {
		return nil, err
	}
	from, err := mailer.ParseSender(s.cfg.SMTP.From, in.SupportEmail)
	if err != nil {
		return nil, err
	}
	t, err := s.tickets()
	if err != nil {
		return nil, err
	}
	text, err := s.cfg.Keys.MailerPrivateFile.Text()
	if err != nil {
		return nil, fmt.Errorf("keys.mailer_private_file: %w", err)
	}
	private, err := events.ParseSealKey(text)
	if err != nil {
		return nil, fmt.Errorf("keys.mailer_private_file: %w", err)
	}
	return &mailer.Mailer{
		Templates: templates, Relay: relay, From: from,
		Marks: watchMarks(&stream.Letters{Publisher: pub}), Publisher: watchPublisher(pub),
		Ticket: t.Seal, Key: private, Now: s.clock.Now, Metrics: mailer.NewMetrics(relay),
	}, nil
}

// letters are the institution's letters, tried with sample people.
func (s *system) letters() (*mailer.Templates, error) {
	in := s.cfg.Institution
	var override fs.FS
	if dir := string(s.cfg.Letters.TemplatesDir); dir != "" {
		if _, err := os.ReadDir(dir); err != nil {
			return nil, fmt.Errorf("letters.templates_dir: %w", err)
		}
		override = os.DirFS(dir)
	}
	return mailer.NewTemplates(mailer.Institution{
		Name: in.Name, Names: in.names(), SupportEmail: in.SupportEmail, SupportURL: in.SupportURL, BaseURL: s.cfg.Portal.BaseURL,
	}, s.cfg.Letters.SONumber, override)
}

// previews are every letter in every language to every sample person, with the
// templates as they are at this moment.
func (s *system) previews() ([]standalone.Preview, error) {
	templates, err := s.letters()
	if err != nil {
		return nil, err
	}
	var out []standalone.Preview
	for _, letter := range events.Letters() {
		for _, lang := range []string{"nb", "nn", "en"} {
			for _, sample := range mailer.Samples(letter, lang, s.cfg.Portal.BaseURL) {
				l, err := templates.Render(sample.Letter)
				if err != nil {
					return nil, err
				}
				out = append(out, standalone.Preview{Letter: letter, Language: lang, About: sample.About, Subject: l.Subject, Text: l.Text, HTML: l.HTML})
			}
		}
	}
	return out, nil
}

func (s *system) relay() (*mailer.Relay, error) {
	c := s.cfg.SMTP
	set := mailer.RelaySettings{Host: c.Host, Port: c.Port, User: c.User, PerMinute: c.Rate, PerDay: c.Daily, Connections: c.Connections}
	tls, ok := map[string]string{
		"starttls": mailer.TLSMandatory, "tls": mailer.TLSImplicit, "none": mailer.TLSNone,
	}[c.TLS]
	if !ok {
		return nil, fmt.Errorf("smtp.tls: %q is not a kind of protection", c.TLS)
	}
	set.TLS = tls
	if c.User != "" {
		password, err := c.PasswordFile.Text()
		if err != nil {
			return nil, fmt.Errorf("smtp.password_file: %w", err)
		}
		set.Password = password
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(string(c.CAFile))
		if err != nil {
			return nil, fmt.Errorf("smtp.ca_file: %w", err)
		}
		set.Roots = x509.NewCertPool()
		if !set.Roots.AppendCertsFromPEM(pem) {
			return nil, errors.New("smtp.ca_file: holds no certificate")
		}
	}
	relay, err := mailer.NewRelay(set)
	if err != nil {
		return nil, err
	}
	s.onClose(relay.Close)
	return relay, nil
}
