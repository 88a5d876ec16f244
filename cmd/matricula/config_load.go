package main

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/caarlos0/env/v11"
	"github.com/pelletier/go-toml/v2"

	"usn.no/matricula/account"
)

// Roles a process can have. Commands work as operator.
const (
	roleWorker   = "worker"
	roleMailer   = "mailer"
	rolePortal   = "portal"
	roleAccess   = "access"
	roleOperator = "operator"
)

// notSettings are the variables with our prefix that are no setting.
var notSettings = []string{envPrefix + "CONFIG", envPrefix + "FAILPOINTS"} //nolint:gochecknoglobals // a constant list

// DefaultConfig is what holds where neither file nor environment say anything.
func DefaultConfig() Config {
	rules := account.DefaultLeavingRules()
	c := Config{
		DataDir:     "/var/lib/matricula",
		Streams:     StreamsConfig{Replicas: 1, Intake: asSpan("90d"), Audit: asSpan("400d"), Dead: asSpan("90d"), Secret: asSpan("30d")},
		LDAP:        LDAPConfig{Flavour: "openldap"},
		SMTP:        SMTPConfig{Port: 587, TLS: "starttls", Connections: 4},
		Portal:      PortalConfig{Listen: "127.0.0.1:8080", SecretFile: Secret{Path: "portal.key"}, SessionIdle: asSpan("30m"), SessionMax: asSpan("8h")},
		Institution: InstitutionConfig{Name: "University of South-Eastern Norway", Realm: "usn.no"},
		Keys: KeysConfig{
			TicketFile:        Secret{Path: "ticket.key"},
			ClaimsFile:        Secret{Path: "claims.key"},
			MailerPublicFile:  "mailer.pub",
			MailerPrivateFile: Secret{Path: "mailer.key"},
			WorkerPublicFile:  "worker.pub",
		},
		Password: defaultPassword(),
		PIN:      PINConfig{Length: 4},
		Breach:   BreachConfig{OnFailure: "open"},
		Letters: LettersConfig{
			SONumber: "full", InviteBefore: asSpan("14d"), InvitationValid: asSpan("30d"), AfterStart: asSpan("14d"),
			ResetValid: asSpan("60m"), Reminders: 1, ReminderAfter: asSpan("7d"),
		},
		Leaving: LeavingConfig{
			SuspendAfter: asSpan(rules.SuspendAfter.String()), CloseAfter: asSpan(rules.CloseAfter.String()),
			NeverActivated: asSpan(rules.NeverActivated.String()), EraseAfter: asSpan(rules.EraseAfter.String()),
		},
		Worker: WorkerConfig{Lanes: 1, Attempts: 8, Unknown: asSpan("24h")},
		Brake:  BrakeConfig{MaxChanges: 200, Per: asSpan("24h")},
		Log:    LogConfig{Level: "info", Format: "json"},
		Window: defaultWindows(),
	}
	return c
}

// LoadConfig reads the file at path (none where path is empty), then environ
// ("KEY=value" as in os.Environ) over it, fills in defaults and checks every
// value. The error is a *ConfigError that lists everything that is wrong. What
// a role needs beyond that (servers, readable secrets) is Config.ReadyFor.
func LoadConfig(path string, environ []string) (Config, error) {
	c, ce := DefaultConfig(), &ConfigError{Path: path}
	c.Window = nil                                  // a [[window]] replaces the default set, it does not add to it
	folder, err := filepath.Abs(filepath.Dir(path)) // the working directory where path is empty
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	if path != "" {
		text, err := os.ReadFile(path)
		if err != nil {
			return Config{}, fmt.Errorf("config: %w", err)
		}
		if !ce.decode(text, &c) {
			return Config{}, ce
		}
	}
	vars := variables(environ)
	ce.environment(vars, &c)
	if len(c.Window) == 0 {
		c.Window = defaultWindows()
	}
	c.resolve(places{config: folder, credentials: vars["CREDENTIALS_DIRECTORY"]})
	c.check(ce)
	if err := ce.orNil(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// decode reads the TOML. It answers false where reading had to stop, so that
// the values after the mistake are not known.
func (e *ConfigError) decode(text []byte, c *Config) bool {
	err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(c)
	var unknown *toml.StrictMissingError
	var stopped *toml.DecodeError
	switch {
	case err == nil:
		return true
	case errors.As(err, &unknown):
		for _, u := range unknown.Errors {
			line, _ := u.Position()
			e.unknown(strings.Join(u.Key(), "."), line)
		}
		return true
	case errors.As(err, &stopped):
		line, _ := stopped.Position()
		key := strings.Join(stopped.Key(), ".")
		if key == "" {
			key = "file"
		}
		e.add(Problem{Key: key, Line: line, Text: strings.TrimPrefix(stopped.Error(), "toml: "), Fix: "mend the line; nothing after it was read"})
	default:
		e.add(Problem{Key: "file", Text: err.Error(), Fix: "see the sample: matricula config --example"})
	}
	return false
}

func (e *ConfigError) unknown(key string, line int) {
	names, sections := knownNames()
	p := Problem{Key: key, Line: line, Text: "is not a setting", Fix: "remove it, or see: matricula config --example"}
	if near, ok := nearest(key, append(names, sections...)); ok {
		p.Fix = "did you mean " + near + "?"
	}
	e.add(p)
}

func knownNames() (names, sections []string) {
	for _, s := range allKeys() {
		names = append(names, s.Key)
		if i := strings.LastIndexByte(s.Key, '.'); i > 0 && !slices.Contains(sections, s.Key[:i]) {
			sections = append(sections, s.Key[:i])
		}
	}
	return names, sections
}

func variables(environ []string) map[string]string {
	vars := make(map[string]string, len(environ))
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok {
			vars[k] = v
		}
	}
	return vars
}

// environment lays the variables over c and refuses those with our prefix
// that are no setting: a mistyped one would be believed to hold.
func (e *ConfigError) environment(vars map[string]string, c *Config) {
	err := env.ParseWithOptions(c, env.Options{Environment: vars, Prefix: envPrefix})
	var many env.AggregateError
	switch {
	case errors.As(err, &many):
		for _, one := range many.Errors {
			e.envProblem(one)
		}
	case err != nil:
		e.envProblem(err)
	}
	var known []string
	for _, s := range settings(reflect.ValueOf(c)) {
		known = append(known, s.Env)
	}
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(known, name) || slices.Contains(notSettings, name) {
			continue
		}
		p := Problem{Key: name, Text: "is not a setting", Fix: "unset it (in Kubernetes: enableServiceLinks: false)"}
		if near, ok := nearest(name, known); ok {
			p.Fix = "did you mean " + near + "?"
		}
		e.add(p)
	}
}

func (e *ConfigError) envProblem(err error) {
	var parse env.ParseError
	if !errors.As(err, &parse) {
		e.add(Problem{Key: "environment", Text: err.Error(), Fix: "see: matricula config --example"})
		return
	}
	key := parse.Name
	for _, s := range allKeys() {
		if s.Field.Name == parse.Name && s.Field.Type == parse.Type {
			key = s.Env
			break
		}
	}
	e.add(Problem{Key: key, Text: "cannot be read as " + kindName(parse.Type), Fix: "write " + kindExample(parse.Type)})
}

// resolve makes every path absolute or relative to the working directory only.
func (c *Config) resolve(at places) {
	c.DataDir = at.file(c.DataDir)
	for _, s := range settings(reflect.ValueOf(c)) {
		switch v := s.Value.Addr().Interface().(type) {
		case *Secret:
			*v = at.secret(*v, c.DataDir)
		case *File:
			if s.Field.Tag.Get("beside") == "secrets" {
				*v = File(at.secret(Secret{Path: string(*v)}, c.DataDir).Path)
			} else {
				*v = at.file(*v)
			}
		}
	}
}
