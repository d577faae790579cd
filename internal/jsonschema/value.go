package jsonschema

import (
	"maps"
	"slices"
	"strconv"
)

// The types of JSON, as the keyword type names them.
const (
	typeNull    = "null"
	typeBoolean = "boolean"
	typeNumber  = "number"
	typeInteger = "integer"
	typeString  = "string"
	typeArray   = "array"
	typeObject  = "object"
)

// types are all of them in the order in which messages name them.
func types() []string {
	return []string{typeNull, typeBoolean, typeNumber, typeInteger, typeString, typeArray, typeObject}
}

// typeOf is the type of a value of decoded JSON, or "" of anything else. A whole number is a number.
func typeOf(value any) string {
	switch value.(type) {
	case nil:
		return typeNull
	case bool:
		return typeBoolean
	case string:
		return typeString
	case []any:
		return typeArray
	case map[string]any:
		return typeObject
	}
	if _, ok := numberOf(value); ok {
		return typeNumber
	}
	return ""
}

// equal is the equality of JSON: 1 and 1.0 are one number, and the order of keys does not matter.
func equal(a, b any) bool {
	switch a := a.(type) {
	case nil:
		return b == nil
	case bool:
		other, ok := b.(bool)
		return ok && a == other
	case string:
		other, ok := b.(string)
		return ok && a == other
	case []any:
		other, ok := b.([]any)
		return ok && slices.EqualFunc(a, other, equal)
	case map[string]any:
		other, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, other, equal)
	}
	x, ok := numberOf(a)
	y, also := numberOf(b)
	return ok && also && x == y
}

// appendKey appends a text that equal values share and others do not.
func appendKey(to []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(to, 'n')
	case bool:
		if v {
			return append(to, 't')
		}
		return append(to, 'f')
	case string:
		to = strconv.AppendInt(append(to, 's'), int64(len(v)), 10)
		return append(append(to, ':'), v...)
	case []any:
		to = append(to, '[')
		for _, item := range v {
			to = appendKey(to, item)
		}
		return append(to, ']')
	case map[string]any:
		to = append(to, '{')
		for _, name := range sortedKeys(v) {
			to = appendKey(appendKey(to, name), v[name])
		}
		return append(to, '}')
	}
	n, _ := numberOf(value)
	if n.negative {
		to = append(to, '-')
	}
	to = append(append(to, '0'), n.digits...) // the zero: a number begins as no other value does
	to = strconv.AppendInt(append(to, 'e'), n.exponent, 10)
	return append(to, ';')
}
