package shapes

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Check compares a value with what its model says and returns all faults, each with its path: required members that are
// absent, lengths and numbers out of bounds, values that an enum does not have. Services differ in how they word such
// faults (CodeDeploy has an exception a field), so wording is left to the caller.
func Check(shape any) []string {
	v := reflect.ValueOf(shape)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	var faults []string
	checkValue("", v, &faults)
	return faults
}

// enum is what the generated enum types have.
type enum interface{ Known() bool }

func checkValue(path string, v reflect.Value, faults *[]string) {
	if v.Type() == reflect.TypeFor[Timestamp]() {
		return
	}
	if e, ok := reflect.TypeAssert[enum](v); ok && v.Len() > 0 && !e.Known() {
		*faults = append(*faults, fmt.Sprintf("%s: %q is not a value of %s", path, v.String(), v.Type().Name()))
	}
	switch v.Kind() { //nolint:exhaustive // scalars hold nothing further
	case reflect.Struct:
		for field, value := range v.Fields() {
			checkMember(path, field, value, faults)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		for i := range v.Len() {
			checkValue(path+"["+strconv.Itoa(i)+"]", v.Index(i), faults)
		}
	case reflect.Map:
		for k, value := range v.Seq2() {
			checkValue(join(path, k.String()), value, faults)
		}
	}
}

func checkMember(path string, field reflect.StructField, v reflect.Value, faults *[]string) {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	path = join(path, name)
	rules := strings.Split(field.Tag.Get("aws"), ",")
	if v.IsZero() {
		if rules[0] == "required" {
			*faults = append(*faults, path+": is required")
		}
		return
	}
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() == reflect.Interface {
		return // a document or a stream: the model says nothing of what is inside
	}
	for _, rule := range rules {
		bound, value, ok := strings.Cut(rule, "=")
		if !ok {
			continue
		}
		if limit, err := strconv.ParseFloat(value, 64); err == nil && outside(bound, size(v), limit) {
			*faults = append(*faults, fmt.Sprintf("%s: %v is outside %s %s", path, size(v), bound, value))
		}
	}
	checkValue(path, v, faults)
}

func outside(bound string, n, limit float64) bool {
	return bound == "min" && n < limit || bound == "max" && n > limit
}

// size is what min and max speak of: characters, members, or the number itself.
func size(v reflect.Value) float64 {
	switch v.Kind() { //nolint:exhaustive // structures and booleans have no bounds
	case reflect.String:
		return float64(utf8.RuneCountInString(v.String()))
	case reflect.Slice, reflect.Map:
		return float64(v.Len())
	case reflect.Int32, reflect.Int64:
		return float64(v.Int())
	case reflect.Float64:
		return v.Float()
	}
	return 0
}
