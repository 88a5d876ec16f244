package main

import "maps"

// Config is every setting there is. It is read from one TOML file and from the
// environment (key nats.url is MATRICULA_NATS_URL), strictly: what is not a
// key here stops the start. deploy/matricula.toml says what each key means and
// holds the same defaults as DefaultConfig; a test keeps it so.
type Config struct {
	DataDir        File `toml:"data_dir" env:"DATA_DIR"`
	Embedded       bool `toml:"embedded" env:"EMBEDDED"`
	AllowSynthetic bool `toml:"allow_synthetic" env:"ALLOW_SYNTHETIC"`

	NATS        NATSConfig        `toml:"nats" envPrefix:"NATS_"`
	Streams     StreamsConfig     `toml:"streams" envPrefix:"STREAMS_"`
	LDAP        LDAPConfig        `toml:"ldap" envPrefix:"LDAP_"`
	SMTP        SMTPConfig        `toml:"smtp" envPrefix:"SMTP_"`
	Portal      PortalConfig      `toml:"portal" envPrefix:"PORTAL_"`
	Institution InstitutionConfig `toml:"institution" envPrefix:"INSTITUTION_"`
	Keys        KeysConfig        `toml:"keys" envPrefix:"KEYS_"`
	Password    PasswordConfig    `toml:"password" envPrefix:"PASSWORD_"`
	PIN         PINConfig         `toml:"pin" envPrefix:"PIN_"`
	Breach      BreachConfig      `toml:"breach" envPrefix:"BREACH_"`
	Letters     LettersConfig     `toml:"letters" envPrefix:"LETTERS_"`
	Leaving     LeavingConfig     `toml:"leaving" envPrefix:"LEAVING_"`
	Worker      WorkerConfig      `toml:"worker" envPrefix:"WORKER_"`
	Brake       BrakeConfig       `toml:"brake" envPrefix:"BRAKE_"`
	Log         LogConfig         `toml:"log" envPrefix:"LOG_"`
	Metrics     MetricsConfig     `toml:"metrics" envPrefix:"METRICS_"`
	Window      []WindowConfig    `toml:"window" envPrefix:"WINDOW_"`
}

// Login is how one role proves to the broker who it is.
type Login struct {
	User         string `toml:"user" env:"USER"`
	PasswordFile Secret `toml:"password_file" env:"PASSWORD_FILE"`
	CredsFile    Secret `toml:"creds_file" env:"CREDS_FILE"`
	NKeyFile     Secret `toml:"nkey_file" env:"NKEY_FILE"`
	InboxPrefix  string `toml:"inbox_prefix" env:"INBOX_PREFIX"`
}

// NATSConfig is the broker. The login at the top is for every role that has
// none of its own; see For.
type NATSConfig struct {
	URL    string `toml:"url" env:"URL"`
	CAFile File   `toml:"ca_file" env:"CA_FILE"`
	// MonitorURL is asked by check alone.
	MonitorURL string `toml:"monitor_url" env:"MONITOR_URL"`
	Login
	Worker   Login `toml:"worker" envPrefix:"WORKER_"`
	Mailer   Login `toml:"mailer" envPrefix:"MAILER_"`
	Portal   Login `toml:"portal" envPrefix:"PORTAL_"`
	Access   Login `toml:"access" envPrefix:"ACCESS_"`
	Operator Login `toml:"operator" envPrefix:"OPERATOR_"`
}

// For is the login of a role: its own where it has one, else the common one.
// Where neither says where its answers go, that is _INBOX_<role>.
func (n NATSConfig) For(role string) Login {
	own := map[string]Login{roleWorker: n.Worker, roleMailer: n.Mailer, rolePortal: n.Portal, roleAccess: n.Access, roleOperator: n.Operator}[role]
	if own == (Login{}) {
		own = n.Login
	}
	if own.InboxPrefix == "" {
		own.InboxPrefix = "_INBOX_" + role
	}
	return own
}

// StreamsConfig is what setup makes of the streams.
type StreamsConfig struct {
	Replicas int  `toml:"replicas" env:"REPLICAS"`
	Intake   Span `toml:"intake" env:"INTAKE"`
	Audit    Span `toml:"audit" env:"AUDIT"`
	Dead     Span `toml:"dead" env:"DEAD"`
	Secret   Span `toml:"secret" env:"SECRET"`
}

// Bind is a service account of the directory.
type Bind struct {
	DN           string `toml:"bind_dn" env:"BIND_DN"`
	PasswordFile Secret `toml:"bind_password_file" env:"BIND_PASSWORD_FILE"`
}

// LDAPConfig is the directory; like NATSConfig it has one account for all and
// one per role.
type LDAPConfig struct {
	URL     string `toml:"url" env:"URL"`
	BaseDN  string `toml:"base_dn" env:"BASE_DN"`
	Flavour string `toml:"flavour" env:"FLAVOUR"`
	CAFile  File   `toml:"ca_file" env:"CA_FILE"`
	Bind
	Worker   Bind `toml:"worker" envPrefix:"WORKER_"`
	Portal   Bind `toml:"portal" envPrefix:"PORTAL_"`
	Operator Bind `toml:"operator" envPrefix:"OPERATOR_"`
}

// For is the account of a role: its own where it has one, else the common one.
func (l LDAPConfig) For(role string) Bind {
	own := map[string]Bind{roleWorker: l.Worker, rolePortal: l.Portal, roleOperator: l.Operator}[role]
	if own == (Bind{}) {
		return l.Bind
	}
	return own
}

// SMTPConfig is the relay that letters are handed to.
type SMTPConfig struct {
	Host         string `toml:"host" env:"HOST"`
	Port         int    `toml:"port" env:"PORT"`
	User         string `toml:"user" env:"USER"`
	PasswordFile Secret `toml:"password_file" env:"PASSWORD_FILE"`
	TLS          string `toml:"tls" env:"TLS"`
	CAFile       File   `toml:"ca_file" env:"CA_FILE"`
	From         string `toml:"from" env:"FROM"`
	Rate         int    `toml:"rate" env:"RATE"`
	Daily        int    `toml:"daily" env:"DAILY"`
	Connections  int    `toml:"connections" env:"CONNECTIONS"`
}

// PortalConfig is where people activate.
type PortalConfig struct {
	Listen         string   `toml:"listen" env:"LISTEN"`
	BaseURL        string   `toml:"base_url" env:"BASE_URL"`
	SecretFile     Secret   `toml:"secret_file" env:"SECRET_FILE"`
	TrustedProxies []string `toml:"trusted_proxies" env:"TRUSTED_PROXIES"`
	SessionIdle    Span     `toml:"session_idle" env:"SESSION_IDLE"`
	SessionMax     Span     `toml:"session_max" env:"SESSION_MAX"`
}

// InstitutionConfig is whose accounts these are and whom people can ask.
type InstitutionConfig struct {
	Name             string `toml:"name" env:"NAME"`
	NameNB           string `toml:"name_nb" env:"NAME_NB"`
	NameNN           string `toml:"name_nn" env:"NAME_NN"`
	Realm            string `toml:"realm" env:"REALM"`
	SupportEmail     string `toml:"support_email" env:"SUPPORT_EMAIL"`
	SupportURL       string `toml:"support_url" env:"SUPPORT_URL"`
	AccessibilityURL string `toml:"accessibility_url" env:"ACCESSIBILITY_URL"`
	RulesDir         File   `toml:"rules_dir" env:"RULES_DIR"`
	PrivacyDir       File   `toml:"privacy_dir" env:"PRIVACY_DIR"`
	ThemeDir         File   `toml:"theme_dir" env:"THEME_DIR"`
}

// names are what the languages call it that have a name of their own for it.
func (c InstitutionConfig) names() map[string]string {
	all := map[string]string{"nb": c.NameNB, "nn": c.NameNN}
	maps.DeleteFunc(all, func(_, name string) bool { return name == "" })
	return all
}

// KeysConfig is where the keys lie that setup makes.
type KeysConfig struct {
	TicketFile        Secret `toml:"ticket_file" env:"TICKET_FILE"`
	TicketOldFile     Secret `toml:"ticket_old_file" env:"TICKET_OLD_FILE"`
	ClaimsFile        Secret `toml:"claims_file" env:"CLAIMS_FILE"`
	MailerPublicFile  File   `toml:"mailer_public_file" env:"MAILER_PUBLIC_FILE" beside:"secrets"`
	MailerPrivateFile Secret `toml:"mailer_private_file" env:"MAILER_PRIVATE_FILE"`
	WorkerPublicFile  File   `toml:"worker_public_file" env:"WORKER_PUBLIC_FILE" beside:"secrets"`
}

// PasswordConfig is the password rules; see policy.PasswordRules.
type PasswordConfig struct {
	MinLength int `toml:"min_length" env:"MIN_LENGTH"`
	MaxLength int `toml:"max_length" env:"MAX_LENGTH"`
	MaxRepeat int `toml:"max_repeat" env:"MAX_REPEAT"`
	Groups    int `toml:"groups" env:"GROUPS"`
}

// BreachConfig is how passwords are compared with those known to be breached.
type BreachConfig struct {
	IndexFile File   `toml:"index_file" env:"INDEX_FILE"`
	RangeURL  string `toml:"range_url" env:"RANGE_URL"`
	OnFailure string `toml:"on_failure" env:"ON_FAILURE"`
}

// LettersConfig is what is mailed and when.
type LettersConfig struct {
	SONumber        string `toml:"so_number" env:"SO_NUMBER"`
	InviteBefore    Span   `toml:"invite_before" env:"INVITE_BEFORE"`
	InvitationValid Span   `toml:"invitation_valid" env:"INVITATION_VALID"`
	AfterStart      Span   `toml:"after_start" env:"AFTER_START"`
	ResetValid      Span   `toml:"reset_valid" env:"RESET_VALID"`
	Reminders       int    `toml:"reminders" env:"REMINDERS"`
	ReminderAfter   Span   `toml:"reminder_after" env:"REMINDER_AFTER"`
	TemplatesDir    File   `toml:"templates_dir" env:"TEMPLATES_DIR"`
}

// LeavingConfig is what happens to accounts that nothing keeps.
type LeavingConfig struct {
	SuspendAfter   Span `toml:"suspend_after" env:"SUSPEND_AFTER"`
	CloseAfter     Span `toml:"close_after" env:"CLOSE_AFTER"`
	NeverActivated Span `toml:"never_activated" env:"NEVER_ACTIVATED"`
	EraseAfter     Span `toml:"erase_after" env:"ERASE_AFTER"`
}

// WorkerConfig is how the worker works.
type WorkerConfig struct {
	Lanes    int  `toml:"lanes" env:"LANES"`
	Attempts int  `toml:"attempts" env:"ATTEMPTS"`
	Unknown  Span `toml:"wait_for_person" env:"WAIT_FOR_PERSON"`
}

// BrakeConfig holds a mass change that nobody meant.
type BrakeConfig struct {
	MaxChanges int  `toml:"max_changes" env:"MAX_CHANGES"`
	Per        Span `toml:"per" env:"PER"`
}

// LogConfig is the log on standard error.
type LogConfig struct {
	Level  string `toml:"level" env:"LEVEL"`
	Format string `toml:"format" env:"FORMAT"`
}

// MetricsConfig is the operators' listener.
type MetricsConfig struct {
	Listen string `toml:"listen" env:"LISTEN"`
}

// WindowConfig is one opening window; see policy.Window.
type WindowConfig struct {
	Name         string   `toml:"name" env:"NAME"`
	Population   string   `toml:"population" env:"POPULATION"`
	Intake       string   `toml:"intake" env:"INTAKE"`
	StartBetween []string `toml:"start_between" env:"START_BETWEEN"`
	Opens        string   `toml:"opens" env:"OPENS"`
	Closes       string   `toml:"closes" env:"CLOSES"`
	BeforeStart  Span     `toml:"before_start" env:"BEFORE_START"`
}
