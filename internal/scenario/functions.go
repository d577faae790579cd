package scenario

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/expr-lang/expr"

	"greengate/internal/lazyregexp"
)

var wordPattern = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// headerMap are headers by their lower-case names; several of one name are joined by ", ".
type headerMap map[string]string

// unreadable stands for a body that is not what it says it is; it fails whatever looks into it.
type unreadable struct{ error }

// functions are what expressions can call beside the library's own. Names with __ are what strict writes.
func functions() []expr.Option {
	one := func(name string, f func(any) (any, error), result any) expr.Option {
		return expr.Function(name, func(args ...any) (any, error) { return f(args[0]) }, result)
	}
	return []expr.Option{
		expr.Function("__get", func(args ...any) (any, error) { return get(args[0], args[1], fmt.Sprint(args[2])) }, new(func(any, any, string) any)),
		expr.Function("__eq", func(args ...any) (any, error) { return equal(args[0], args[1]) }, new(func(any, any) bool)),
		expr.Function("__ne", func(args ...any) (any, error) {
			same, err := equal(args[0], args[1])
			return !same, err
		}, new(func(any, any) bool)),
		expr.Function("__in", func(args ...any) (any, error) { return contained(args[0], args[1]) }, new(func(any, any) bool)),
		expr.Function("__some", func(args ...any) (any, error) { return some(args[0], fmt.Sprint(args[1])) }, new(func(any, string) any)),
		expr.Function("__found", func(args ...any) (any, error) { return found(args[0], fmt.Sprint(args[1])) }, new(func(any, string) any)),
		expr.Function("has", func(args ...any) (any, error) { return has(args[0], fmt.Sprint(args[1])) }, new(func(any, string) bool)),
		one("sha256", digestOf, new(func(any) string)),
		one("p50", percentile(50), new(func(any) time.Duration)),
		one("p95", percentile(95), new(func(any) time.Duration)),
		one("p99", percentile(99), new(func(any) time.Duration)),
		expr.Function("uuid", func(...any) (any, error) { return uuid(), nil }, new(func() string)),
	}
}

// functionNames are those of functions that people can call.
func functionNames() []string { return []string{"has", "p50", "p95", "p99", "sha256", "uuid"} }

// get reads a field or an item. What is not there is an error, never nil.
func get(base, key any, path string) (any, error) {
	missing := func(format string, args ...any) (any, error) {
		return nil, &missingError{path: path, message: path + ": " + fmt.Sprintf(format, args...)}
	}
	if bad, ok := base.(unreadable); ok {
		return nil, bad
	}
	switch b := base.(type) {
	case headerMap:
		name := strings.ToLower(fmt.Sprint(key))
		if v, ok := b[name]; ok {
			return v, nil
		}
		return missing("there is no header %q%s", name, among(name, slices.Sorted(maps.Keys(b))))
	case map[string]any:
		name, ok := key.(string)
		if !ok {
			return missing("the key of a mapping is a text, not %s", kindOf(key))
		}
		if v, ok := b[name]; ok {
			return v, nil
		}
		return missing("there is no field %q%s", name, among(name, slices.Sorted(maps.Keys(b))))
	}
	list, ok := listOf(base)
	if !ok {
		return missing("%s has no fields", kindOf(base))
	}
	i, ok := key.(int)
	if !ok {
		return missing("the item of a list is a number, not %s", kindOf(key))
	}
	if i < 0 {
		i += len(list)
	}
	if i < 0 || i >= len(list) {
		return missing("the list has %d items", len(list))
	}
	return list[i], nil
}

// among says which names there are instead.
func among(name string, known []string) string {
	if suffix := didYouMean(name, known); suffix != "" {
		return suffix
	}
	if len(known) == 0 {
		return "; there are none"
	}
	const most = 12
	if len(known) > most {
		known = append(known[:most:most], "…")
	}
	return "; there are " + strings.Join(known, ", ")
}

// has reports whether a field is there. Of what has no fields it cannot tell.
func has(base any, name string) (bool, error) {
	switch b := base.(type) {
	case unreadable:
		return false, b
	case headerMap:
		_, ok := b[strings.ToLower(name)]
		return ok, nil
	case map[string]any:
		_, ok := b[name]
		return ok, nil
	}
	return false, fmt.Errorf("%s has no fields", kindOf(base))
}

// listOf is a list as []any: the library makes some of other types.
func listOf(v any) ([]any, bool) {
	if list, ok := v.([]any); ok {
		return list, true
	}
	r := reflect.ValueOf(v)
	if !r.IsValid() || r.Kind() != reflect.Slice {
		return nil, false
	}
	list := make([]any, r.Len())
	for i := range list {
		list[i] = r.Index(i).Interface()
	}
	return list, true
}

// kindOf names the kind of a value for people.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string, json.Number:
		return "a text"
	case bool:
		return "true or false"
	case time.Duration:
		return "a duration"
	case time.Time:
		return "a time"
	case map[string]any, headerMap:
		return "a mapping"
	case unreadable:
		return "unreadable"
	}
	if _, ok := number(v); ok {
		return "a number"
	}
	if _, ok := listOf(v); ok {
		return "a list"
	}
	return fmt.Sprintf("%T", v)
}

// number is a number of any of the library's types. Integers stay exact as long as both sides are integers.
func number(v any) (float64, bool) {
	r := reflect.ValueOf(v)
	switch {
	case !r.IsValid():
	case r.Type() == reflect.TypeFor[time.Duration]():
	case r.CanInt():
		return float64(r.Int()), true
	case r.CanUint():
		return float64(r.Uint()), true
	case r.CanFloat():
		return r.Float(), true
	}
	return 0, false
}

// equal compares two values of one kind. Values of different kinds are an error: neither == nor != of them can be
// meant. Null may be compared with all.
func equal(a, b any) (bool, error) {
	for _, v := range []any{a, b} {
		if bad, ok := v.(unreadable); ok {
			return false, bad
		}
	}
	if a == nil || b == nil {
		return a == nil && b == nil, nil
	}
	if kindOf(a) != kindOf(b) {
		return false, fmt.Errorf("%s is compared with %s", kindOf(a), kindOf(b))
	}
	if x, ok := a.(int); ok {
		if y, ok := b.(int); ok {
			return x == y, nil
		}
	}
	if x, ok := number(a); ok {
		y, _ := number(b)
		return x == y && !math.IsNaN(x), nil
	}
	if x, ok := listOf(a); ok {
		y, _ := listOf(b)
		return equalLists(x, y)
	}
	switch x := a.(type) {
	case map[string]any:
		y, _ := b.(map[string]any)
		return equalMaps(x, y)
	case time.Time:
		y, _ := b.(time.Time)
		return x.Equal(y), nil
	}
	return reflect.DeepEqual(a, b), nil
}

func equalLists(x, y []any) (bool, error) {
	if len(x) != len(y) {
		return false, nil
	}
	for i := range x {
		if same, err := equal(x[i], y[i]); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

func equalMaps(x, y map[string]any) (bool, error) {
	if len(x) != len(y) {
		return false, nil
	}
	for name, v := range x {
		other, ok := y[name]
		if !ok {
			return false, nil
		}
		if same, err := equal(v, other); !same || err != nil {
			return false, err
		}
	}
	return true, nil
}

// contained is the operator in: an item of a list, or a key of a mapping.
func contained(item, in any) (bool, error) {
	switch m := in.(type) {
	case unreadable:
		return false, m
	case map[string]any, headerMap:
		name, ok := item.(string)
		if !ok {
			return false, fmt.Errorf("%s is looked for among the keys of a mapping", kindOf(item))
		}
		return has(in, name)
	}
	list, ok := listOf(in)
	if !ok {
		return false, fmt.Errorf("in needs a list or a mapping, not %s", kindOf(in))
	}
	var mismatch error
	comparable := len(list) == 0
	for _, other := range list {
		same, err := equal(item, other)
		if same {
			return true, nil
		}
		comparable = comparable || err == nil
		if err != nil {
			mismatch = err
		}
	}
	if !comparable {
		return false, mismatch
	}
	return false, nil
}

// some refuses an empty list: of nothing everything is true.
func some(v any, function string) (any, error) {
	if bad, ok := v.(unreadable); ok {
		return nil, bad
	}
	if list, ok := listOf(v); ok && len(list) == 0 {
		return nil, fmt.Errorf("%s of an empty list says nothing; ask for its length first", function)
	}
	return v, nil
}

// found refuses the nil that a search without a result gives.
func found(v any, function string) (any, error) {
	if v == nil {
		return nil, &missingError{path: function, message: function + " found nothing"}
	}
	return v, nil
}

func digestOf(v any) (any, error) {
	text, ok := v.(string)
	if !ok {
		return nil, fmt.Errorf("sha256 takes a text, not %s; raw is the body as it came", kindOf(v))
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:]), nil
}

// percentile is the nearest rank: the smallest value that at least p per cent of all do not exceed.
func percentile(p float64) func(any) (any, error) {
	return func(v any) (any, error) {
		list, ok := listOf(v)
		if !ok || len(list) == 0 {
			return nil, errors.New("a percentile needs a list of durations that is not empty; repeat makes latencies")
		}
		all := make([]time.Duration, len(list))
		for i, item := range list {
			if all[i], ok = item.(time.Duration); !ok {
				return nil, fmt.Errorf("a percentile needs durations, not %s", kindOf(item))
			}
		}
		slices.Sort(all)
		return all[int(math.Ceil(p/100*float64(len(all))))-1], nil
	}
}

func uuid() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
