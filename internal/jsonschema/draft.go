package jsonschema

import "strings"

// draft is a version of the specification. They are in order: a later one is greater.
type draft int

const (
	draft6 draft = iota
	draft7
	draft2019
	draft2020
)

func (d draft) String() string {
	switch d {
	case draft6:
		return "draft 06"
	case draft7:
		return "draft 07"
	case draft2019:
		return "draft 2019-09"
	case draft2020:
	}
	return "draft 2020-12"
}

// draftOf is the draft that a $schema names.
func draftOf(uri string) (draft, bool) {
	uri = strings.TrimSuffix(uri, "#")
	name, ok := strings.CutPrefix(uri, "https://json-schema.org/")
	if !ok {
		name, ok = strings.CutPrefix(uri, "http://json-schema.org/")
	}
	if !ok {
		return 0, false
	}
	switch name {
	case "draft/2020-12/schema", "schema":
		return draft2020, true
	case "draft/2019-09/schema":
		return draft2019, true
	case "draft-07/schema":
		return draft7, true
	case "draft-06/schema":
		return draft6, true
	}
	return 0, false
}
