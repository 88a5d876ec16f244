package events

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxDepth is deeper than any contract and far from what a parser minds.
const maxDepth = 16

// node is one JSON value. The standard decoder is not enough at this border:
// it takes the last of two equal keys, matches keys in any case and turns
// damaged text into U+FFFD without a word, so that two readers of one message
// could see two persons.
type node struct {
	kind    kind
	text    string // of a string or number
	truth   bool
	members []member
	items   []node
}

type member struct {
	name  string
	value node
}

type kind string

const (
	kindNull   kind = "null"
	kindBool   kind = "a boolean"
	kindNumber kind = "a number"
	kindString kind = "a string"
	kindArray  kind = "a list"
	kindObject kind = "an object"
)

// get finds a member by its exact name; one that is not there is null.
func (n node) get(name string) node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return node{kind: kindNull}
}

// parse reads body as exactly one JSON object. root names it in rejections: ""
// for an envelope, "data" for the data alone.
func parse(body []byte, root string) (node, error) {
	where := root
	if where == "" {
		where = "body"
	}
	switch {
	case len(body) > MaxBody:
		return node{}, Refuse(ReasonMalformed, "body", "is larger than "+strconv.Itoa(MaxBody)+" bytes; send less in one event")
	case len(bytes.TrimSpace(body)) == 0:
		return node{}, Refuse(ReasonMalformed, where, "is empty; send one JSON object")
	case !utf8.Valid(body):
		return node{}, Refuse(ReasonMalformed, where, "is not valid UTF-8; encode the JSON as UTF-8")
	case !json.Valid(body):
		return node{}, Refuse(ReasonMalformed, where, "is not one complete JSON value; send one object, nothing before or after it")
	}
	sc := scanner{text: body}
	n, err := sc.value(&trail{name: root}, 0)
	if err != nil {
		return node{}, err
	}
	if n.kind != kindObject {
		return node{}, Refuse(ReasonMalformed, where, "is "+string(n.kind)+"; send an object")
	}
	return n, nil
}

// join makes a path for people. Keys come from the sender, so one that could
// be a value in the wrong place (a number, a name, an address) is not repeated.
func join(path, name string) string {
	if !plainName(name) {
		name = "?"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

func plainName(name string) bool {
	if name == "" || len(name) > 40 || !isToken(name) {
		return false
	}
	digits := 0
	for i := 0; i < len(name); i++ {
		if name[i] >= '0' && name[i] <= '9' {
			digits++
		}
	}
	return digits < 5 && strings.ToLower(name) == name
}
