package policy

import (
	"crypto/sha256"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Lengths of a username.
const (
	usernameShortest = 3
	usernameLongest  = 20
	stemLetters      = 6 // of a username made from a name
)

// StudentUsername is the student number in lower case, which is what students
// sign in with. False where it cannot be a username: it must be 3 to 20 of a-z
// and 0-9, and not reserved; the name then makes one (Usernames).
func StudentUsername(studentNo string) (string, bool) {
	if strings.ContainsFunc(studentNo, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return "", false
	}
	u := strings.ToLower(studentNo)
	for i := range len(u) {
		if !(u[i] >= 'a' && u[i] <= 'z' || u[i] >= '0' && u[i] <= '9') {
			return "", false
		}
	}
	if len(u) < usernameShortest || len(u) > usernameLongest || ReservedUsername(u) {
		return "", false
	}
	return u, true
}

// Usernames yields candidates made from a name, the same ones in the same order
// for the same name, without end and without a repeat: three letters of the
// first given name and three of the last family name (Kari Nordmann: karnor),
// then the same with 2, 3, … A one-word name gives its first six letters, a
// name that says nothing in a-z gives "person".
//
// Every candidate matches [a-z][a-z0-9]{2,19}, is not reserved and is no
// offensive word.
func Usernames(given, family string) iter.Seq[string] {
	return numbered(stem(first(given), last(family)))
}

// OpaqueUsernames yields candidates for a person whose name must not show, from
// the opaque account ID. They are made like those from a name, so that a
// username does not tell who is protected.
func OpaqueUsernames(id string) iter.Seq[string] {
	const consonants, vowels = "bdfghjklmnprstv", "aeiou"
	sum := sha256.Sum256([]byte("username\x00" + id))
	for {
		var u []byte
		for i, b := range sum[:stemLetters] {
			from := consonants
			if i%3 == 1 {
				from = vowels
			}
			u = append(u, from[int(b)%len(from)])
		}
		if presentable(string(u)) {
			return numbered(string(u))
		}
		sum = sha256.Sum256(sum[:])
	}
}

// numbered yields a stem, then the stem with 2, 3, …
func numbered(stem string) iter.Seq[string] {
	return func(yield func(string) bool) {
		if len(stem) >= usernameShortest && !yield(stem) {
			return
		}
		for n := uint64(2); ; n++ {
			u := stem + strconv.FormatUint(n, 10)
			if len(u) > usernameLongest {
				return // 10^14 people of one name
			}
			if len(u) >= usernameShortest && !yield(u) {
				return
			}
		}
	}
}

// stem is the first presentable split of a name.
func stem(given, family string) string {
	for _, take := range [][2]int{{3, 3}, {2, 4}, {4, 2}, {1, 5}, {5, 1}, {6, 0}, {0, 6}} {
		g, f := take[0], take[1]
		if family == "" || given == "" {
			g, f = stemLetters, stemLetters
		}
		if s := head(given, g) + head(family, f); s != "" && presentable(s) {
			return s
		}
	}
	return "person"
}

func head(s string, n int) string { return s[:min(n, len(s))] }

// first is the first word of a name that says anything in a-z.
func first(name string) string {
	for _, part := range nameParts(name) {
		if a := ascii(part); a != "" {
			return a
		}
	}
	return ""
}

// last is the last such word: the main family name where there are several.
func last(name string) string {
	parts := nameParts(name)
	slices.Reverse(parts)
	return first(strings.Join(parts, " "))
}

// ReservedUsername tells whether s must not be anybody's username: the name of
// a service, a role or a machine, also with a number behind it. Case does not
// matter.
func ReservedUsername(s string) bool {
	s = strings.TrimRight(strings.ToLower(s), "0123456789")
	return s != "" && slices.Contains(strings.Fields(reserved), s)
}

// presentable tells whether a stem may be a person's username.
func presentable(stem string) bool {
	if ReservedUsername(stem) {
		return false
	}
	for _, w := range strings.Fields(offensive) {
		if stem == w || len(w) >= 4 && strings.Contains(stem, w) {
			return false
		}
	}
	return true
}

// reserved are names that mail, web and directory software gives a meaning
// (RFC 2142 among them), and those that would let one person pass for a service
// of the university.
const reserved = `
abuse account activate activation adm admin administrator agent all anonymous api app apps archive audit auth
autoconfig autodiscover backup bin bot broadcast bruker brukere calendar cloud club com contact conto cron
daemon data database demo dev directory dns docs drift drupal email employee ess everyone exchange export
facebook feide ftp git gjest group groups guest help helpdesk hjelp host hostmaster hr http https idp imap info
internal intranet irc isp ispfeedback it itdrift jobs kafka kontakt konto ldap library list listadmin
listmaster lists local localhost log login logout logs mail mailer mailerdaemon mailman manager marketing
master matricula me mobile mysql nagios nats network news nginx nobody noc none noreply ns ntp null oauth
office operator ops orakel owner passord password personal phpmyadmin pop portal post postgres postmaster press
printer privacy proxy public radius registrar reklame rektor report reset robot root router sales samba sandbox
secure security server service services shop shutdown signup sip smtp ssh ssl staff stage staging stats status
student students studieadm studweb superuser support svar svn sync sys sysadmin sysop system tech telnet temp
test testuser tmp ubuntu undefined university usenet user users usn usr uucp vpn web webmail webmaster webmin
wheel wiki www wwwdata xmpp`

// offensive are words, Norwegian and English, that six letters of a name can
// spell. Those of four letters and more are refused inside a stem too; a false
// alarm only changes the split.
const offensive = `
anal anus arse ass bastard bitch cock cum cunt damn dick dildo drit dritt dyke faen fag fanden fitte fuck gay
gook hate helvete hitler hoe homo hore idiot incest jaevel jaevla jihad kaat kike kill kkk klit knulle kuk kukk
mord morder muff naked nazi neger nigga nigger nude orgy pedo penis pikk piss poop porn porno prick pule pupp
pussy rape rasist retard rumpe runk satan scum sex shit sjofel slave slut snot soper sperm suck sug suicid svin
terror tispe tiss tits tosk trash turd twat vagina wank whore`
