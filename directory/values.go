package directory

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"usn.no/matricula/account"
)

// What several fields of an account make one value of an attribute. A value is
// deleted by naming it byte by byte, so its text must come out the same again:
// fields keep their order, and a field that is added later is left out while
// it is empty. Each type has the fields of its namesake in package account (ordered: Order).
type (
	why struct {
		Reason string    `json:"reason,omitempty"`
		Since  time.Time `json:"since,omitzero"`
		By     string    `json:"by,omitempty"`
		Done   time.Time `json:"done,omitzero"`
	}
	number struct {
		Type  string    `json:"type"`
		Value string    `json:"value"`
		Since time.Time `json:"since,omitzero"`

		Replaced time.Time `json:"replaced,omitzero"`
		Renewed  time.Time `json:"renewed,omitzero"`
	}
	role struct {
		Kind   string    `json:"kind"`
		Key    string    `json:"key,omitempty"`
		ID     string    `json:"id,omitempty"`
		Start  string    `json:"start,omitempty"`
		End    string    `json:"end,omitempty"`
		Unit   string    `json:"unit,omitempty"`
		Campus string    `json:"campus,omitempty"`
		Intake string    `json:"intake,omitempty"`
		Term   string    `json:"term,omitempty"`
		Title  string    `json:"title,omitempty"`
		Since  time.Time `json:"since,omitzero"`

		Listed account.Recency `json:"listed,omitzero"`
	}
	told struct {
		Source          string     `json:"source"`
		Subject         string     `json:"subject"`
		account.Recency            // time, sequence, position
		Name            personName `json:"name,omitzero"`
		BirthDate       string     `json:"birth_date,omitempty"`
		Address         string     `json:"address,omitempty"`
		Mobile          string     `json:"mobile,omitempty"`
		Language        string     `json:"language,omitempty"`
		Protection      string     `json:"protection,omitempty"`
		Reserved        bool       `json:"reserved,omitempty"`
	}
	personName struct {
		Given     string `json:"given,omitempty"`
		Family    string `json:"family,omitempty"`
		Preferred string `json:"preferred,omitempty"`
	}
	ending struct {
		Source  string `json:"source"`
		Subject string `json:"subject"`
		ID      string `json:"id,omitempty"`
		account.Recency
		End       string `json:"end,omitempty"`
		Reason    string `json:"reason,omitempty"`
		Cancelled bool   `json:"cancelled,omitempty"`
	}
	ordered struct {
		What    string    `json:"what"`
		On      bool      `json:"on,omitempty"`
		Until   time.Time `json:"until,omitzero"`
		Reason  string    `json:"reason,omitempty"`
		By      string    `json:"by,omitempty"`
		Source  string    `json:"source,omitempty"`
		Subject string    `json:"subject,omitempty"`
		account.Recency
	}
	mark struct {
		Source   string    `json:"source"`
		Subject  string    `json:"subject"`
		Facet    string    `json:"facet"`
		Time     time.Time `json:"time,omitzero"`
		Sequence uint64    `json:"sequence,omitempty"`
		Position uint64    `json:"position,omitempty"`
		Changed  bool      `json:"changed,omitempty"`
	}
	rules struct {
		Version  string    `json:"version,omitempty"`
		Hash     string    `json:"hash,omitempty"`
		Language string    `json:"language,omitempty"`
		At       time.Time `json:"at,omitzero"`
	}
)

func packTold(t account.Told) string {
	return pack(told{
		Source: t.Source, Subject: t.Subject, Recency: t.Recency, Name: personName(t.Name), BirthDate: t.BirthDate, Address: t.Address,
		Mobile: t.Mobile, Language: t.Language, Protection: t.Protection, Reserved: t.Reserved,
	})
}

func (t told) account() account.Told {
	return account.Told{
		Source: t.Source, Subject: t.Subject, Recency: t.Recency, Name: account.Name(t.Name), BirthDate: t.BirthDate, Address: t.Address,
		Mobile: t.Mobile, Language: t.Language, Protection: t.Protection, Reserved: t.Reserved,
	}
}

// pack cannot fail: the types above hold nothing that JSON doesn't know, and
// texts that are no UTF-8 are refused before.
func pack(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func unpack[T any](s string) (v T, err error) {
	d := json.NewDecoder(bytes.NewReader([]byte(s)))
	return v, d.Decode(&v)
}

// An invitation is "<id>;<purpose>;<created>;<expires>".
func packInvitation(i account.Invitation) (string, error) {
	for _, s := range []string{i.ID, i.Purpose} {
		if s == "" || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == ';' }) {
			return "", invalid("invitation")
		}
	}
	return strings.Join([]string{i.ID, i.Purpose, i.Created.Format(time.RFC3339Nano), i.Expires.Format(time.RFC3339Nano)}, ";"), nil
}

func unpackInvitation(s string) (i account.Invitation, err error) {
	part := strings.Split(s, ";")
	if len(part) != 4 {
		return i, fmt.Errorf("invitation has %d parts", len(part))
	}
	i.ID, i.Purpose = part[0], part[1]
	if i.Created, err = time.Parse(time.RFC3339Nano, part[2]); err != nil {
		return i, err
	}
	i.Expires, err = time.Parse(time.RFC3339Nano, part[3])
	return i, err
}

const generalizedTime = "20060102150405.999999999Z"

func packTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(generalizedTime)
}

func unpackTime(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	return time.Parse(generalizedTime, s)
}
