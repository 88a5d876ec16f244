package testkit_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"usn.no/matricula/stream"
	"usn.no/matricula/testkit"
)

// may is what each role may publish, in subjects; everything else in attempts
// is refused. It is written down here once more so that a slip in the
// configuration has something to differ from.
var may = map[string][]string{
	"hr":         {"hr.*.*.*"},
	"admissions": {"admissions.*.*.*"},
	"it":         {"it.*.*.*"},
	"worker": {
		"audit.*.*.*", "mail.*.*", "wait.hold.>", "wait.letter.*.*.*", "dead.*.*", "$KV.claims.>", "$JS.API.STREAM.MSG.GET.KV_letters",
		"$JS.API.STREAM.MSG.GET.KV_claims",
		"$JS.API.CONSUMER.INFO.INTAKE.*", "$JS.API.CONSUMER.MSG.NEXT.INTAKE.*", "$JS.API.DIRECT.GET.INTAKE",
		"$JS.API.CONSUMER.INFO.WAIT.*", "$JS.API.CONSUMER.MSG.NEXT.WAIT.*", "$JS.API.CONSUMER.CREATE.WAIT.*.wait.letter.>",
		"$JS.API.CONSUMER.PAUSE.WAIT.*", "$JS.API.CONSUMER.DELETE.WAIT.*", "$JS.API.CONSUMER.LIST.WAIT", "$JS.API.STREAM.MSG.GET.WAIT", "$JS.API.CONSUMER.INFO.MAIL.mail", "$JS.API.CONSUMER.INFO.MAIL.urgent",
		"$JS.ACK.INTAKE.>", "$JS.ACK.*.*.INTAKE.>", "$JS.ACK.WAIT.>", "$JS.ACK.*.*.WAIT.>",
		"$JS.API.STREAM.INFO.INTAKE", "$JS.API.STREAM.INFO.WAIT", "$JS.API.STREAM.INFO.MAIL", "$JS.API.STREAM.INFO.AUDIT",
		"$JS.API.STREAM.INFO.DEAD", "$JS.API.STREAM.INFO.KV_claims", "$JS.API.STREAM.INFO.KV_letters",
		"$KV.brake.>", "$JS.API.STREAM.MSG.GET.KV_brake", "$JS.API.STREAM.INFO.KV_brake",
		"secret.pin.*.*", "$KV.pins.asked.>", "$JS.API.STREAM.MSG.GET.SECRET", "$JS.API.STREAM.MSG.GET.KV_pins",
		"$JS.API.STREAM.INFO.SECRET", "$JS.API.CONSUMER.INFO.SECRET.access", "$JS.API.STREAM.INFO.KV_pins",
	},
	"mailer": {
		"mail.hold.*.*", "audit.letter.*.*", "audit.event.rejected.*", "dead.*.*", "$KV.letters.>", "$JS.API.STREAM.MSG.GET.KV_letters",
		"$JS.API.CONSUMER.INFO.MAIL.mail", "$JS.API.CONSUMER.MSG.NEXT.MAIL.mail", "$JS.ACK.MAIL.mail.>", "$JS.ACK.*.*.MAIL.mail.>",
		"$JS.API.CONSUMER.INFO.MAIL.urgent", "$JS.API.CONSUMER.MSG.NEXT.MAIL.urgent", "$JS.ACK.MAIL.urgent.>", "$JS.ACK.*.*.MAIL.urgent.>",
		"$JS.API.STREAM.INFO.MAIL", "$JS.API.STREAM.INFO.AUDIT", "$JS.API.STREAM.INFO.DEAD", "$JS.API.STREAM.INFO.KV_letters",
	},
	"portal": {
		"portal.*.*.*", "audit.activation.denied.*", "crowd.portal", "$KV.limits.>", "$KV.sessions.>",
		"$JS.API.STREAM.MSG.GET.KV_limits", "$JS.API.DIRECT.GET.KV_sessions.>",
		"$JS.API.STREAM.INFO.KV_sessions", "$JS.API.STREAM.INFO.KV_limits", "$JS.API.STREAM.INFO.INTAKE", "$JS.API.STREAM.INFO.AUDIT",
		"$JS.API.STREAM.MSG.GET.KV_pins", "$JS.API.STREAM.INFO.KV_pins",
	},
	"access": {
		"$JS.API.CONSUMER.INFO.SECRET.access", "$JS.API.CONSUMER.MSG.NEXT.SECRET.access", "$JS.ACK.SECRET.access.>", "$JS.ACK.*.*.SECRET.access.>",
		"$KV.pins.receipt.>", "$JS.API.STREAM.MSG.GET.KV_pins",
	},
	"auditor": {
		"$JS.API.STREAM.INFO.AUDIT", "$JS.API.CONSUMER.CREATE.AUDIT.*.audit.>", "$JS.API.CONSUMER.INFO.AUDIT.*",
		"$JS.API.CONSUMER.MSG.NEXT.AUDIT.*", "$JS.API.CONSUMER.DELETE.AUDIT.*",
	},
}

// attempts are subjects of every kind there is: events, stored forms, letters,
// facts, keys, acknowledgements, inboxes and the whole management interface of
// every stream.
func attempts() []string {
	list := []string{
		"hr.employee.registered.1", "admissions.student.registered.1", "it.password.compromised.kari", "portal.account.acted.a", "hr.too.short",
		"p.5.hr.employee.registered.1", "mail.activation.l", "mail.hold.activation.l", "secret.pin.x", "secret.pin.drammen.a", "secret.other.drammen.a", "$KV.pins.asked.a.drammen", "$KV.pins.receipt.a.drammen", "$KV.pins.other", "dead.malformed.x",
		"audit.account.created.f", "audit.account.activated.f", "audit.letter.sent.f", "audit.event.rejected.f", "audit.activation.denied.f",
		"wait.hold.INTAKE.1.hr.employee.registered.1", "wait.due.INTAKE.1.hr.employee.registered.1", "wait.letter.g.activation.a",
		"$KV.claims.k", "$KV.letters.k", "$KV.sessions.k", "$KV.limits.k", "$KV.brake.k",
		"$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST", "$JS.API.STREAM.CREATE.NEW", "$SYS.REQ.SERVER.PING", "$SRV.PING",
	}
	streams := []string{"INTAKE", "WAIT", "MAIL", "AUDIT", "DEAD", "SECRET", "KV_claims", "KV_letters", "KV_sessions", "KV_limits", "KV_pins", "KV_brake"}
	for _, s := range streams {
		for _, what := range []string{"INFO", "UPDATE", "PURGE", "DELETE", "SNAPSHOT", "RESTORE", "MSG.GET", "MSG.DELETE", "LEADER.STEPDOWN", "PEER.REMOVE"} {
			list = append(list, "$JS.API.STREAM."+what+"."+s)
		}
		for _, what := range []string{"INFO", "DELETE", "MSG.NEXT", "PAUSE", "RESET", "UNPIN", "LEADER.STEPDOWN"} {
			for _, c := range []string{"mail", "urgent", "due", "access", "lane-0-of-1", "x"} {
				list = append(list, "$JS.API.CONSUMER."+what+"."+s+"."+c)
			}
		}
		list = append(list,
			"$JS.API.CONSUMER.LIST."+s, "$JS.API.CONSUMER.NAMES."+s, "$JS.API.CONSUMER.CREATE."+s, "$JS.API.CONSUMER.CREATE."+s+".x",
			"$JS.API.CONSUMER.CREATE."+s+".x.audit.>", "$JS.API.CONSUMER.CREATE."+s+".x.wait.letter.g.k.>", "$JS.API.CONSUMER.CREATE."+s+".x.>",
			"$JS.API.CONSUMER.DURABLE.CREATE."+s+".x", "$JS.API.DIRECT.GET."+s, "$JS.API.DIRECT.GET."+s+".$KV.sessions.k",
			"$JS.ACK."+s+".mail.1.1.1.1.0", "$JS.ACK._.hash."+s+".mail.1.1.1.1.0", "$JS.ACK."+s+".due.1.1.1.1.0", "$JS.ACK."+s+".access.1.1.1.1.0", "$JS.ACK._.hash."+s+".access.1.1.1.1.0")
	}
	for _, role := range testkit.Roles {
		list = append(list, "_INBOX_"+role+".x")
	}
	return append(list, "_INBOX.x", "crowd.portal", "crowd.worker", "anything")
}

// matches is how the server compares a subject with a pattern.
func matches(pattern, subject string) bool {
	p, s := strings.Split(pattern, "."), strings.Split(subject, ".")
	for i, token := range p {
		if token == ">" {
			return len(s) > i
		}
		if i >= len(s) || token != "*" && token != s[i] {
			return false
		}
	}
	return len(p) == len(s)
}

func allowed(role, subject string) bool {
	return slices.ContainsFunc(may[role], func(p string) bool { return matches(p, subject) })
}

// refused publishes and tells whether the server says no. The refusal comes on
// the connection before the answer to the flush that follows.
func refused(t *testing.T, nc *nats.Conn, subject string) bool {
	t.Helper()
	// A header that nothing accepts keeps what is allowed from being stored.
	m := nats.NewMsg(subject)
	m.Header.Set("Nats-Expected-Stream", "NONE")
	m.Data = []byte("!")
	if err := nc.PublishMsg(m); err != nil {
		t.Fatalf("publish on %s: %v", subject, err)
	}
	if err := nc.Flush(); err != nil {
		t.Fatalf("flush after %s: %v", subject, err)
	}
	err := nc.LastError()
	if err == nil {
		return false
	}
	// a subject that the account maps is refused under its other name
	mapped := strings.Replace(subject, "$JS.API.", "$JS.MATRICULA.API.", 1)
	return strings.Contains(err.Error(), fmt.Sprintf("for Publish to %q", subject)) || strings.Contains(err.Error(), fmt.Sprintf("for Publish to %q", mapped))
}

// quiet keeps what is refused on purpose out of the test's output.
var quiet = nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})

func TestEachRoleMayPublishItsOwnSubjectsAndNothingElse(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	declare(t, b)
	before := fingerprint(t, b)
	for _, role := range testkit.Roles {
		if role == "operator" {
			continue // may nearly everything: see the test below
		}
		nc := b.Connect(role, quiet)
		yes, no := 0, 0
		for _, subject := range attempts() {
			switch got, want := refused(t, nc, subject), !allowed(role, subject); {
			case got && !want:
				t.Errorf("%s is refused %s, which its task needs", role, subject)
			case !got && want:
				t.Errorf("%s may publish on %s", role, subject)
			case got:
				no++
			default:
				yes++
			}
		}
		if yes == 0 || no == 0 {
			t.Errorf("%s: %d attempts were allowed and %d refused; a check that finds only one kind proves nothing", role, yes, no)
		}
		t.Logf("%s: %d allowed, %d refused", role, yes, no)
	}
	if after := fingerprint(t, b); !maps.Equal(before, after) {
		t.Errorf("the attempts changed the streams:\nbefore %v\nafter  %v", before, after)
	}
}

func TestEachRoleHearsItsOwnInboxOnly(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	declare(t, b)
	subjects := []string{">", "*", "_INBOX.>", "_INBOX_>", "hr.>", "p.>", "it.>", "portal.>", "mail.>", "audit.>", "wait.>", "dead.>", "secret.>", "$KV.>", "$JS.>", "$JS.API.>",
		"$JS.ACK.>", "$JS.EVENT.ADVISORY.>", "$SYS.>", "_R_.>", "crowd.>", "crowd.portal"}
	for _, role := range testkit.Roles {
		subjects = append(subjects, "_INBOX_"+role+".>")
	}
	for _, role := range testkit.Roles {
		nc := b.Connect(role, quiet)
		for _, subject := range subjects {
			sub, err := nc.SubscribeSync(subject)
			if err != nil {
				t.Fatalf("subscribe %s: %v", subject, err)
			}
			if err := nc.Flush(); err != nil {
				t.Fatal(err)
			}
			err = nc.LastError()
			denied := err != nil && strings.Contains(err.Error(), fmt.Sprintf("Permissions Violation for Subscription to %q", subject))
			if own := subject == "_INBOX_"+role+".>" || role == "worker" && subject == "crowd.portal"; denied == own {
				t.Errorf("%s subscribes to %s: refused %v, want %v", role, subject, denied, !own)
			}
			_ = sub.Unsubscribe()
		}
	}
}

func TestNobodyWithoutAKeyIsLetIn(t *testing.T) {
	t.Parallel()
	b := testkit.NATSProcess(t)
	for name, opts := range map[string][]nats.Option{"nothing": nil, "a password": {nats.UserInfo("operator", "operator")}, "a token": {nats.Token("x")}} {
		if nc, err := nats.Connect(b.URL, opts...); err == nil {
			nc.Close()
			t.Errorf("the broker let somebody in with %s", name)
		}
	}
}

func declare(t *testing.T, b *testkit.NATSBroker) stream.Settings {
	t.Helper()
	s := stream.DefaultSettings()
	if err := stream.Declare(t.Context(), b.JetStream("operator"), s, false); err != nil {
		t.Fatalf("operator cannot declare the streams: %v", err)
	}
	return s
}

// fingerprint is what every stream holds, as the operator sees it.
func fingerprint(t *testing.T, b *testkit.NATSBroker) map[string]string {
	t.Helper()
	print := map[string]string{}
	list := b.JetStream("operator").ListStreams(t.Context())
	for info := range list.Info() {
		config, err := json.Marshal(info.Config)
		if err != nil {
			t.Fatal(err)
		}
		print[info.Config.Name] = fmt.Sprintf("%d messages, %d to %d, %d consumers, configuration %x",
			info.State.Msgs, info.State.FirstSeq, info.State.LastSeq, info.State.Consumers, sha256.Sum256(config))
	}
	if err := list.Err(); err != nil || len(print) < 10 {
		t.Fatalf("operator lists %d streams: %v", len(print), err)
	}
	return print
}
