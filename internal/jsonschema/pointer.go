package jsonschema

import (
	"strconv"
	"strings"
)

// JSON pointers, RFC 6901.

// escape writes a key as a part of a pointer.
func escape(key string) string {
	if !strings.ContainsAny(key, "~/") {
		return key
	}
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

func unescape(part string) string {
	if !strings.Contains(part, "~") {
		return part
	}
	return strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~")
}

// parts are the keys and indexes of a pointer.
func parts(pointer string) []string {
	if pointer == "" {
		return nil
	}
	all := strings.Split(pointer[1:], "/")
	for i, part := range all {
		all[i] = unescape(part)
	}
	return all
}

// step is the value under a key or an index, as a part of a pointer names it.
func step(value any, key string) (any, bool) {
	switch v := value.(type) {
	case map[string]any:
		next, ok := v[key]
		return next, ok
	case []any:
		i, err := strconv.Atoi(key)
		if err != nil || i < 0 || i >= len(v) || strconv.Itoa(i) != key {
			return nil, false
		}
		return v[i], true
	}
	return nil, false
}
