package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"usn.no/matricula/directory/kv"
	"usn.no/matricula/standalone"
	"usn.no/matricula/stream"
)

// embed starts the servers that the settings do not name: a durable broker, a
// directory in it, and a mailbox in place of a relay. All of it lies below
// data_dir and listens on loopback.
func (s *system) embed(ctx context.Context, roles []string) error {
	if s.cfg.NATS.URL == "" && len(roles) == len(everyRole()) {
		if err := s.embedBroker(ctx); err != nil {
			return err
		}
	}
	if _, err := makeKeys(s.cfg); err != nil {
		return err
	}
	if s.cfg.SMTP.Host == "" {
		if err := s.embedMailbox(); err != nil {
			return err
		}
	}
	if s.cfg.Portal.BaseURL == "" {
		s.cfg.Portal.BaseURL = "http://" + s.cfg.Portal.Listen
	}
	if s.cfg.Institution.SupportEmail == "" {
		s.cfg.Institution.SupportEmail = "it-support@" + s.cfg.Institution.Realm
	}
	return nil
}

func (s *system) embedBroker(ctx context.Context) error {
	b := &standalone.Broker{Dir: s.cfg.brokerDir(), Log: s.log}
	if err := b.Start(); err != nil {
		return err
	}
	s.onClose(b.Stop)
	s.broker = b.Options()
	js, err := s.connect(roleOperator)
	if err != nil {
		return err
	}
	s.js = js
	if err := stream.Declare(ctx, js, s.settings(), false); err != nil {
		return err
	}
	if s.cfg.LDAP.URL != "" {
		return nil
	}
	if _, err := js.CreateOrUpdateKeyValue(ctx, bucketConfig()); err != nil {
		return fmt.Errorf("embedded directory: %w", err)
	}
	return nil
}

func bucketConfig() jetstream.KeyValueConfig { return kv.BucketConfig() }

func (s *system) embedMailbox() error {
	s.mailbox = &standalone.Mailbox{Dir: filepath.Join(string(s.cfg.DataDir), "mail"), Now: func() time.Time { return s.clock.Now().In(osloZone()) }, Web: s.mailboxWeb, Previews: s.previews}
	if err := s.mailbox.Start(); err != nil {
		return err
	}
	s.onClose(s.mailbox.Stop)
	host, port, err := net.SplitHostPort(s.mailbox.SMTPAddr())
	if err != nil {
		return err
	}
	s.cfg.SMTP.Host, s.cfg.SMTP.TLS = host, "none"
	if s.cfg.SMTP.Port, err = strconv.Atoi(port); err != nil {
		return err
	}
	if s.cfg.SMTP.From == "" {
		s.cfg.SMTP.From = s.cfg.Institution.Name + " <no-reply@" + s.cfg.Institution.Realm + ">"
	}
	s.log.Info().Str("url", s.mailbox.URL()).Msg("mailbox")
	return nil
}
