package main

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// envPrefix stands before every setting in the environment.
const envPrefix = "MATRICULA_"

// setting is one key of Config: "nats.url" in the file, MATRICULA_NATS_URL in
// the environment. A key of a list has no index in Key ("window.opens") and
// "0" in Env.
type setting struct {
	Key, Env string
	List     string // "window" for a key of [[window]]
	Value    reflect.Value
	Field    reflect.StructField
}

// settings walks c in the order of the struct. c must be a pointer where the
// caller wants to set what it finds. Lists are walked element by element, an
// empty one by a zero element.
func settings(c reflect.Value) []setting {
	return walk(reflect.Indirect(c), "", envPrefix, "")
}

func walk(v reflect.Value, key, env, list string) []setting {
	var out []setting
	for i := range v.NumField() {
		f, fv := v.Type().Field(i), v.Field(i)
		name, prefix := f.Tag.Get("toml"), f.Tag.Get("envPrefix")
		switch {
		case f.Anonymous:
			out = append(out, walk(fv, key, env, list)...)
		case prefix != "" && fv.Kind() == reflect.Slice:
			out = append(out, walkList(fv, key+name+".", env+prefix, name)...)
		case prefix != "":
			out = append(out, walk(fv, key+name+".", env+prefix, list)...)
		default:
			out = append(out, setting{Key: key + name, Env: env + f.Tag.Get("env"), List: list, Value: fv, Field: f})
		}
	}
	return out
}

func walkList(v reflect.Value, key, env, list string) []setting {
	if v.Len() == 0 {
		return walk(reflect.New(v.Type().Elem()).Elem(), key, env+"0_", list)
	}
	var out []setting
	for i := range v.Len() {
		out = append(out, walk(v.Index(i), key, env+strconv.Itoa(i)+"_", list)...)
	}
	return out
}

// allKeys lists every key once.
func allKeys() []setting {
	return settings(reflect.ValueOf(&Config{}))
}

// nearest finds the known name that was probably meant: two slips of the
// fingers away, or the right key in the wrong section, or at most a third of
// its letters away; else none.
func nearest(typed string, known []string) (string, bool) {
	best, at := "", 1+len(typed)/3
	for _, k := range known {
		if d := distance(typed, k); d < at {
			best, at = k, d
		}
	}
	if best != "" && at <= 2 {
		return best, true
	}
	last := typed[strings.LastIndexByte(typed, '.')+1:]
	if i := slices.IndexFunc(known, func(k string) bool { return strings.HasSuffix(k, "."+last) }); i >= 0 {
		return known[i], true
	}
	return best, best != ""
}

// distance counts the letters to insert, delete, replace or swap.
func distance(a, b string) int {
	before, row := []int(nil), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
