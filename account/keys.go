package account

import (
	"slices"
	"strconv"
	"strings"
)

// versions are all keys in force, newest first. A person is found under any of
// them, and claims are taken under every one: then two workers of which only
// one knows the new key still meet in the handles of the old one.
func (i Identity) versions() []Identity { return append([]Identity{i}, i.Older...) }

// NumberHandles are the claim keys of an identity number, newest key first.
func (i Identity) NumberHandles(typ, value string) (out []string) {
	for _, v := range i.versions() {
		out = append(out, v.NumberHandle(typ, value))
	}
	return out
}

// SourceHandles are the claim keys of a source's subject, newest key first.
func (i Identity) SourceHandles(source, subject string) (out []string) {
	for _, v := range i.versions() {
		out = append(out, v.SourceHandle(source, subject))
	}
	return out
}

// Kept is the oldest key in force. What is named under it keeps its name while
// the key is being changed.
func (i Identity) kept() Identity {
	all := i.versions()
	return all[len(all)-1]
}

// version reads which key a handle stands under; 0 for a username's.
func version(handle string) int {
	kind, rest, _ := strings.Cut(handle, ".")
	if kind != "num" && kind != "src" {
		return 0
	}
	v, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0
	}
	return n
}

// handlesOf are the claim keys that follow from what an entry holds, under the
// keys in force: its numbers, and every source that has told of it. Handles of
// keys that are no longer in force are left out.
func (i Identity) handlesOf(a Account) []string {
	var out []string
	for _, n := range a.Numbers {
		out = append(out, i.NumberHandles(n.Type, n.Value)...)
	}
	for _, t := range a.Told {
		if t.Source != sourceImport {
			out = append(out, i.SourceHandles(t.Source, t.Subject)...)
		}
	}
	for _, r := range a.Roles {
		if r.Key != "" {
			out = append(out, i.SourceHandles(sourceOf(r.Kind), r.Key)...)
		}
	}
	for _, m := range a.Marks {
		switch m.Facet {
		case FacetProfile, FacetRoles, FacetNumbers, FacetListing: // other subjects are no person's key: usernames, addresses
			out = append(out, i.SourceHandles(m.Source, m.Subject)...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
