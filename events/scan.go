package events

import (
	"encoding/json"
	"strconv"
)

// trail is where in a message something stands. It becomes words only where
// something is wrong there.
type trail struct {
	up   *trail
	name string
	item int // of a list, or -1
}

func (t *trail) below(name string) trail { return trail{up: t, name: name, item: -1} }
func (t *trail) at(i int) trail          { return trail{up: t, item: i} }

func (t *trail) String() string {
	switch {
	case t.up == nil:
		return t.name
	case t.item >= 0:
		return t.up.String() + "[" + strconv.Itoa(t.item) + "]"
	}
	return join(t.up.String(), t.name)
}

// scanner makes a tree of a text that is known to be one valid JSON value. It
// finds what is valid and still must not be taken: a key that is there twice,
// and a depth that no contract needs.
type scanner struct {
	text []byte
	next int
}

// peek is the next byte that is no blank.
func (s *scanner) peek() byte {
	for s.next < len(s.text) {
		switch c := s.text[s.next]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			s.next++
		default:
			return c
		}
	}
	return 0
}

func (s *scanner) value(path *trail, depth int) (node, error) {
	switch c := s.peek(); c {
	case '{', '[':
		if depth == maxDepth {
			return node{}, Refuse(ReasonMalformed, path.String(), "is nested too deeply; no contract needs more than "+strconv.Itoa(maxDepth)+" levels")
		}
		s.next++
		if c == '[' {
			return s.list(path, depth+1)
		}
		return s.object(path, depth+1)
	case '"':
		text, err := s.string()
		if err != nil {
			return node{}, Refuse(ReasonMalformed, path.String(), "is not valid JSON")
		}
		return node{kind: kindString, text: text}, nil
	case 't', 'f', 'n':
		return s.word(c), nil
	}
	return s.number(), nil
}

func (s *scanner) list(path *trail, depth int) (node, error) {
	n := node{kind: kindArray}
	for s.peek() != ']' {
		below := path.at(len(n.items))
		item, err := s.value(&below, depth)
		if err != nil {
			return node{}, err
		}
		n.items = append(n.items, item)
	}
	s.next++
	return n, nil
}

func (s *scanner) object(path *trail, depth int) (node, error) {
	n := node{kind: kindObject, members: make([]member, 0, 8)}
	var seen map[string]bool // where there are many; a few are looked through
	for s.peek() != '}' {
		name, err := s.string()
		if err != nil {
			return node{}, Refuse(ReasonMalformed, path.String(), "is not valid JSON")
		}
		below := path.below(name)
		if seen[name] || seen == nil && n.has(name) {
			return node{}, Refuse(ReasonMalformed, below.String(), "is there twice; send each key once")
		}
		value, err := s.value(&below, depth)
		if err != nil {
			return node{}, err
		}
		n.members = append(n.members, member{name, value})
		if len(n.members) == 32 {
			seen = map[string]bool{}
			for _, m := range n.members {
				seen[m.name] = true
			}
		} else if seen != nil {
			seen[name] = true
		}
	}
	s.next++
	return n, nil
}

func (n node) has(name string) bool {
	for _, m := range n.members {
		if m.name == name {
			return true
		}
	}
	return false
}

// string reads a string, at whose first quote the scanner stands. Escapes are
// for the standard decoder to understand.
func (s *scanner) string() (string, error) {
	begin, plain := s.next, true
	for s.next++; s.text[s.next] != '"'; s.next++ {
		if s.text[s.next] == '\\' {
			plain = false
			s.next++
		}
	}
	s.next++
	if plain {
		return string(s.text[begin+1 : s.next-1]), nil
	}
	var text string
	err := json.Unmarshal(s.text[begin:s.next], &text)
	return text, err
}

func (s *scanner) word(c byte) node {
	switch c {
	case 't':
		s.next += len("true")
		return node{kind: kindBool, truth: true}
	case 'f':
		s.next += len("false")
		return node{kind: kindBool}
	}
	s.next += len("null")
	return node{kind: kindNull}
}

func (s *scanner) number() node {
	begin := s.next
	for s.next < len(s.text) {
		switch s.text[s.next] {
		case ' ', '\t', '\r', '\n', ',', ']', '}':
			return node{kind: kindNumber, text: string(s.text[begin:s.next])}
		}
		s.next++
	}
	return node{kind: kindNumber, text: string(s.text[begin:])}
}
